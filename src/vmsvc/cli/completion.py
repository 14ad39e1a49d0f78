"""What a shell offers to complete: services, files, resources, keys. Silent where anything is wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any

import argcomplete

from vmsvc.core.config.model import DEFAULT
from vmsvc.core.disks.keyring import Keyring
from vmsvc.core.errors import VmsvcError
from vmsvc.core.kinds import KINDS, Disk
from vmsvc.core.node import HOST_MODES
from vmsvc.core.options import options_of
from vmsvc.core.service import Service
from vmsvc.core.vmdg.keys import key_text
from vmsvc.session import Session


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how a line may go on, and exit.

    Args:
        parser: The grammar.
    """
    line, point = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "")
    if point.isdecimal() and not set(line) & set("'\""):
        # argcomplete takes any # for the beginning of a comment; to a shell, the one in container#1 is none.
        before = line.encode(errors="surrogateescape")[: int(point)]
        os.environ["COMP_LINE"] = line.replace("#", r"\#")
        os.environ["COMP_POINT"] = str(int(point) + before.count(b"#"))
    argcomplete.autocomplete(parser)


def services(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The services that are not named yet.

    Args:
        parsed_args: What has been written so far.
    """
    named = getattr(parsed_args, "names", None) or []
    with contextlib.suppress(VmsvcError):
        return [name for name in Session().services() if name not in named]
    return []


def service_list(*, prefix: str, **_: Any) -> list[str]:
    """Services, behind those that stand before the last comma.

    Args:
        prefix: The beginning of the word.
    """
    before, comma, _last = prefix.rpartition(",")
    named = argparse.Namespace(names=before.split(","))
    return [f"{before}{comma}{name}" for name in services(parsed_args=named)]


def types(**_: Any) -> list[str]:
    """The types of guests that installed drivers serve."""
    with contextlib.suppress(VmsvcError):
        return sorted(type_ for kind, type_ in Session().catalog.classes if kind == "container")
    return []


def kits(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The installed packages that bring a kit, and are not named yet.

    Args:
        parsed_args: What has been written so far.
    """
    from vmsvc.testing.sdk import bringing, distribution_of  # noqa: PLC0415 - only authors of drivers need it

    return sorted({distribution_of(point) for point in bringing()} - set(parsed_args.packages or []))


def clauses(**_: Any) -> list[str]:
    """The clauses of the conformance kit."""
    from vmsvc.testing.kit import CLAUSES  # noqa: PLC0415 - as above

    return list(CLAUSES)


def files(*, parsed_args: argparse.Namespace, prefix: str, **_: Any) -> list[str]:
    """Services, and files under what looks like a path.

    Args:
        parsed_args: What has been written so far.
        prefix: The beginning of the word.
    """
    if "/" not in prefix:
        return services(parsed_args=parsed_args)
    directory = Path(prefix if prefix.endswith("/") else Path(prefix).parent)
    with contextlib.suppress(OSError):
        return [f"{directory / item.name}{'/' if item.is_dir() else ''}" for item in directory.iterdir()]
    return []


def rids(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The resources of the services that are named.

    Args:
        parsed_args: What has been written so far.
    """
    return sorted({item.rid for service in _named(parsed_args) for item in service.resources})


def tags(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The tags of the services that are named.

    Args:
        parsed_args: What has been written so far.
    """
    return sorted({tag for service in _named(parsed_args) for item in service.resources for tag in item.tags})


def subsets(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The subsets of the services that are named.

    Args:
        parsed_args: What has been written so far.
    """
    return sorted({item.subset for service in _named(parsed_args) for item in service.resources} - {""})


def holders(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Who may hold the disks of the services that are named: other nodes, and the keys of peers that are known.

    Args:
        parsed_args: What has been written so far.
    """
    node = Session().node
    with contextlib.suppress(VmsvcError):
        peers = Keyring(node).peers()
        listed = {each for service in _named(parsed_args) for each in service.peers_of(node)}
        return sorted({*listed, *peers, *map(key_text, peers.values())})
    return []


def other_nodes(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The other nodes of the services that are named.

    Args:
        parsed_args: What has been written so far.
    """
    node = Session().node
    return sorted({each for service in _named(parsed_args) for each in service.peers_of(node)})


def peers(**_: Any) -> list[str]:
    """The peers whose keys are known here."""
    with contextlib.suppress(VmsvcError):
        return sorted(Keyring(Session().node).peers())
    return []


def devices(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Block devices by names that stay, and those that the service that is named lists itself.

    Args:
        parsed_args: What has been written so far.
    """
    listed = {
        device
        for service in _named(parsed_args)
        for disk in service.resources
        if isinstance(disk, Disk)
        for device in disk.devices
    }
    found = {str(path) for pattern in _BLOCK_DEVICES for path in _DEV.glob(pattern) if path.is_block_device()}
    return sorted(listed | found)


def node_words(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """What may stand behind `node mode` and `node peer`.

    Args:
        parsed_args: What has been written so far.
    """
    match (parsed_args.what, *(parsed_args.words or ())):
        case ("mode",):
            return list(HOST_MODES)
        case ("peer",):
            return ["add", "remove"]
        case ("peer", "remove" | "add"):
            return peers()
    return []


def kinds(**_: Any) -> list[str]:
    """What sections there are."""
    return [DEFAULT, *KINDS]


def types_of_kind(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The types of the kind that is named.

    Args:
        parsed_args: What has been written so far.
    """
    return types() if parsed_args.kind == "container" else []


def keys(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The keys of the service that is named.

    Args:
        parsed_args: What has been written so far.
    """
    return [
        key if section == "DEFAULT" else f"{section}.{key}"
        for service in _named(parsed_args)
        for section, owner in [("DEFAULT", service), *((item.rid, item) for item in service.resources)]
        for key in [option.key for option in options_of(type(owner))]
    ]


def settings(*, parsed_args: argparse.Namespace, prefix: str, **_: Any) -> list[str]:
    """The keys of the service that is named, with ``=``, and the words that a key may have after it.

    Args:
        parsed_args: What has been written so far.
        prefix: The beginning of the word.
    """
    if "=" not in prefix:
        return [f"{key}=" for key in keys(parsed_args=parsed_args)]
    key = prefix.partition("=")[0]
    section, dot, plain_key = key.rpartition(".")
    return [
        f"{key}={word}"
        for service in _named(parsed_args)
        for name, owner in [("DEFAULT" if dot else "", service), *((item.rid, item) for item in service.resources)]
        if name == section
        for declared in options_of(type(owner))
        if declared.key == plain_key
        for word in declared.value.choices
    ]


def new_settings(*, prefix: str, **_: Any) -> list[str]:
    """Keys that the file of a new service with one guest may have, with ``=``, and the words that a key may have.

    Args:
        prefix: The beginning of the word.
    """
    declared = {option.key: option for option in options_of(Service)}
    with contextlib.suppress(VmsvcError):
        for (kind, _type), owner in Session().catalog.classes.items():
            if kind == "container":
                declared |= {f"container#1.{option.key}": option for option in options_of(owner)}
    key, equals, _rest = prefix.partition("=")
    if not equals:
        return [f"{name}=" for name in declared]
    return [f"{key}={word}" for word in declared[key].value.choices] if key in declared else []


#: Where block devices have names that stay, and plain ones.
_DEV = Path("/dev")
_BLOCK_DEVICES = ("mapper/*", "disk/by-id/*", "sd*", "vd*", "nvme*n*")


def _named(parsed_args: argparse.Namespace) -> list[Service]:
    """The services that a line names, in any of the grammars."""
    legacy = [name for written in getattr(parsed_args, "service", ()) for name in written.split(",")]
    names = getattr(parsed_args, "names", None) or [getattr(parsed_args, "name", ""), *legacy]
    session = Session()
    found = []
    for name in names:
        with contextlib.suppress(VmsvcError):
            found.append(session.load(name))
    return found
