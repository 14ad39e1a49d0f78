"""The two doors, ``vmsvc`` and ``vmsvc.driver``: what they promise is there, is described, and is cheap to open."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import vmsvc
import vmsvc.driver

PLAIN_DATA = {"__version__", "API"}


def loaded_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_all_is_what_there_is():
    assert sorted(vmsvc.__all__) == vmsvc.__all__
    assert set(vmsvc.__all__) == {*vmsvc._HOME_OF, "__version__"}
    assert dir(vmsvc) == vmsvc.__all__
    # pytest gives names that begin with "@" to modules whose assertions it rewrites.
    own = {"annotations", "importlib", "TYPE_CHECKING", "Any"}
    public = {name for name in vars(vmsvc.driver) if not name.startswith(("_", "@"))} - own
    assert set(vmsvc.driver.__all__) == public | set(vmsvc.driver._HOME_OF)
    assert dir(vmsvc.driver) == sorted(vmsvc.driver.__all__)
    assert len(set(vmsvc.driver.__all__)) == len(vmsvc.driver.__all__)


@pytest.mark.parametrize("door", [vmsvc, vmsvc.driver])
def test_each_name_is_looked_up_where_it_is_defined(door):
    for name, home in door._HOME_OF.items():
        found = getattr(door, name)
        # A package is a door: what it shows may live in one of its own modules.
        assert name == "hookimpl" or f"{found.__module__}.".startswith(f"{home}.")
        assert getattr(importlib.import_module(home), name) is found


@pytest.mark.parametrize("door", [vmsvc, vmsvc.driver])
def test_a_name_that_is_not_there(door):
    with pytest.raises(AttributeError, match=f"module '{door.__name__}' has no attribute 'Sesion'"):
        door.Sesion  # noqa: B018


@pytest.mark.parametrize("door", [vmsvc, vmsvc.driver])
def test_everything_is_described(door):
    for name in door.__all__:
        found = getattr(door, name)
        if name in PLAIN_DATA or isinstance(found, vmsvc.driver.Value) or name == "hookimpl":
            continue
        assert inspect.getdoc(found), name
        if not inspect.isclass(found):
            continue
        for attribute, member in vars(found).items():
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def test_every_signature_of_a_public_method_is_in_its_docstring():
    for name in vmsvc.__all__:
        found = getattr(vmsvc, name)
        if not inspect.isclass(found):
            continue
        for attribute, method in vars(found).items():
            if attribute.startswith("_") or not inspect.isfunction(method):
                continue
            for parameter in list(inspect.signature(method).parameters)[1:]:
                assert f"{parameter}:" in (method.__doc__ or ""), f"{name}.{attribute}: {parameter}"


def test_importing_vmsvc_costs_nothing():
    loaded = loaded_by("import vmsvc")
    assert not loaded & {"attrs", "attr", "pluggy", "filelock", "rich", "sh", "sqlite3", "tomlkit", "vmsvc.session"}
    assert {name for name in loaded if name.startswith("vmsvc")} <= {"vmsvc"}


def test_a_session_loads_nothing_that_is_for_screens_or_editing():
    assert not loaded_by("from vmsvc import Session; Session()") & {"rich", "argcomplete", "sh", "fabric"}


def test_drivers_need_one_door():
    assert "vmsvc.session" not in loaded_by("import vmsvc.driver")
