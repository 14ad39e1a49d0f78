"""The plugin host: loads plugins, and keeps a broken one from harming the rest.

Plugins are loaded one at a time. One that fails in any way is *quarantined*: its hooks are taken out again and a report
says why, in words for an operator. What the others offer works as if it were not there.

Most are loaded at once, since their hooks may have something to say to whatever is done. One that says in its metadata
that it serves certain types, and is for nothing else, waits until one of these types is asked for: a command about
guests of one technology does not pay for the other eleven. That changes nothing but the time that it takes:

* Whoever claims a type is loaded before the type is given to anybody, so two that claim it are found as ever.
* A plugin that says so and does more, such as to veto steps, is refused: no hook of it is ever in use.
* Whoever asks for everything, as ``vmsvc drivers`` does, has everything loaded.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pluggy
from attrs import evolve, frozen

from vmsvc.core.contract import Driver
from vmsvc.core.declaration import DriverReport, Quarantined, declaration_of
from vmsvc.core.errors import Undetermined, told
from vmsvc.core.installed import GROUP, Installed, installed_plugins
from vmsvc.core.lane import call_within
from vmsvc.core.lazily import Lazily
from vmsvc.core.nearest import nearest

#: Environment variable: names of plugins, or of their distributions, not to load; separated by commas.
DISABLE_VARIABLE = "VMSVC_DISABLE_PLUGINS"

AnyDriver = type[Driver[Any]]

#: How long a plugin may take to be imported, and to name its drivers, in seconds.
_PATIENCE_S = 3.0


class PluginState(str, enum.Enum):
    """What became of a plugin."""

    OK = "ok"
    REFUSED = "refused"
    CLASH = "clash"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


@frozen(kw_only=True)
class PluginReport:
    """One plugin, and what became of it.

    Attributes:
        name: The entry point's name.
        distribution: The distribution that brings it.
        version: That distribution's version.
        state: ``ok``, ``refused`` (nothing of it is in use) or ``clash`` (another one claims the same type).
        reason: Why, when it is not ``ok``.
        drivers: Its drivers; none where it was refused.
        origin: The directory that it was found in.
    """

    name: str
    distribution: str
    version: str
    state: PluginState = PluginState.OK
    reason: str = ""
    drivers: tuple[DriverReport, ...] = ()
    origin: str = ""


@frozen
class _Claim:
    """One driver that one plugin offers."""

    report: PluginReport
    driver: AnyDriver
    declared: DriverReport


class PluginHost:
    """What the installed plugins offer.

    Args:
        hookspecs: The module that specifies the hooks; given, so that the core depends on no hook.
        installed: The plugins.
        disabled: The names of plugins, or of their distributions, that are not to be loaded.

    Attributes:
        drivers: Driver classes by kind and type.
        refused_types: Why a type that somebody claims has no driver; for a plugin that could not be asked, the type is
            guessed from its name, unless its metadata tell.
        hook: Calls a broadcast hook in all plugins in use: ``host.hook.vmsvc_before_step(step=…, service=…)``.
    """

    drivers: Mapping[tuple[str, str], AnyDriver]
    refused_types: Mapping[str, str]
    hook: pluggy.HookRelay

    def __init__(
        self, hookspecs: ModuleType, installed: Iterable[Installed], *, disabled: Collection[str] = ()
    ) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._disabled = disabled
        self._loading = threading.RLock()
        self._waiting = list(installed)
        self._reports: list[PluginReport] = []
        self._claims: list[_Claim] = []
        self._refused: dict[str, str] = {}
        self.drivers = Lazily(self._driver, lambda: self._everything()[0])
        self.refused_types = Lazily(lambda type_: self._refusals()[type_], self._refusals)
        self.hook = self._manager.hook
        self._load(lambda plugin: not plugin.serves)

    @property
    def reports(self) -> tuple[PluginReport, ...]:
        """Every plugin that was found, by name, and what became of it."""
        _, clashes = self._everything()
        reports = [_with_clash(report, clashes) for report in self._reports]
        return tuple(sorted(reports, key=lambda report: (report.name, report.distribution)))

    def _driver(self, key: tuple[str, str]) -> AnyDriver:
        with self._loading:
            self._load(lambda plugin: key in plugin.serves)
            drivers, _ = _settle(self._claims)
        return drivers[key]

    def _everything(self) -> tuple[dict[tuple[str, str], AnyDriver], dict[tuple[str, str], str]]:
        """All drivers, and all clashes, by kind and type."""
        with self._loading:
            self._load(lambda _: True)
            return _settle(self._claims)

    def _refusals(self) -> dict[str, str]:
        drivers, clashes = self._everything()
        served = {type_name for _, type_name in drivers}
        refused = {**self._refused, **{type_name: reason for (_, type_name), reason in clashes.items()}}
        return {type_name: reason for type_name, reason in refused.items() if type_name not in served}

    def _load(self, is_due: Callable[[Installed], bool]) -> None:
        """Load some of the plugins that wait for it, and take down what became of them."""
        due = [plugin for plugin in self._waiting if is_due(plugin)]
        self._waiting = [plugin for plugin in self._waiting if plugin not in due]
        for plugin in due:
            report = PluginReport(
                name=plugin.point.name,
                distribution=plugin.distribution,
                version=plugin.version,
                origin=plugin.origin,
            )
            try:
                if report.name in self._disabled or report.distribution in self._disabled:
                    raise Quarantined(f"disabled by {DISABLE_VARIABLE}")
                offered = [_Claim(report, *one) for one in _drivers_of(plugin, report, self._manager)]
            except Quarantined as verdict:
                _take_out(self._manager, report)
                self._reports.append(evolve(report, state=PluginState.REFUSED, reason=str(verdict)))
                for type_name in verdict.types or [type_ for _, type_ in plugin.serves] or [report.name]:
                    self._refused.setdefault(type_name, f"{_who(report)} was refused: {verdict}")
            else:
                self._claims += offered
                self._reports.append(evolve(report, drivers=tuple(claim.declared for claim in offered)))


def load_plugins(
    hookspecs: ModuleType,
    *,
    installed: Iterable[Installed] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> PluginHost:
    """Load every installed plugin that can be used, and say of the others why they cannot.

    Args:
        hookspecs: The module that specifies the hooks.
        installed: What to load instead of all plugins that are installed.
        environment: Where :data:`DISABLE_VARIABLE` is looked up.

    Returns:
        The drivers, the hooks, and a report for each plugin.
    """
    disabled = set(re.split(r"[\s,]+", environment.get(DISABLE_VARIABLE, ""))) - {""}
    return PluginHost(hookspecs, installed_plugins() if installed is None else installed, disabled=disabled)


def _who(report: PluginReport) -> str:
    return f"{report.distribution} {report.version}"


# --- loading ---------------------------------------------------------------------------------------------------------


def _drivers_of(
    plugin: Installed, report: PluginReport, manager: pluggy.PluginManager
) -> list[tuple[AnyDriver, DriverReport]]:
    """Import a plugin, register its hooks, ask it for its drivers, and examine them."""
    with _foreign_code("it cannot be imported"):
        module = _in_time(report, plugin.point.load)
    if not isinstance(module, ModuleType):
        raise Quarantined(f"its entry point must name a module, not {type(module).__name__}: {plugin.point.value}")
    # Two distributions may bring the very same module: its hooks count once, and its types are claimed by both.
    if not manager.is_registered(module):
        _register(module, manager, _registered_name(report))
    others = manager.get_plugins() - {module}
    with _foreign_code("its hook vmsvc_drivers failed"):
        answers = _in_time(report, manager.subset_hook_caller("vmsvc_drivers", others))
        drivers = [driver for answer in answers for driver in answer]
    with _foreign_code("its drivers cannot be examined"):
        examined = [(driver, declaration_of(driver)) for driver in drivers]
    if plugin.serves:
        hooks = {caller.name for caller in manager.get_hookcallers(module) or []}
        _check_word(plugin, {(declared.kind, declared.type) for _, declared in examined}, hooks)
    return examined


def _check_word(plugin: Installed, served: Collection[tuple[str, str]], hooks: Collection[str]) -> None:
    """Hold a plugin to what its metadata say: relied upon, they keep it from being loaded for anything else."""
    groups = " and ".join(sorted({f"{GROUP}.{kind}" for kind, _ in plugin.serves}))
    advice = f"leave {groups} out of its entry points, and it is loaded at once"
    if more := sorted({*hooks} - {"vmsvc_drivers"}):
        raise Quarantined(f"its metadata say that it does nothing but serve types, and it has {more[0]}: {advice}")
    if plugin.serves != {*served}:
        promised, found = (", ".join(" ".join(key) for key in sorted(keys)) for keys in (plugin.serves, served))
        raise Quarantined(f"its metadata say that it serves {promised}, and it serves {found or 'none'}: {advice}")


def _in_time(report: PluginReport, work: Callable[[], Any]) -> Any:
    """Run code of a plugin, and go on without it when it hangs: one bad plugin must not take every command along."""

    def attempt() -> tuple[Any, BaseException | None]:
        try:
            return work(), None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised where it can be blamed
            return None, error
        except BaseException as error:  # noqa: BLE001 - not the operator's Ctrl-C: that goes to the main thread
            return None, RuntimeError(told(error))

    try:
        result, error = call_within(f"plugin {report.name}", attempt, budget_s=_PATIENCE_S)
    except Undetermined:
        raise Quarantined(f"it did not load within {_PATIENCE_S:g} s") from None
    if error is not None:
        raise error
    return result


@contextlib.contextmanager
def _foreign_code(what_failed: str) -> Iterator[None]:
    """Run code of a plugin: nothing that it prints reaches our stdout, and nothing that it raises gets through."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        except Quarantined:
            raise
        except (Exception, SystemExit) as error:
            raise Quarantined(f"{what_failed}: {type(error).__name__}: {_one_line(error)}") from error


def _register(plugin: ModuleType, manager: pluggy.PluginManager, name: str) -> None:
    known = [attribute for attribute in vars(manager.hook) if getattr(manager.hook, attribute).has_spec()]
    try:
        manager.register(plugin, name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise Quarantined(f"its hooks do not match vmsvc's: {_one_line(error)}") from error
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if not caller.has_spec():
            near = nearest(caller.name, known)
            advice = f"; did you mean {near}?" if near else f"; hooks are {', '.join(sorted(known))}"
            raise Quarantined(f"vmsvc has no hook {caller.name}{advice}")
    if not callers:
        raise Quarantined("it implements no hook: mark its functions with vmsvc.driver.hookimpl")


def _registered_name(report: PluginReport) -> str:
    """A plugin's name for pluggy: names of entry points alone need not be unique."""
    return f"{report.distribution}:{report.name}"


def _take_out(manager: pluggy.PluginManager, report: PluginReport) -> None:
    name = _registered_name(report)
    if manager.has_plugin(name):
        manager.unregister(name=name)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no reason given"


# --- settling --------------------------------------------------------------------------------------------------------


def _settle(claims: Iterable[_Claim]) -> tuple[dict[tuple[str, str], AnyDriver], dict[tuple[str, str], str]]:
    """Give each type to the only one who claims it; where there are several, to nobody.

    Returns:
        Drivers by kind and type, and for each contested kind and type a sentence that names both sides.
    """
    by_type: dict[tuple[str, str], list[_Claim]] = {}
    for claim in claims:
        by_type.setdefault((claim.declared.kind, claim.declared.type), []).append(claim)
    winners, clashes = {}, {}
    for (kind, type_name), rivals in by_type.items():
        if len({(rival.report.distribution, rival.driver) for rival in rivals}) == 1:
            winners[kind, type_name] = rivals[0].driver
        else:
            sides = " and by ".join(f"{_who(rival.report)} ({rival.driver.__name__})" for rival in rivals)
            clashes[kind, type_name] = (
                f"{kind} type {type_name} is claimed by {sides}; neither gets it: uninstall one, "
                f"or name it in {DISABLE_VARIABLE}"
            )
    return winners, clashes


def _with_clash(report: PluginReport, clashes: Mapping[tuple[str, str], str]) -> PluginReport:
    """Mark a plugin that claims a contested type. Its hooks stay in use: dropping a veto would not be safe."""
    reasons = [clashes[claimed] for driver in report.drivers if (claimed := (driver.kind, driver.type)) in clashes]
    return evolve(report, state=PluginState.CLASH, reason="; ".join(reasons)) if reasons else report
