"""`vmsvc show --drift` and what `push` says, on a real libvirt and with what people do to guests by virsh."""

import pytest

from tests import documents
from tests.lab.test_services_on_kvm import Shell, ok

pytestmark = pytest.mark.timeout(240)

DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vdz' bus='virtio'/></disk>"
RICH = """<domain type='qemu'><name>rich</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><features><acpi/></features><cpu mode='host-model'/>
<devices><disk type='file'><source file='{image}'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
<serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' passwd='hunter2'/><video><model type='vga'/></video><input type='tablet' bus='usb'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"""


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "root")


@pytest.fixture
def virsh(private_libvirtd, shell):
    """A running guest with devices of many kinds, and its service `rich`, which keeps its definition."""
    image = private_libvirtd.directory / "image"
    with image.open("wb") as file:
        file.truncate(1 << 20)
    file = private_libvirtd.directory / "rich.xml"
    file.write_text(RICH.format(image=image))
    private_libvirtd.virsh("define", file)
    private_libvirtd.virsh("start", "rich")
    shell.file("rich", f"[DEFAULT]\nnodes = n1\n[container#1]\ntype = kvm\nuri = {private_libvirtd.uri}\n")
    ok(shell.run("push", "rich"))
    return private_libvirtd.virsh


def drift(shell, code):
    done = shell.run("show", "rich", "--drift", "--format", "json")
    assert done.returncode == code, done.stderr + done.stdout
    (guest,) = documents.checked(done.stdout)["guests"]
    return {each.pop("field"): each for each in guest["differences"]}


def test_nothing_that_libvirt_makes_up_is_drift(shell, virsh):
    done = shell.run("show", "rich", "--drift")
    assert ok(done) == "container#1 (kvm rich): no drift (live, persistent, kept)\n"
    virsh("destroy", "rich")
    assert ok(shell.run("show", "rich", "--drift")) == "container#1 (kvm rich): no drift (persistent, kept)\n"
    virsh("start", "rich")
    assert drift(shell, 0) == {}


def test_a_guest_that_a_start_has_defined_anew_is_the_same(shell, virsh):
    virsh("destroy", "rich")
    virsh("undefine", "rich")
    ok(shell.run("start", "rich"))
    assert drift(shell, 0) == {}
    ok(shell.run("stop", "rich", "--kill"))


def test_a_disk_that_only_the_running_guest_has(shell, virsh, private_libvirtd):
    added = private_libvirtd.directory / "added"
    with added.open("wb") as file:
        file.truncate(1 << 20)
    device = private_libvirtd.directory / "disk.xml"
    device.write_text(DISK.format(added))
    virsh("attach-device", "rich", device, "--live")
    (found,) = drift(shell, 1).items()
    assert (found[0], found[1]["persistent"], found[1]["kept"]) == ("devices/disk[vdz]", None, None)
    assert f"source/@file {added}" in found[1]["live"]
    virsh("attach-device", "rich", device, "--config")
    (found,) = drift(shell, 1).items()
    assert (found[1]["live"], found[1]["kept"]) == (found[1]["persistent"], None)


def test_memory_that_the_next_start_will_have_and_what_push_says(shell, virsh):
    virsh("setmaxmem", "rich", "131072", "--config")
    virsh("setmem", "rich", "98304", "--config")
    expected = {
        "memory": {"live": "65536 KiB", "persistent": "131072 KiB", "kept": "65536 KiB"},
        "currentMemory": {"live": "65536 KiB", "persistent": "98304 KiB", "kept": "65536 KiB"},
    }
    assert drift(shell, 1) == expected
    file = shell.root / "var/lib/vmsvc/definitions/rich/container#1"
    before = file.read_text()
    pushed = shell.run("push", "rich")
    ok(pushed)
    told = pushed.stdout + pushed.stderr
    assert "memory: 65536 KiB → 131072 KiB; currentMemory: 65536 KiB → 98304 KiB" in told
    assert [former.read_text() for former in (file.parent / "former").iterdir()] == [before]
    assert "131072" in file.read_text()
    assert {field: values["kept"] for field, values in drift(shell, 1).items()} == {
        "memory": "131072 KiB",
        "currentMemory": "98304 KiB",
    }
    again = shell.run("push", "rich")
    assert "kept definition" not in ok(again) + again.stderr


def test_a_password_that_has_changed_is_told_and_not_shown(shell, virsh, private_libvirtd):
    file = private_libvirtd.directory / "again.xml"
    file.write_text(virsh("dumpxml", "--inactive", "--security-info", "rich").replace("hunter2", "hunter3"))
    virsh("define", file)
    assert drift(shell, 1) == {
        "devices/graphics[vnc]/@passwd": {"live": "(secret)", "persistent": "(secret)", "kept": "(secret)"}
    }
    for words in (("show", "rich", "--drift"), ("push", "rich"), ("push", "rich", "--format", "json")):
        done = shell.run(*words)
        assert "hunter" not in done.stdout + done.stderr


def test_a_guest_that_is_gone_or_a_libvirtd_that_is_dead_is_no_drift(shell, virsh, private_libvirtd):
    virsh("destroy", "rich")
    virsh("undefine", "rich")
    gone = shell.run("show", "rich", "--drift")
    assert (gone.returncode, "has no guest named 'rich'" in gone.stderr) == (1, True)
    assert gone.stdout == "container#1 (kvm rich): could not be compared\n"
    private_libvirtd.kill()
    dead = shell.run("show", "rich", "--drift")
    assert (dead.returncode, dead.stdout) == (4, "container#1 (kvm rich): could not be compared\n")
