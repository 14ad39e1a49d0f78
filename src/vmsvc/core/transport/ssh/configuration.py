"""The admin's ssh configuration: how a target is reached, as ``ssh TARGET`` would reach it.

Read by fabric and paramiko. What they lack or do otherwise than ssh_config(5) is mended here: ``Include``, comments at
the end of a line, times, the order of several jumps in ``ProxyJump``, and IPv6 addresses with a port. A ``Match`` by
what they cannot tell is refused where it could matter: they would have it match always.
"""

from __future__ import annotations

import glob
import re
import shlex
import threading
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import ConfigParseError, SSHConfig
from paramiko.config import SSHConfigDict

from vmsvc.core.errors import NoWayIn, told
from vmsvc.core.transport.ssh.keys import Keys

#: How long it may take for each of what follows, the greeting, the exchange of keys and the login, in seconds: a guest
#: that boots, or is emulated, takes seconds for its arithmetic.
LOGIN_S = 15.0

#: How long a host may take to accept a connection, in seconds, unless ``ConnectTimeout`` says otherwise.
CONNECT_S = 5.0

#: Of threads that open connections at once, one parses.
_PARSING = threading.Lock()

#: How deep files may include files; the limit of OpenSSH.
_DEPTH = 16
#: A line that includes files, or that begins a block.
_STRUCTURE = re.compile(r"\s*(?:include(?:\s*=\s*|\s+)(?P<files>.+)|(?:host|match)[\s=])", re.IGNORECASE)
#: A line that ends with a line for a shell, in which a ``#`` is the shell's.
_FOR_SHELL = re.compile(r"\s*\w+command\b", re.IGNORECASE)
#: All of a line up to the comment at its end: a ``#`` that begins a word, outside of quotation marks.
_SAID = re.compile(r"""(?:[^"#]|"[^"]*(?:"|$)|(?<=\S)#)*""")
#: By what paramiko can tell whether a ``Match`` matches.
_CRITERIA = frozenset({"all", "canonical", "final", "host", "originalhost", "user", "localuser", "exec"})
#: A time such as ``90`` or ``1m30s``; see TIME FORMATS in sshd_config(5).
_TIME = re.compile(r"(?:\d+[smhdw]?)+", re.ASCII | re.IGNORECASE)
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
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
    ours, all_of_us = Path("~/.ssh").expanduser(), Path("/etc/ssh")
    said: list[tuple[Path, tuple[str, ...]]] = []
    for path, place in [(file, ours)] if file else [(ours / "config", ours), (all_of_us / "ssh_config", all_of_us)]:
        try:
            said.append((path, tuple(_lines(path, place, "Host *\n", 0))))
        except FileNotFoundError:
            if file:
                raise _unreadable(path, "there is no such file") from None
        except Exception as error:  # noqa: BLE001 - what it includes may be anything
            raise _unreadable(path, told(error)) from None
    with _PARSING:
        return _parsed(tuple(said))


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
    configuration = _EachHostOnce(configuration)
    try:
        *jumps, last = _hops(target, configuration, frozenset())
        found = [
            *(_connection(jump, configuration, authentication={"strategy_class": Keys}) for jump in jumps),
            _connection(last, configuration, user=user, authentication={"strategy_class": partial(Keys, own=own_key)}),
        ]
        for each in found:
            connect_s(each)  # what makes no sense is told before anything is connected to
    except NoWayIn:
        raise
    except Exception as error:  # noqa: BLE001 - paramiko and fabric raise what they meet: KeyError, ValueError …
        raise NoWayIn(
            f"the ssh configuration for {target} makes no sense: {told(error)}",
            code="undetermined.ssh-configuration",
            hint=f"compare with: ssh -G {shlex.quote(target)}",
        ) from None
    return found


def connect_s(connection: Connection) -> float:
    """How long a host may take to accept a connection, in seconds.

    Args:
        connection: The connection to be.

    Raises:
        ValueError: ``ConnectTimeout`` is no time.
    """
    text = connection.ssh_config.get("connecttimeout", "none").strip()
    if text.lower() == "none":
        return CONNECT_S
    if not _TIME.fullmatch(text):
        raise ValueError(f"ConnectTimeout {text!r} is no time, such as 10 or 1m")
    # For ssh, too, 0 is none: as long as the system waits.
    return sum(int(number) * _UNITS_S[unit.lower()] for number, unit in re.findall(r"(\d+)(\D?)", text)) or CONNECT_S


@lru_cache(maxsize=1)
def _parsed(said: tuple[tuple[Path, tuple[str, ...]], ...]) -> SSHConfig:
    """The configuration that says this. Many connections that open at once share it: nothing changes it any more."""
    configuration = _Configuration()
    for path, lines in said:
        try:
            configuration.parse(lines)
        except Exception as error:  # noqa: BLE001 - paramiko raises many kinds
            raise _unreadable(path, told(error)) from None
    return configuration


class _Configuration(SSHConfig):
    """Paramiko's, which asks the system who we are for each block, even for those that have no ``Match``.

    And it takes a criterion that it does not know for one that is met: the lines below it could lead to another host.
    """

    def _does_match(self, match_list: list[Any], *rest: Any) -> Any:
        known = [each for each in match_list if each["type"] in _CRITERIA]
        unknown = [each["type"] for each in match_list if each not in known]
        matched = known and super()._does_match(known, *rest)  # type: ignore[misc]
        if unknown and (matched or not known):
            raise ConfigParseError(f"vmsvc cannot tell whether `Match {unknown[0]}` matches")
        return matched

    def _get_matches(self, match: str) -> Any:
        return [{**each, "type": each["type"].lower()} for each in super()._get_matches(match)]  # type: ignore[misc]


class _EachHostOnce(SSHConfig):
    """A configuration on one way: with many blocks a look-up takes long, and fabric makes another of each host."""

    def __init__(self, configuration: SSHConfig) -> None:
        super().__init__()
        self._configuration = configuration
        self._found = dict[str, SSHConfigDict]()

    def lookup(self, hostname: str) -> SSHConfigDict:
        if hostname not in self._found:
            self._found[hostname] = self._configuration.lookup(hostname)
        return self._found[hostname]


def _hops(target: str, configuration: SSHConfig, behind: frozenset[str]) -> list[str]:
    """The names of the hosts on the way, the target last."""
    name = _parts(target)["host"]
    found = configuration.lookup(name)
    jumps = found.get("proxyjump", "none")
    if jumps.lower() == "none":
        return [target]
    first, *others = (jump.strip() for jump in jumps.split(","))
    behind |= {name, found["hostname"]}
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
        for line in map(_without_comment, file):
            match = _STRUCTURE.match(line)
            if match is None or match["files"] is None:
                block = line if match else block
                yield line
                continue
            for pattern in match["files"].replace('"', "").split():
                for name in sorted(glob.glob(str(place / Path(pattern).expanduser()))):  # noqa: PTH207 - absolute
                    yield from _lines(Path(name), place, block, depth + 1)
                    yield block  # what follows belongs to the block around the Include again


def _without_comment(line: str) -> str:
    said = None if _FOR_SHELL.match(line) else _SAID.match(line)
    return line if said is None or said.end() == len(line) else f"{said[0]}\n"


def _unreadable(path: Path, reason: str) -> NoWayIn:
    return NoWayIn(f"the ssh configuration cannot be read: {path}: {reason}", code="undetermined.ssh-configuration")
