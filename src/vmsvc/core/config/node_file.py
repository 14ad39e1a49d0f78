"""The node's own file: one word in ``node.conf``, or a table in ``node.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from vmsvc.core.config import ini, toml
from vmsvc.core.config.files import check_name, read_text, two_files
from vmsvc.core.config.model import Findings, Section, did_you_mean, shortened
from vmsvc.core.errors import ConfigError, Problem
from vmsvc.core.node import HOST_MODES, Node, node_from

#: The files that may describe the node; at most one of them is there.
NODE_FILES = ("node.conf", "node.toml")

_SECTION = "node"
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
        return evolve(node, mode=_read_mode(files[0])) if files else node
    except ConfigError as error:
        return evolve(node, problems=error.problems)


def _read_mode(path: Path) -> str:
    text = read_text(path)
    findings = Findings(str(path))
    lines = [ini.without_comment(body) for line in text.splitlines() if (body := line.strip()) and body[0] not in "#;"]
    if path.suffix == ".toml":
        mode = _mode_in(toml.read(text, findings, home=_SECTION), findings)
    elif any(line.startswith("[") for line in lines):
        mode = _mode_in(ini.read(text, findings, home=_SECTION), findings)
    else:
        words = [word for line in lines for word in line.partition(" #")[0].split()]
        mode = words[0] if len(words) == 1 else ""
        if not mode:
            findings.add(0, "the file must hold a single word, the host mode", code="node", hint="write `PRD`, say")
    if mode and mode.upper() not in HOST_MODES:
        hint = did_you_mean(mode, HOST_MODES, otherwise=f"known are: {', '.join(HOST_MODES)}")
        findings.add(0, f"`{shortened(mode, 60)}` is no host mode", code="node", hint=hint)
    if problems := findings.errors:
        raise ConfigError(problems=problems)
    return mode.upper()


def _mode_in(sections: tuple[Section, ...], findings: Findings) -> str:
    mode = ""
    for section in sections:
        if section.name != _SECTION:
            message, hint = f"there is no section `{shortened(section.name, 60)}`", "the section is `[node]`"
            findings.add(section.position, message, code="unknown-section", section=section.name, hint=hint)
            continue
        for entry in section.entries:
            if entry.label not in _MODE_KEYS:
                hint = did_you_mean(entry.key, _MODE_KEYS, otherwise="its one key is `mode`")
                message = f"there is no key `{shortened(entry.label, 60)}`"
                findings.add(entry.position, message, code="unknown-key", section="node", key=entry.label, hint=hint)
            elif mode and mode.upper() != str(entry.raw).upper():
                message = f"the host mode is given twice, as {mode} and {entry.raw}"
                findings.add(entry.position, message, code="node", section="node", key=entry.key, hint="keep one")
            else:
                mode = str(entry.raw)
    if not mode and not findings.errors:
        problem = Problem(message="the host mode is missing", code="config.node", file=findings.file, section="node")
        raise ConfigError(problems=[evolve(problem, key="mode", hint="add `mode = PRD`, say")])
    return mode
