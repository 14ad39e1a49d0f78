"""The command that tells about this node, sets its host mode, and knows the keys of nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from vmsvc import __version__
from vmsvc.cli.call import Call
from vmsvc.cli.columns import columns
from vmsvc.cli.files import difference
from vmsvc.cli.screen import plain
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.documents import envelope
from vmsvc.core.errors import ExitCode, UsageError
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import HOST_MODES, node_from
from vmsvc.core.vmdg.keys import key_text, parse_key


def node(call: Call) -> int:
    """Tell about this node, or change something of it.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    arguments = call.arguments
    if arguments.prkey is not None and arguments.words[:1] != ["add"]:
        raise UsageError("--prkey is for `vmsvc node peer add NODE`", hint="see `vmsvc node --help`")
    if arguments.dry_run and arguments.what != "mode":
        raise UsageError("--dry-run is for `vmsvc node mode`", hint="see `vmsvc node --help`")
    return _WHAT[arguments.what](call, *arguments.words)


def _tell(call: Call, *words: str) -> int:
    _refuse_more(words)
    this = call.session.node
    keyring = Keyring(this)
    own = keyring.own()
    peers = [{"name": name, "prkey": key_text(key)} for name, key in keyring.peers().items()]
    facts: envelope.Data = {
        "name": this.name,
        "mode": None if this.problems else this.mode,
        "root": str(this.root),
        "config_dir": str(this.config_dir),
        "services_dir": str(this.services_dir),
        "state_dir": str(this.state_dir),
        "run_dir": str(this.run_dir),
        "services": len(call.session.services()),
        "scsi_hosts": list(this.scsi_hosts),
        "prkey": None if own is None else key_text(own),
        "peers": peers,
        "problems": [envelope.problem(problem) for problem in this.problems],
        "vmsvc": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    shown = {
        **facts,
        "mode": facts["mode"] or "unknown",
        "scsi_hosts": " ".join(map(str, this.scsi_hosts)) or "all",
        "prkey": facts["prkey"] or "none yet; made when disks are reserved first",
        "peers": ", ".join(f"{peer['name']} {peer['prkey']}" for peer in peers) or "none known",
    }
    rows = [
        ((key.replace("_dir", " directory").replace("_", " "), "dim"), (str(fact), ""))
        for key, fact in shown.items()
        if key != "problems"
    ]
    call.screen.answer(envelope.document("vmsvc.node/1", {"node": facts}), columns(rows))
    return ExitCode.DONE


def _mode(call: Call, word: str = "", *words: str) -> int:
    _refuse_more(words)
    mode = word.upper()
    if mode not in HOST_MODES:
        hint = did_you_mean(mode, HOST_MODES, otherwise=f"known are: {', '.join(HOST_MODES)}")
        raise UsageError(f"{word!r} is no host mode" if word else "which host mode?", hint=hint)
    this = node_from(os.environ)  # its file need not be right to be replaced
    table = this.config_dir / "node.toml"
    if table.exists():
        raise UsageError(f"{table} has more to say than a word", hint=f'set mode = "{mode}" in its [node] table')
    path = this.config_dir / "node.conf"
    before = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    if any(line.lstrip().startswith("[") for line in before.splitlines()):
        raise UsageError(f"{path} has more to say than a word", hint=f"set mode = {mode} in its [node] section")
    if call.arguments.dry_run:
        diff = difference(path, before, f"{mode}\n")
        document = envelope.document("vmsvc.changed/1", {"file": str(path), "problems": [], "diff": diff})
        call.screen.answer(document, map(plain, [*diff.splitlines(), f"{path}: {mode} (dry run)"]))
        return ExitCode.DONE
    write_atomically(path, f"{mode}\n", mode=0o644)
    document = envelope.document("vmsvc.changed/1", {"file": str(path), "problems": []})
    call.screen.answer(document, [plain(f"{path}: {mode}")])
    return ExitCode.DONE


def _prkey(call: Call, *words: str) -> int:
    """Print the node's own key, for its peers; make it where there is none."""
    _refuse_more(words)
    key = key_text(Keyring(call.session.node).own_or_new())
    call.screen.answer(envelope.document("vmsvc.prkey/1", {"node": call.session.node.name, "prkey": key}), [plain(key)])
    return ExitCode.DONE


def _peer(call: Call, verb: str = "", name: str = "", *words: str) -> int:
    _refuse_more(words)
    if verb == "remove" and name:
        return _remove_peer(call, name)
    if verb != "add" or not name or call.arguments.prkey is None:
        raise UsageError(
            "what is to be done with a peer?",
            hint="say `vmsvc node peer add NODE --prkey KEY`, or `vmsvc node peer remove NODE`; `vmsvc node` lists "
            "those that are known",
        )
    return _add_peer(call, name)


def _remove_peer(call: Call, name: str) -> int:
    path = Keyring(call.session.node).remove_peer(name)
    document = envelope.document("vmsvc.changed/1", {"file": str(path), "problems": []})
    call.screen.answer(document, [plain(f"{path}: removed; what {name} has registered on disks is still there")])
    return ExitCode.DONE


def _add_peer(call: Call, name: str) -> int:
    try:
        key = parse_key(call.arguments.prkey)
    except ValueError as error:
        raise UsageError(f"--prkey: {error}", hint=f"`vmsvc node prkey` on {name} prints its key") from None
    keyring = Keyring(call.session.node)
    before = keyring.peer(name)
    path = keyring.add_peer(name, key)
    document = envelope.document("vmsvc.changed/1", {"file": str(path), "problems": []})
    replaced = f" (it was {key_text(before)})" if before not in (None, key) else ""
    call.screen.answer(document, [plain(f"{path}: {key_text(key)}{replaced}")])
    return ExitCode.DONE


def _refuse_more(words: tuple[str, ...]) -> None:
    if words:
        raise UsageError(f"that is too much: {' '.join(words)}", hint="see `vmsvc node --help`")


_WHAT: Mapping[str | None, Callable[..., int]] = {None: _tell, "mode": _mode, "prkey": _prkey, "peer": _peer}
