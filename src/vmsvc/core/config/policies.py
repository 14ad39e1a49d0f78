"""Keys of starts, stops and upkeep, given to what has none of them: they must not be ignored in silence. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.core.config.model import DEFAULT, Findings, Section
from vmsvc.core.errors import Severity
from vmsvc.core.node import Node
from vmsvc.core.options import options_of
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
        if resource.disable or (resource.budgets_s and not service.is_inside_guest(resource)):
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
