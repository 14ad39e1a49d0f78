"""Logins that were refused, remembered for a minute by all processes of a node: ESXi locks an account after five.

A file tells of each server and user that a login was refused, when, and a salted digest of the password, so that one
that somebody has corrected is tried at once. The password itself is kept by nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from vmsvc_esx.credentials import Credentials
from vmsvc_esx.options import Access

#: How long a login that was refused is not tried again, in seconds.
REFUSED_FOR_S = 60.0
# scrypt with 16 MiB: some 50 ms for who looks once, much for who wants to guess what was nearly a password.
_COST, _BLOCK, _LANES = 2**14, 8, 1
_SALT_BYTES = 16


class Refusals:
    """What a node remembers of logins that were refused.

    Args:
        directory: Where it is kept; it may not exist yet. Where nothing can be kept, nothing is remembered.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, access: Access, credentials: Credentials) -> str | None:
        """What the server said when it refused these very credentials a short time ago; else ``None``.

        Args:
            access: How the server is reached.
            credentials: The credentials.
        """
        try:
            kept = json.loads(self._file(access, credentials).read_bytes())
            is_recent = 0 <= time.time() - float(kept["at"]) < REFUSED_FOR_S
            if is_recent and _digest(credentials, bytes.fromhex(kept["salt"])) == kept["digest"]:
                return str(kept["said"])
        except (OSError, ValueError, KeyError, TypeError):  # nothing that tells of a refusal
            pass
        return None

    def keep(self, access: Access, credentials: Credentials, said: str) -> None:
        """Remember that a login was refused.

        Args:
            access: How the server is reached.
            credentials: What was offered.
            said: What the server said.
        """
        salt = os.urandom(_SALT_BYTES)
        kept = {"at": time.time(), "salt": salt.hex(), "digest": _digest(credentials, salt), "said": said}
        file = self._file(access, credentials)
        new = file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            new.touch(mode=0o600, exist_ok=False)
            new.write_text(json.dumps(kept), encoding="utf-8")
            new.replace(file)

    def forget(self, access: Access, credentials: Credentials) -> None:
        """A login has succeeded: what is remembered of this server and user is over.

        Args:
            access: How the server is reached.
            credentials: What was offered.
        """
        with contextlib.suppress(OSError):
            self._file(access, credentials).unlink(missing_ok=True)

    def _file(self, access: Access, credentials: Credentials) -> Path:
        whose = hashlib.sha256(f"{access.server}\0{credentials.user}".encode(errors="surrogateescape")).hexdigest()
        return self._directory / f"refused-{whose[:32]}.json"


def _digest(credentials: Credentials, salt: bytes) -> str:
    password = credentials.password.encode(errors="surrogateescape")
    return hashlib.scrypt(password, salt=salt, n=_COST, r=_BLOCK, p=_LANES).hex()
