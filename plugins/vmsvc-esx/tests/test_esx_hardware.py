"""Disks and definitions, of the records that pyvmomi makes of a server's answers."""

import pytest
from pyVmomi import vim
from vmsvc_esx import definition, disks
from vmsvc_esx.machines import Machine

from vmsvc.driver import DriverError

NAA = "60060160a1b1120044c8b3d1f3a1e011"
DEVICE = vim.vm.device
SCSI = DEVICE.ParaVirtualSCSIController(key=1000, busNumber=1, sharedBus="noSharing")
SHARED = DEVICE.VirtualLsiLogicSASController(key=1001, busNumber=2, sharedBus="physicalSharing")
IDE = DEVICE.VirtualIDEController(key=200, busNumber=0)


def disk(key, unit, *, controller=1000, **backing):
    made = DEVICE.VirtualDisk.FlatVer2BackingInfo(fileName=f"[ds1] web/{key}.vmdk", diskMode="persistent", **backing)
    return DEVICE.VirtualDisk(key=key, controllerKey=controller, unitNumber=unit, capacityInKB=2048, backing=made)


def lun(**more):
    backing = DEVICE.VirtualDisk.RawDiskMappingVer1BackingInfo(
        fileName="[ds1] web/raw.vmdk", deviceName=f"vml.0200050000{NAA}565241494420",
        lunUuid=f"0200050000{NAA}565241494420", compatibilityMode="physicalMode", diskMode="independent_persistent",
        **more,
    )  # fmt: skip
    return DEVICE.VirtualDisk(key=3000, controllerKey=1001, unitNumber=0, capacityInBytes=1 << 30, backing=backing)


CDROM = DEVICE.VirtualCdrom(
    key=4000, controllerKey=200, unitNumber=0, backing=DEVICE.VirtualCdrom.IsoBackingInfo(fileName="[iso] a.iso")
)


def test_disks_are_named_by_bus_and_unit_whatever_the_order_of_the_answer():
    devices = [
        disk(2001, 1),
        lun(),
        CDROM,
        SHARED,
        SCSI,
        IDE,
        disk(2000, 0, sharing="sharingMultiWriter", uuid="6000C2"),
    ]
    found = disks.of_hardware(devices, is_running=True)
    assert found == disks.of_hardware(reversed(devices), is_running=True)
    told = [(each.target, each.kind, each.device, each.source, each.size_bytes, each.shareable) for each in found]
    assert told == [
        ("ide0:0", "media", "cdrom", "[iso] a.iso", None, False),
        ("scsi1:0", "vmdk", "disk", "[ds1] web/2000.vmdk", 2 << 20, True),
        ("scsi1:1", "vmdk", "disk", "[ds1] web/2001.vmdk", 2 << 20, False),
        ("scsi2:0", "rdm", "lun", f"vml.0200050000{NAA}565241494420", 1 << 30, True),
    ]
    assert [each.wwn for each in found] == ["", "", "", f"naa.{NAA}"]
    assert [each.serial for each in found][1] == "6000C2"
    assert found[0].readonly
    assert not found[1].readonly


def config(*devices, **more):
    hardware = vim.vm.VirtualHardware(numCPU=2, numCoresPerSocket=1, memoryMB=512, device=list(devices))
    return vim.vm.ConfigInfo(version="vmx-19", guestId="debian11_64Guest", firmware="efi", hardware=hardware, **more)


def card(key, mac):
    backing = DEVICE.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    return DEVICE.VirtualVmxnet3(key=key, macAddress=mac, backing=backing)


WEB = Machine(id="1", name="web", uuid="u", vmx="[ds1] web/web.vmx")


def test_a_definition_says_what_makes_a_difference_field_by_field():
    text = definition.of_machine(WEB, config(SCSI, disk(2000, 0), card(4001, "00:50:56:00:00:02"), card(4000, "")))
    values = definition.fields(text).values
    assert values["vmx"] == "[ds1] web/web.vmx"
    assert values["vcpus"] == "2"
    assert values["disks/scsi1:0/source"] == "[ds1] web/2000.vmdk"
    assert values["adapters/ethernet1/mac"] == "00:50:56:00:00:02"
    assert values["adapters/ethernet0/type"] == "vmxnet3"
    other = definition.fields(definition.of_machine(WEB, config(SCSI, disk(2000, 1)))).values
    assert {key for key in {*values, *other} if values.get(key) != other.get(key)} >= {"disks/scsi1:1", "disks/scsi1:0"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"vmx": 7}'])
def test_what_is_no_definition_is_refused(text):
    with pytest.raises(DriverError, match="no definition"):
        definition.read(text, origin="it")
