"""The libvirt driver on a real libvirtd and real (emulated) guests, in all the trouble that they can be in."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_kvm import KvmDriver, KvmGuest

from lab.guest import QEMU_NAMESPACE, Disk
from vmsvc.driver import Context, DriverError, Node, NoWayIn, Phase, Status, Undetermined

pytestmark = pytest.mark.timeout(180)

KEY = ("svc", "container#1")
RUNNING = Phase.RUNNING


@pytest.fixture
def driver(tmp_path):
    made = KvmDriver(Context(node=Node(name="n1", root=tmp_path), host=None, state_dir=tmp_path / "state"))
    yield made
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 1


def of(guest, **options):
    """A guest of the lab as a service file would describe it."""
    identity = {"service": "svc", "rid": "container#1", "kind": "container", "type": "kvm"}
    return KvmGuest(**identity, name=guest.name, uri=guest.libvirtd.uri, **options)


def timed(verb, *arguments, **options):
    began = time.monotonic()
    verb(*arguments, **options)
    return time.monotonic() - began


def down(seen):
    return seen.status is Status.DOWN


def redefine(guest, change):
    """Define a guest anew, with something changed in its XML."""
    root = ET.fromstring(guest.libvirtd.virsh("dumpxml", "--inactive", guest.uuid))
    change(root)
    file = guest.libvirtd.directory / "redefined.xml"
    file.write_text(ET.tostring(root, encoding="unicode"))
    guest.libvirtd.virsh("define", file)


def ask_until_down(driver, service):
    """Stop a guest as the core does: a guest that still boots may miss a request."""
    deadline = time.monotonic() + 60
    while True:
        driver.stop(service, budget_s=10)
        seen = driver.wait(service, down, budget_s=5)
        if down(seen) or time.monotonic() > deadline:
            return seen


def wait_for_agent(guest):
    """The agent comes up a little after the guest is ready."""
    deadline = time.monotonic() + 30
    ping = ("qemu-agent-command", guest.uuid, '{"execute": "guest-ping"}')
    while "return" not in guest.libvirtd.virsh(*ping, check=False):
        assert time.monotonic() < deadline, "the guest's agent never answered"
        time.sleep(0.1)


# --- a life ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["acpi", "agent", "both"])
def test_start_and_graceful_stop(driver, make_guest, way):
    guest = make_guest(f"life-{way}")
    service = of(guest, shutdown=way)
    assert driver.observe(service, budget_s=5).phase is Phase.STOPPED

    assert driver.start(service, budget_s=30) is True
    assert driver.start(service, budget_s=30) is False
    seen = driver.wait(service, lambda seen: seen.status is Status.UP, budget_s=30)
    assert (seen.phase, seen.state) == (RUNNING, "running (booted)")
    sizes = driver.sizes(service, budget_s=5)
    assert (sizes.vcpus, sizes.memory_mib) == (1, 128)
    guest.wait_ready()
    wait_for_agent(guest)

    assert timed(driver.stop, service, budget_s=10) < 10
    assert ask_until_down(driver, service).state == "shut off (shutdown)"
    driver.stop(service, budget_s=5)
    driver.kill(service, budget_s=5)
    assert driver.observe(service, budget_s=5).state == "shut off (shutdown)"


def test_a_guest_that_ignores_acpi_is_stopped_by_force(driver, make_guest):
    guest = make_guest("deaf", hang=True)
    service = of(guest, shutdown="acpi")
    driver.start(service, budget_s=30)
    guest.wait_ready()
    assert timed(driver.stop, service, budget_s=5) < 3
    began = time.monotonic()
    assert driver.wait(service, down, budget_s=1.5).phase is RUNNING
    assert 1.4 < time.monotonic() - began < 2.5

    assert timed(driver.kill, service, budget_s=30) < 15
    assert driver.observe(service, budget_s=5).state == "shut off (destroyed)"


def test_an_agent_that_does_not_act_is_asked_once_and_holds_up_nothing(driver, make_guest):
    guest = make_guest("deaf-agent", hang=True)
    only, both = of(guest, shutdown="agent"), of(guest, shutdown="both")
    driver.start(only, budget_s=30)
    guest.wait_ready()
    wait_for_agent(guest)
    began = time.monotonic()
    driver.stop(only, budget_s=2)
    assert 1.5 < time.monotonic() - began < 3
    assert timed(driver.stop, only, budget_s=2) < 1  # the first request still stands
    assert timed(driver.stop, both, budget_s=5) < 2  # so the power button is pressed
    deadline = time.monotonic() + 20
    while (heard := guest.console.read_text().count("GUEST IGNORES SHUTDOWN")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert heard == 2
    assert driver.observe(only, budget_s=5).phase is RUNNING

    assert timed(driver.kill, only, budget_s=30) < 15
    assert driver.observe(only, budget_s=5).phase is Phase.STOPPED


@pytest.mark.keyword("container.kvm.shutdown")
def test_without_an_agent(driver, make_guest):
    guest = make_guest("no-agent", agent=False)
    driver.start(of(guest), budget_s=30)
    guest.wait_ready()
    with pytest.raises(DriverError, match="agent of no-agent") as refused:
        driver.stop(of(guest, shutdown="agent"), budget_s=10)
    assert "qemu-guest-agent" in refused.value.hint
    with pytest.raises(NoWayIn, match="no channel"):
        driver.enter(of(guest), ["true"], budget_s=10)
    assert ask_until_down(driver, of(guest, shutdown="both")).state == "shut off (shutdown)"


def test_two_starts_at_once_are_one_start(driver, make_guest, tmp_path):
    service = of(make_guest("raced"))
    other = KvmDriver(Context(node=Node(name="n1", root=tmp_path), host=None, state_dir=tmp_path / "state"))
    errors, ours = [], []

    def start(one):
        try:
            ours.append(one.start(service, budget_s=30))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(one,)) for one in (driver, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert errors == []
    assert sorted(ours) == [False, True]
    assert driver.observe(service, budget_s=5).phase is RUNNING


# --- states that are neither up nor down --------------------------------------------------------------------------------


def test_paused_by_somebody(driver, make_guest):
    guest = make_guest("paused")
    service = of(guest)
    driver.start(service, budget_s=30)
    guest.libvirtd.virsh("suspend", guest.uuid)
    seen = driver.observe(service, budget_s=5)
    assert (seen.phase, seen.status, seen.state) == (Phase.PAUSED, Status.WARN, "paused (user)")
    with pytest.raises(DriverError, match="paused"):
        driver.stop(service, budget_s=5)
    driver.kill(service, budget_s=30)
    assert driver.observe(service, budget_s=5).phase is Phase.STOPPED


def test_paused_by_an_io_error(driver, make_guest):
    guest = make_guest("io-error")
    service = of(guest)

    def add_bad_disk(root):
        """A disk whose every read fails; libvirt has no words for such a thing, qemu has."""
        bad = {"driver": "null-co", "size": 1 << 20, "read-zeroes": True}
        errors = [{"event": "none", "errno": 5}]
        node = {"driver": "blkdebug", "node-name": "bad", "image": bad, "inject-error": errors}
        command = ET.SubElement(root, f"{{{QEMU_NAMESPACE}}}commandline")
        device = "virtio-blk-pci,drive=bad,rerror=stop,werror=stop,addr=0x1d"
        for value in ("-blockdev", json.dumps(node), "-device", device):
            ET.SubElement(command, f"{{{QEMU_NAMESPACE}}}arg", value=value)

    redefine(guest, add_bad_disk)
    driver.start(service, budget_s=30)
    seen = driver.wait(service, lambda seen: seen.phase is not RUNNING, budget_s=60)
    assert (seen.phase, seen.status, seen.state) == (Phase.PAUSED, Status.WARN, "paused (I/O error)")
    with pytest.raises(DriverError, match="I/O error"):
        driver.stop(service, budget_s=5)
    driver.kill(service, budget_s=30)
    assert driver.observe(service, budget_s=5).phase is Phase.STOPPED


def test_a_stopped_qemu_is_stuck_and_holds_up_no_other_guest(driver, make_guest):
    guest, other = make_guest("stuck", disks=[]), make_guest("stuck-not")
    service, neighbour = of(guest), evolve(of(other), service="other")
    driver.start(service, budget_s=30)
    pid = guest.pid
    os.kill(pid, signal.SIGSTOP)

    seen = driver.observe_all([service, neighbour], budget_s=5)
    stuck = seen[KEY]
    assert (stuck.phase, stuck.status) == (Phase.STUCK, Status.WARN)
    assert stuck.state == f"running, but its qemu process (pid {pid}) is stopped (SIGSTOP)"
    assert seen["other", "container#1"].phase is Phase.STOPPED
    with pytest.raises(DriverError, match="SIGSTOP"):
        driver.stop(service, budget_s=5)

    killing = threading.Thread(target=driver.kill, args=(service,), kwargs={"budget_s": 30})
    killing.start()
    began = time.monotonic()
    driver.start(neighbour, budget_s=10)
    seen = driver.observe_all([service, neighbour], budget_s=2.5)
    driver.kill(neighbour, budget_s=10)
    assert time.monotonic() - began < 8
    # libvirt gives a qemu ten seconds to end by itself, and holds its lock meanwhile: no survey comes back.
    assert killing.is_alive()
    assert seen["other", "container#1"].phase is RUNNING
    assert seen[KEY].phase is Phase.UNKNOWN
    killing.join(30)
    assert driver.observe(service, budget_s=5).state == "shut off (destroyed)"


def test_destroyed_while_somebody_waits(driver, make_guest):
    guest = make_guest("destroyed")
    service = of(guest)
    driver.start(service, budget_s=30)
    asked = threading.Event()

    def is_down(seen):
        asked.set()
        return down(seen)

    threading.Thread(target=lambda: asked.wait(10) and os.kill(guest.pid, signal.SIGKILL)).start()
    began = time.monotonic()
    seen = driver.wait(service, is_down, budget_s=30)
    assert time.monotonic() - began < 4  # by an event: the fallback is slower
    assert seen.state in ("shut off (crashed)", "shut off (destroyed)", "shut off (unknown)")


def test_a_managed_save_is_down_and_the_next_start_resumes_it(driver, make_guest):
    guest = make_guest("saved")
    service = of(guest)
    driver.start(service, budget_s=30)
    guest.libvirtd.virsh("managedsave", guest.uuid)
    seen = driver.observe(service, budget_s=5)
    assert (seen.phase, seen.status, seen.state) == (Phase.SAVED, Status.DOWN, "shut off (saved)")
    driver.start(service, budget_s=30)
    assert driver.observe(service, budget_s=5).state == "running (restored)"


# --- names, definitions, disks ------------------------------------------------------------------------------------------


def test_names_match_exactly(driver, make_guest):
    names = ["vm", "vm1", "vm10", "vm 1", "VM1", "odd & <ünd> 'q' \"%s\" $(x)", "-x".lstrip("-") + ";y"]
    guests = {name: make_guest(name) for name in names}
    odd = of(guests[names[5]])
    driver.start(odd, budget_s=30)
    services = [evolve(of(guest), service=name) for name, guest in guests.items()]
    services += [evolve(services[0], service="none", name="v"), evolve(services[0], service="none2", name="vm1 ")]
    seen = driver.observe_all(services, budget_s=5)
    assert {service: one.phase for (service, _rid), one in seen.items()} == {
        **dict.fromkeys(names, Phase.STOPPED),
        names[5]: RUNNING,
        "none": Phase.ABSENT,
        "none2": Phase.ABSENT,
    }
    driver.kill(odd, budget_s=30)
    assert driver.observe(odd, budget_s=5).phase is Phase.STOPPED


def test_a_guest_lives_on_in_the_services_store(driver, make_guest, tmp_path):
    guest = make_guest("moved")
    service = of(guest)
    xml = driver.definition(service, budget_s=5)
    guest.libvirtd.virsh("undefine", guest.uuid)
    seen = driver.observe(service, budget_s=5)
    assert (seen.phase, seen.status, seen.state) == (Phase.ABSENT, Status.DOWN, "absent")
    with pytest.raises(DriverError, match="keeps no definition"):
        driver.start(service, budget_s=5)

    stored = tmp_path / "var/lib/vmsvc/definitions/svc/container#1"
    stored.parent.mkdir(parents=True)
    stored.write_text(xml)
    driver.start(service, budget_s=30)
    assert driver.observe(service, budget_s=5).phase is RUNNING
    assert guest.libvirtd.virsh("domuuid", "moved") == guest.uuid


def test_a_transient_guest_is_absent_once_it_is_stopped(driver, make_guest):
    guest = make_guest("transient")
    service = of(guest)
    driver.start(service, budget_s=30)
    guest.libvirtd.virsh("undefine", guest.uuid)
    assert all(disk.live for disk in driver.disks(service, budget_s=5))
    driver.kill(service, budget_s=30)
    assert driver.observe(service, budget_s=5).phase is Phase.ABSENT


def test_a_start_that_libvirt_refuses_says_why(driver, make_guest, tmp_path):
    guest = make_guest("diskless", disks=[tmp_path / "missing.img"])
    with pytest.raises(DriverError, match=r"missing\.img"):
        driver.start(of(guest), budget_s=30)
    assert driver.observe(of(guest), budget_s=5).phase is Phase.STOPPED


def test_autostart_is_a_warning(driver, make_guest):
    guest = make_guest("auto")
    guest.libvirtd.virsh("autostart", guest.uuid)
    (warning,) = driver.observe(of(guest), budget_s=5).warnings
    assert "libvirt autostart is on for auto" in warning


def test_disks_live_and_persistent_with_serials_and_sizes(driver, make_guest, tmp_path):
    first, hot, later = (tmp_path / f"{name}.img" for name in ("first", "hot", "later"))
    for file, size in ((first, 3 << 20), (hot, 2 << 20), (later, 1 << 20)):
        with file.open("wb") as image:
            image.truncate(size)
    guest = make_guest("disks", disks=[Disk(first, shareable=True)])
    service = of(guest)

    def with_serial(root):
        ET.SubElement(root.find("devices/disk"), "serial").text = "S-1"
        cdrom = ET.SubElement(root.find("devices"), "disk", type="file", device="cdrom")
        ET.SubElement(cdrom, "target", dev="hda", bus="ide")
        ET.SubElement(cdrom, "readonly")

    redefine(guest, with_serial)
    by_target = {disk.target: disk for disk in driver.disks(service, budget_s=10)}
    assert by_target["vda"].source == str(first)
    assert (by_target["vda"].serial, by_target["vda"].bus, by_target["vda"].shareable) == ("S-1", "virtio", True)
    assert (by_target["vda"].live, by_target["vda"].persistent, by_target["vda"].size_bytes) == (False, True, 3 << 20)
    assert (by_target["hda"].source, by_target["hda"].readonly, by_target["hda"].size_bytes) == ("", True, None)

    driver.start(service, budget_s=30)
    guest.libvirtd.virsh("attach-disk", guest.uuid, hot, "vdb", "--live", "--serial", "HOT")
    guest.libvirtd.virsh("attach-disk", guest.uuid, later, "vdc", "--config")
    found = [(d.target, d.live, d.persistent, d.size_bytes) for d in driver.disks(service, budget_s=10)]
    assert sorted(found) == [
        ("hda", True, True, None),
        ("vda", True, True, 3 << 20),
        ("vdb", True, False, 2 << 20),
        ("vdc", False, True, None),
    ]

    os.kill(guest.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        stuck = driver.disks(service, budget_s=3)
        assert time.monotonic() - began < 3
        assert [(d.target, d.size_bytes) for d in stuck if d.source and d.live] == [("vda", None), ("vdb", None)]
    finally:
        os.kill(guest.pid, signal.SIGCONT)


def test_a_saved_guest_has_the_disks_that_it_was_saved_with(driver, make_guest, tmp_path):
    old, new = (tmp_path / f"{name}.img" for name in ("old", "new"))
    for file in (old, new):
        with file.open("wb") as image:
            image.truncate(1 << 20)
    guest = make_guest("saved-disks", disks=[Disk(old)])
    service = of(guest)
    driver.start(service, budget_s=30)
    guest.libvirtd.virsh("managedsave", guest.uuid)
    redefine(guest, lambda root: root.find("devices/disk/source").set("file", str(new)))
    # A start would restore the old one; should the image be removed, it would take the new one.
    found = [(disk.source, disk.live, disk.persistent) for disk in driver.disks(service, budget_s=10)]
    assert sorted(found) == sorted([(str(old), False, True), (str(new), False, True)])
    (discovered,) = [each for each in driver.discover(service, budget_s=10) if each.name == guest.name]
    assert {disk.source for disk in discovered.disks} == {str(old), str(new)}
    guest.libvirtd.virsh("managedsave-remove", guest.uuid)
    assert [disk.source for disk in driver.disks(service, budget_s=10)] == [str(new)]


def test_files_for_peers(driver, make_guest, tmp_path):
    guest = make_guest("firmware")
    code, variables = tmp_path / "CODE.fd", tmp_path / "firmware_VARS.fd"
    code.write_bytes(bytes(1 << 20))

    def with_firmware(root):
        loader = ET.SubElement(root.find("os"), "loader", readonly="yes", type="pflash")
        loader.text = str(code)
        ET.SubElement(root.find("os"), "nvram").text = str(variables)

    redefine(guest, with_firmware)
    assert driver.config_files(of(guest), budget_s=5) == [code]
    variables.write_bytes(bytes(1 << 10))
    assert driver.config_files(of(guest), budget_s=5) == [variables, code]


# --- a libvirtd in trouble ----------------------------------------------------------------------------------------------


def test_a_killed_libvirtd_is_unknown_and_a_restarted_one_is_found_again(driver, make_guest, private_libvirtd):
    guest = make_guest("survivor", on=private_libvirtd)
    service = of(guest)
    driver.start(service, budget_s=30)
    pid = guest.pid
    private_libvirtd.kill()

    seen = driver.observe(service, budget_s=5)
    assert (seen.phase, seen.status) == (Phase.UNKNOWN, Status.UNKNOWN)
    assert "libvirt error 38" in seen.evidence.detail
    for verb in (driver.start, driver.stop, driver.kill):
        with pytest.raises(Undetermined):
            verb(service, budget_s=5)
    assert driver.wait(service, down, budget_s=1.5).phase is Phase.UNKNOWN

    restart = threading.Timer(1.0, private_libvirtd.start)
    restart.start()
    seen = driver.wait(service, lambda seen: seen.status is Status.UP, budget_s=30)
    restart.join()
    assert (seen.phase, private_libvirtd.guest_pid("survivor")) == (RUNNING, pid)
    assert driver.observe(service, budget_s=5).phase is RUNNING

    private_libvirtd.stop()
    private_libvirtd.start()
    assert driver.observe(service, budget_s=10).phase is RUNNING  # over a connection that has died unseen
    driver.kill(service, budget_s=30)


def test_a_hung_libvirtd_holds_up_no_other(driver, make_guest, private_libvirtd):
    hung, well = make_guest("hung", on=private_libvirtd), make_guest("well")
    services = [evolve(of(hung), service="hung"), evolve(of(well), service="well")]
    driver.start(services[1], budget_s=30)
    driver.observe_all(services, budget_s=5)
    private_libvirtd.pause()
    try:
        threads = threading.active_count()
        for _ in range(4):
            began = time.monotonic()
            seen = driver.observe_all(services, budget_s=1)
            assert time.monotonic() - began < 1.5
            assert seen["well", "container#1"].phase is RUNNING
            assert seen["hung", "container#1"].status is Status.UNKNOWN
            assert "not answer" in seen["hung", "container#1"].evidence.detail
        assert threading.active_count() <= threads + 4
        for verb in (driver.start, driver.stop, driver.kill, driver.disks, driver.definition, driver.sizes):
            with pytest.raises(Undetermined):
                verb(services[0], budget_s=0.3)
        began = time.monotonic()
        assert driver.wait(services[0], down, budget_s=1.5).status is Status.UNKNOWN
        assert time.monotonic() - began < 2
    finally:
        private_libvirtd.resume()

    deadline = time.monotonic() + 10
    while driver.observe(services[0], budget_s=2).status is Status.UNKNOWN and time.monotonic() < deadline:
        time.sleep(0.1)
    # What was asked of it before, and given up, it does not do now: the guest might run elsewhere meanwhile.
    time.sleep(1)
    assert driver.observe(services[0], budget_s=2).phase is Phase.STOPPED


def test_keepalives_free_the_threads_that_a_hung_libvirtd_holds(driver, make_guest, private_libvirtd, monkeypatch):
    monkeypatch.setattr("vmsvc_kvm.client.KEEPALIVE_INTERVAL_S", 1)
    monkeypatch.setattr("vmsvc_kvm.client.KEEPALIVE_COUNT", 1)
    service = of(make_guest("kept", on=private_libvirtd))
    lane = f"vmsvc lane libvirt {private_libvirtd.uri}, status"
    assert driver.observe(service, budget_s=5).phase is Phase.STOPPED
    private_libvirtd.pause()
    try:
        assert driver.observe(service, budget_s=0.5).phase is Phase.UNKNOWN
        assert lane in {thread.name for thread in threading.enumerate()}
        deadline = time.monotonic() + 10
        while lane in {thread.name for thread in threading.enumerate()} and time.monotonic() < deadline:
            time.sleep(0.1)
        assert lane not in {thread.name for thread in threading.enumerate()}
    finally:
        private_libvirtd.resume()


SCRIPT = textwrap.dedent("""\
    import sys, threading, time
    from pathlib import Path
    from vmsvc.driver import Context, Node
    from vmsvc_kvm import KvmDriver, KvmGuest

    uri, when = sys.argv[1:]
    driver = KvmDriver(Context(node=Node(name="n", root=Path("/nonexistent")), host=None, state_dir=Path("/nonexistent")))
    guest = KvmGuest(service="s", rid="container#1", kind="container", type="kvm", name="g", uri=uri)
    if when != "before":
        assert driver.observe(guest, budget_s=10).status.value == "down"
    if when == "waiting":
        wait = lambda: driver.wait(guest, lambda seen: False, budget_s=60)
        threading.Thread(target=wait, daemon=True).start()
        time.sleep(0.5)
    print("ready", flush=True)
    sys.stdin.readline()
    if when in ("before", "calls"):
        began = time.monotonic()
        words = {driver.observe(guest, budget_s=1).status.value for _ in range(50)}
        print(words, threading.active_count(), time.monotonic() - began < 4)
    elif when == "closed":
        began = time.monotonic()
        driver.close()
        print(time.monotonic() - began < 1)
    print(time.time(), flush=True)
""")


@pytest.mark.parametrize("when", ["before", "calls", "idle", "closed", "waiting"])
def test_a_program_ends_promptly_with_a_hung_libvirtd(private_libvirtd, when):
    words = [sys.executable, "-c", SCRIPT, private_libvirtd.uri, when]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            if when == "before":
                private_libvirtd.pause()
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            if when != "before":
                private_libvirtd.pause()
            output, errors = process.communicate("go\n", timeout=30)
            ended = time.time()
        finally:
            process.kill()
            private_libvirtd.resume()
    *told, last = output.splitlines()
    assert (process.returncode, errors) == (0, "")
    assert ended - float(last) < 5  # it would wait for keepalives, 15 s, or for ever
    if when in ("before", "calls"):
        # The main thread, libvirt's events, and two calls that hang in each of two lanes.
        assert told == ["{'unknown'} 6 True"]
    if when == "closed":
        assert told == ["True"]


def test_nothing_is_printed_by_libvirt_itself(private_libvirtd, driver, make_guest, capfd):
    service = of(make_guest("quiet", on=private_libvirtd))
    driver.observe(service, budget_s=5)
    private_libvirtd.kill()
    driver.observe(service, budget_s=5)
    driver.observe(evolve(service, uri="xen+tcp://127.0.0.1:1/system"), budget_s=5)
    time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


def test_the_socket_of_a_dead_libvirtd_is_no_proof(driver, make_guest, private_libvirtd):
    guest = make_guest("ghost", on=private_libvirtd)
    private_libvirtd.kill()
    assert Path(private_libvirtd.socket).exists()
    for service in (of(guest), evolve(of(guest), name="nosuch")):
        assert driver.observe(service, budget_s=5).phase is Phase.UNKNOWN
