"""The distributions of this tree: one version, one shape, one entry-point group, and plugins that know only the door."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import tomli

TREE = Path(__file__).parents[2]
#: What is asked for only where it is there already: pytest runs the kit; the engine of stand-ins finds itself by its path.
BROUGHT_BY_OTHERS = {"pytest", "engine"}
PLUGINS = sorted(file.parent for file in TREE.glob("plugins/*/pyproject.toml"))
plugin_test = pytest.mark.parametrize("plugin", PLUGINS, ids=[plugin.name for plugin in PLUGINS])


def project(folder: Path) -> dict:
    return tomli.loads((folder / "pyproject.toml").read_text())["project"]


def module_of(plugin: Path) -> str:
    return plugin.name.replace("-", "_")


class _WithoutTypes(ast.NodeTransformer):
    """Leaves out what only type checkers see."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def imports(file: Path, *, running: bool = False) -> Iterator[str]:
    """Modules that a file imports, wherever in the file; those of type checkers left out where it is to run."""
    tree = ast.parse(file.read_text())
    for statement in ast.walk(_WithoutTypes().visit(tree) if running else tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            yield statement.module or ""
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def test_there_are_plugins():
    assert {"vmsvc-docker", "vmsvc-file", "vmsvc-kvm", "vmsvc-ldom", "vmsvc-lxc", "vmsvc-null"} <= {
        plugin.name for plugin in PLUGINS
    }


def test_the_code_knows_its_version():
    module = ast.parse((TREE / "src/vmsvc/__init__.py").read_text())
    versions = [
        ast.literal_eval(statement.value)
        for statement in module.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__version__"
    ]
    assert versions == [project(TREE)["version"]]


@plugin_test
def test_versions_are_equal(plugin):
    assert project(plugin)["version"] == project(TREE)["version"]


@plugin_test
def test_a_plugin_accepts_later_cores_of_the_same_generation(plugin):
    major, minor = project(TREE)["version"].split(".")[:2]
    [requirement] = [line for line in project(plugin)["dependencies"] if re.match(r"vmsvc\b(?!-)", line)]
    assert requirement == f"vmsvc>={major}.{minor},<{int(major) + 1}"


@plugin_test
def test_plugins_have_one_shape(plugin):
    module = module_of(plugin)
    facts = project(plugin)
    assert facts["name"] == plugin.name
    assert facts["license"] == project(TREE)["license"]
    assert facts["requires-python"] == project(TREE)["requires-python"]
    assert "vmsvc" in facts["keywords"]
    short = plugin.name.removeprefix("vmsvc-")
    points = dict(facts["entry-points"])
    kits = points.pop("vmsvc.kit", {short: f"{module}.kit:"})
    has_driver = (plugin / f"src/{module}/driver.py").is_file()
    # What is nothing but a driver says so, and is not loaded for guests of other types.
    assert points == {"vmsvc": {short: module}} | ({"vmsvc.container": {short: module}} if has_driver else {})
    assert [(name, value.partition(":")[0]) for name, value in kits.items()] == [(short, f"{module}.kit")]
    for file in ("README.md", f"src/{module}/__init__.py", f"src/{module}/py.typed"):
        assert (plugin / file).is_file(), file
    assert any((plugin / f"src/{module}/{offer}.py").is_file() for offer in ("driver", "publisher"))
    assert list(plugin.glob("tests/**/test_*.py"))
    assert [folder.name for folder in (plugin / "src").iterdir() if (folder / "__init__.py").exists()] == [module]


@plugin_test
def test_each_driver_says_what_it_has_been_run_against(plugin):
    """The README of the whole and the reference of drivers send their readers there."""
    if (plugin / "src" / module_of(plugin) / "driver.py").is_file() and plugin.name != "vmsvc-null":
        assert re.search(r"[Rr]un\s+against", (plugin / "README.md").read_text())


@plugin_test
def test_the_core_offers_each_plugin_as_an_extra(plugin):
    assert project(TREE)["optional-dependencies"][plugin.name.removeprefix("vmsvc-")] == [plugin.name]


def test_the_core_needs_no_plugin():
    assert not [line for line in project(TREE)["dependencies"] if line.startswith("vmsvc")]
    modules = {module_of(plugin) for plugin in PLUGINS}
    for file in TREE.glob("src/**/*.py"):
        assert not modules & {name.partition(".")[0] for name in imports(file)}, file


@pytest.mark.parametrize("folder", [TREE, *PLUGINS], ids=lambda folder: folder.name)
def test_whatever_is_imported_when_it_runs_is_a_dependency(folder):
    """What happens to be there in a developer's environment is missing on a node."""
    own = module_of(folder) if folder in PLUGINS else "vmsvc"
    declared = {re.split(r"[^\w.-]", line)[0].lower().replace("-", "_") for line in project(folder)["dependencies"]}
    provided = {
        module
        for module, distributions in packages_distributions().items()
        if {name.lower().replace("-", "_") for name in distributions} & declared
    }
    needed = {
        (name.partition(".")[0], file.relative_to(folder))
        for file in folder.glob(f"src/{own}/**/*.py")
        for name in imports(file, running=True)
    }
    allowed = {*sys.stdlib_module_names, own, "vmsvc", *provided, *BROUGHT_BY_OTHERS}
    assert not sorted((name, str(file)) for name, file in needed if name not in allowed)


@plugin_test
def test_a_plugin_imports_only_the_door_for_drivers_and_no_other_plugin(plugin):
    others = {module_of(other) for other in PLUGINS if other != plugin}
    files = list(plugin.glob("src/**/*.py"))
    assert files
    for file in files:
        for name in imports(file):
            assert name.partition(".")[0] not in others, f"{file} imports {name}"
            if name.partition(".")[0] == "vmsvc":
                doors = ("vmsvc.driver", "vmsvc.testing") if file.name == "kit.py" else ("vmsvc.driver",)
                assert f"{name}.".startswith(tuple(f"{door}." for door in doors)), f"{file} imports {name}"
