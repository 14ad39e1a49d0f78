"""The driver on libvirt's own test hypervisor, which lives in this process: real bindings, real errors."""

import errno
import subprocess
import sys
import threading
from pathlib import Path

import libvirt
import pytest
from attrs import evolve
from vmsvc_kvm import KvmDriver, KvmGuest, client, files, library, vmsvc_drivers

from vmsvc.core.roles import ROLES
from vmsvc.driver import API, Capability, Context, DriverError, Node, Phase, Status, Undetermined

GUEST = KvmGuest(service="web", rid="container#1", kind="container", type="kvm", name="test", uri="test:///default")
KEY = ("web", "container#1")
CAPABILITIES = (
    *("bulk", "wait", "disks", "definition", "config-files", "sizes", "discover", "compare", "agent", "addresses"),
    "migrate",
)
NEW = "<domain type='test'><name>{}</name><memory>2048</memory><os><type>hvm</type></os></domain>"


@pytest.fixture
def driver(tmp_path):
    made = KvmDriver(Context(node=Node(name="n1", root=tmp_path), host=None, state_dir=tmp_path / "state"))
    # The test hypervisor's world begins with the first connection to it and ends with the last.
    world = libvirt.open("test:///default")
    yield made
    made.close()
    for domain in world.listAllDomains():
        if domain.name() != "test":
            is_persistent = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if is_persistent:
                domain.undefine()
        else:
            domain.setAutostart(False)
            if domain.hasManagedSaveImage():
                domain.managedSaveRemove()
            if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
            if not domain.isActive():
                domain.create()
    del domain
    world.close()


@pytest.fixture
def test_domain(driver):
    connection = libvirt.open("test:///default")
    yield connection.lookupByName("test")
    connection.close()


def test_the_hook_offers_the_driver():
    (offered,) = vmsvc_drivers()
    assert (offered.type, offered.kind, offered.options) == ("kvm", "container", KvmGuest)
    assert API in offered.api
    # By name: a core that knows more must not believe this driver capable of it.
    assert offered.capabilities == {Capability(word) for word in CAPABILITIES}


def test_a_start_that_somebody_else_has_done_meanwhile_is_not_ours(driver, test_domain, monkeypatch):
    test_domain.destroy()
    create = client.Connection.create

    def late(connection, name):
        test_domain.create()
        create(connection, name)  # libvirt: it is running already

    monkeypatch.setattr(client.Connection, "create", late)
    assert driver.start(GUEST, budget_s=5) is False
    assert driver.observe(GUEST, budget_s=5).phase is Phase.RUNNING


def test_a_guest_whose_process_lives_is_not_started_a_second_time(driver, test_domain, monkeypatch):
    test_domain.destroy()
    monkeypatch.setattr("vmsvc_kvm.driver.may_live", lambda _guest, _seen: "a qemu process of test lives (pid 4711)")
    with pytest.raises(Undetermined, match="not started: a qemu process of test lives"):
        driver.start(GUEST, budget_s=5)
    assert driver.observe(GUEST, budget_s=5).phase is Phase.STOPPED


def test_a_start_of_a_guest_between_two_nodes_is_undetermined(driver, monkeypatch):
    monkeypatch.setattr("vmsvc_kvm.driver.phase_of", lambda _seen: (Phase.MIGRATING, "paused (migrating)"))
    with pytest.raises(Undetermined, match="on its way between two nodes"):
        driver.start(GUEST, budget_s=5)


def test_each_capability_has_its_methods(driver):
    assert all(isinstance(driver, ROLES[capability]) for capability in driver.capabilities)


def test_importing_the_plugin_loads_no_libvirt():
    code = "import sys, vmsvc_kvm; sys.exit('libvirt' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )


def test_a_life(driver):
    seen = driver.observe(GUEST, budget_s=5)
    assert (seen.phase, seen.warnings) == (Phase.RUNNING, ())
    assert seen.evidence.probe == "virConnectGetAllDomainStats test:///default"
    assert seen.evidence.detail == seen.state

    driver.stop(GUEST, budget_s=5)
    assert driver.observe(GUEST, budget_s=5).state == "shut off (shutdown)"
    driver.stop(GUEST, budget_s=5)
    driver.kill(GUEST, budget_s=5)

    assert driver.start(GUEST, budget_s=5) is True
    assert driver.start(GUEST, budget_s=5) is False
    assert driver.observe(GUEST, budget_s=5).state == "running (booted)"

    driver.kill(GUEST, budget_s=5)
    assert driver.observe(GUEST, budget_s=5).state == "shut off (destroyed)"


def test_absent_is_down_with_evidence(driver):
    for name in ("tes", "test2", "TEST", "../test", ""):
        seen = driver.observe(evolve(GUEST, name=name), budget_s=5)
        assert (seen.phase, seen.status, seen.state) == (Phase.ABSENT, Status.DOWN, "absent")
        assert repr(name) in seen.evidence.detail


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("test2", "libvirt has no guest 'test2'; did you mean `test`?"),
        ("TEST", "libvirt has no guest 'TEST'; did you mean `test`?"),
        ("web01", "libvirt has no guest 'web01'"),
    ],
)
def test_the_evidence_of_absence_names_the_guest_that_was_meant(driver, name, detail):
    assert driver.observe(evolve(GUEST, name=name), budget_s=5).evidence.detail == detail


def test_paused_is_neither_up_nor_down_and_cannot_be_asked(driver, test_domain):
    test_domain.suspend()
    assert driver.observe(GUEST, budget_s=5).state == "paused (user)"
    with pytest.raises(DriverError, match="paused"):
        driver.stop(GUEST, budget_s=5)
    with pytest.raises(DriverError, match="paused") as refused:
        driver.start(GUEST, budget_s=5)
    assert "virsh -c test:///default resume test" in refused.value.hint
    driver.kill(GUEST, budget_s=5)
    assert driver.observe(GUEST, budget_s=5).phase is Phase.STOPPED


def test_autostart_is_a_warning(driver, test_domain):
    test_domain.setAutostart(True)
    (warning,) = driver.observe(GUEST, budget_s=5).warnings
    assert "autostart" in warning
    assert "`virsh -c test:///default autostart --disable test`" in warning


def test_a_save_image_that_cannot_be_read_stands_for_disks_that_nobody_knows(driver, test_domain, monkeypatch):
    def unsupported(*_):
        raise libvirt.libvirtError("this function is not supported by the connection driver")

    monkeypatch.setattr(libvirt.virDomain, "managedSaveGetXMLDesc", unsupported)
    test_domain.managedSave()
    (stand_in,) = [disk for disk in driver.disks(GUEST, budget_s=5) if disk.kind == "save-image"]
    assert "save image of test" in stand_in.source


def test_a_volume_is_what_it_is_on_the_node(driver, test_domain):
    with_volume = NEW.format("pooled").replace(
        "</os>",
        "</os><devices><disk type='volume'><source pool='default-pool' volume='v1'/><target dev='vda'/></disk>"
        "<disk type='volume'><source pool='default-pool' volume='gone'/><target dev='vdb'/></disk>"
        "<disk type='volume'><source pool='none' volume='v1'/><target dev='vdc'/></disk></devices>",
    )
    pool = test_domain.connect().storagePoolLookupByName("default-pool")
    volume = pool.createXML("<volume><name>v1</name><capacity>1048576</capacity></volume>")
    test_domain.connect().defineXML(with_volume)
    try:
        found = driver.disks(evolve(GUEST, name="pooled"), budget_s=5)
        assert [(disk.kind, disk.source) for disk in found] == [
            ("file", volume.path()),
            ("volume", "default-pool/gone"),
            ("volume", "none/v1"),
        ]
    finally:
        volume.delete()


def test_a_managed_save_is_saved(driver, test_domain):
    test_domain.managedSave()
    assert driver.observe(GUEST, budget_s=5).phase is Phase.SAVED
    driver.stop(GUEST, budget_s=5)
    driver.start(GUEST, budget_s=5)
    assert driver.observe(GUEST, budget_s=5).phase is Phase.RUNNING


def test_start_defines_from_the_stored_definition(driver, tmp_path):
    guest = evolve(GUEST, name="new")
    with pytest.raises(DriverError, match="no definition") as refused:
        driver.start(guest, budget_s=5)
    assert refused.value.hint.startswith("is the key `name` right? `virsh list --all`")
    assert "vmsvc push web" in refused.value.hint
    with pytest.raises(DriverError) as refused:
        driver.start(evolve(GUEST, name="tset"), budget_s=5)
    assert refused.value.hint.startswith("is the key `name` right? did you mean `test`?")

    file = tmp_path / "var/lib/vmsvc/definitions/web/container#1"
    file.parent.mkdir(parents=True)
    file.write_text(NEW.format("other"))
    with pytest.raises(DriverError, match="named 'other', not 'new'"):
        driver.start(guest, budget_s=5)
    file.write_bytes(b"\xff\xfe<")
    with pytest.raises(DriverError, match=str(file)):
        driver.start(guest, budget_s=5)

    file.write_text(NEW.format("new"))
    assert driver.start(guest, budget_s=5) is True
    assert driver.observe(guest, budget_s=5).phase is Phase.RUNNING


def test_a_definition_that_libvirt_refuses(driver, tmp_path):
    guest = evolve(GUEST, name="new")
    file = tmp_path / "var/lib/vmsvc/definitions/web/container#1"
    file.parent.mkdir(parents=True)
    file.write_text("<domain type='test'><name>new</name></domain>")
    with pytest.raises(DriverError, match=r"libvirt error \d+"):
        driver.start(guest, budget_s=5)


def test_disks_sizes_and_definition(driver):
    (disk,) = driver.disks(GUEST, budget_s=5)
    assert (disk.target, disk.kind, disk.source, disk.live, disk.persistent) == (
        "vda",
        "file",
        "/guest/diskimage1",
        True,
        True,
    )
    assert disk.size_bytes
    assert driver.sizes(GUEST, budget_s=5).memory_mib == 2048
    assert "<name>test</name>" in driver.definition(GUEST, budget_s=5)
    assert list(driver.config_files(GUEST, budget_s=5)) == []


def test_disks_of_a_guest_that_only_the_service_knows(driver, tmp_path):
    gone = evolve(GUEST, name="gone")
    file = Node(name="n1", root=tmp_path).definition_file("web", "container#1")
    file.parent.mkdir(parents=True)
    disk = "<devices><disk type='block'><source dev='/dev/sdz'/><target dev='sda' bus='scsi'/></disk></devices>"
    file.write_text(NEW.format("gone").replace("</domain>", f"{disk}</domain>"))
    (found,) = driver.disks(gone, budget_s=5)
    assert (found.kind, found.source, found.live, found.persistent) == ("block", "/dev/sdz", False, True)


def test_disks_of_a_guest_of_another_host_are_not_of_this_node():
    assert GUEST.is_local
    assert not evolve(GUEST, uri="qemu+ssh://root@n2/system").is_local


@pytest.mark.parametrize("question", ["disks", "definition", "sizes", "config_files"])
def test_questions_about_an_absent_guest(driver, question):
    with pytest.raises(DriverError, match="no guest named 'nosuch'"):
        getattr(driver, question)(evolve(GUEST, name="nosuch"), budget_s=5)


def test_wait_is_woken_by_an_event(driver, test_domain, monkeypatch):
    monkeypatch.setattr("vmsvc_kvm.observing.LOOK_AGAIN_S", 60.0)
    looked = threading.Event()

    def is_down(seen):
        looked.set()
        return seen.status is Status.DOWN

    threading.Thread(target=lambda: looked.wait(5) and test_domain.destroy()).start()
    seen = driver.wait(GUEST, is_down, budget_s=20)
    assert seen.state == "shut off (destroyed)"
    assert seen.evidence.probe == "virDomainGetState test:///default"


def test_wait_ends_with_its_budget_or_its_caller(driver):
    assert driver.wait(GUEST, lambda seen: False, budget_s=0.3).phase is Phase.RUNNING
    answers = iter([False, False, True])
    assert driver.wait(GUEST, lambda seen: next(answers), budget_s=60).phase is Phase.RUNNING


@pytest.mark.keyword("container.kvm.uri")
def test_several_uris_and_services_in_one_look(driver):
    guests = [
        GUEST,
        evolve(GUEST, rid="container#2", name="nosuch"),
        evolve(GUEST, service="far", uri="qemu:///system?socket=/nonexistent"),
    ]
    seen = driver.observe_all(guests, budget_s=5)
    assert {key: one.phase for key, one in seen.items()} == {
        ("web", "container#1"): Phase.RUNNING,
        ("web", "container#2"): Phase.ABSENT,
        ("far", "container#1"): Phase.UNKNOWN,
    }
    assert "libvirt error 38" in seen["far", "container#1"].evidence.detail
    assert driver.observe_all([], budget_s=5) == {}


def test_no_libvirt_is_undetermined_for_every_verb(driver, capfd):
    guest = evolve(GUEST, uri="qemu:///system?socket=/nonexistent")
    for verb in ("start", "stop", "kill", "disks", "definition", "sizes", "config_files"):
        with pytest.raises(Undetermined, match="nonexistent"):
            getattr(driver, verb)(guest, budget_s=5)
    assert driver.wait(guest, lambda seen: False, budget_s=0.2).phase is Phase.UNKNOWN
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("qemu:///system?socket=/nonexistent", "`systemctl status libvirtd`"),
        ("qemu+bogus:///system", "is the key `uri` right?"),
        ("test:///nonexistent", "is the key `uri` right?"),
        ("qemu+tcp://127.0.0.1:1/system", "is `uri` right, its host reachable, and libvirtd running there?"),
    ],
)
def test_what_to_do_is_part_of_the_evidence_and_of_errors(driver, uri, hint):
    guest = evolve(GUEST, uri=uri)
    seen = driver.observe(guest, budget_s=5)
    assert (seen.phase, hint in seen.evidence.detail) == (Phase.UNKNOWN, True)
    with pytest.raises(Undetermined) as failed:
        driver.start(guest, budget_s=5)
    assert hint in failed.value.hint


def test_who_may_not_connect_is_told_who_may(driver, monkeypatch):
    def refuse(_uri):
        error = libvirt.libvirtError("refused")  # as libvirt 9.0 tells it of a socket of mode 0600 of somebody else's
        error.err = (libvirt.VIR_ERR_SYSTEM_ERROR, 7, "Permission denied", 2, None, None, None, errno.EACCES, -1)
        raise error

    monkeypatch.setattr(libvirt, "openReadOnly", refuse)
    detail = driver.observe(evolve(GUEST, uri="qemu:///system"), budget_s=5).evidence.detail
    assert "run it as root, or as a member of the group libvirt" in detail


@pytest.mark.parametrize(
    ("uri", "opening"),
    [
        ("qemu:///system", "openReadOnly"),
        ("qemu+ssh://h/system?no_tty=1", "openReadOnly"),
        # libvirt's client takes a read-only session for the system.
        ("qemu:///session", "open"),
        ("qemu+ssh://u@h/session?no_tty=1", "open"),
    ],
)
def test_a_look_asks_for_a_connection_that_cannot_change_anything(driver, monkeypatch, uri, opening):
    opened = []

    def refuse(way):
        def opens(uri):
            opened.append((way, uri))
            raise libvirt.libvirtError("refused")

        return opens

    for way in ("open", "openReadOnly"):
        monkeypatch.setattr(libvirt, way, refuse(way))
    assert driver.observe(evolve(GUEST, uri=uri), budget_s=5).phase is Phase.UNKNOWN
    assert opened == [(opening, uri)]


def test_bindings_that_do_not_load(driver, monkeypatch):
    monkeypatch.setattr(library, "_loaded", [])
    monkeypatch.setitem(sys.modules, "libvirt", None)
    seen = driver.observe(GUEST, budget_s=5)
    assert seen.phase is Phase.UNKNOWN
    assert f"`{sys.executable} -m pip install libvirt-python`" in seen.evidence.detail


def test_bindings_without_libvirts_client_library(driver, monkeypatch):
    monkeypatch.setattr(library, "_loaded", [])

    def fail(name):
        raise ImportError("libvirt.so.0: cannot open shared object file", name="libvirtmod")

    monkeypatch.setattr(library.importlib, "import_module", fail)
    detail = driver.observe(GUEST, budget_s=5).evidence.detail
    assert "libvirt.so.0: cannot open" in detail
    assert "install the package libvirt0" in detail


def test_a_hypervisor_without_bulk_statistics(driver, monkeypatch):
    def lacking(*_words):
        error = libvirt.libvirtError("no stats")
        error.err = (libvirt.VIR_ERR_NO_SUPPORT, 0, "not supported", 2, None, None, None, -1, -1)
        raise error

    monkeypatch.setattr(libvirt.virConnect, "getAllDomainStats", lacking)
    seen = driver.observe(GUEST, budget_s=5)
    assert (seen.phase, seen.evidence.probe) == (Phase.RUNNING, "virConnectListAllDomains test:///default")


def test_errors_keep_no_object_of_libvirt_alive(driver, tmp_path):
    with pytest.raises(DriverError) as refused:
        driver.sizes(evolve(GUEST, name="nosuch"), budget_s=5)
    frames, trace = [], refused.value.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "_domain" not in frames
    assert refused.value.__context__ is None


def test_libvirts_own_file_is_taken_only_if_it_is_about_the_guest(tmp_path):
    from vmsvc_kvm.definition import read

    guest = evolve(GUEST, name="a b", uri="qemu:///system")
    described = read("<domain><name>a b</name><uuid>u-1</uuid></domain>", origin="here")
    own = tmp_path / "etc/libvirt/qemu/a b.xml"
    own.parent.mkdir(parents=True)
    assert files.belonging_to(guest, described, root=tmp_path) == []
    own.write_text("<uuid>u-2</uuid>")
    assert files.belonging_to(guest, described, root=tmp_path) == []
    own.write_text("<uuid>u-1</uuid>")
    assert files.belonging_to(guest, described, root=tmp_path) == [own]
    assert files.belonging_to(guest, None, root=tmp_path) == []


def test_a_session_keeps_its_files_at_home(tmp_path, monkeypatch):
    from vmsvc_kvm.definition import read

    nvram = tmp_path / "n.fd"
    nvram.touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = Path(tmp_path, "libvirt/qemu/test.xml")
    own.parent.mkdir(parents=True)
    own.write_text("<uuid>u-1</uuid>")
    xml = f"<domain><name>test</name><uuid>u-1</uuid><os><nvram>{nvram}</nvram></os></domain>"
    guest = evolve(GUEST, uri="qemu:///session")
    assert files.belonging_to(guest, read(xml, origin="here")) == [own, nvram]


# --- finding guests that are there already ---------------------------------------------------------------------------


def test_discovery_tells_all_guests_and_what_their_definitions_say(driver, test_domain):
    world = test_domain.connect()
    world.defineXML(
        """<domain type='test'><name>erp db</name><title>  the ERP's  data base</title><memory>2048</memory><os><type>hvm</type></os>
        <metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
        <l:os id='http://microsoft.com/win/2k22'/></l:libosinfo></metadata>
        <devices><disk type='block' device='disk'><source dev='/dev/mapper/erp'/><target dev='vdb'/></disk></devices>
        </domain>"""
    ).setAutostart(True)
    world.createXML(NEW.format("passing"))
    before = {domain.name(): (domain.ID(), domain.XMLDesc()) for domain in world.listAllDomains()}
    erp, passing, test = driver.discover(evolve(GUEST, name="adopted"), budget_s=5)
    assert {domain.name(): (domain.ID(), domain.XMLDesc()) for domain in world.listAllDomains()} == before
    assert (erp.name, erp.phase, erp.state) == ("erp db", Phase.STOPPED, "shut off (unknown)")
    assert (erp.title, erp.autostart) == ("the ERP's data base", True)
    assert erp.options == {"uri": "test:///default", "guestos": "windows"}
    assert [(disk.target, disk.kind, disk.source) for disk in erp.disks] == [("vdb", "block", "/dev/mapper/erp")]
    assert "`virsh -c test:///default autostart --disable 'erp db'`" in erp.warnings[0]
    assert (passing.name, passing.phase) == ("passing", Phase.RUNNING)
    assert "transient" in passing.warnings[0]
    assert (test.name, test.warnings, test.options) == ("test", (), {"uri": "test:///default"})


def test_discovery_where_libvirt_is_not_to_be_had_is_no_answer(driver):
    with pytest.raises(Undetermined):
        driver.discover(evolve(GUEST, uri="qemu:///system?socket=/nowhere"), budget_s=5)


def test_a_guest_that_goes_away_during_discovery_is_left_out(driver, test_domain, monkeypatch):
    passing = test_domain.connect().defineXML(NEW.format("passing"))
    describe = client.Connection.describe

    def late(connection, name):
        if name == "passing":
            passing.undefine()
        return describe(connection, name)

    monkeypatch.setattr(client.Connection, "describe", late)
    assert [found.name for found in driver.discover(GUEST, budget_s=5)] == ["test"]
