"""Commands about vmsvc itself: drivers, keywords, node, completion."""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.cli import render
from vmsvc.cli.call import Call
from vmsvc.core.config.schema import SERVICE_OPTIONS
from vmsvc.core.documents import envelope, services
from vmsvc.core.errors import ExitCode, UsageError
from vmsvc.core.kinds import KINDS
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.options import Option


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
    call.screen.answer(services.drivers(reports), render.drivers(reports))
    return ExitCode.DONE


def keywords(call: Call) -> int:
    """List the keys that sections may have.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    catalog, kind, type_ = call.session.catalog, call.arguments.kind, (call.arguments.type or "").lower()
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
    call.screen.answer(envelope.document("vmsvc.keywords/1", {"keywords": rows}), render.keywords(sections))
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
    document = envelope.document("vmsvc.completion/1", {"shell": call.arguments.shell, "code": code})
    call.screen.answer(document, code)
    return ExitCode.DONE
