"""The trust of this node in guests by ssh: what is needed, what there is, and how it is installed and tried out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from attrs import evolve, field, fields, frozen

from vmsvc.core.errors import Problem, Severity, VmsvcError
from vmsvc.core.inside.verbs import NAME, script
from vmsvc.core.inside.ways import Way
from vmsvc.core.resource import App, Guest
from vmsvc.core.service import Service
from vmsvc.core.trust import files
from vmsvc.core.trust.own_key import OwnKey
from vmsvc.core.trust.trials import Tried, try_out
from vmsvc.core.trust.wanted import AUTHORIZED_KEYS, Wanted, with_line

if TYPE_CHECKING:
    from vmsvc.core.transport.ssh import SshHost
    from vmsvc.core.transport.ssh.known_hosts import HostKey

#: Where the script is to be inside guests.
SCRIPT = f"/usr/local/lib/vmsvc/{NAME}"

_BUDGET_S = 30.0


@frozen(kw_only=True)
class Trust:
    """What a guest is to have, and what there is.

    Attributes:
        guest: The guest.
        way: How commands come into it; only ssh needs trust.
        target: What ssh calls it.
        directories: The directories of launchers that the key is for.
        wanted: The script and the line; ``None`` where the way is not ssh.
        host_keys: The guest's own keys, as far as it has been met.
        changes: How its files are to change, where that was asked for.
        is_installed: Whether they were changed.
        tried: What the self-test has found, where it was asked for.
        warnings: What of the service such a key does not let in.
        error: What has kept from that.
    """

    guest: Guest
    way: Way
    target: str = ""
    directories: tuple[str, ...] = ()
    wanted: Wanted | None = None
    host_keys: tuple[HostKey, ...] = ()
    changes: tuple[files.Change, ...] = ()
    is_installed: bool = False
    tried: tuple[Tried, ...] = ()
    warnings: tuple[Problem, ...] = ()
    error: VmsvcError | None = field(default=None, repr=False)


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

    def of(self, service: Service, guest: Guest, way: Way) -> Trust:
        """What a guest is to have. Connects to nothing.

        Args:
            service: Its service.
            guest: The guest.
            way: The way into it.
        """
        if way is not Way.SSH:
            return Trust(guest=guest, way=way)
        target = guest.hostname or guest.name
        directories = _directories(service, guest)
        wanted = Wanted(
            name=NAME,
            script=SCRIPT,
            text=script(),
            words=("permit", *directories),
            public_key=self.key.public,
            comment=f"vmsvc@{self.node}",
        )
        trust = Trust(
            guest=guest,
            way=way,
            target=target,
            directories=directories,
            wanted=wanted,
            warnings=tuple(_of_commands(service, guest)),
        )
        try:
            return evolve(trust, host_keys=tuple(self.ssh(target, is_own=True).pinned()))
        except VmsvcError as error:
            return evolve(trust, error=error)

    def install(self, trust: Trust, *, dry_run: bool) -> Trust:
        """Put the script and the line there, by the admin's own access; what is there already is left alone.

        Args:
            trust: What the guest is to have.
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

    def test(self, trust: Trust) -> Trust:
        """Try out that the verbs work, and that nothing else does.

        Args:
            trust: What the guest is to have.
        """
        if trust.wanted is None or trust.error is not None:
            return trust
        with contextlib.closing(self.ssh(trust.target, is_own=True)) as host:
            try:
                return evolve(trust, tried=tuple(try_out(host, trust.directories, budget_s=_BUDGET_S)))
            except VmsvcError as error:
                return evolve(trust, error=error)


def _of_commands(service: Service, guest: Guest) -> Iterator[Problem]:
    """Warnings of applications that could not be started, stopped or checked any more."""
    for app in service.resources:
        if isinstance(app, App) and app.container_id == guest.rid and not app.has_launchers:
            yield Problem(
                message="it has commands of its own, which vmsvc's key does not let in: launchers alone",
                code="trust.commands",
                file=str(service.file),
                section=app.rid,
                hint="make launchers of them, or leave vmsvc's key out of this guest",
                severity=Severity.WARNING,
            )


def _directories(service: Service, guest: Guest) -> tuple[str, ...]:
    """The directories of a guest's launchers; the usual one where none is in use yet."""
    apps = (each for each in service.resources if isinstance(each, App) and each.is_inside_guest)
    used = {app.launchers for app in apps if app.container_id == guest.rid and app.has_launchers}
    return tuple(sorted(used)) or (str(fields(App).launchers.default),)


def _changes(host: SshHost, wanted: Wanted) -> list[files.Change]:
    """How the files of a guest are to change: first the script, since the line is of no use without."""
    path, checksum, before = files.read(host, wanted.script, budget_s=_BUDGET_S)
    changes = [files.Change(path=path, before=before, after=wanted.text, checksum=checksum, mode="755")]
    path, checksum, before = files.read(host, AUTHORIZED_KEYS, budget_s=_BUDGET_S)
    after = with_line(before, wanted.line, wanted.public_key)
    return [*changes, files.Change(path=path, before=before, after=after, checksum=checksum, mode="600")]
