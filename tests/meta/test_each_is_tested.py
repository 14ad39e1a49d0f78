"""Each keyword and each option changes behaviour in a test that names it; one that is added without such a test fails.

A test names them with markers; see ``tests/named.py``.
"""

from __future__ import annotations

import pytest

from docs import generate
from tests import named

if missing := generate.missing():
    pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


@pytest.mark.parametrize(("marker", "known"), [("keyword", named.keywords), ("option", named.options)])
def test_each_is_named_by_a_test_and_no_test_names_one_that_is_not_there(marker, known):
    tested = named.named(marker)
    untested = sorted(known() - tested.keys())
    assert untested == [], f"show how each changes behaviour, in a test with @pytest.mark.{marker}(…)"
    assert sorted(tested.keys() - known()) == [], "these are no more"
