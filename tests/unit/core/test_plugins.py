"""The plugin host, with real entry-point metadata: fake distributions in a folder on sys.path."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from vmsvc import hookspecs
from vmsvc.core import plugins
from vmsvc.core.plugins import PluginState, load_plugins

DRIVER = """
from attrs import frozen
from vmsvc.driver import Capability, Guest, hookimpl

@frozen(kw_only=True)
class Options(Guest):
    pass

class Driver:
    type = "{type}"
    kind = "container"
    api = frozenset({{1}})
    options = Options
    capabilities = frozenset()

    def __init__(self, context): pass
    def observe(self, resource, *, budget_s): pass
    def start(self, resource, *, budget_s): pass
    def stop(self, resource, *, budget_s): pass
    def kill(self, resource, *, budget_s): pass
    def close(self): pass

{more}

@hookimpl
def vmsvc_drivers():
    return [Driver]
"""


def driver_source(type: str, more: str = "") -> str:
    return DRIVER.format(type=type, more=textwrap.dedent(more))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path in which distributions can be laid; what was imported from it is forgotten again."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("fake_"):
            del sys.modules[name]


def lay(
    folder,
    dist: str,
    source: str | None,
    *,
    name: str = "",
    version: str = "1.0",
    module: str = "",
    group="vmsvc",
    serves: tuple[str, ...] = (),
):
    """Install a distribution by hand: its metadata, its entry point, and one module."""
    module = module or "fake_" + dist.replace("-", "_")
    info = folder / f"{dist.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
    points = f"[{group}]\n{name or dist.removeprefix('vmsvc-')} = {module}\n"
    if serves:
        points += "[vmsvc.container]\n" + "".join(f"{type_} = {module}\n" for type_ in serves)
    (info / "entry_points.txt").write_text(points)
    if source is not None:
        (folder / f"{module.partition(':')[0]}.py").write_text(source)
    return info


def load(**environment):
    """Load what is installed, and keep only what these tests have laid."""
    host = load_plugins(hookspecs, environment=environment)
    reports = {report.distribution: report for report in host.reports if report.distribution.startswith("fake-")}
    return host, reports


def refusal_of(source: str | None, site, **kwargs) -> tuple[str, object]:
    """Lay one bad plugin beside a good one; the good one works, and the bad one's reason is returned."""
    lay(site, "fake-good", driver_source("good"))
    lay(site, "fake-bad", source, **kwargs)
    host, reports = load()
    assert reports["fake-good"].state is PluginState.OK
    assert ("container", "good") in host.drivers
    assert reports["fake-bad"].state is PluginState.REFUSED
    assert reports["fake-bad"].drivers == ()
    assert "\n" not in reports["fake-bad"].reason
    return reports["fake-bad"].reason, host


def test_a_good_plugin_is_in_use_and_described(site):
    lay(site, "Fake.Good", driver_source("good"), name="good", module="fake_good", version="2.5")
    host, reports = load()
    report = reports["fake-good"]
    assert (report.name, report.version, str(report.state), report.reason) == ("good", "2.5", "ok", "")
    assert report.origin == str(site)
    [driver] = report.drivers
    assert (driver.kind, driver.type, driver.api, driver.capabilities) == ("container", "good", 1, ())
    assert host.drivers["container", "good"].__name__ == "Driver"
    assert "good" not in host.refused_types


def test_no_plugins_at_all():
    host = load_plugins(hookspecs, installed=())
    assert (dict(host.drivers), dict(host.refused_types), host.reports) == ({}, {}, ())
    assert host.hook.vmsvc_before_step(step=None, service=None) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_client_library", "cannot be imported: ModuleNotFoundError: No module named 'no_such_client"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("raise RuntimeError('two\\nlines')", "cannot be imported: RuntimeError: two lines"),
        ("import sys; sys.exit('needs root')", "cannot be imported: SystemExit: needs root"),
        ("raise ValueError", "cannot be imported: ValueError: no reason given"),
        (None, "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "it implements no hook: mark its functions with vmsvc.driver.hookimpl"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused_alone(site, source, reason):
    found, host = refusal_of(source, site, name="bad-type")
    assert reason in found
    assert "fake-bad 1.0 was refused" in host.refused_types["bad-type"]


def test_an_entry_point_to_a_missing_attribute_is_refused(site):
    reason, _ = refusal_of("x = 1", site, module="fake_bad:missing")
    assert "AttributeError" in reason


def test_an_entry_point_to_something_else_than_a_module_is_refused(site):
    reason, _ = refusal_of("x = {}", site, module="fake_bad:x")
    assert reason == "its entry point must name a module, not dict: fake_bad:x"


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("def vmsvc_driver(): return []", "vmsvc has no hook vmsvc_driver; did you mean vmsvc_drivers?"),
        ("def zzz(): pass", "vmsvc has no hook zzz; hooks are vmsvc_after_step"),
        ("def vmsvc_before_step(step, nonsense): raise AssertionError", "do not match vmsvc's: "),
        ("def vmsvc_drivers(): raise OSError('no such device')", "its hook vmsvc_drivers failed: OSError: no such device"),
        ("def vmsvc_drivers(): raise SystemExit(3)", "its hook vmsvc_drivers failed: SystemExit: 3"),
        ("def vmsvc_drivers(): return 7", "its hook vmsvc_drivers failed: TypeError"),
        ("def vmsvc_drivers(): return ['kvm']", "returned 'kvm', which is no driver class"),
    ],
)  # fmt: skip
def test_hooks_that_are_wrong(site, hook, reason):
    found, _ = refusal_of(f"from vmsvc.driver import hookimpl\n@hookimpl\n{hook}\n", site)
    assert reason in found


def test_hooks_of_a_refused_plugin_are_never_called(site):
    source = """
    @hookimpl
    def vmsvc_before_step(step, service): raise AssertionError("called")

    Driver.api = frozenset({99})
    """
    _, host = refusal_of(driver_source("bad", source), site)
    assert host.hook.vmsvc_before_step(step=None, service=None) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("Driver.api = frozenset({98, 99})", "speaks driver API 98, 99, this vmsvc speaks 1"),
        ("Driver.api = frozenset({2}); del Driver.kill, Driver.options", "speaks driver API 2, this vmsvc speaks 1"),
        ("Driver.api = frozenset()", "speaks driver API (none)"),
        ("Driver.api = 1", "Driver.api must be a frozenset of whole numbers, not 1"),
        ("Driver.kind = 'starship'", "Driver.kind must be one of disk, vmdg, fs, container"),
        ("Driver.kind = []", "Driver.kind must be one of"),
        ("Driver.options = dict", "Driver.options must be a subclass of Guest"),
        ("Driver.options = Options(service='s', rid='container', kind='container')", "must be a subclass of Guest"),
        ("del Driver.kill, Driver.close", "Driver lacks kill, close"),
        ("Driver.capabilities = ['disks']", "must be a frozenset of Capability"),
        ("Driver.capabilities = frozenset({'teleport'})", "must be a frozenset of Capability"),
        ("Driver.capabilities = frozenset({Capability.DISKS})", "the capability disks but is no DiskLister"),
    ],
)  # fmt: skip
def test_drivers_that_break_the_contract(site, change, reason):
    found, host = refusal_of(driver_source("bad-driver", change), site)
    assert reason in found
    assert reason in host.refused_types["bad-driver"]


def test_a_method_of_a_role_that_is_not_declared_is_the_drivers_own_affair(site):
    lay(site, "fake-one", driver_source("one", "Driver.sizes = lambda *a, **k: None"))
    _, reports = load()
    assert (reports["fake-one"].state, reports["fake-one"].drivers[0].capabilities) == (PluginState.OK, ())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("Driver.observe = lambda self, resource: None", "Driver.observe must take (self, resource, *, budget_s)"),
        ("async def start(self, resource, *, budget_s): pass\nDriver.start = start", "must not be a coroutine"),
        (
            "@frozen(kw_only=True)\nclass Shadow(Guest):\n    start_timeout: str = 'soon'\nDriver.options = Shadow",
            "Shadow declares keys anew that are vmsvc's own: start_timeout",
        ),
    ],
)
def test_drivers_that_would_break_in_the_middle_of_an_action(site, more, reason):
    assert reason in refusal_of(driver_source("bad", more), site)[0]


@pytest.mark.parametrize("where", ["import time; time.sleep(60)", "def vmsvc_drivers(): import time; time.sleep(60)"])
def test_a_plugin_that_hangs_is_given_up(site, monkeypatch, where):
    monkeypatch.setattr(plugins, "_PATIENCE_S", 0.3)
    source = where if "def" not in where else f"from vmsvc.driver import hookimpl\n@hookimpl\n{where}"
    # A module of its own name: the thread that hangs holds the lock of its import.
    module = f"fake_hanging{len(where)}"
    assert "it did not load within 0.3 s" in refusal_of(source, site, module=module)[0]


def test_a_plugin_that_raises_what_is_no_exception(site):
    source = "import asyncio\nraise asyncio.CancelledError('base')"
    assert "CancelledError: base" in refusal_of(source, site)[0]


def test_a_driver_that_cannot_be_examined_is_refused(site):
    change = """
    class Meta(type):
        api = property(lambda cls: 1 / 0)

    class Driver(metaclass=Meta):
        type = "bad"
    """
    found, _ = refusal_of(driver_source("bad", change), site)
    assert found.startswith("its drivers cannot be examined: ZeroDivisionError")


@pytest.mark.parametrize("value", ["''", "'  '", "'Bad'", "'bad type'", "None", "7", "b'kvm'"])
def test_a_type_must_be_a_word(site, value):
    found, _ = refusal_of(driver_source("bad", f"Driver.type = {value}"), site)
    assert "Driver.type must be the word that service files use" in found


def test_the_highest_common_api_is_used(site):
    lay(site, "fake-new", driver_source("new", "Driver.api = frozenset({0, 1, 2})"))
    _, reports = load()
    assert reports["fake-new"].drivers[0].api == 1


def test_two_distributions_that_claim_one_type_both_lose_it(site):
    lay(site, "fake-one", driver_source("same"), name="same")
    lay(site, "fake-two", driver_source("same"), name="same", version="3.1")
    lay(site, "fake-good", driver_source("good"))
    host, reports = load()
    assert ("container", "same") not in host.drivers
    assert ("container", "good") in host.drivers
    for report in (reports["fake-one"], reports["fake-two"]):
        assert report.state is PluginState.CLASH
        assert "fake-one 1.0" in report.reason
        assert "fake-two 3.1" in report.reason
        assert "neither gets it" in report.reason
    assert host.refused_types["same"] == reports["fake-one"].reason


def test_a_clash_costs_only_the_contested_type(site):
    second = "class Other(Driver):\n    type = 'mine'\n"
    both = driver_source("same", second).replace("[Driver]", "[Driver, Other]")
    lay(site, "fake-one", both)
    lay(site, "fake-two", driver_source("same"))
    host, reports = load()
    assert {type_name for _, type_name in host.drivers} & {"same", "mine"} == {"mine"}
    assert reports["fake-one"].state is PluginState.CLASH


def test_one_module_in_two_distributions_is_a_clash(site):
    lay(site, "fake-one", driver_source("same"), module="fake_shared")
    lay(site, "fake-two", None, module="fake_shared")
    host, reports = load()
    assert {report.state for report in reports.values()} == {PluginState.CLASH}
    assert ("container", "same") not in host.drivers


def test_one_plugin_that_offers_a_type_twice_is_a_clash(site):
    source = driver_source("twin", "class Other(Driver): pass").replace("[Driver]", "[Driver, Other]")
    lay(site, "fake-one", source)
    _, reports = load()
    assert reports["fake-one"].state is PluginState.CLASH
    assert "(Driver)" in reports["fake-one"].reason
    assert "(Other)" in reports["fake-one"].reason


def test_one_name_in_two_distributions_is_no_clash_when_types_differ(site):
    lay(site, "fake-one", driver_source("one"), name="x")
    lay(site, "fake-two", driver_source("two"), name="x")
    host, reports = load()
    assert {report.state for report in reports.values()} == {PluginState.OK}
    assert {("container", "one"), ("container", "two")} <= set(host.drivers)


def test_a_type_with_a_driver_is_not_refused_for_a_broken_namesake(site):
    lay(site, "fake-one", driver_source("x"), name="x")
    lay(site, "fake-two", "raise OSError", name="x")
    host, reports = load()
    assert reports["fake-two"].state is PluginState.REFUSED
    assert ("container", "x") in host.drivers
    assert "x" not in host.refused_types


def test_a_distribution_that_is_on_the_path_twice_is_one(site, tmp_path, monkeypatch):
    older = tmp_path / "older"
    older.mkdir()
    lay(older, "Fake_Good", driver_source("good"), module="fake_good", version="0.9")
    lay(site, "fake-good", driver_source("good"), version="1.1")
    monkeypatch.syspath_prepend(str(older))
    monkeypatch.syspath_prepend(str(site))
    host, _ = load()
    [report] = [report for report in host.reports if report.distribution == "fake-good"]
    assert (report.state, report.version) == (PluginState.OK, "1.1")


@pytest.mark.parametrize("disabled", ["one", "fake-one", "other, one", " fake-one,"])
def test_plugins_are_disabled_by_name(site, disabled):
    lay(site, "fake-one", "raise AssertionError('imported')", name="one")
    host, reports = load(VMSVC_DISABLE_PLUGINS=disabled)
    assert reports["fake-one"].state is PluginState.REFUSED
    assert reports["fake-one"].reason == "disabled by VMSVC_DISABLE_PLUGINS"
    assert "disabled by VMSVC_DISABLE_PLUGINS" in host.refused_types["one"]


def test_disabling_one_side_settles_a_clash(site):
    lay(site, "fake-one", driver_source("same"))
    lay(site, "fake-two", driver_source("same"))
    host, reports = load(VMSVC_DISABLE_PLUGINS="fake-two")
    assert reports["fake-one"].state is PluginState.OK
    assert ("container", "same") in host.drivers
    assert "same" not in host.refused_types


def test_unreadable_metadata_of_a_stranger_harms_nobody(site):
    lay(site, "fake-good", driver_source("good"))
    (lay(site, "fake-stranger", "", group="other") / "entry_points.txt").write_bytes(b"\xff\xfe[vmsvc\n\x00==")
    (lay(site, "fake-nameless", driver_source("x")) / "METADATA").write_text("")
    _, reports = load()
    assert reports["fake-good"].state is PluginState.OK


def test_what_plugins_print_does_not_reach_stdout(site):
    loud = "import os, sys\nprint('at import')\n" + driver_source("loud").replace(
        "    return [Driver]", "    print('in the hook')\n    return [Driver]"
    )
    lay(site, "fake-loud", loud)
    script = (
        "from vmsvc import hookspecs; from vmsvc.core.plugins import load_plugins; "
        "print(('container', 'loud') in load_plugins(hookspecs).drivers)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout == "True\n"
    assert "at import" in ran.stderr
    assert "in the hook" in ran.stderr


def test_broadcasts_reach_every_plugin_in_use(site):
    veto = """
    @hookimpl
    def vmsvc_before_step(step, service): raise RuntimeError(f"no {step} for {service}")
    """
    lay(site, "fake-veto", driver_source("veto", veto))
    host, _ = load()
    with pytest.raises(RuntimeError, match="no step for service"):
        host.hook.vmsvc_before_step(step="step", service="service")


def test_a_plugin_may_only_listen(site):
    lay(
        site, "fake-listener", "from vmsvc.driver import hookimpl\n@hookimpl\ndef vmsvc_after_step(error): return error"
    )
    host, reports = load()
    assert reports["fake-listener"].state is PluginState.OK
    assert host.hook.vmsvc_after_step(step=None, service=None, error="why") == ["why"]


# --- plugins that say which types they are for -----------------------------------------------------------------------


def imported(dist: str) -> bool:
    return "fake_" + dist.replace("-", "_") in sys.modules


def test_a_plugin_that_is_for_one_type_is_loaded_when_that_is_asked_for(site):
    lay(site, "fake-one", driver_source("one"), serves=("one",))
    lay(site, "fake-two", driver_source("two"), serves=("two",))
    lay(site, "fake-silent", driver_source("silent"))
    host = load_plugins(hookspecs, environment={})
    assert [imported(name) for name in ("fake-one", "fake-two", "fake-silent")] == [False, False, True]
    assert host.drivers["container", "one"].type == "one"
    assert ("ip", "one") not in host.drivers
    assert [imported(name) for name in ("fake-one", "fake-two")] == [True, False]


@pytest.mark.parametrize("ask", [lambda host: list(host.drivers), lambda host: host.reports])
def test_who_asks_for_everything_is_told_of_every_plugin(site, ask):
    lay(site, "fake-one", driver_source("one"), serves=("one",))
    lay(site, "fake-two", "raise OSError", serves=("two",))
    host = load_plugins(hookspecs, environment={})
    ask(host)
    assert ("container", "one") in set(host.drivers)
    states = {report.distribution: report.state.value for report in host.reports}
    assert (states["fake-one"], states["fake-two"]) == ("ok", "refused")
    assert "fake-two 1.0 was refused" in host.refused_types["two"]


def test_one_plugin_may_be_for_several_types(site):
    both = driver_source("one", "class Other(Driver):\n    type = 'two'\n").replace("[Driver]", "[Driver, Other]")
    lay(site, "fake-both", both, serves=("one", "two"))
    host = load_plugins(hookspecs, environment={})
    assert host.drivers["container", "two"].__name__ == "Other"
    assert host.drivers["container", "one"].__name__ == "Driver"


@pytest.mark.parametrize("says", [(("same",), ("same",)), (("same",), ()), ((), ("same",))])
def test_a_type_that_two_claim_goes_to_neither_whichever_says_what_it_is_for(site, says):
    lay(site, "fake-one", driver_source("same"), serves=says[0])
    lay(site, "fake-two", driver_source("same"), serves=says[1])
    host, _ = load()
    assert ("container", "same") not in load_plugins(hookspecs, environment={}).drivers
    assert {report.state for report in host.reports if report.distribution.startswith("fake-")} == {PluginState.CLASH}


@pytest.mark.parametrize("first", ["its type", "everything", "the hook"])
def test_a_veto_of_a_plugin_that_says_it_only_serves_a_type_is_never_in_use_and_that_is_told(site, first):
    """Whether it counts must not depend on what was asked for before."""
    veto = """
    @hookimpl
    def vmsvc_before_step(step, service): raise AssertionError("called")
    """
    lay(site, "fake-veto", driver_source("veto", veto), name="x", serves=("veto",))
    host = load_plugins(hookspecs, environment={})
    if first == "its type":
        assert ("container", "veto") not in host.drivers
    elif first == "everything":
        assert host.reports
    assert host.hook.vmsvc_before_step(step=None, service=None) == []
    [report] = [each for each in host.reports if each.distribution == "fake-veto"]
    assert report.reason == (
        "its metadata say that it does nothing but serve types, and it has vmsvc_before_step: "
        "leave vmsvc.container out of its entry points, and it is loaded at once"
    )
    assert report.reason in host.refused_types["veto"]


def test_a_plugin_that_serves_another_type_than_it_says_is_refused(site):
    lay(site, "fake-other", driver_source("other"), serves=("one", "two"))
    host, reports = load()
    assert reports["fake-other"].reason.startswith(
        "its metadata say that it serves container one, container two, and it serves container other: "
    )
    assert set(host.drivers).isdisjoint({("container", "one"), ("container", "two"), ("container", "other")})
    assert {"one", "two"} <= set(host.refused_types)


def test_a_disabled_plugin_that_says_what_it_is_for_is_told_by_that_type(site):
    lay(site, "fake-one", "raise AssertionError('imported')", name="x", serves=("one",))
    host, _ = load(VMSVC_DISABLE_PLUGINS="fake-one")
    assert "disabled by VMSVC_DISABLE_PLUGINS" in host.refused_types["one"]


def test_the_group_of_kits_and_other_modules_say_nothing_of_what_a_plugin_is_for(site):
    info = lay(site, "fake-one", driver_source("one"))
    (info / "entry_points.txt").write_text(
        "[vmsvc]\none = fake_fake_one\n[vmsvc.kit]\none = fake_kit:Kit\n[vmsvc.container]\nkvm = another\n"
    )
    _, reports = load()
    assert (reports["fake-one"].state, imported("fake-one")) == (PluginState.OK, True)
