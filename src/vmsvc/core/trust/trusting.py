"""Trust by ssh: what another host needs, what there is, and how it is installed and tried out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve, field, frozen

from vmsvc.core.errors import Problem, VmsvcError
from vmsvc.core.trust import files
from vmsvc.core.trust.own_key import OwnKey
from vmsvc.core.trust.trials import Expected, Tried, try_out
from vmsvc.core.trust.wanted import AUTHORIZED_KEYS, Wanted, with_line

if TYPE_CHECKING:
    from vmsvc.core.transport.asking import Script
    from vmsvc.core.transport.ssh import SshHost
    from vmsvc.core.transport.ssh.known_hosts import HostKey

#: Where scripts are to be on other hosts.
DIRECTORY = "/usr/local/lib/vmsvc"

_BUDGET_S = 30.0


@frozen(kw_only=True)
class Trust:
    """What a host is to have, and what there is.

    Attributes:
        target: What ssh calls it.
        wanted: The script and the line; ``None`` where it needs none.
        expected: What the key is to permit there, and what it is not.
        host_keys: The host's own keys, as far as it has been met.
        changes: How its files are to change, where that was asked for.
        is_installed: Whether they were changed.
        tried: What the self-test has found, where it was asked for.
        warnings: What such a key does not let in, though it is wanted.
        error: What has kept from that.
    """

    target: str = ""
    wanted: Wanted | None = None
    expected: Expected | None = None
    host_keys: tuple[HostKey, ...] = ()
    changes: tuple[files.Change, ...] = ()
    is_installed: bool = False
    tried: tuple[Tried, ...] = ()
    warnings: tuple[Problem, ...] = ()
    error: VmsvcError | None = field(default=None, repr=False)


T = TypeVar("T", bound=Trust)


@frozen(kw_only=True)
class Trusting:
    """Shows, installs and tries out.

    Attributes:
        node: This node's name.
        key: vmsvc's own key.
        ssh: Makes the host behind what ssh calls it; with vmsvc's own key first, or with the admin's keys alone.
    """

    node: str
    key: OwnKey
    ssh: Callable[..., SshHost]

    def wanted(self, script: Script, *words: str) -> Wanted:
        """The script and the line by which vmsvc's own key permits the verbs of that script alone.

        Args:
            script: The script.
            words: What the key is for.
        """
        return Wanted(
            name=script.name,
            script=f"{DIRECTORY}/{script.name}",
            text=script.text,
            words=("permit", *words),
            public_key=self.key.public,
            comment=f"vmsvc@{self.node}",
        )

    def with_host_keys(self, trust: T) -> T:
        """What a host is to have, and the keys that are pinned for it. Connects to nothing.

        Args:
            trust: What the host is to have.
        """
        try:
            return evolve(trust, host_keys=tuple(self.ssh(trust.target, is_own=True).pinned()))
        except VmsvcError as error:
            return evolve(trust, error=error)

    def set_up(self, trust: T, *, install: bool, dry_run: bool, test: bool) -> T:
        """Do what was asked for.

        Args:
            trust: What the host is to have.
            install: Whether to put it there.
            dry_run: Whether only to find out what that would change.
            test: Whether to try it out.
        """
        if install or dry_run:
            trust = self.install(trust, dry_run=dry_run)
        return self.test(trust) if test else trust

    def install(self, trust: T, *, dry_run: bool) -> T:
        """Put the script and the line there, by the admin's own access; what is there already is left alone.

        Args:
            trust: What the host is to have.
            dry_run: Whether it is only to be found out what would change.
        """
        if trust.wanted is None:
            return trust
        with contextlib.closing(self.ssh(trust.target, is_own=False)) as host:
            try:
                changes = tuple(_changes(host, trust.wanted))
                trust = evolve(trust, changes=changes)
                for change in changes:
                    if change.is_needed and not dry_run:
                        files.write(host, change, budget_s=_BUDGET_S)
            except VmsvcError as error:
                return evolve(trust, error=error)
        return evolve(trust, is_installed=not dry_run)

    def test(self, trust: T) -> T:
        """Try out that the verbs work, and that nothing else does.

        Args:
            trust: What the host is to have.
        """
        if trust.expected is None or trust.error is not None:
            return trust
        with contextlib.closing(self.ssh(trust.target, is_own=True)) as host:
            try:
                return evolve(trust, tried=tuple(try_out(host, trust.expected, budget_s=_BUDGET_S)))
            except VmsvcError as error:
                return evolve(trust, error=error)


def _changes(host: SshHost, wanted: Wanted) -> list[files.Change]:
    """How the files of a host are to change: first the script, since the line is of no use without."""
    path, checksum, before = files.read(host, wanted.script, budget_s=_BUDGET_S)
    changes = [files.Change(path=path, before=before, after=wanted.text, checksum=checksum, mode="755")]
    path, checksum, before = files.read(host, AUTHORIZED_KEYS, budget_s=_BUDGET_S)
    after = with_line(before, wanted)
    return [*changes, files.Change(path=path, before=before, after=after, checksum=checksum, mode="600")]
