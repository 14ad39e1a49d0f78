"""A driver for a technology that vmsvc does not know, in a package of its own: found, held to the contract, and gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import documents
from tests.support import succeeds

SOURCE = Path(__file__).with_name("vmsvc-bhyve")
KIT_S = 300


def drivers(page):
    told = json.loads(succeeds(page, "vmsvc drivers --format json"))["plugins"]
    return {plugin["distribution"]: plugin for plugin in told}


def test_it_is_short():
    assert len((SOURCE / "src/vmsvc_bhyve/__init__.py").read_text().splitlines()) < 120


@pytest.mark.timeout(2 * KIT_S)
def test_a_driver_from_its_own_wheel_is_found_and_keeps_the_contract_and_can_be_taken_away(page):
    shutil.copytree(SOURCE, page.directory / "source")
    succeeds(page, "python -m pip wheel -q ./source -w dist && rm -r source")
    before = drivers(page)
    succeeds(page, "python -m pip install -q dist/vmsvc_bhyve-1.0-py3-none-any.whl")
    plugin = drivers(page)["vmsvc-bhyve"]
    assert (plugin["version"], plugin["state"], plugin["drivers"][0]["api"]) == ("1.0", "ok", 1)
    assert str(page.directory.parent) in plugin["origin"]

    succeeds(page, "vmsvc create web --type bhyve")
    said, code = page.run("vmsvc status web")  # there is no `vm` on this machine
    assert (code, "unknown" in said) == (4, True)

    [kit] = documents.checked(succeeds(page, "vmsvc sdk test bhyve --format json 2>said"))["kits"]
    states = {clause["name"]: clause["state"] for clause in kit["clauses"]}
    assert {name for name, state in states.items() if state == "waived"} == {"dead", "restarted", "paused", "stopping"}
    assert set(states.values()) == {"kept", "waived", "not concerned"}

    succeeds(page, "python -m pip uninstall -q -y vmsvc-bhyve")
    assert drivers(page) == before
    said, code = page.run("vmsvc validate web")
    assert (code, "there is no container type `bhyve`" in said) == (2, True), said
