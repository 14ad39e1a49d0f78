r"""Masks what tells of whose machines these are: names, addresses, identities, secrets. Pure.

What means the same stays the same: equal names have equal masks, a name that begins another still begins it, and blanks
and odd characters stay where they are, since they are what drivers stumble over. A mask has the length of what it
stands for, so that columns keep their places; only addresses do not.

>>> mask = Masking(["web1", "web10"], secret=b"k")
>>> one, other = mask.text("web1"), mask.text("web10")
>>> len(one), other.startswith(one), "web" in one
(4, True, False)
>>> mask.text("on 10.1.2.3 and 10.1.2.3, not 10.1.2.4")
'on 192.0.2.1 and 192.0.2.1, not 192.0.2.2'
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from vmsvc.testing.recording.secret import without_secrets

#: Networks that are for documentation (RFC 5737, RFC 3849), in which masks of addresses are.
_IPV4 = (IPv4Address("192.0.2.0"), IPv4Address("198.51.100.0"), IPv4Address("203.0.113.0"))
_IPV6 = IPv6Address("2001:db8::")
_HOSTS = 254
# Addresses that tell nothing of anybody.
_PLAIN = ("127.", "0.0.0.0", "255.", "::1", "::")  # noqa: S104 - no address is listened on

_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_MAC = re.compile(r"\b[0-9a-f]{2}(?:([:-]))[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}\b", re.IGNORECASE)
#: Long hexadecimal numbers: World Wide Names, ids of containers, keys, digests. Shorter ones that have decimal digits
#: alone are sizes and dates, which drivers read.
_NUMBER = re.compile(
    r"(?:(?<=\b0x)[0-9a-f]{12,}|(?<![0-9a-zA-Z])(?:(?=\d*[a-f])[0-9a-f]{12,}|\d{16,}))(?![0-9a-zA-Z])", re.IGNORECASE
)
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w:]|\.\d)", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_QUOTES = r"[\"'\s]*"
_SERIAL = re.compile(
    rf"((?:serial|serial[ _-]?(?:number|no\.?)|wwn|wwid)\b{_QUOTES}[=:>]{_QUOTES})([^\s\"',;<>]+)", re.IGNORECASE
)
#: What a machine is called, where it is told as such; names that a driver has told are masked wherever they stand.
_HOST = re.compile(rf"(host[ _-]?name\b{_QUOTES}[=:>]{_QUOTES})(?!localhost\b)([A-Za-z][^\s\"',;<>]*)", re.IGNORECASE)
_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_HEXADECIMAL = "0123456789abcdef"
_ELSE = "éèêëàâîïôûüöäñçß"


class Masking:
    """Masks texts, consistently.

    Args:
        names: Names to mask wherever they stand as words: of guests, services, nodes, users.
        secret: What masks are made of; whoever has it can tell what a mask stands for.
    """

    def __init__(self, names: Iterable[str], *, secret: bytes) -> None:
        self._secret = secret
        self._addresses: dict[str, str] = {}
        words = sorted({name for name in names if name}, key=len, reverse=True)
        self._names = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in words)) if words else None

    def text(self, text: str) -> str:
        """A text in which everything is masked.

        Args:
            text: The text.
        """
        text = without_secrets(text)
        text = _HOST.sub(lambda found: found[1] + self.name(found[2]), text)
        if self._names is not None:
            text = self._names.sub(lambda found: self.name(found[0]), text)
        for pattern, mask in self._patterns():
            text = pattern.sub(mask, text)
        return text

    def name(self, name: str) -> str:
        """The mask of a name: each character by all those before it, within its class.

        Args:
            name: The name.
        """
        return "".join(self._character(name[:place], character) for place, character in enumerate(name))

    def _patterns(self) -> Iterable[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
        return (
            (_MAIL, lambda found: self.name(found[0])),
            (_SERIAL, lambda found: found[1] + self.name(found[2])),
            (_UUID, lambda found: self._hexadecimal(found[0])),
            (_MAC, lambda found: "02" + self._hexadecimal(found[0])[2:]),
            (_ADDRESS, lambda found: self._address(found[0])),
            (_NUMBER, lambda found: self._hexadecimal(found[0])),
        )

    def _character(self, before: str, character: str) -> str:
        for alphabet in _CLASSES:
            if character in alphabet:
                return self._shuffled(before, alphabet)[alphabet.index(character)]
        return self._shuffled(before, _ELSE)[ord(character) % len(_ELSE)] if character.isalpha() else character

    def _shuffled(self, before: str, alphabet: str) -> str:
        """An alphabet in an order that what stands before decides."""
        key = hmac.new(self._secret, f"{alphabet}\0{before}".encode(errors="surrogateescape"), hashlib.sha256).digest()
        return "".join(sorted(alphabet, key=lambda letter: hmac.new(key, letter.encode(), hashlib.sha256).digest()))

    def _hexadecimal(self, text: str) -> str:
        """As many digits; equal ones where the text is equal, however it is written."""
        digits = "".join(character for character in text.lower() if character in _HEXADECIMAL)
        fresh = hmac.new(self._secret, digits.encode(), hashlib.sha512).hexdigest() * (1 + len(digits) // 128)
        if digits.isdecimal():  # which a driver may read as a decimal number
            fresh = "".join(str(int(digit, 16) % 10) for digit in fresh)
        made = iter(fresh)
        masked = "".join(next(made) if character.lower() in _HEXADECIMAL else character for character in text)
        return masked.upper() if text.isupper() else masked

    def _address(self, text: str) -> str:
        try:
            address = ip_address(text)
        except ValueError:
            return text  # a version, or a time
        if text.startswith(_PLAIN[:3]) or text in _PLAIN:
            return text
        known = str(address)
        if known not in self._addresses:
            number = len(self._addresses)
            masked = (
                _IPV6 + 1 + number
                if isinstance(address, IPv6Address)
                else _IPV4[number // _HOSTS % len(_IPV4)] + 1 + number % _HOSTS
            )
            self._addresses[known] = str(masked)
        return self._addresses[known]
