"""The keys by which nodes are known on disks: this node's own, made once, and those of its peers.

A key is a node's name on every disk it reserves, so it must outlive reboots, and no other node may have the same. It is
drawn at random and not derived from an address or a name: those were found to repeat.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from attrs import frozen

from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.config.files import check_name
from vmsvc.core.errors import ConfigError, Refused, UsageError
from vmsvc.core.node import Node
from vmsvc.core.vmdg.keys import key_text, new_key, parse_key


@frozen
class Keyring:
    """The keys that a node knows.

    Args:
        node: The node.
    """

    node: Node

    @property
    def file(self) -> Path:
        """Where the node's own key is: one line, ``0x`` and 16 hexadecimal digits."""
        return self.node.state_dir / "prkey"

    def own(self) -> int | None:
        """This node's key, ``None`` where it has none yet: nothing can be registered for it then.

        Raises:
            ConfigError: The file holds no key, or cannot be read.
        """
        return _read(self.file, hint=_OWN_HINT)

    def own_or_new(self) -> int:
        """This node's key, made now where it has none. Of two processes that make one, the first one's counts.

        Raises:
            ConfigError: The file holds no key, or cannot be read.
            Refused: A peer is known by the same key.
            VmsvcError: The key could not be written.
        """
        key = self.own()
        if key is None:
            with contextlib.suppress(UsageError):  # somebody was faster
                write_atomically(self.file, f"{key_text(new_key())}\n", replace=False, mode=0o644)
            key = self.own()
            assert key is not None
        for peer, theirs in self.peers().items():
            check_distinct(key, peer, theirs)
        return key

    def peers(self) -> dict[str, int]:
        """The keys of the peers that were told to this node, by name.

        Raises:
            ConfigError: A file holds no key, or cannot be read.
        """
        found = {name: _read(file, hint=_peer_hint(file)) for name, file in self._peer_files().items()}
        return {name: key for name, key in found.items() if key is not None}

    def peer(self, name: str) -> int | None:
        """The key of one peer; ``None`` where it was not told to this node, or is none.

        Args:
            name: The peer's name.
        """
        with contextlib.suppress(ConfigError):
            return _read(self._peers_dir / name.casefold(), hint="")
        return None

    def _peer_files(self) -> dict[str, Path]:
        """The files of peers, by name. What an editor leaves beside a file, as `n2~`, is no node."""
        try:
            files = sorted(self._peers_dir.iterdir())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(
                f"the keys of peers cannot be read: {error}", code="config.prkey", hint="mend it: they tell nodes apart"
            ) from None
        return {file.name.casefold(): file for file in files if file.name[0] != "." and file.name[-1] != "~"}

    def add_peer(self, name: str, key: int) -> Path:
        """Remember a peer's key.

        Args:
            name: The peer's name.
            key: Its key.

        Returns:
            The file that holds it now.

        Raises:
            UsageError: It is not a node's name, or is this node's own.
            Refused: It is this node's key, or another peer's.
            VmsvcError: The file cannot be written.
        """
        if fault := check_name(name):
            raise UsageError(f"{name!r} cannot be a node: {fault}")
        if self.node.is_called(name):
            raise UsageError(f"{name} is this node; its key is in {self.file}")
        own = self.own()
        if own is not None:
            check_distinct(own, name, key)
        for other, file in self._peer_files().items():
            if other != name.casefold() and _read(file, hint=_peer_hint(file)) == key:
                raise Refused(
                    f"{other} is known by this key already, {key_text(key)}",
                    code="refused.same-key",
                    hint=f"`vmsvc node prkey` on {name} and on {other} prints the key of each",
                )
        file = self._peers_dir / name.casefold()
        write_atomically(file, f"{key_text(key)}\n", mode=0o644)
        return file

    def remove_peer(self, name: str) -> Path:
        """Forget a peer's key, whatever its file holds. Nothing is changed on any disk.

        Args:
            name: The peer's name.

        Returns:
            The file that held it.

        Raises:
            UsageError: No such peer is known.
            ConfigError: The file cannot be removed.
        """
        known = self._peer_files()
        file = known.get(name.casefold())
        if file is None:
            raise UsageError(
                f"no key of {name} is known here",
                code="usage.no-such-peer",
                hint=f"known are those of: {', '.join(known) or 'nobody'}",
            )
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{file} cannot be removed: {error.strerror}", code="config.prkey") from None
        return file

    @property
    def _peers_dir(self) -> Path:
        return self.node.state_dir / "peers"


def check_distinct(own: int, peer: str, theirs: int) -> None:
    """Refuse to use a key that another node has: the two could not be told apart, and would evict each other.

    Args:
        own: This node's key.
        peer: The other node's name.
        theirs: Its key.

    Raises:
        Refused: They are the same.
    """
    if own == theirs:
        raise Refused(
            f"this node and {peer} have the same key, {key_text(own)}",
            code="refused.same-key",
            hint="stop the services that reserve disks on one of them, remove its var/lib/vmsvc/prkey, and tell the "
            "others its new key: `vmsvc node peer add`",
        )


_OWN_HINT = (
    "a key that was registered must not be lost: `vmsvc disks` on another node, or `sg_persist --in --read-keys "
    "DEVICE`, shows the one that is on the disks of this node; write it there"
)


def _peer_hint(file: Path) -> str:
    name = file.name
    return f"`vmsvc node peer add {name} --prkey KEY` writes it anew, `vmsvc node peer remove {name}` forgets it"


def _read(file: Path, *, hint: str) -> int | None:
    try:
        return parse_key(file.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} holds no key that can be used: {error}",
            code="config.prkey",
            hint=hint,
        ) from None
