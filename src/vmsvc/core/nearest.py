"""What somebody who made a slip probably meant. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

_LONGEST_COMPARED = 255
_MOST_COMPARED = 1000


def nearest(word: str, candidates: Iterable[str], *, closeness: float = 0.6) -> str:
    """The candidate that somebody who wrote ``word`` probably meant.

    Args:
        word: What was written.
        candidates: What would have been right.
        closeness: How close it must be, from 0 to 1.

    Returns:
        The closest candidate; empty when none is close.
    """
    others = (candidate for candidate in candidates if candidate != word)
    by_folded = {candidate.casefold(): candidate for candidate in itertools.islice(others, _MOST_COMPARED + 1)}
    # Comparing takes time; nothing longer can be close to a name, and a hint is no use among thousands of names.
    if len(word) > _LONGEST_COMPARED or len(by_folded) > _MOST_COMPARED:
        return ""
    # Two letters in the wrong order are the most frequent slip, and one that difflib rates low.
    letters = sorted(word.casefold())
    if swapped := next((one for one in by_folded if sorted(one) == letters), ""):
        return by_folded[swapped]
    import difflib  # noqa: PLC0415 - files without a mistake need none of it

    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=closeness)
    return by_folded[found[0]] if found else ""


def did_you_mean(word: str, candidates: Iterable[str], *, otherwise: str = "") -> str:
    """A hint that names the nearest valid word.

    Args:
        word: What was written.
        candidates: What would have been right.
        otherwise: The hint when nothing is close.
    """
    found = nearest(word, candidates)
    return f"did you mean `{found}`?" if found else otherwise
