"""Which keys are offered to a server, in which order: vmsvc's own, then the admin's, as by ``ssh -o BatchMode=yes``.

Nobody is asked for a password, here or later: vmsvc runs at night.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paramiko import Agent, AgentKey, AuthenticationException, PKey, Transport
from paramiko.auth_strategy import AuthSource, AuthStrategy, SourceResult

from vmsvc.core.errors import told
from vmsvc.core.transport.exposed import why_exposed

#: The keys that ssh_config(5) names where the configuration names none, as far as paramiko can use them.
_USUAL = ("id_rsa", "id_ecdsa", "id_ed25519")


class Key(AuthSource):
    """A key to offer.

    Attributes:
        name: Its file, or its comment in the agent.
        is_own: Whether it is vmsvc's own.
    """

    def __init__(self, username: str, key: PKey, name: str, *, is_own: bool = False) -> None:
        super().__init__(username)
        self._key = key
        self.name = name
        self.is_own = is_own

    def authenticate(self, transport: Transport) -> Any:
        """Offer it.

        Args:
            transport: The connection, whose server has proven who it is.
        """
        return transport.auth_publickey(self.username, self._key)


class Keys(AuthStrategy):
    """Offers one key after the other, until one is taken.

    Args:
        ssh_config: What the admin's configuration says about this server.
        username: Who logs in.
        own: The file of vmsvc's own key; it comes first.
        fabric_config: Not used; fabric hands it over.

    Attributes:
        unusable: Keys that could not be offered, and why.
    """

    def __init__(
        self, ssh_config: Mapping[str, Any], username: str, *, own: Path | None = None, fabric_config: object = None
    ) -> None:
        del fabric_config
        super().__init__(ssh_config=None)  # type: ignore[arg-type] # paramiko does nothing with it
        self._settings = ssh_config
        self._user = username
        self._own = own
        self._only_configured = str(ssh_config.get("identitiesonly", "no")).lower() == "yes"
        self.unusable: list[str] = []

    def get_sources(self) -> Iterator[Key]:
        """The keys, each loaded when its turn comes."""
        if self._own is not None and self._own.exists():
            if exposed := why_exposed(self._own):
                self.unusable.append(f"{self._own}: {exposed}")
            elif (own := self._load(self._own)) is not None:
                yield Key(self._user, own, str(self._own), is_own=True)
        configured = [Path(name).expanduser() for name in self._settings.get("identityfile", [])]
        files = configured or [Path("~/.ssh", name).expanduser() for name in _USUAL]
        with self._agent() as held:
            wanted = {blob for path in files if (blob := _public_blob(path)) is not None}
            yield from (self._held(key) for blob, key in held.items() if blob in wanted)
            if not self._only_configured:
                yield from (self._held(key) for blob, key in held.items() if blob not in wanted)
            for path in files:
                if _public_blob(path) not in held and (path.exists() or configured):
                    key = self._load(path)
                    if key is not None and key.asbytes() not in held:
                        yield Key(self._user, key, str(path))

    def authenticate(self, transport: Transport) -> list[SourceResult]:
        """Offer the keys, and see to it that the server wants nothing else besides.

        Args:
            transport: The connection.
        """
        result = super().authenticate(transport)
        if not transport.is_authenticated():
            raise AuthenticationException("it took the key, and wants something else as well")
        return result

    def _held(self, key: AgentKey) -> Key:
        return Key(self._user, key, f"{key.comment or key.get_name()} (agent)")

    def _load(self, path: Path) -> PKey | None:
        try:
            return PKey.from_path(path)
        except FileNotFoundError:
            self.unusable.append(f"{path}: there is no such file")
        except TypeError:  # cryptography's way to say so
            self.unusable.append(f"{path}: it has a passphrase, and nobody is asked: put it into an agent")
        except Exception as error:  # noqa: BLE001 - whatever the file holds, others follow
            self.unusable.append(f"{path}: {told(error)}")
        return None

    @contextlib.contextmanager
    def _agent(self) -> Iterator[dict[bytes, AgentKey]]:
        """The keys that the agent holds, by what their public half looks like; none where there is no agent."""
        if not os.environ.get("SSH_AUTH_SOCK") or str(self._settings.get("identityagent", "")).lower() == "none":
            yield {}
            return
        try:
            agent = Agent()
        except Exception as error:  # noqa: BLE001 - an agent that is broken has no keys
            self.unusable.append(f"the agent at {os.environ['SSH_AUTH_SOCK']}: {told(error)}")
            yield {}
            return
        try:
            yield {key.asbytes(): key for key in agent.get_keys()}
        finally:
            agent.close()


def _public_blob(path: Path) -> bytes | None:
    """The public half that lies beside a key, by which an agent's is known; or ``path`` is that half itself."""
    for public in (path.with_name(f"{path.name}.pub"), path):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return base64.b64decode(public.read_text().split()[1], validate=True)
    return None
