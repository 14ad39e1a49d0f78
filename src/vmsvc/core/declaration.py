"""What a driver class declares, and whether it is what the contract asks for.

Judged once, when its plugin is loaded: a class that lacks a verb is refused then, by a sentence, and not when the verb
is needed.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Collection, Iterator

from attrs import frozen

from vmsvc.core.contract import SUPPORTED_APIS, Capability
from vmsvc.core.kinds import KINDS
from vmsvc.core.options import options_of
from vmsvc.core.roles import ROLES

_VERBS = ("observe", "start", "stop", "kill")


@frozen(kw_only=True)
class DriverReport:
    """A driver as its plugin declared it.

    Attributes:
        kind: The kind of resource that it serves.
        type: The type that it serves.
        api: The version of the contract in use: the highest that both sides speak.
        capabilities: What it offers beyond the required part, sorted.
    """

    kind: str
    type: str
    api: int
    capabilities: tuple[str, ...]


class Quarantined(Exception):
    """A plugin is not to be used; the text says why.

    Attributes:
        types: The types that have no driver because of it.
    """

    def __init__(self, reason: str, *, types: Collection[str] = ()) -> None:
        super().__init__(reason)
        self.types = types


def declaration_of(driver: object) -> DriverReport:
    """What a driver class declares, once it is checked that it is what the contract asks for.

    Args:
        driver: The class; whatever else a plugin may have given.

    Raises:
        Quarantined: It is not; the text says why.
    """
    if not inspect.isclass(driver):
        raise Quarantined(f"vmsvc_drivers returned {driver!r}, which is no driver class")
    label = driver.__name__
    type_name = getattr(driver, "type", None)
    if not isinstance(type_name, str) or type_name.lower().split() != [type_name]:
        raise Quarantined(f"{label}.type must be the word that service files use, in small letters, not {type_name!r}")
    with _blaming(type_name):
        api = _common_api(driver, label)  # first: another version may look different
        _check_shape(driver, label)
        return DriverReport(
            kind=driver.kind,  # type: ignore[attr-defined]
            type=type_name,
            api=api,
            capabilities=tuple(sorted(_checked_capabilities(driver, label))),
        )


@contextlib.contextmanager
def _blaming(type_name: str) -> Iterator[None]:
    """Name the type that a verdict leaves without a driver."""
    try:
        yield
    except Quarantined as verdict:
        raise Quarantined(str(verdict), types=(type_name,)) from None


def _check_shape(driver: type, label: str) -> None:
    kind: object = getattr(driver, "kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise Quarantined(f"{label}.kind must be one of {', '.join(KINDS)}, not {kind!r}")
    record = getattr(driver, "options", None)
    if not (inspect.isclass(record) and issubclass(record, KINDS[kind])):
        raise Quarantined(f"{label}.options must be a subclass of {KINDS[kind].__name__}, not {record!r}")
    own_keys = {option.key for option in options_of(KINDS[kind])}
    declared = vars(record).get("__annotations__", {}) if record is not KINDS[kind] else {}
    if taken := sorted(own_keys.intersection(declared)):
        raise Quarantined(f"{record.__name__} declares keys anew that are vmsvc's own: {', '.join(taken)}")
    missing = [verb for verb in (*_VERBS, "close") if not callable(getattr(driver, verb, None))]
    if missing:
        raise Quarantined(f"{label} lacks {', '.join(missing)}")
    for verb in _VERBS:
        _check_signature(getattr(driver, verb), f"{label}.{verb}")


def _check_signature(method: Callable[..., object], label: str) -> None:
    if inspect.iscoroutinefunction(method):
        raise Quarantined(f"{label} must not be a coroutine: vmsvc calls drivers from threads")
    try:
        inspect.signature(method).bind(object(), object(), budget_s=1.0)
    except TypeError as error:
        raise Quarantined(f"{label} must take (self, resource, *, budget_s): {error}") from None


def _common_api(driver: type, label: str) -> int:
    versions: object = getattr(driver, "api", None)
    if not isinstance(versions, (set, frozenset)) or not all(isinstance(version, int) for version in versions):
        raise Quarantined(f"{label}.api must be a frozenset of whole numbers, not {versions!r}")
    common = SUPPORTED_APIS & versions
    if not common:
        raise Quarantined(
            f"{label} speaks driver API {_numbers(versions)}, this vmsvc speaks {_numbers(SUPPORTED_APIS)}: "
            "install versions of both that go together"
        )
    return max(common)


def _numbers(versions: Collection[int]) -> str:
    return ", ".join(map(str, sorted(versions))) or "(none)"


def _checked_capabilities(driver: type, label: str) -> list[str]:
    """A capability without its methods would fail when it is needed.

    Methods without it are the driver's own affair: they may happen to be called as a role that came later.
    """
    declared: object = getattr(driver, "capabilities", None)
    if not isinstance(declared, (set, frozenset)) or not all(isinstance(word, Capability) for word in declared):
        raise Quarantined(f"{label}.capabilities must be a frozenset of Capability, not {declared!r}")
    for capability, role in ROLES.items():
        if capability in declared and not issubclass(driver, role):
            raise Quarantined(f"{label} declares the capability {capability.value} but is no {role.__name__}")
    return [capability.value for capability in declared]
