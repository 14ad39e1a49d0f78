"""What a file says and what has no effect: it must not be ignored in silence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmsvc.core.config.model import DEFAULT, Findings, Section
from vmsvc.core.errors import Severity
from vmsvc.core.node import Node
from vmsvc.core.options import options_of
from vmsvc.core.resource import App, Resource
from vmsvc.core.service import Service
from vmsvc.core.triggers import Triggered

_KEYS = {"restart", "monitor"} | {option.key for option in options_of(Triggered)} - {"trigger_timeout"}


def tell_what_has_no_effect(service: Service, node: Node, sections: Mapping[str, Section], findings: Findings) -> None:
    """Warn of such keys.

    Args:
        service: The service.
        node: The node that reads it.
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
        if resource.disable or resource.budgets_s:
            continue
        for option in options_of(type(resource)):
            if option.key not in _KEYS or getattr(resource, option.key) == option.default:
                continue
            entry = next(iter(sections[resource.rid].variants(option.key)))
            findings.add(
                entry.position,
                f"`{option.key}` has no effect: nothing is started or stopped here for {resource.rid}",
                code="no-effect",
                section=resource.rid,
                key=option.key,
                hint="remove it",
                severity=Severity.WARNING,
            )


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
