"""The lab: real backends for tests and for the demo, private to whoever starts them.

Nothing in here is part of the installed product. It needs root, Debian's packages and the standard library alone,
so that both pytest and a bare interpreter can use it.
"""


class LabError(RuntimeError):
    """A backend cannot be had on this machine; the message says why and what would help."""
