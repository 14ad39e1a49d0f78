"""vmsvc's own ssh key: generated once, for the node alone."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from pathlib import Path

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.errors import ConfigError, UsageError
from vmsvc.core.transport.exposed import why_exposed


@frozen
class OwnKey:
    """A key.

    Attributes:
        file: The private half's file.
        public: The public half, as in ``authorized_keys``: its type, and itself in base64.
    """

    file: Path
    public: str

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:…``."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def own_key(file: Path) -> OwnKey:
    """Read the key; where there is none yet, make one. Of two processes that make one, the first one's counts.

    Args:
        file: Where it is, or is to be, for its owner alone to read.

    Raises:
        ConfigError: The file holds no such key, or cannot be read.
        VmsvcError: It could not be written.
    """
    if not file.exists():
        private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        with contextlib.suppress(UsageError):  # somebody was faster
            write_atomically(file, private.decode(), replace=False, mode=0o600, directory_mode=0o700)
    if exposed := why_exposed(file):
        raise ConfigError(
            f"{file}: {exposed}",
            code="config.own-key",
            hint=f"`chmod 600 {file}`; where somebody may have read it, move it away: another is made",
        )
    try:
        key = load_ssh_private_key(file.read_bytes(), password=None)
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{file} holds no key that can be used: {error}",
            code="config.own-key",
            hint="move it away: another is made, which guests and peers have to be told (`--install`)",
        ) from None
    return OwnKey(file, public.decode())
