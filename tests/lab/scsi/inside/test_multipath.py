"""Maps whose registrations a real multipathd keeps: paths that come back are registered, and forgotten when told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vmsvc.core.transport.local import LocalHost
from vmsvc.core.vmdg.seen import Act, Answer, Operation
from vmsvc.core.vmdg.tools import DiskFinder, new_tool

pytestmark = pytest.mark.layout(hosts=2, disks=1, plain=False, debug=False, udev=True)

A, B = 0xA1A1_0000_0000_0001, 0xB2B2_0000_0000_0002

CONFIGURATION = """\
defaults {
	user_friendly_names yes
	find_multipaths no
	reservation_key file
	polling_interval 1
	max_polling_interval 1
}
blacklist {
	devnode "^(%s)$"
}
"""


@pytest.fixture(scope="module")
def node():
    host = LocalHost("n1")
    yield host
    host.close()


@pytest.fixture
def disk(scsi, node):
    """The disk as host a finds it, through a map of its two paths."""
    names = [Path(device).name for device in scsi.devices("b")]
    names += [Path(scsi.path("observer").device).name]
    Path("/etc/multipath").mkdir(exist_ok=True)
    Path("/etc/multipath.conf").write_text(CONFIGURATION % "|".join(names))
    subprocess.run(["modprobe", "-a", "dm-multipath", "dm-service-time"], check=True)
    with subprocess.Popen(["multipathd", "-d", "-s"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as daemon:
        try:
            scsi.wait_for(lambda: len([*Path("/sys/block").glob("dm-*/slaves/*")]) == 2)
            scsi.wait_for(lambda: Path("/dev/mapper/mpatha").exists())
            hosts = [str(number) for number in scsi.scsi_hosts("a")]
            (found,) = DiskFinder(node, scsi_hosts=hosts).find(["/dev/mapper/mpatha"])
            yield found
        finally:
            daemon.terminate()
            daemon.wait(20)
            subprocess.run(["dmsetup", "remove", "--retry", "mpatha"], check=True)


def is_used(path):
    """Whether multipathd uses a path."""
    shown = subprocess.run(
        ["multipathd", "show", "paths", "format", "%d %t"], capture_output=True, text=True, check=False
    )
    return f"{Path(path).name} active" in shown.stdout


def test_multipathd_registers_a_path_that_comes_back_until_it_is_told_to_forget(scsi, node, disk):
    tool = new_tool(node)

    def do(act, **more):
        operation = Operation(act=act, path=disk.map, key=A, **more)
        performed = tool.perform(disk, operation)
        while performed.answer is Answer.ATTENTION:  # our other path is told of what the first has done
            performed = tool.perform(disk, operation)
        assert performed.answer is Answer.DONE, performed
        return performed

    assert (disk.map, disk.is_managed, sorted(disk.paths)) == ("/dev/mapper/mpatha", True, sorted(scsi.devices("a")))

    with scsi.offline("a", 1):
        scsi.wait_for(lambda: not is_used(scsi.path("a", 1).device))
        registered = do(Act.REGISTER)
        assert f"{scsi.path('a', 1).device}: " in registered.detail
        assert scsi.look().keys == {"a": {A: 1}}
    scsi.wait_for(lambda: scsi.look().keys == {"a": {A: 2}})

    do(Act.RESERVE)
    assert scsi.look().holder == A
    assert tool.read(disk, disk.paths[1]).keys == (A, A)

    do(Act.RELEASE)
    assert scsi.look().holder is None
    do(Act.UNREGISTER)
    assert scsi.look().keys == {}
    with scsi.offline("a", 1):
        scsi.wait_for(lambda: not is_used(scsi.path("a", 1).device))
    scsi.wait_for(lambda: is_used(scsi.path("a", 1).device))
    assert scsi.look().keys == {}


def test_a_map_takes_over_from_another_host(scsi, node, disk):
    tool = new_tool(node)
    hosts = [str(number) for number in scsi.scsi_hosts("b")]
    (theirs,) = DiskFinder(node, scsi_hosts=hosts).find([scsi.devices("b")[0]])
    for act in (Act.REGISTER, Act.RESERVE):
        performed = tool.perform(theirs, Operation(act=act, path=theirs.paths[0], key=B))
        assert performed.answer is Answer.DONE

    assert tool.perform(disk, Operation(act=Act.REGISTER, path=disk.map, key=A)).answer is Answer.DONE
    performed = tool.perform(disk, Operation(act=Act.PREEMPT, path=disk.map, key=A, victim=B))

    assert performed.answer is Answer.DONE, performed
    assert (scsi.look().keys, scsi.look().holder) == ({"a": {A: 2}}, A)
