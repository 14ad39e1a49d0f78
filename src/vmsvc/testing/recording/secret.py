r"""What looks like a secret in what a tool prints, by the company that it keeps. Pure.

A mask has the length of what it stands for, so that columns keep their places; what is around it stays.

>>> without_secrets("DB_PASS=hunter2 --token abc user=me")
'DB_PASS=******* --token *** user=me'
>>> without_secrets("postgres://app:hunter2@db/x, Authorization: Bearer abc")
'postgres://app:*******@db/x, Authorization: Bearer ***'
"""

from __future__ import annotations

import re

#: What a secret is called: whole words, and parts of longer ones. `pass` and `pwd` are parts of too many others.
_CALLED = (
    r"(?:passw(?:or)?d|passphrase|secret|token|jwt|credential"
    r"|(?:api|access|account|auth|encryption|private|secret|signing)[_-]?key"
    r"|(?<![a-z])(?:pass|creds?|(?-i:pwd))(?![a-z])|(?:cookie|[_-]auth)(?=\\?[\"']?[ \t]*[=:]))"
)
#: The same among variables of an environment, where words are run together: PGPASS, SSH_KEY. PWD is a directory.
_VARIABLE = (
    r"\b(?!(?:OLD)?PWD=)(?:[A-Z0-9_]*(?:PASS|PWD|KEY|SECRET|TOKEN|CRED|COOKIE)[A-Z0-9_]*"
    r"|(?:[A-Z0-9_]*_)?(?:PW|PIN|SALT))="
)
#: A value: in quotes, in quotes within a text that has quotes itself, or up to a blank or the next key of a list. What
#: stands for no value is none, and a path is where a secret is.
_VALUE = (
    r"(?:\\\"(?P<inner>.*?)\\\"|\"(?P<double>(?:[^\"\\\n]|\\.)*)\"|'(?P<single>[^'\n]*)'"
    r"|(?!(?:null|none|true|false)\b|(?:/[\w.-]+){2,}(?![^\s\"'])|[\[{]|\\\")(?P<plain>(?:(?!,[\w.-]+[=:])[^\s\"'<>])+))"
)
_ASSIGNED = re.compile(rf"{_CALLED}[\w-]*(?:\\?[\"'])?[ \t]*[=:>][ \t]*{_VALUE}", re.IGNORECASE)
_ENVIRONMENT = re.compile(_VARIABLE + _VALUE)
_OPTION = re.compile(rf"(?<![\w-])--?[\w-]*{_CALLED}[\w-]*[ \t]+(?!-){_VALUE}", re.IGNORECASE)
#: Each with one group that is the secret: of URLs, of HTTP, of commands, and some that tell themselves.
_OTHERS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"://[^\s/:@\"']*:(?P<plain>[^\s/@\"']+)@",
        r"\b(?:Bearer|Authorization\W+\w+)\s+(?P<plain>[\w.~+/=-]+)",
        r"\b(?:curl|wget)\b[^\n]*?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']+:(?P<plain>[^\s\"']+)",
        # A name and a password; a number and a number are a user and a group.
        r"(?<![\w-])(?:-u|--user)[ =][\"']?(?!\d+:\d+\b)[^\s:/\"']+:(?P<plain>[^\s:/\"']+)",
        r"\b(?:mysql|mariadb)\w*\b[^\n]*?\s-p(?P<plain>[^\s\"']+)",
        r"\bsshpass\b[^\n]*?\s-p[ ]?[\"']?(?P<plain>[^\s\"']+)",
        r"(?i:\bpass(?:word|wd|phrase)\s+is\s+)(?!(?:not|no|set|required|needed|empty|wrong|expired)\b)(?P<plain>[^\s\"']+)",
        r"\b(?P<plain>xox[a-z]-[\w-]{6,})",
        r"\b(?P<plain>eyJ[\w-]{5,}\.[\w-]+\.[\w-]*)",
        r"\b(?P<plain>(?:AKIA|ASIA)[A-Z0-9]{16})\b",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<plain>.+?)(?=-----END|[\"']|\Z|\n(?![A-Za-z0-9+/=]{16,}))",
    )
)


def without_secrets(text: str) -> str:
    """A text in which what looks like a secret is masked.

    Args:
        text: The text.
    """
    for pattern in (*_OTHERS, _ENVIRONMENT, _ASSIGNED, _OPTION):
        text = pattern.sub(_masked, text)
    return text


def _masked(found: re.Match[str]) -> str:
    name = found.lastgroup or ""
    begin, end = (place - found.start() for place in found.span(name))
    whole = found[0]
    return whole[:begin] + re.sub(r"\S", "*", whole[begin:end]) + whole[end:]
