"""`vmsvc adopt` on a real libvirtd whose guests somebody has made by hand, in all the states that they can be in."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from sybil import Document

from docs import examples
from tests import documents
from tests.lab.test_services_on_kvm import Shell, ok

pytestmark = pytest.mark.timeout(240)

# They never get beyond their firmware: nothing here needs a guest that works.
EMPTY = """<domain type='qemu'><name>{name}</name>{more}<memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><devices>{devices}</devices></domain>"""
BLOCK = "<disk type='block' device='disk'><source dev='/dev/mapper/erp'/><target dev='vdb' bus='virtio'/></disk>"

#: Ten guests: what each of them is made of, and what is then done to it. One is transient.
ESTATE = {
    "web01": ("", "", ["start"]),
    "web02": ("", "", ["start", "autostart"]),
    "mail": ("", "", ["start", "suspend"]),
    "files (old)": ("", "", ["start", "suspend"]),
    "erp": ("<title>the ERP's data base</title>", BLOCK, ["autostart"]),
    "büro": ("", "", []),
    "saved": ("", "", ["start", "managedsave"]),
    "saved2": ("", "", ["start", "managedsave"]),
    "fallen": ("", "", ["start", "kill"]),
    "passing": ("", "", ["create"]),
}
STATES = {
    "web01": ("up", "running (booted)"),
    "web02": ("up", "running (booted)"),
    "mail": ("warn", "paused (user)"),
    "files-old": ("warn", "paused (user)"),
    "erp": ("down", "shut off (unknown)"),
    "büro": ("down", "shut off (unknown)"),
    "saved": ("down", "shut off (saved)"),
    "saved2": ("down", "shut off (saved)"),
    "fallen": ("down", "shut off (crashed)"),
    "passing": ("up", "running (booted)"),
}


def make(libvirtd, name, more, devices, steps):
    file = libvirtd.directory / "estate.xml"
    file.write_text(EMPTY.format(name=name, more=more, devices=devices))
    libvirtd.virsh("create" if steps == ["create"] else "define", file)
    for step in steps:
        if step == "kill":
            os.kill(libvirtd.guest_pid(name), signal.SIGKILL)
            deadline = time.monotonic() + 20
            while libvirtd.virsh("domstate", name) != "shut off":
                assert time.monotonic() < deadline, f"libvirt never noticed the end of {name}"
                time.sleep(0.05)
        elif step != "create":
            libvirtd.virsh(step, name)


def facts(libvirtd, name):
    """Whatever could have changed of a guest: id, state, definitions, and the process that it runs in."""
    pid = libvirtd.guest_pid(name)
    # Field 22 of /proc/PID/stat is when the process began (proc(5)); its name, in brackets, may have blanks.
    began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19] if pid else None
    kept = libvirtd.directory / "lib/libvirt/qemu/save" / f"{name}.save"
    return {
        "domid": libvirtd.virsh("domid", name),
        "state": libvirtd.virsh("domstate", "--reason", name),
        "live": libvirtd.virsh("dumpxml", "--security-info", name),
        "persistent": libvirtd.virsh("dumpxml", "--security-info", "--inactive", name),
        "flags": [line for line in libvirtd.virsh("dominfo", name).splitlines() if not line.startswith("CPU time")],
        "process": (pid, began),
        "image": kept.stat().st_mtime_ns if kept.exists() else None,
    }


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


def test_ten_guests_in_five_states_become_services_and_notice_nothing(shell, private_libvirtd):
    for name, (more, devices, steps) in ESTATE.items():
        make(private_libvirtd, name, more, devices, steps)
    before = {name: facts(private_libvirtd, name) for name in ESTATE}
    assert len({each["state"] for each in before.values()}) == 5
    here = ("--set", f"container#1.uri={private_libvirtd.uri}")
    services = shell.root / "etc/vmsvc/services"

    shown = shell.run("adopt", "--dry-run", *here)
    assert (ok(shown).count("would be made"), list(services.iterdir())) == (10, [])
    adopted = shell.run("adopt", *here)
    assert ok(adopted).count(": made for the kvm guest ") == 10
    assert {path.stem for path in services.iterdir()} == set(STATES)
    validated = shell.run("validate")
    assert (ok(validated).count(": ok"), "warning" in validated.stdout + validated.stderr) == (10, False)
    assert {name: found[:2] for name, found in shell.statuses().items()} == STATES

    written = {path: path.read_bytes() for path in services.iterdir()}
    document = documents.checked(ok(shell.run("adopt", *here, "--format", "json")))
    assert (document["proposals"], {each["guest"] for each in document["claimed"]}) == ([], set(ESTATE))
    again = shell.run("adopt", *here)
    assert (ok(again), again.stderr) == ("", "vmsvc: 10 guests have a service already\n")
    assert {path: path.read_bytes() for path in services.iterdir()} == written
    assert {name: facts(private_libvirtd, name) for name in ESTATE} == before

    erp = (services / "erp.conf").read_text()
    assert "comment = the ERP's data base\n" in erp
    assert "# Block devices that it is given: vdb /dev/mapper/erp\n" in erp
    assert "[vmdg]\nscsireserv = false\n" in erp
    starting = {path.stem for path, text in written.items() if b"orchestrate = start\n" in text}
    assert starting == {"web02", "erp"}
    assert "web02: libvirt autostart is on for web02" in adopted.stderr
    assert "passing: passing is transient" in adopted.stderr

    # A guest that comes later, and a service under another name.
    make(private_libvirtd, "late", "", "", [])
    make(private_libvirtd, "claimed", "", "", [])
    shell.file(
        "other", f"[DEFAULT]\nnodes = n1\n[container#1]\ntype = kvm\nname = claimed\nuri = {private_libvirtd.uri}\n"
    )
    late = shell.run("adopt", *here)
    assert ok(late) == f"{services}/late.conf: made for the kvm guest late (shut off (unknown))\n"


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_a_libvirtd_that_does_not_answer_keeps_nobody_elses_guests_from_being_adopted(shell, private_libvirtd, trouble):
    null = pytest.importorskip("vmsvc_null").Hypervisor.of_node(shell.root)
    null.set("simulated", phase="running")
    getattr(private_libvirtd, trouble)()
    try:
        began = time.monotonic()
        done = shell.run("adopt", "--set", f"uri={private_libvirtd.uri}")
        assert time.monotonic() - began < 30
    finally:
        if trouble == "pause":
            private_libvirtd.resume()
    assert done.returncode == 4
    assert "nobody knows which kvm guests there are: " in done.stderr
    assert [path.name for path in (shell.root / "etc/vmsvc/services").iterdir()] == ["simulated.conf"]


def test_the_how_to(private_libvirtd):
    make(private_libvirtd, "mail 01", "", "", ["start"])
    make(private_libvirtd, "erp-db", "<title>the ERP's data base</title>", BLOCK, ["autostart"])
    page = examples.Page({"LIBVIRT_URI": private_libvirtd.uri})
    try:
        document = Document.parse(
            str(examples.TREE / "docs/how-to/adopt-an-estate.md"), partial(examples.blocks, lab=True)
        )
        document.namespace["page"] = page
        shown = list(document.examples())
        assert len(shown) == 4
        for example in shown:
            assert example.region.evaluator(example) is None
    finally:
        page.close()
