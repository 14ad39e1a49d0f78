"""How fast vmsvc is, beside what else does the same work: ``python -m benchmarks``.

Figures of one machine and one day mean little; ratios of two things measured side by side mean something anywhere. So
every benchmark runs its two sides by turns, in one process's time, and tells the ratio.

A benchmark is a module of :mod:`benchmarks.cases` with one function, ``measure(run)``, that yields
:class:`~benchmarks.table.Row` records; the first line of its docstring is its title.
"""
