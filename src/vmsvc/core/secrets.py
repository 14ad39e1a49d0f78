"""Keeping secrets out of what leaves the node. Pure.

Service files are no place for secrets, and definitions, which may hold passwords, are never published. This is the net
beneath: keys that are named like secrets, passwords in URLs, and words such as ``--password=…``.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
_SECRET = re.compile(r"passw(?:or)?d|passphrase|secret|token", re.IGNORECASE)
#: ``--password=…``, ``PASSWORD=…``, ``?token=…``; up to the next blank or part of a query. The name begins where a word
#: does: else a long word would be read once for each of its letters.
_SETTING = re.compile(r"(?<![\w-])([\w-]+)=[^\s&]+")
#: An argument whose value is the next one, if it is named so.
_OPTION = re.compile(r"-[\w-]+")
#: ``scheme://user:password@host``; RFC 3986, section 3.2.1.
_USER_INFO = re.compile(r"(\w://[^\s/@:]*):[^\s/@]+@")


def masked(content: Any) -> Any:
    """Plain data without its secrets.

    Args:
        content: Plain data, as in JSON.

    >>> masked({"password": "x", "start": ["run", "--token", "x"], "uri": "esx://root:x@host/"})
    {'password': '***', 'start': ['run', '--token', '***'], 'uri': 'esx://root:***@host/'}
    """
    if isinstance(content, dict):
        return {key: _masked_setting(key, value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        before = [None, *content]
        return [MASK if _announces(last) else masked(item) for last, item in zip(before, content, strict=False)]
    if isinstance(content, str):
        return _USER_INFO.sub(rf"\1:{MASK}@", _SETTING.sub(_masked_word, content))
    return content


def _masked_setting(key: str, value: Any) -> Any:
    return MASK if _SECRET.search(key) and isinstance(value, str) and value else masked(value)


def _masked_word(word: re.Match[str]) -> str:
    return f"{word[1]}={MASK}" if _SECRET.search(word[1]) else word[0]


def _announces(word: Any) -> bool:
    return isinstance(word, str) and _OPTION.fullmatch(word) is not None and _SECRET.search(word) is not None
