r"""A container's configuration file, as ctid.conf(5) describes it. Pure.

>>> values('# made by vzctl\nONBOOT="yes"\nPHYSPAGES="0:131072"\n')["ONBOOT"]
'yes'
"""

from __future__ import annotations

import re

_LINE = re.compile(r"\s*([A-Z_][A-Z0-9_]*)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))\s*")
_AMOUNT = re.compile(r"(\d+)([KMGTP]?)B?", re.IGNORECASE)
#: A page of memory, in bytes: the unit of a number without one.
_PAGE = 4096
_UNITS = {"": _PAGE, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
# Numbers of pages that mean no limit: LONG_MAX, of both sizes.
_UNLIMITED = frozenset({2**63 - 1, 2**31 - 1})


def values(text: str) -> dict[str, str]:
    """The parameters of a file; the last of a name counts, as for the shell.

    Args:
        text: The file.
    """
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {line[1]: next((each for each in line.groups()[1:] if each is not None), "") for line in found if line}


def vcpus(parameters: dict[str, str]) -> int | None:
    """How many processors the container may use; ``None`` where the file does not say.

    Args:
        parameters: What :func:`values` found.
    """
    given = parameters.get("CPUS", "")
    return int(given) if given.isascii() and given.isdecimal() and int(given) else None


def memory_mib(parameters: dict[str, str]) -> int | None:
    """How much memory it may use, in MiB; ``None`` where it has no limit, or the file does not say.

    Args:
        parameters: What :func:`values` found.
    """
    amount = _AMOUNT.fullmatch(parameters.get("PHYSPAGES", "").rpartition(":")[2])
    if amount is None or (not amount[2] and int(amount[1]) in _UNLIMITED):
        return None
    return int(amount[1]) * _UNITS[amount[2].upper()] >> 20 or None
