"""What somebody who made a slip probably meant."""

from __future__ import annotations

import pytest

from vmsvc.driver import did_you_mean


@pytest.mark.parametrize(
    ("written", "names", "hint"),
    [
        ("g11", {"g1", "web"}, "did you mean `g1`?"),
        ("WEB", {"g1", "web"}, "did you mean `web`?"),
        ("mail", {"g1", "web"}, ""),
        ("mail", set(), ""),
        ("nodse", {"nodes", "node"}, "did you mean `nodes`?"),
        ("g11", {f"g{number}" for number in range(12, 2000)}, ""),
    ],
)
def test_only_a_name_that_is_near_is_offered(written, names, hint):
    assert did_you_mean(written, names) == hint
