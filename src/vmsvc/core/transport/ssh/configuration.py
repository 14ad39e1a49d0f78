"""The admin's ssh configuration: how a target is reached, as ``ssh TARGET`` would reach it.

Read by fabric and paramiko. What they lack or do otherwise than ssh_config(5) is mended here: ``Include``, the order of
several jumps in ``ProxyJump``, and IPv6 addresses with a port.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import SSHConfig

from vmsvc.core.errors import NoWayIn, told
from vmsvc.core.transport.ssh.keys import Keys

#: How long it may take for each of what follows, the greeting, the exchange of keys and the login, in seconds: a guest
#: that boots, or is emulated, takes seconds for its arithmetic.
LOGIN_S = 15.0

#: How deep files may include files; the limit of OpenSSH.
_DEPTH = 16
_INCLUDE = re.compile(r"\s*include(?:\s*=\s*|\s+)(.+)", re.IGNORECASE)
_BLOCK = re.compile(r"\s*(?:host|match)[\s=]", re.IGNORECASE)
#: ``[USER@]HOST[:PORT]``, or ``[USER@][ADDRESS]:PORT``, perhaps as a URI.
_TARGET = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<bare>[^\]]+)\]|(?P<host>[^:]+|.*:.*:.*))(?::(?P<port>\d+))?/?"
)
#: Names that a shell would take for more than a part of a word. ``ProxyCommand`` and ``Match exec`` put names into a
#: line for a shell, and those of guests come from anywhere: so they are refused, as by OpenSSH since 9.6
#: (CVE-2023-51385).
_NO_HOST = re.compile(r"""-|.*['`"$\\;&<>|(){}\s\x00-\x1f\x7f]""", re.DOTALL)
_NO_USER = re.compile(r"""-|.*(['`";&<>|(){}\x00-\x1f\x7f]|\s-|\\\Z)""", re.DOTALL)


def load(file: Path | None = None) -> SSHConfig:
    """Read the user's configuration and the system's, or one file instead of both.

    Args:
        file: The one file, as for ``ssh -F``; it must exist.

    Raises:
        NoWayIn: It cannot be read.
    """
    configuration = SSHConfig()
    ours, all_of_us = Path("~/.ssh").expanduser(), Path("/etc/ssh")
    for path, place in [(file, ours)] if file else [(ours / "config", ours), (all_of_us / "ssh_config", all_of_us)]:
        try:
            configuration.parse(_lines(path, place, "Host *\n", 0))
        except FileNotFoundError:
            if file:
                raise _unreadable(path, "there is no such file") from None
        except Exception as error:  # noqa: BLE001 - paramiko raises many kinds
            raise _unreadable(path, told(error)) from None
    return configuration


def route(target: str, configuration: SSHConfig, *, user: str, own_key: Path | None = None) -> list[Connection]:
    """The connections that lead to a target, none of them open yet: those to jump hosts, and last that to the target.

    Args:
        target: A host, alias or address, with ``USER@`` and ``:PORT`` where they are given.
        configuration: The admin's configuration.
        user: Who logs in at the target where neither it nor the configuration says so.
        own_key: The file of vmsvc's own key, which is offered to the target and not to jump hosts.

    Raises:
        NoWayIn: The configuration makes no sense for this target, or its name is not one to put into a shell's line.
    """
    try:
        *jumps, last = _hops(target, configuration, frozenset())
        return [
            *(_connection(jump, configuration, authentication={"strategy_class": Keys}) for jump in jumps),
            _connection(last, configuration, user=user, authentication={"strategy_class": partial(Keys, own=own_key)}),
        ]
    except NoWayIn:
        raise
    except Exception as error:  # noqa: BLE001 - paramiko and fabric raise what they meet: KeyError, ValueError …
        raise NoWayIn(
            f"the ssh configuration for {target} makes no sense: {told(error)}",
            code="undetermined.ssh-configuration",
            hint=f"compare with: ssh -G {shlex.quote(target)}",
        ) from None


def _hops(target: str, configuration: SSHConfig, behind: frozenset[str]) -> list[str]:
    """The names of the hosts on the way, the target last."""
    names = _parts(target)["host"], configuration.lookup(_parts(target)["host"]).get("hostname")
    jumps = configuration.lookup(names[0]).get("proxyjump", "none")
    if jumps.lower() == "none":
        return [target]
    first, *others = (jump.strip() for jump in jumps.split(","))
    behind |= {name for name in names if name}
    if _parts(first)["host"] in behind:  # ``Host *`` with a ProxyJump means the jump host, too; ssh ignores it there
        return [target]
    return [*_hops(first, configuration, behind), *others, target]


def _connection(target: str, configuration: SSHConfig, **settings: Any) -> Connection:
    return Connection(
        **_parts(target),
        config=Config(ssh_config=configuration, lazy=True, overrides=settings),
        gateway=False,  # the way there is vmsvc's to make
        forward_agent=False,  # and its keys are lent to nobody
        connect_timeout=LOGIN_S,
        connect_kwargs={"compress": False},  # a dictionary of its own
    )


def _parts(target: str) -> dict[str, Any]:
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ValueError(f"{target!r} is no [USER@]HOST[:PORT]")
    host, user, port = match["bare"] or match["host"], match["user"], match["port"]
    for what, word, refused in (("host", host, _NO_HOST), ("user", user, _NO_USER)):
        if refused.match(word or ""):
            raise NoWayIn(
                f"{word!r} is no name of a {what} for ssh: it begins with a -, or has a blank in it, or a character "
                "that means something to a shell",
                code="undetermined.ssh-configuration",
                hint="`hostname` of its container says what ssh calls a guest, such as its address",
            )
    return {"host": host, "user": user, "port": int(port) if port else None}


def _lines(path: Path, place: Path, block: str, depth: int) -> Iterator[str]:
    """The lines of a file, with those of the files that it includes, by names below a place, where it includes them."""
    if depth > _DEPTH:
        raise RecursionError(f"{path} is included more than {_DEPTH} files deep")
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            included = _INCLUDE.fullmatch(line.rstrip())
            if included is None:
                block = line if _BLOCK.match(line) else block
                yield line
                continue
            for pattern in included[1].replace('"', "").split():
                for name in sorted(glob.glob(str(place / Path(pattern).expanduser()))):  # noqa: PTH207 - absolute
                    yield from _lines(Path(name), place, block, depth + 1)
                    yield block  # what follows belongs to the block around the Include again


def _unreadable(path: Path, reason: str) -> NoWayIn:
    return NoWayIn(f"the ssh configuration cannot be read: {path}: {reason}", code="undetermined.ssh-configuration")
