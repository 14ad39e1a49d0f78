"""Domain XML, read."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_kvm.definition import merge, read, with_devices

from vmsvc.driver import DriverError, GuestDisk


def domain(devices="", system=""):
    return f"<domain><name>g</name><uuid>AB-1</uuid><os>{system}</os><devices>{devices}</devices></domain>"


def disk(xml):
    (found,) = read(domain(xml), origin="here").disks
    return found


def test_name_and_uuid():
    found = read(domain(), origin="here")
    assert (found.name, found.uuid, found.disks, found.files) == ("g", "ab-1", (), ())


LIBOSINFO = "xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'"


@pytest.mark.parametrize(
    ("identifier", "is_windows"),
    [("http://microsoft.com/win/10", True), ("http://debian.org/debian/12", False), ("", False)],
)
def test_windows_is_told_by_the_metadata(identifier, is_windows):
    xml = f"<metadata><l:libosinfo {LIBOSINFO}><l:os id='{identifier}'/></l:libosinfo></metadata>"
    found = read(domain().replace("<os>", f"{xml}<title>\n a  b </title><os>"), origin="here")
    assert (found.is_windows, found.title) == (is_windows, "a b")
    assert read(domain(), origin="here").is_windows is False


def test_a_disk_with_everything():
    xml = """<disk type='block' device='lun'><source dev='/dev/mapper/a'/><target dev='sda' bus='scsi'/>
        <serial>S-1</serial><wwn>5000c50015ea71ad</wwn><readonly/><shareable/></disk>"""
    assert disk(xml) == GuestDisk(
        target="sda",
        kind="block",
        source="/dev/mapper/a",
        bus="scsi",
        device="lun",
        serial="S-1",
        wwn="5000c50015ea71ad",
        readonly=True,
        shareable=True,
    )


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("file", "<source file='/a b.img'/>", "/a b.img"),
        ("file", "", ""),
        ("dir", "<source dir='/fat'/>", "/fat"),
        ("volume", "<source pool='fast' volume='web'/>", "fast/web"),
        ("vhostuser", "<source type='unix' path='/run/v.sock'/>", "/run/v.sock"),
        ("vhostvdpa", "<source dev='/dev/vhost-vdpa-0'/>", "/dev/vhost-vdpa-0"),
        (
            "nvme",
            "<source type='pci' namespace='2'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>",
            "0000:01:00.0/2",
        ),
        (
            "network",
            "<source protocol='rbd' name='pool/web'><host name='m1' port='6789'/><host name='m2'/></source>",
            "rbd://m1:6789,m2/pool/web",
        ),
        ("network", "<source protocol='iscsi' name='iqn.x/1'><host name='::1'/></source>", "iscsi://[::1]/iqn.x/1"),
        (
            "network",
            "<source protocol='nbd' name='e'><host transport='unix' socket='/n.sock'/></source>",
            "nbd+unix:///e?socket=/n.sock",
        ),
        (
            "network",
            "<source protocol='https' name='/d.iso' query='?a=1'><host name='h'/></source>",
            "https://h/d.iso?a=1",
        ),
    ],
)
def test_sources(kind, source, expected):
    found = disk(f"<disk type='{kind}'>{source}<target dev='vda'/></disk>")
    assert (found.kind, found.source, found.device, found.live, found.persistent) == (
        kind,
        expected,
        "disk",
        False,
        False,
    )


def test_merge_tells_what_is_now_from_what_comes_next():
    def of(*sources):
        xml = "".join(
            f"<disk type='file'><source file='{source}'/><target dev='{target}'/></disk>" for target, source in sources
        )
        return read(domain(xml), origin="here")

    live = of(("vda", "/a"), ("vdb", "/b"), ("vdc", "/hot"))
    persistent = of(("vda", "/a"), ("vdb", "/b2"), ("vdd", "/next"))
    assert [(disk.target, disk.source, disk.live, disk.persistent) for disk in merge(live, persistent)] == [
        ("vda", "/a", True, True),
        ("vdb", "/b", True, False),
        ("vdc", "/hot", True, False),
        ("vdb", "/b2", False, True),
        ("vdd", "/next", False, True),
    ]
    assert all(not disk.live and disk.persistent for disk in merge(None, persistent))
    assert all(disk.live and not disk.persistent for disk in merge(live, None))
    assert merge(None, None) == ()


def test_the_disks_of_a_save_image_are_those_of_the_next_start_and_so_are_the_others():
    def of(*sources):
        xml = "".join(
            f"<disk type='file'><source file='{source}'/><target dev='{target}'/></disk>" for target, source in sources
        )
        return read(domain(xml), origin="here")

    persistent, saved = of(("vda", "/a"), ("vdb", "/new")), of(("vda", "/a"), ("vdb", "/old"))
    merged = merge(None, persistent, saved)
    assert [(disk.target, disk.source) for disk in merged] == [("vda", "/a"), ("vdb", "/old"), ("vdb", "/new")]
    assert all(disk.persistent and not disk.live for disk in merged)


@pytest.mark.parametrize(
    ("system", "files"),
    [
        ("<nvram>/var/lib/g_VARS.fd</nvram>", ["/var/lib/g_VARS.fd"]),
        ("<nvram type='file'><source file='/n.fd'/></nvram>", ["/n.fd"]),
        ("<nvram template='/usr/share/t.fd'/>", []),
        ("<loader>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>/n.fd</nvram>", ["/n.fd"]),
        ("<loader>/srv/own.fd</loader>", ["/srv/own.fd"]),
        ("<loader>relative.fd</loader>", []),
    ],
)
def test_files_of_the_guest_alone(system, files):
    assert list(read(domain(system=system), origin="here").files) == [Path(file) for file in files]


@pytest.mark.parametrize("xml", ["", "<domain>", "<network><name>n</name></network>", "<domain/>", "\ud800", "a\0b"])
def test_what_is_no_definition_is_an_error_with_its_origin(xml):
    with pytest.raises(DriverError, match=r"^/store/web"):
        read(xml, origin="/store/web")


def test_entities_do_not_fill_the_memory():
    bombs = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    with pytest.raises(DriverError):
        read(f"<!DOCTYPE d [<!ENTITY e0 'ha'>{bombs}]><domain><name>&e11;</name></domain>", origin="here")


TAGS = st.sampled_from(
    [
        "name",
        "uuid",
        "os",
        "nvram",
        "loader",
        "devices",
        "disk",
        "source",
        "target",
        "host",
        "serial",
        "wwn",
        "address",
        "readonly",
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        "type",
        "device",
        "file",
        "dev",
        "dir",
        "path",
        "name",
        "port",
        "pool",
        "volume",
        "protocol",
        "transport",
        "bus",
        "query",
    ]
)
VALUES = st.sampled_from(["", "network", "nvme", "volume", "/x", "unix", "::1", "0x", "é", "{0}"])


@st.composite
def elements(draw, depth=4):
    tag = draw(TAGS)
    attributes = "".join(f" {key}='{value}'" for key, value in draw(st.dictionaries(ATTRIBUTES, VALUES)).items())
    inside = draw(VALUES) + "".join(draw(st.lists(elements(depth - 1), max_size=3)) if depth else [])
    return f"<{tag}{attributes}>{inside}</{tag}>"


@given(st.one_of(st.text(), st.lists(elements(), max_size=4).map(lambda parts: f"<domain>{''.join(parts)}</domain>")))
def test_garbage_is_read_or_refused(xml):
    found = None
    with contextlib.suppress(DriverError):
        found = read(xml, origin="garbage")
    if found is not None:
        assert found.name
        merge(found, found)


@given(st.lists(elements(), max_size=6))
def test_odd_devices_are_read(parts):
    found = read(domain(devices="".join(f"<disk>{part}</disk>" for part in parts)), origin="odd")
    assert len(found.disks) == len(parts)


# --- SCSI units that are handed over as they are ----------------------------------------------------------------------

HANDED_OVER = """<hostdev mode='subsystem' type='scsi'>
  <source><adapter name='scsi_host3'/><address bus='0' target='1' unit='7'/></source>{}<alias name='hostdev0'/>
</hostdev>"""


def test_a_scsi_unit_of_the_node_is_a_disk_of_the_guest(tmp_path):
    found = disk(HANDED_OVER.format("<shareable/>"))
    assert (found.source, found.target, found.device, found.shareable) == ("3:0:1:7", "hostdev0", "lun", True)
    (tmp_path / "bus/scsi/devices/3:0:1:7/block/sdq").mkdir(parents=True)
    (named,) = with_devices([found], sys=tmp_path)
    assert (named.kind, named.source) == ("block", "/dev/sdq")


def test_a_scsi_unit_that_is_not_there_is_a_device_that_cannot_be_found(tmp_path):
    (named,) = with_devices([disk(HANDED_OVER.format(""))], sys=tmp_path)
    assert (named.kind, named.source) == ("block", "/dev/scsi/3:0:1:7")


def test_an_iscsi_unit_that_qemu_reaches_by_itself_is_a_network_disk():
    found = disk(
        "<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.x:y/1'>"
        "<host name='192.0.2.1' port='3260'/></source></hostdev>"
    )
    assert (found.kind, found.source) == ("network", "iscsi://192.0.2.1:3260/iqn.x:y/1")


@pytest.mark.parametrize("source", ["", "<source/>", "<source><adapter name='scsi_host3'/></source>"])
def test_a_hostdev_that_says_nothing_is_no_disk(source):
    xml = domain(f"<hostdev mode='subsystem' type='scsi'>{source}</hostdev>")
    assert read(xml, origin="here").disks == ()


def test_other_disks_stay_as_they_are(tmp_path):
    one = GuestDisk(target="vda", kind="file", source="/x.img")
    assert with_devices([one], sys=tmp_path) == (one,)
