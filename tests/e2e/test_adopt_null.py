"""`vmsvc adopt` as a process, on the simulated hypervisor."""

from __future__ import annotations

import pytest

pytest.importorskip("vmsvc_null")

from tests.e2e.node import Node

# The state of the simulated hypervisor itself; adopting must not touch it.
STATE = "var/lib/vmsvc-null/hypervisor.json"


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path / "root")
    # No warning about a plugin that is put aside; kvm's guests are the lab's affair.
    made.environment["VMSVC_DISABLE_PLUGINS"] = ""
    made.add("claimed", "name = mail")
    for name, phase in (("web01", "running"), ("db 2", "paused"), ("mail", "running")):
        made.hypervisor.set(name, phase=phase)
    made.hypervisor.set("erp", phase="stopped", autostart=True, disks=["/dev/mapper/erp"])
    return made


def adopt(node, *words):
    """With a key that the null driver alone has, so that no other one is asked."""
    return node.run("adopt", "--set", "container#1.vcpus=2", *words)


def files(node):
    return {path.name: path.read_text() for path in node.services_dir.iterdir()}


def test_an_estate_is_adopted_once_and_nothing_but_files_has_changed(node):
    state = (node.root / STATE).read_text()
    done = adopt(node)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{node.services_dir}/db-2.conf: made for the null guest db 2 (paused)",
        f"{node.services_dir}/erp.conf: made for the null guest erp (stopped); orchestrate = start",
        f"{node.services_dir}/web01.conf: made for the null guest web01 (running)",
    ]
    warning, note, claimed = done.stderr.splitlines()
    assert warning == "vmsvc: warning: erp: the hypervisor starts it with the node"
    assert note.startswith("vmsvc: note: this version starts no services on boot: leave the hypervisor's autostart on")
    assert claimed == "vmsvc: 1 guest has a service already"
    assert sorted(files(node)) == ["claimed.conf", "db-2.conf", "erp.conf", "web01.conf"]
    validated = node.run("validate")
    assert (validated.returncode, validated.stdout.count("ok"), validated.stderr) == (0, 4, "")
    before = files(node)
    again = adopt(node)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "vmsvc: 4 guests have a service already\n"
    assert files(node) == before
    assert (node.root / STATE).read_text() == state
    assert node.hypervisor.log() == ()
    status = node.run("status")
    assert [line.split()[:2] for line in status.stdout.splitlines() if not line.startswith(" ")][1:] == [
        ["claimed", "up"],
        ["db-2", "warn"],
        ["erp", "down"],
        ["web01", "up"],
    ]


def test_a_dry_run_shows_the_files_and_writes_nothing(node):
    done = adopt(node, "--dry-run", "erp")
    assert (done.returncode, sorted(files(node))) == (0, ["claimed.conf"])
    assert done.stdout == (
        f"{node.services_dir}/erp.conf: would be made for the null guest erp (stopped); orchestrate = start\n"
        "    # The null guest erp, as it was found on n1.\n"
        "    # Block devices that it is given: disk0 /dev/mapper/erp\n"
        "    [DEFAULT]\n"
        "    nodes = n1\n"
        "    orchestrate = start\n"
        "\n"
        "    [container#1]\n"
        "    type = null\n"
        "    name = erp\n"
        "    disks = /dev/mapper/erp\n"
        "    vcpus = 2\n"
        "\n"
        "    [vmdg]\n"
        "    scsireserv = false\n"
    )


def test_patterns_and_settings(node):
    done = adopt(node, "web*", "--set", "app=SHOP", "--set", "nodes=n1 n2")
    assert done.returncode == 0
    assert "app = SHOP" in files(node)["web01.conf"]
    assert "nodes = n1 n2" in files(node)["web01.conf"]
    missing = adopt(node, "wbe01")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no guest is named 'wbe01'" in missing.stderr


def test_a_hypervisor_that_does_not_tell_is_told_and_exits_with_4(node):
    node.hypervisor.set(None, fail=["observe"])
    done = adopt(node)
    assert (done.returncode, done.stdout) == (4, "")
    assert "nobody knows which null guests there are: the hypervisor refused the connection" in done.stderr
    assert sorted(files(node)) == ["claimed.conf"]


def test_json(node):
    code, shown = node.json("adopt", "--set", "container#1.vcpus=2", "--dry-run")
    assert (code, shown["schema"], shown["dry_run"]) == (0, "vmsvc.adoption/1", True)
    code, done = node.json("adopt", "--set", "container#1.vcpus=2")
    assert [(each["service"], each["written"]) for each in shown["proposals"]] == [
        ("db-2", False),
        ("erp", False),
        ("web01", False),
    ]
    assert all(each["written"] for each in done["proposals"])
    assert [(each["text"], each["file"]) for each in done["proposals"]] == [
        (each["text"], each["file"]) for each in shown["proposals"]
    ]
    assert done["claimed"] == [
        {"guest": "mail", "type": "null", "status": "up", "state": "running", "autostart": False, "service": "claimed"}
    ]


def test_a_directory_that_cannot_be_written_is_told_for_each_file(node):
    (node.services_dir / "claimed.conf").unlink()
    node.services_dir.rmdir()
    node.services_dir.parent.joinpath("services").symlink_to("/proc/nowhere")
    done = adopt(node)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("could not be") == 4


def test_a_plugin_that_is_put_aside_is_told(node):
    node.environment["VMSVC_DISABLE_PLUGINS"] = "kvm"
    done = adopt(node)
    assert done.returncode == 0
    assert "warning: the plugin kvm is not in use: it was not asked for guests" in done.stderr
