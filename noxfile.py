"""Every check of the project, each in an environment of its own: ``nox`` runs them, ``nox -l`` lists them.

The core is tested without any plugin and each plugin with the core alone, since that is how people install them.
"""

from __future__ import annotations

import json
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
PLUGINS = sorted(file.parent.as_posix() for file in Path().glob("plugins/*/pyproject.toml"))
EDITABLE_PLUGINS = [word for plugin in PLUGINS for word in ("-e", plugin)]
WHEELS = Path("dist/nox")

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["core", "plugin", "together", "lint", "typing", "docs", "wheels"]


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core without any plugin; tests that need one skip themselves."""
    session.install("-e", ".[test]")
    session.run("pytest", *(session.posargs or ["tests/unit", "tests/meta"]), env={"VMSVC_LAB": "skip"})


@nox.session
@nox.parametrize("path", PLUGINS, ids=[Path(plugin).name for plugin in PLUGINS])
def plugin(session: nox.Session, path: str) -> None:
    """One plugin with only the core."""
    session.install("-e", ".[test]", "-e", path)
    session.run("pytest", f"{path}/tests", *session.posargs, env={"VMSVC_LAB": "skip"})


@nox.session
def together(session: nox.Session) -> None:
    """The core and all plugins, without the lab."""
    session.install("-e", ".[test]", *EDITABLE_PLUGINS)
    session.run("pytest", "--ignore=tests/lab", *session.posargs)


@nox.session
def lab(session: nox.Session) -> None:
    """Against real hypervisors, which the tests start and end themselves; root is needed."""
    session.install("-e", ".[test]", *EDITABLE_PLUGINS)
    session.run("pytest", "tests/lab", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """How fast it is, beside what else does the same work; fails where a limit is not kept."""
    on_nodes = [plugin for plugin in PLUGINS if not plugin.endswith("-null")]  # no node simulates a hypervisor
    session.install(".[test]", *on_nodes)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=PYTHONS)
def soak(session: nox.Session) -> None:
    """Everything on every Python there is, then what takes long; before an issue is called resolved."""
    session.install("-e", ".[test]", *EDITABLE_PLUGINS)
    session.run("pytest", *session.posargs)
    session.run("pytest", "-m", "soak", *session.posargs, success_codes=[0, 5])  # 5: no test is marked so


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which room may import which."""
    session.install("-e", ".[test]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    if not Path(session.bin, "lint-imports").exists():
        session.skip("style is well; the import contracts need import-linter, which needs Python 3.11")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Strict types, of the plugins too."""
    session.install("-e", ".[test]", "nox", *EDITABLE_PLUGINS)
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a reference that leads nowhere is an error."""
    session.install("-e", ".[docs]", *EDITABLE_PLUGINS)
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """One wheel for each distribution."""
    session.install("build")
    WHEELS.mkdir(parents=True, exist_ok=True)
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    for source in [".", *PLUGINS]:
        session.run("python", "-m", "build", "--wheel", "--outdir", str(WHEELS), source)


@nox.session(requires=["build"])
def wheels(session: nox.Session) -> None:
    """The built wheels in a clean environment: the core alone has no driver; each plugin brings its own."""
    session.install(*map(str, WHEELS.glob("vmsvc-*.whl")))
    expected: set[str] = set()
    _expect_plugins(session, expected)
    for name in (Path(plugin).name for plugin in PLUGINS):
        session.install(*map(str, WHEELS.glob(f"{name.replace('-', '_')}-*.whl")))
        expected.add(name)
        _expect_plugins(session, expected)


def _expect_plugins(session: nox.Session, expected: set[str]) -> None:
    """Ask the installed command which plugins it uses; leave the checkout, so that nothing is found by accident."""
    with session.chdir(session.create_tmp()):
        answer = session.run("vmsvc", "drivers", "--format", "json", silent=True)
    found = {each["distribution"] for each in json.loads(str(answer))["plugins"] if each["state"] == "ok"}
    if found != expected:
        session.error(f"vmsvc drivers lists {sorted(found)}, expected {sorted(expected)}")
