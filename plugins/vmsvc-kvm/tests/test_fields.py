"""Domain XML as fields: what it says, and not how it is written."""

import random
import xml.etree.ElementTree as ET
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_kvm.fields import fields, with_cpu_as_chosen

from vmsvc.core.guests.drift import differences
from vmsvc.driver import DriverError

# A definition as libvirt 9.0 gives it (`virsh dumpxml --inactive --security-info`), of devices of many kinds.
DEFINITION = """
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>erp</name>
  <uuid>f2951545-94c3-4194-8e3f-aedb4e42267c</uuid>
  <title>the ERP</title>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <memtune><hard_limit unit='KiB'>4194304</hard_limit></memtune>
  <vcpu placement='static'>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
    <boot dev='network'/>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>qemu64</model>
    <feature policy='require' name='aes'/>
    <feature policy='disable' name='vmx'/>
    <numa><cell id='0' cpus='0-3' memory='2097152' unit='KiB'/></numa>
  </cpu>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/srv/erp.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw'/>
      <source dev='/dev/mapper/erp'/>
      <target dev='vdb' bus='virtio'/>
      <shareable/>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='pool/erp'><host name='m1' port='6789'/><host name='m2' port='6789'/></source>
      <target dev='vdc' bus='virtio'/>
    </disk>
    <controller type='usb' index='1' model='qemu-xhci' ports='15'/>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'><target chassis='1' port='0x10'/></controller>
    <interface type='network'>
      <mac address='52:54:00:db:3e:46'/>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <interface type='bridge'>
      <mac address='52:54:00:db:3e:47'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <input type='tablet' bus='usb'/>
    <input type='mouse' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes' passwd='hunter2'><listen type='address'/></graphics>
    <audio id='1' type='none'/>
    <video><model type='vga' vram='16384' heads='1' primary='yes'/></video>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/></source>
      <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>
    </hostdev>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
  <qemu:commandline><qemu:arg value='-foo'/><qemu:arg value='bar'/></qemu:commandline>
</domain>
"""


def of(xml):
    return fields(xml, origin="here")


def told(before, after):
    found = differences({"before": of(before), "after": of(after)})
    return {each.field: (each.values["before"], each.values["after"]) for each in found}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2097152</memory>", "4194304</memory>", {"memory": ("2097152 KiB", "4194304 KiB")}),
        (">4</vcpu>", ">8</vcpu>", {"vcpu": ("4", "8")}),
        ("pc-q35-7.2", "pc-q35-8.0", {"os/type/@machine": ("pc-q35-7.2", "pc-q35-8.0")}),
        ("cache='none'", "cache='writeback'", {"devices/disk[vda]/driver/@cache": ("none", "writeback")}),
        ("cache='none'", "", {"devices/disk[vda]/driver/@cache": ("none", None)}),
        (
            "/dev/mapper/erp",
            "/dev/mapper/erp2",
            {"devices/disk[vdb]/source/@dev": ("/dev/mapper/erp", "/dev/mapper/erp2")},
        ),
        ("<shareable/>", "", {"devices/disk[vdb]/shareable": ("yes", None)}),
        ("<apic/>", "", {"features/apic": ("yes", None)}),
        ("bridge='br0'", "bridge='br1'", {"devices/interface[52:54:00:db:3e:47]/source/@bridge": ("br0", "br1")}),
        ("hunter2", "hunter3", {"devices/graphics[vnc]/@passwd": ("(secret)", "(secret)")}),
        ("name='m1'", "name='m3'", {"devices/disk[vdc]/source/host/@name": ("m1", "m3")}),
        ("value='bar'", "value='baz'", {"qemu:commandline/qemu:arg#2/@value": ("bar", "baz")}),
        ("memory='2097152'", "memory='1048576'", {"cpu/numa/cell[0]/@memory": ("2097152 KiB", "1048576 KiB")}),
        ("policy='disable'", "policy='require'", {"cpu/feature[vmx]/@policy": ("disable", "require")}),
        ("<boot dev='hd'/>", "<boot dev='cdrom'/>", {"os/boot/@dev": ("hd", "cdrom")}),
        ("restart</on_reboot>", "destroy</on_reboot>", {"on_reboot": ("restart", "destroy")}),
        ("/dev/urandom", "/dev/random", {"devices/rng/backend": ("/dev/urandom", "/dev/random")}),
        (
            "<memballoon model='virtio'/>",
            "<memballoon model='virtio'/><disk><source file='/x'/><target dev='vdz' bus='sata'/></disk>",
            {
                "devices/disk[vdz]": (
                    None,
                    "source/@file /x, target/@dev vdz, target/@bus sata, @type file, @device disk",
                )
            },
        ),
    ],
)
def test_a_change_is_told_once_and_by_its_name(old, new, expected):
    assert old in DEFINITION
    assert told(DEFINITION, DEFINITION.replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<domain type='kvm'", "<domain type='kvm' id='7'"),
        ("<memory unit='KiB'>2097152", "<memory unit='MiB'>2048"),
        ("<memory unit='KiB'>2097152", "<memory unit='b'>2147483648"),
        ("<memory unit='KiB'>2097152", "<memory>2097152"),
        ("<hard_limit unit='KiB'>4194304", "<hard_limit unit='GiB'>\n 4 "),
        ("memory='2097152' unit='KiB'", "unit='GiB' memory='2'"),
        ("<vcpu placement='static'>", "<vcpu>"),
        ("<clock offset='utc'>", "<clock>"),
        ("<on_crash>destroy</on_crash>", ""),
        ("type='block' device='disk'", "device='disk' type='block'"),
        ("type='file' device='disk'", ""),
        ("<apic/>", "<apic></apic>"),
        ("<apic/>", "<apic/><!-- a comment -->"),
        ("<title>the ERP</title>", "<title>\n  the ERP </title>"),
        ("slot='0x00' function='0x0'/>\n    </disk>", "slot='0x07' function='0x0'/>\n    </disk>"),
        ("<source file='/srv/erp.qcow2'/>", "<source file='/srv/erp.qcow2' index='2'/><backingStore/>"),
        ("<shareable/>", "<shareable/><alias name='virtio-disk1'/>"),
        ("<source bridge='br0'/>", "<source bridge='br0'/><target dev='vnet3'/>"),
        ("<source network='default'/>", "<source network='default' portid='9-a' bridge='virbr0'/>"),
        ("<target type='isa-serial'", "<source path='/dev/pts/0'/><target type='isa-serial'"),
        ("<console type='pty'>", "<console type='pty' tty='/dev/pts/0'><source path='/dev/pts/0'/>"),
        ("<console type='pty'><target type='serial' port='0'/></console>", ""),
        ("guest_agent.0'/>", "guest_agent.0' state='connected'/>"),
        (
            "<channel type='unix'>",
            "<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-1-erp/x'/>",
        ),
        ("port='-1' autoport='yes'", "port='5901' autoport='yes' listen='127.0.0.1'"),
        ("<input type='mouse' bus='ps2'/>", ""),
        ("<audio id='1' type='none'/>", ""),
        (
            "<audio id='1' type='none'/>",
            "<controller type='usb' index='0' model='piix3-uhci'><alias name='usb'/></controller>",
        ),
        ("<controller type='pci' index='0' model='pcie-root'/>", ""),
        ("<devices>", "<seclabel type='dynamic' model='dac' relabel='yes'><label>+0:+0</label></seclabel><devices>"),
        ("<devices>", "<resource><partition>/machine</partition></resource><devices>"),
    ],
)
def test_what_is_written_in_another_way_or_made_up_anew_is_no_change(old, new):
    assert old in DEFINITION
    changed = DEFINITION.replace(old, new, 1)
    assert changed != DEFINITION
    assert told(DEFINITION, changed) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<shareable/>", "<shareable/><alias name='ua-data'/>"),
        ("<source bridge='br0'/>", "<source bridge='br0'/><target dev='erp0'/>"),
        ("port='-1' autoport='yes'", "port='5901' autoport='no'"),
        ("<devices>", "<resource><partition>/machine/production</partition></resource><devices>"),
        ("<serial type='pty'>", "<serial type='file'><source path='/var/log/erp'/>"),
    ],
)
def test_what_people_have_chosen_counts(old, new):
    assert told(DEFINITION, DEFINITION.replace(old, new, 1))


def test_what_names_a_device_makes_it_another_one():
    mac, pci = "52:54:00:db:3e:46", "devices/hostdev[{} 0x0000 0x0 0x00]"
    other = told(DEFINITION, DEFINITION.replace(mac, "52:54:00:00:00:01"))
    assert list(other) == [f"devices/interface[{mac}]", "devices/interface[52:54:00:00:00:01]"]
    assert list(told(DEFINITION, DEFINITION.replace("bus='0x3b'", "bus='0x3c'"))) == [
        pci.format("0x3b"),
        pci.format("0x3c"),
    ]


def test_secrets_are_known_as_such():
    assert of(DEFINITION).secret == {"devices/graphics[vnc]/@passwd"}
    source = "<source protocol='https' name='x'><host name='h'/><cookies><cookie name='id'>c00kie</cookie></cookies></source>"
    remote = DEFINITION.replace("<source file='/srv/erp.qcow2'/>", source)
    assert "devices/disk[vda]/source/cookies/cookie" in of(remote).secret
    assert "c00kie" not in str(told(DEFINITION, remote))


@pytest.mark.parametrize("xml", ["", "<domain/>", "nonsense", "<network><name>x</name></network>"])
def test_what_is_no_definition(xml):
    with pytest.raises(DriverError):
        of(xml)


def test_a_cpu_that_a_run_has_made_of_the_hosts_is_as_it_was_chosen():
    chosen = "<cpu mode='host-model' check='partial'/>"
    before, after = DEFINITION.index("<cpu"), DEFINITION.index("</cpu>") + len("</cpu>")
    persistent = DEFINITION[:before] + chosen + DEFINITION[after:]
    assert told(persistent, DEFINITION)
    assert told(persistent, with_cpu_as_chosen(DEFINITION, persistent)) == {}
    assert with_cpu_as_chosen(DEFINITION, DEFINITION) == DEFINITION


# --- laws -------------------------------------------------------------------------------------------------------------

# Where the order has a meaning: what to boot from, what to ask first, an argument and its value.
ORDERED = {"boot", "host", "{http://libvirt.org/schemas/domain/qemu/1.0}arg"}


def shuffled(element, chance):
    made = ET.Element(element.tag, dict(chance.sample(list(element.attrib.items()), len(element.attrib))))
    made.text, made.tail = element.text, element.tail
    children = [shuffled(child, chance) for child in element]
    fixed = [child for child in children if child.tag in ORDERED]
    free = [child for child in children if child.tag not in ORDERED]
    chance.shuffle(free)
    made.extend([*fixed, *free])
    return made


@given(st.randoms())
def test_another_order_is_no_change(chance: random.Random):
    root = shuffled(ET.fromstring(DEFINITION), chance)
    assert told(DEFINITION, ET.tostring(root, encoding="unicode")) == {}


def test_writing_what_was_read_is_no_change():
    again = ET.tostring(ET.fromstring(DEFINITION), encoding="unicode")
    assert of(again) == of(DEFINITION)
    canonical = ET.canonicalize(DEFINITION, strip_text=True)
    assert told(DEFINITION, canonical) == {}


# What names a device makes it another one, and a unit makes another amount of the same number.
NAMING = ("target/@dev", "mac/@address", "target/@port", "target/@name", "target/@type", "source/address/")


def spots():
    """Every attribute and every text of the definition, by its element's number; ``None`` for the text."""
    for number, element in enumerate(ET.fromstring(DEFINITION).iter()):
        yield from ((number, key) for key in element.attrib if key != "unit")
        if (element.text or "").strip():
            yield number, None


SPOTS = list(spots())


@cache
def changed_at(*places):
    root = ET.fromstring(DEFINITION)
    elements = list(root.iter())
    for number, key in places:
        if key is None:
            elements[number].text = "7"
        else:
            elements[number].set(key, "7")
    return set(told(DEFINITION, ET.tostring(root, encoding="unicode")))


def test_any_single_change_is_told_exactly_once():
    found = [changed_at(spot) for spot in SPOTS]
    for told_fields in found:  # one field; or one device that is gone, and one that has come
        assert len(told_fields) <= 1 or all(each.endswith("]") for each in told_fields), told_fields
    reached = {each for told_fields in found if len(told_fields) == 1 for each in told_fields}
    said = of(DEFINITION).values
    assert {path for path, value in said.items() if value and not any(f"/{name}" in path for name in NAMING)} <= reached


@given(st.sampled_from(SPOTS), st.sampled_from(SPOTS))
def test_two_changes_are_told_as_each_of_them_is(one, other):
    singly = [changed_at(one), changed_at(other)]
    if all(len(fields) == 1 for fields in singly):
        assert changed_at(one, other) == singly[0] | singly[1]
