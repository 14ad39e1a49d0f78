"""What a file says and what has no effect: it must not be ignored in silence. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vmsvc.core.config.model import DEFAULT, Findings, Section
from vmsvc.core.config.schema import Catalog
from vmsvc.core.contract import Capability
from vmsvc.core.errors import Severity
from vmsvc.core.kinds import App, Ip
from vmsvc.core.node import Node
from vmsvc.core.options import options_of
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.triggers import Triggered

#: Keys about starts and stops.
_KEYS = frozenset({"restart", "monitor"} | {option.key for option in options_of(Triggered)} - {"trigger_timeout"})
#: Keys of an address that this node configures, and of one that a guest brings up and this node looks at.
_OF_OWN_ADDRESS = frozenset({"gateway", "start_timeout", "stop_timeout"})
_OF_GUEST_ADDRESS = frozenset({"check_ping", "check_adapter", "ping_timeout", "wait"})
#: Keys of applications that are started and stopped by launchers.
_OF_LAUNCHERS = frozenset({"launchers", "launcher_timeout"})


def tell_what_has_no_effect(
    service: Service, node: Node, catalog: Catalog, sections: Mapping[str, Section], findings: Findings
) -> None:
    """Warn of such keys.

    Args:
        service: The service.
        node: The node that reads it.
        catalog: What its drivers offer.
        sections: The sections of its file, by name.
        findings: Where the warnings go.
    """
    action = service.monitor_action
    if action in node.commands and not node.commands[action]:
        entry = next(iter(sections[DEFAULT].variants("monitor_action")), None)
        findings.add(
            entry.position if entry else 0,
            f"`monitor_action = {action}` has no effect here: this node's own file has no {action}_command",
            code="no-effect",
            section=DEFAULT,
            key="monitor_action",
            hint=f"give the [node] table of {node.config_dir / 'node.toml'} one",
            severity=Severity.WARNING,
        )
    for resource in service.resources:
        section = sections.get(resource.rid)  # of what is there without a section, nothing is written
        if section is None or resource.disable:
            continue
        idle = _idle_keys(resource, service, catalog)
        written = section.by_key.keys() & idle.keys()  # what is inherited has its effect on others
        for option in options_of(type(resource)) if written else ():
            if option.key not in written or getattr(resource, option.key) == option.default:
                continue
            findings.add(
                section.variants(option.key)[0].position,
                f"`{option.key}` has no effect: {idle[option.key]}",
                code="no-effect",
                section=resource.rid,
                key=option.key,
                hint="remove it",
                severity=Severity.WARNING,
            )


def _idle_keys(resource: Resource, service: Service, catalog: Catalog) -> dict[str, str]:
    """The keys that mean nothing for a resource, each with the reason."""
    found: dict[str, str] = {}
    if not resource.budgets_s:
        found |= dict.fromkeys(_KEYS, f"nothing is started or stopped here for {resource.rid}")
    if isinstance(resource, Ip) and not resource.budgets_s:
        keys = _OF_OWN_ADDRESS if _is_told_to_launchers(resource, service) else {*_OF_OWN_ADDRESS, "netmask"}
        found |= dict.fromkeys(keys, f"the guest configures {resource.rid} itself")
    if isinstance(resource, Ip) and not resource.is_inside_guest:
        found |= dict.fromkeys(_OF_GUEST_ADDRESS, f"{resource.rid} is an address of this node, and not inside a guest")
    elif isinstance(resource, Ip) and not resource.check_ping:
        found["ping_timeout"] = "`check_ping = false`"
    if isinstance(resource, App):
        found |= _idle_of_application(resource, service, catalog)
    if isinstance(resource, Guest):
        found |= _idle_of_guest(resource, catalog)
    return found


def _idle_of_application(app: App, service: Service, catalog: Catalog) -> dict[str, str]:
    found: dict[str, str] = {}
    if not app.is_inside_guest:
        why = f"{app.rid} is on this node, and not inside a guest"
        found |= dict.fromkeys((*_OF_LAUNCHERS, "on_launcher_failure"), why)
    elif not app.has_launchers:
        found |= dict.fromkeys(_OF_LAUNCHERS, f"{app.rid} has commands of its own")
    elif Capability.SELF_STARTING in _offered(guest := service.guest_of(app), catalog):
        why = f"what is to run in a guest of type {guest.type} starts with it"
        found |= dict.fromkeys((*_OF_LAUNCHERS, "on_launcher_failure"), why)
    if not app.has_launchers:
        commands = {"start": app.start, "stop": app.stop, "check": app.check}
        found |= {f"{key}_timeout": f"there is no `{key}`" for key, command in commands.items() if not command}
    return found


def _idle_of_guest(guest: Guest, catalog: Catalog) -> dict[str, str]:
    offered = _offered(guest, catalog)
    is_served = (guest.kind, guest.type) in catalog.classes
    if is_served and Capability.MIGRATE not in offered:
        why = f"a guest of type {guest.type} cannot be moved while it runs"
        return {"migrate_timeout": why, **_idle_ways_into(guest, offered)}
    return _idle_ways_into(guest, offered)


def _idle_ways_into(guest: Guest, offered: Collection[str]) -> dict[str, str]:
    has_other_way = Capability.ENTRY in offered or guest.guestos == "windows"
    if guest.way_in == "ssh" or (guest.way_in == "auto" and not has_other_way):
        return {}
    found = {"hostname": f"no command comes into {guest.rid} by ssh"}
    if guest.way_in == "none":
        found["ready"] = "`way_in = none`"
    return found


def _offered(guest: Guest, catalog: Catalog) -> Collection[str]:
    return catalog.capabilities.get((guest.kind, guest.type), ())


def _is_told_to_launchers(address: Ip, service: Service) -> bool:
    """Whether launchers find an address, with its mask, in their environment."""
    apps = (each for each in service.resources if isinstance(each, App) and each.has_launchers)
    return any(app.container_id == address.container_id for app in apps)


def tell_of_idle_applications(
    resources: Iterable[Resource], sections: Mapping[str, Section], findings: Findings
) -> None:
    """Warn of applications that nothing starts, stops or checks: neither a command nor launchers, since it is no guest.

    Args:
        resources: The resources of the service.
        sections: The sections of its file, by name.
        findings: Where the warnings go.
    """
    for app in resources:
        if isinstance(app, App) and not app.is_inside_guest and not (app.start or app.stop or app.check):
            findings.add(
                sections[app.rid].position,
                "the application has no command: nothing would be done, and its status is not known",
                code="no-command",
                section=app.rid,
                hint="add `start`, `stop` and `check`",
                severity=Severity.WARNING,
            )
