"""Commands about vmsvc itself: drivers, keywords, node, completion."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from vmsvc import __version__
from vmsvc.cli import render
from vmsvc.cli.call import Call
from vmsvc.cli.screen import plain
from vmsvc.core import schema
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.config.model import did_you_mean
from vmsvc.core.config.schema import SERVICE_OPTIONS
from vmsvc.core.errors import ExitCode, UsageError
from vmsvc.core.node import HOST_MODES, node_from
from vmsvc.core.options import Option
from vmsvc.core.resource import KINDS


def drivers(call: Call) -> int:
    """List plugins and their drivers.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    reports = call.session.plugins
    if not reports:
        call.screen.say("no driver is installed; each technology is a package of its own: pip install vmsvc-kvm, say")
    call.screen.answer(schema.drivers(reports), render.drivers(reports))
    return ExitCode.DONE


def keywords(call: Call) -> int:
    """List the keys that sections may have.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    catalog, kind, type_ = call.session.catalog, call.arguments.kind, call.arguments.type
    if kind not in (None, "DEFAULT", *KINDS):
        hint = did_you_mean(kind, ("DEFAULT", *KINDS), otherwise=f"kinds are: DEFAULT, {', '.join(KINDS)}")
        raise UsageError(f"there is no kind {kind!r}", hint=hint)
    if type_ and (kind, type_) not in catalog.classes:
        types = [served for served_kind, served in catalog.classes if served_kind == kind]
        hint = did_you_mean(type_, types, otherwise="`vmsvc drivers` lists what is installed")
        raise UsageError(f"no driver serves the {kind} type {type_!r}", hint=hint)
    sections: dict[str, Mapping[str, Option]] = {}
    if kind in (None, "DEFAULT"):
        sections["DEFAULT"] = SERVICE_OPTIONS
    for each in KINDS if kind is None else [kind] if kind != "DEFAULT" else []:
        types = [type_] if type_ else [served for served_kind, served in catalog.classes if served_kind == each]
        for served in types or [""]:
            sections[f"{each} {served}".strip()] = catalog.options(each, served)
    rows = [
        {
            "section": section,
            "key": option.key,
            "value": option.value.label,
            "choices": list(option.value.choices),
            "required": option.required,
            "default": None if option.required else render.value(option.default),
            "inherited": option.inherited,
            "scoped": option.scoped,
            "help": option.help,
        }
        for section, options in sections.items()
        for option in options.values()
    ]
    call.screen.answer(schema.document("vmsvc.keywords/1", {"keywords": rows}), render.keywords(sections))
    return ExitCode.DONE


def node(call: Call) -> int:
    """Tell about this node, or set its host mode.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    if call.arguments.what == "mode":
        return _set_mode(call)
    this = call.session.node
    facts = {
        "name": this.name,
        "mode": None if this.problems else this.mode,
        "root": str(this.root),
        "config_dir": str(this.config_dir),
        "services_dir": str(this.services_dir),
        "state_dir": str(this.state_dir),
        "run_dir": str(this.run_dir),
        "services": len(call.session.services()),
        "problems": [schema.problem(problem) for problem in this.problems],
        "vmsvc": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    shown = {key: "unknown" if fact is None else str(fact) for key, fact in facts.items() if key != "problems"}
    rows = [((key.replace("_dir", " directory"), "dim"), (fact, "")) for key, fact in shown.items()]
    call.screen.answer(schema.document("vmsvc.node/1", {"node": facts}), render.columns(rows))
    return ExitCode.DONE


def _set_mode(call: Call) -> int:
    word = (call.arguments.word or "").upper()
    if word not in HOST_MODES:
        hint = did_you_mean(word, HOST_MODES, otherwise=f"known are: {', '.join(HOST_MODES)}")
        raise UsageError(f"{call.arguments.word!r} is no host mode" if word else "which host mode?", hint=hint)
    this = node_from(os.environ)  # its file need not be right to be replaced
    table = this.config_dir / "node.toml"
    if table.exists():
        raise UsageError(f"{table} has more to say than a word", hint=f'set mode = "{word}" in its [node] table')
    path = this.config_dir / "node.conf"
    write_atomically(path, f"{word}\n", mode=0o644)
    document = schema.document("vmsvc.changed/1", {"file": str(path), "problems": []})
    call.screen.answer(document, [plain(f"{path}: {word}")])
    return ExitCode.DONE


def completion(call: Call) -> int:
    """Print the code that makes a shell complete our commands.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415

    code = shellcode(["vmsvc", "svcmgr"], shell=call.arguments.shell)
    document = schema.document("vmsvc.completion/1", {"shell": call.arguments.shell, "code": code})
    call.screen.answer(document, code)
    return ExitCode.DONE
