"""The host keys that vmsvc has seen: pinned at first sight, in a file like OpenSSH's known_hosts.

A key that was pinned is never replaced by vmsvc. Lines that cannot be read are errors: what they pinned would otherwise
be taken for seen the first time. See "SSH_KNOWN_HOSTS FILE FORMAT" in sshd(8).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from attrs import frozen
from filelock import FileLock, Timeout

from vmsvc.core.errors import NoWayIn
from vmsvc.core.networks import usual_form

_WITH_PORT = re.compile(r"\[(?P<host>[^\]]+)\]:(?P<port>\d{1,5})", re.ASCII)
#: How long another process may hold the file, in seconds; it writes one line.
_LOCK_S = 5.0


@frozen
class HostKey:
    """A server's public key.

    Attributes:
        type: Its type, such as ``ssh-ed25519``.
        blob: The key, as RFC 4253 (section 6.6) encodes it.
    """

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:…``."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.type})"


@frozen
class _Pin:
    names: frozenset[str]
    hashed: tuple[_HashedName, ...]
    key: HostKey
    line: int

    def is_of(self, name: str) -> bool:
        """Whether it was pinned for a server, however that is written: see :func:`_usual`."""
        return _usual(name) in self.names or any(one.is_of(name) for one in self.hashed)


@frozen
class _HashedName:
    """What ``ssh-keygen -H`` replaces a name by: ``|1|SALT|HMAC-SHA1``."""

    salt: bytes
    digest: bytes

    def is_of(self, name: str) -> bool:
        digests = (hmac.digest(self.salt, each.encode(), "sha1") for each in (name.lower(), name))
        return any(hmac.compare_digest(digest, self.digest) for digest in digests)


class KnownHosts:
    """The file of pinned host keys. Threads and processes may share it.

    Args:
        path: The file; it is made when the first key is pinned, for its owner alone to read and write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self, name: str) -> list[HostKey]:
        """The keys that are pinned for a server.

        Args:
            name: The server, as in :meth:`types`.

        Raises:
            NoWayIn: The file cannot be read.
        """
        return [pin.key for pin in self._pins() if pin.is_of(name)]

    def types(self, name: str) -> list[str]:
        """The types of the keys that are pinned for a server, so that it can be asked for such a one.

        Args:
            name: The server: its host name or address, or ``[HOST]:PORT`` where the port is not 22.

        Raises:
            NoWayIn: The file cannot be read.
        """
        return [key.type for key in self.keys(name)]

    def check(self, name: str, key: HostKey) -> None:
        """Compare a server's key with what is pinned for it; pin it if nothing is.

        Args:
            name: The server, as in :meth:`types`.
            key: The key that it has shown, and proven to have.

        Raises:
            NoWayIn: Another key is pinned for this server, or the file cannot be read or written.
        """
        if self._is_pinned(name, key):
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock", timeout=_LOCK_S):
                if not self._is_pinned(name, key):  # still: another process may have met the server meanwhile
                    self._append(f"{name.lower()} {key.type} {base64.b64encode(key.blob).decode()}\n".encode())
        except Timeout:
            raise _broken(
                f"the host key of {name} cannot be pinned: {self._path}.lock is held by another process"
            ) from None
        except OSError as error:
            raise _broken(f"the host key of {name} cannot be pinned: {self._path}: {error.strerror or error}") from None

    def _is_pinned(self, name: str, key: HostKey) -> bool:
        pins = [pin for pin in self._pins() if pin.is_of(name)]
        if any(pin.key == key for pin in pins):
            return True
        if not pins:
            return False
        was = ", ".join(f"{pin.key}, pinned in {self._path}, line {pin.line}" for pin in pins)
        raise NoWayIn(
            f"the host key of {name} has changed: it is {key} now, and was {was}",
            code="undetermined.ssh-host-key",
            hint="somebody may pretend to be this host: see on its console what `ssh-keygen -lf` says of its "
            f"/etc/ssh/ssh_host_*_key.pub. Where the change is right: {self._forget(name)}",
        )

    def _forget(self, name: str) -> str:
        return f"ssh-keygen -f {shlex.quote(str(self._path))} -R {shlex.quote(name.lower())}"

    def _pins(self) -> Sequence[_Pin]:
        try:
            text = self._path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise _broken(f"the pinned host keys cannot be read: {self._path}: {error}") from None
        return _parsed(self._path, text)

    def _append(self, line: bytes) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                line = b"\n" + line  # somebody's editor has left the last line without an end
            try:
                if os.write(file, line) != len(line):
                    raise OSError(None, "the disk is full")
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)


def server_name(host: str, port: int) -> str:
    """How a server is called in known_hosts.

    Args:
        host: Its host name or address.
        port: Its port.

    >>> server_name("web", 22), server_name("2001:db8::7", 2222)
    ('web', '[2001:db8::7]:2222')
    """
    return host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004 - ssh's own, see RFC 4253, section 4.1


@lru_cache(maxsize=64)
def _usual(name: str) -> str:
    """A server's name in one form: in small letters, without the usual port, an address in its usual form.

    Whoever writes lines by hand may write it otherwise, and it is the same server: its key is not to be trusted anew.

    >>> _usual("Web"), _usual("[web]:22"), _usual("[2001:DB8:0::7]:2222")
    ('web', 'web', '[2001:db8::7]:2222')
    """
    host, port = name.lower(), 22
    if bracketed := _WITH_PORT.fullmatch(host):
        host, port = bracketed["host"], int(bracketed["port"])
    return server_name(usual_form(host) or host, port)


@lru_cache(maxsize=1)  # it is looked at for each connection of many that open at once; what it says is read each time
def _parsed(path: Path, text: str) -> Sequence[_Pin]:
    """The pins of a file that says this."""
    return [
        _pin(path, number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _pin(path: Path, number: int, line: str) -> _Pin:
    try:
        names, kind, encoded = line.split()[:3]
        plain, hashed = set[str](), list[_HashedName]()
        for name in names.split(","):
            if name.startswith("|"):
                hashed.append(_hashed(name))
            elif not name or set(name) & set("*?!@"):
                raise ValueError(f"{name!r} is no name of a host")
            else:
                plain.add(_usual(name))
        key = HostKey(kind, base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error) as error:
        raise _broken(
            f"the pinned host keys cannot be read: {path}, line {number}: {error}",
            hint="a line is NAME TYPE KEY, without patterns or markers; mend it, or delete it to "
            "have that host's key pinned anew",
        ) from None
    return _Pin(frozenset(plain), tuple(hashed), key, number)


def _hashed(name: str) -> _HashedName:
    _, kind, salt, digest = name.split("|")
    if kind != "1":
        raise ValueError(f"names hashed by method {kind!r}")
    return _HashedName(base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True))


def _broken(message: str, hint: str = "") -> NoWayIn:
    return NoWayIn(message, code="undetermined.ssh-known-hosts", hint=hint)
