"""Examples in docstrings and in documents are tests."""

from __future__ import annotations

from sybil import Sybil
from sybil.parsers.doctest import DocTestParser

from docs import examples

pytest_plugins = ("tests.left_out",)
docstrings = Sybil(parsers=[DocTestParser()], patterns=["*.py"], path="src")
pytest_collect_file = (docstrings + examples.sybil()).pytest()
