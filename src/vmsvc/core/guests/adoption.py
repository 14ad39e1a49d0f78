"""Services for guests that are there already: which guests have none, and the file that each of them would get."""

from __future__ import annotations

import hashlib
import itertools
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial

from attrs import evolve, field, frozen

from vmsvc.core.answers import FoundGuest
from vmsvc.core.config import Catalog, edit, identity, literally
from vmsvc.core.config.edit import Draft
from vmsvc.core.errors import ConfigError, Severity, UsageError, VmsvcError
from vmsvc.core.estate import Estate
from vmsvc.core.guests.discovery import Discovery
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest

#: The rid that the guest of a new service gets.
RID = "container#1"

# The guest's own: what a service file says of these can be no setting for all of them.
_OF_EACH = frozenset({f"{RID}.name", f"{RID}.type"})
_LONGEST_STEM = 150  # bytes; leaves room for what makes a name unique


@frozen(kw_only=True)
class Proposal:
    """A guest without a service, and the file that makes it one.

    Attributes:
        type: The type that serves it.
        guest: The guest.
        draft: The file.
    """

    type: str
    guest: FoundGuest
    draft: Draft


@frozen(kw_only=True)
class Claimed:
    """A guest that has a service.

    Attributes:
        type: The type that serves it.
        guest: The guest.
        service: The service's name.
    """

    type: str
    guest: FoundGuest
    service: str


@frozen(kw_only=True)
class Left:
    """A guest for which no file can be made up.

    Attributes:
        type: The type that serves it.
        guest: The guest.
        error: Why.
    """

    type: str
    guest: FoundGuest
    error: VmsvcError


@frozen(kw_only=True)
class Adoption:
    """What became of every guest that was found.

    Attributes:
        proposals: Those that have no service, each with the file that would make it one.
        claimed: Those that have one.
        left: Those for which no file can be made up.
        errors: By type, why its driver could not tell which guests there are.
    """

    proposals: tuple[Proposal, ...] = ()
    claimed: tuple[Claimed, ...] = ()
    left: tuple[Left, ...] = ()
    errors: Mapping[str, VmsvcError] = field(factory=dict)

    @property
    def found(self) -> tuple[FoundGuest, ...]:
        """Every guest that was found."""
        sorts: tuple[Sequence[Proposal | Claimed | Left], ...] = (self.proposals, self.claimed, self.left)
        return tuple(item.guest for sort in sorts for item in sort)


# --- what is there ---------------------------------------------------------------------------------------------------


# --- what could be ---------------------------------------------------------------------------------------------------


def places(node: Node, catalog: Catalog, types: Iterable[str], settings: Mapping[str, str]) -> list[Guest]:
    """Where to look for guests: what the settings for all new services say of the place.

    Args:
        node: The node.
        catalog: What the drivers declare.
        types: The types whose drivers can tell.
        settings: Values by address.

    Returns:
        A guest of no service for each type that has all of the keys.

    Raises:
        UsageError: There is none such, or a setting is each guest's own.
        ConfigError: A setting is wrong.
    """
    if own := sorted(_OF_EACH.intersection(settings)):
        raise UsageError(f"{own[0]} is each guest's own", hint="name the guests to adopt")
    found: list[Guest] = []
    failures: list[VmsvcError] = []
    for served in types:
        try:
            where = edit.draft(node, "adopted", catalog, settings={f"{RID}.type": served, **settings})
        except VmsvcError as error:
            failures.append(error)
        else:
            found += where.service.guests[:1]
    if failures and not found:
        raise type(failures[0])(problems=[evolve(problem, file="") for problem in failures[0].problems])
    if not found:
        hint = "`vmsvc drivers` tells what each of them can do"
        raise UsageError("no installed driver can tell which guests there are", hint=hint)
    return found


def propose(
    node: Node,
    catalog: Catalog,
    estate: Estate,
    told: Sequence[Discovery],
    *,
    settings: Mapping[str, str],
    is_wanted: Callable[[str], bool] = lambda _: True,
) -> Adoption:
    """Make up a service file for each guest that has none. Writes nothing.

    Args:
        node: The node that has the guests.
        catalog: What the drivers declare.
        estate: The services that the node has already.
        told: What the drivers have told.
        settings: Values by address, for all of the files.
        is_wanted: Whether a guest of a name is asked for.
    """
    proposals: list[Proposal] = []
    claimed: list[Claimed] = []
    left: list[Left] = []
    taken = set(estate.names)
    owners: dict[str, str] = {}
    guests = [(each.type, guest) for each in told for guest in each.guests if is_wanted(guest.name)]
    # Who keeps its name has the first claim to it, whatever else the names of others come to.
    for served, guest in sorted(guests, key=lambda item: (_stem(item[1].name) != item[1].name, item[1].name, item[0])):
        name = next(name for name in _names(served, guest) if name not in taken)
        try:
            make = partial(edit.draft, node, name, catalog, template=_template(node, served, guest))
            draft = _draft(make, guest.name, _settings(node, served, guest), settings)
        except VmsvcError as error:
            left.append(Left(type=served, guest=guest, error=error))
            continue
        meant = draft.service.guests[0]
        if owner := estate.owner_of(meant) or owners.get(identity(meant), ""):
            claimed.append(Claimed(type=served, guest=guest, service=owner))
        elif suspect := estate.suspect_of(guest):
            left.append(Left(type=served, guest=guest, error=_unread(suspect)))
        else:
            proposals.append(Proposal(type=served, guest=guest, draft=draft))
            taken.add(name)
            owners[identity(meant)] = name
    return Adoption(
        proposals=tuple(sorted(proposals, key=lambda item: item.draft.service.name)),
        claimed=tuple(claimed),
        left=tuple(left),
        errors={each.type: each.error for each in told if each.error is not None},
    )


def _unread(suspect: str) -> ConfigError:
    message = f"it may be the guest of the service {suspect}, whose file cannot be read"
    return ConfigError(message, code="config.unread", hint=f"mend that first: `vmsvc validate {shlex.quote(suspect)}`")


def passed_through(guest: FoundGuest) -> list[str]:
    """The block devices that a guest is given, as ``vdb /dev/mapper/erp``.

    Args:
        guest: The guest.
    """
    return [
        f"{disk.target} {disk.source}"
        for disk in guest.disks
        if disk.kind == "block" and disk.source and disk.device in ("disk", "lun")
    ]


def _settings(node: Node, served: str, guest: FoundGuest) -> dict[str, str]:
    """What a guest's own file says, by address and in the order of the file."""
    return {
        **({"comment": literally(guest.title)} if guest.title else {}),
        "nodes": node.name,
        **({"orchestrate": "start"} if guest.autostart else {}),
        f"{RID}.type": served,
        f"{RID}.name": literally(guest.name),
        **{f"{RID}.{key}": literally(value) for key, value in guest.options.items()},
        **({"vmdg.scsireserv": "false"} if passed_through(guest) else {}),
    }


def _draft(make: Callable[..., Draft], name: str, own: Mapping[str, str], settings: Mapping[str, str]) -> Draft:
    """The file of a guest: INI where that can hold its name and words, else TOML; without its title if need be.

    Args:
        make: Makes a draft of settings and an ending.
        name: The guest's name.
        own: The guest's own settings.
        settings: Those of all guests.
    """
    untitled = {key: value for key, value in own.items() if key != "comment"}
    drafts: list[Draft] = []
    failures: list[VmsvcError] = []
    for suffix, given in itertools.product((".conf", ".toml"), (own, untitled)):
        try:
            draft = make(settings={**given, **settings}, suffix=suffix)
        except VmsvcError as error:
            failures.append(error)
            continue
        if [each.name for each in draft.service.guests[:1]] == [name]:
            drafts.append(draft)
            if not _warnings(draft):
                break
    if not drafts:
        raise failures[0] if failures else UsageError(f"no file can hold the name {name!r}", code="usage.value")
    return min(drafts, key=_warnings)


def _warnings(draft: Draft) -> int:
    return sum(problem.severity is Severity.WARNING for problem in draft.service.problems)


def _template(node: Node, served: str, guest: FoundGuest) -> str:
    """How its file begins: for people, where it comes from, and what its disk group is about."""
    heading = [f"The {served} guest {guest.name}, as it was found on {node.name}."]
    if given := passed_through(guest):
        heading.append(f"Block devices that it is given: {', '.join(given)}")
    return "".join(f"# {_on_one_line(line)}\n" for line in heading) + "[DEFAULT]\n"


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


# --- names -----------------------------------------------------------------------------------------------------------


def _names(served: str, guest: FoundGuest) -> Iterator[str]:
    """Names for the service of a guest, the best one first; the same ones on every node and at any time."""
    stem = _stem(guest.name)
    yield stem
    yield f"{stem}-{served}"
    identity = repr([served, guest.name, sorted(guest.options.items())])
    digest = hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()
    yield from (f"{stem}-{digest[:length]}" for length in range(6, len(digest)))


def _stem(name: str) -> str:
    """A name that neither a shell nor a file system nor a pattern takes for anything else; mostly the guest's own.

    >>> _stem("erp-db.example.org"), _stem("Büro 2 (alt)"), _stem("../*")
    ('erp-db.example.org', 'Büro-2-alt', 'guest')
    """
    plain = "".join(each if _is_plain(each) else " " for each in unicodedata.normalize("NFC", name))
    stem = "-".join(filter(None, (part.strip("-") for part in plain.split()))).strip("-.")
    return stem.encode()[:_LONGEST_STEM].decode(errors="ignore") or "guest"


def _is_plain(character: str) -> bool:
    return character in "._-" or character.isalnum() or unicodedata.category(character).startswith("M")


def is_named(patterns: Collection[str]) -> Callable[[str], bool]:
    """Whether a guest's name is among names and patterns; every one is, where there are none.

    Args:
        patterns: Names, and patterns such as ``web*``.
    """
    return lambda name: not patterns or any(name == each or fnmatchcase(name, each) for each in patterns)
