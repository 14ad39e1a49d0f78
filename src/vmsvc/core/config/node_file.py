"""The node's own file: one word in ``node.conf``, or a table in ``node.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from vmsvc.core.config import ini
from vmsvc.core.config.files import check_name, read_text, two_files
from vmsvc.core.config.model import Findings, Section, shortened
from vmsvc.core.errors import ConfigError, Problem
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import HOST_MODES, Node, node_from
from vmsvc.core.options import argv

#: The files that may describe the node; at most one of them is there.
NODE_FILES = ("node.conf", "node.toml")

_SECTION, _DISKS = "node", "disks"
_COMMAND_KEYS = ("reboot_command", "crash_command")
# `mode` is the word of node.toml; the others are those of older node files.
_MODE_KEYS = ("mode", "host_mode", "env")


def read_node(environment: Mapping[str, str]) -> Node:
    """The node that this process runs on, with the host mode that its file gives.

    Args:
        environment: The process's environment.

    Returns:
        The node; its mode is ``TST`` where it has no file. What is wrong with the file is in its ``problems``.

    Raises:
        ConfigError: The node's name cannot be used.
    """
    node = node_from(environment)
    if fault := check_name(node.name):
        hint = "set VMSVC_NODENAME to the node's name"
        raise ConfigError(f"the node cannot have its name: {fault}", code="config.name", hint=hint)
    files = [path for name in NODE_FILES if (path := node.config_dir / name).exists()]
    if len(files) > 1:
        return evolve(node, problems=(two_files(*files),))
    try:
        return evolve(node, **_read(files[0])) if files else node
    except ConfigError as error:
        return evolve(node, problems=error.problems)


def _read(path: Path) -> dict[str, Any]:
    text = read_text(path)
    findings = Findings(str(path))
    lines = [ini.without_comment(body) for line in text.splitlines() if (body := line.strip()) and body[0] not in "#;"]
    found: dict[str, Any] = {}
    if path.suffix == ".toml":
        from vmsvc.core.config import toml  # noqa: PLC0415 - as for services

        found = _facts_in(toml.read(text, findings, home=_SECTION), findings)
    elif any(line.startswith("[") for line in lines):
        found = _facts_in(ini.read(text, findings, home=_SECTION), findings)
    else:
        words = [word for line in lines for word in line.partition(" #")[0].split()]
        if len(words) == 1:
            found["mode"] = words[0]
        else:
            findings.add(0, "the file must hold a single word, the host mode", code="node", hint="write `PRD`, say")
    mode = found.get("mode", "")
    if mode and mode.upper() not in HOST_MODES:
        hint = did_you_mean(mode, HOST_MODES, otherwise=f"known are: {', '.join(HOST_MODES)}")
        findings.add(0, f"`{shortened(mode, 60)}` is no host mode", code="node", hint=hint)
    if problems := findings.errors:
        raise ConfigError(problems=problems)
    return {**found, "mode": mode.upper()} if mode else found


def _facts_in(sections: tuple[Section, ...], findings: Findings) -> dict[str, Any]:
    """The host mode, the commands that end the node, and which disks are its own."""
    found: dict[str, Any] = {}
    for section in sections:
        if section.name == _DISKS:
            found.update(_disks_in(section, findings))
        elif section.name == _SECTION:
            _read_node(section, found, findings)
        else:
            message = f"there is no section `{shortened(section.name, 60)}`"
            hint = f"the sections are `[{_SECTION}]` and `[{_DISKS}]`"
            findings.add(section.position, message, code="unknown-section", section=section.name, hint=hint)
    is_silent = not sections or any(section.name == _SECTION for section in sections)
    if is_silent and not found.get("mode") and not findings.has_errors:
        problem = Problem(message="the host mode is missing", code="config.node", file=findings.file, section="node")
        raise ConfigError(problems=[evolve(problem, key="mode", hint="add `mode = PRD`, say")])
    return found


def _read_node(section: Section, found: dict[str, Any], findings: Findings) -> None:
    for entry in section.entries:
        if entry.label in _COMMAND_KEYS:
            try:
                found[entry.label] = argv.of(entry.raw)
            except ValueError as error:
                findings.add(entry.position, str(error), code="node", section="node", key=entry.label)
        elif entry.label not in _MODE_KEYS:
            known = ("mode", *_COMMAND_KEYS)
            hint = did_you_mean(entry.key, (*_MODE_KEYS, *_COMMAND_KEYS), otherwise=f"its keys are {', '.join(known)}")
            message = f"there is no key `{shortened(entry.label, 60)}`"
            findings.add(entry.position, message, code="unknown-key", section="node", key=entry.label, hint=hint)
        elif found.setdefault("mode", str(entry.raw)).upper() != str(entry.raw).upper():
            message = f"the host mode is given twice, as {found['mode']} and {entry.raw}"
            findings.add(entry.position, message, code="node", section="node", key=entry.key, hint="keep one")


def _disks_in(section: Section, findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in section.entries:
        say = partial(findings.add, entry.position, section=section.name, key=entry.label)
        if entry.label != "scsi_hosts":
            message = f"there is no key `{shortened(entry.label, 60)}`"
            say(message, code="unknown-key", hint="its one key is `scsi_hosts`")
            continue
        raw = entry.raw if isinstance(entry.raw, list) else str(entry.raw).replace(",", " ").split()
        try:
            found["scsi_hosts"] = tuple(_host_number(word) for word in raw)
        except ValueError as error:
            say(str(error), code="node", hint="write their numbers, as in /sys/class/scsi_host: `scsi_hosts = 0 2`")
    return found


def _host_number(word: object) -> int:
    number = str(word).removeprefix("host")
    if isinstance(word, bool) or not number.isascii() or not number.isdecimal():
        raise ValueError(f"{word!r} is no SCSI host")
    return int(number)
