"""What the lab can do to disks, and what it sees of them: by the real tool and the kernel, without any code of vmsvc."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scsi import passthrough
from lab.scsi.inside import register, sg_persist
from lab.scsi.witness import can_write

A, B, C = 0xA1A1000000000001, 0xB2B2000000000002, 0xC3C3000000000003
TYPE = "--prout-type=5"


def out(device, *words):
    """PERSISTENT RESERVE OUT by the tool; a unit attention is met by asking once more."""
    done = sg_persist("-n", "--out", *words, device)
    return sg_persist("-n", "--out", *words, device) if done.returncode == 6 else done


def take(scsi, host, key, disk=0):
    """Register every path of a host, and reserve."""
    devices = scsi.devices(host, disk)
    for device in devices:
        assert out(device, "--register-ignore", f"--param-sark={key:#x}").returncode == 0
    assert out(devices[0], "--reserve", f"--param-rk={key:#x}", TYPE).returncode == 0


def writes(scsi, host, disk=0):
    """Where a host can write: each path, directly and through the page cache."""
    return {can_write(device, buffered=buffered) for device in scsi.devices(host, disk) for buffered in (False, True)}


def test_what_the_witness_sees_is_what_the_tool_did(scsi):
    assert scsi.look().hosts == set()
    take(scsi, "a", A)
    seen = scsi.look()
    assert (seen.keys, seen.holder, seen.kind) == ({"a": {A: 2}}, A, 5)
    assert [registrant.holds for registrant in seen.registrants] == [True, False]
    assert f"Key={A:#x}" in sg_persist("--in", "--readonly", "-r", scsi.devices("b")[0]).stdout


def test_only_registrants_write_and_the_witness_sees_who(scsi):
    assert writes(scsi, "a") == writes(scsi, "b") == {True}
    take(scsi, "a", A)
    assert (writes(scsi, "a"), writes(scsi, "b")) == ({True}, {False})
    register(scsi.path("b", 1).generic, B)
    assert [can_write(device) for device in scsi.devices("b")] == [True, False]
    assert (
        out(scsi.devices("b")[0], "--preempt-abort", f"--param-rk={B:#x}", f"--param-sark={A:#x}", TYPE).returncode == 0
    )
    assert (writes(scsi, "a"), scsi.look().keys) == ({False}, {"b": {B: 1}})


def test_preempting_the_holder_leaves_other_registrants_writing(scsi):
    """The defect of others that vmsvc must not share, shown by the target itself."""
    take(scsi, "a", A)
    register(scsi.path("c").generic, C)
    register(scsi.path("b").generic, B)
    out(scsi.devices("b")[0], "--preempt-abort", f"--param-rk={B:#x}", f"--param-sark={A:#x}", TYPE)
    assert can_write(scsi.devices("c")[0])


def test_a_clean_slate(scsi):
    take(scsi, "a", A)
    scsi.wipe()
    assert (scsi.look().hosts, scsi.look().holder) == (set(), None)
    assert all(passthrough.test(scsi.path(host, path).generic).is_good for host in "abc" for path in (1, 2))


def test_attentions_wait_on_every_path(scsi):
    scsi.leave_attentions("a")
    for path in (1, 2):
        assert sg_persist("--in", "--readonly", "-k", scsi.path("a", path).device).returncode == 6
        assert sg_persist("--in", "--readonly", "-k", scsi.path("a", path).device).returncode == 0


def test_a_path_is_cut_and_comes_back_without_its_registration(scsi):
    take(scsi, "a", A)
    with scsi.cut("a", 1):
        scsi.wait_for(lambda: sg_persist("--in", "--readonly", "-k", scsi.path("a", 1).device).returncode == 56)
        assert can_write(scsi.path("a", 2).device)
    assert scsi.is_alive("a", 1)


def test_a_dead_transport_looks_like_a_disk_without_keys(scsi):
    """The tool exits with 0; that it did not get through stands on stderr only."""
    take(scsi, "a", A)
    with open(scsi.path("a", 1).device), scsi.cut("a", 1):  # noqa: PTH123
        done = sg_persist("-n", "--in", "--readonly", "-k", scsi.path("a", 1).device)
    assert (done.returncode, "NO registered reservation keys" in done.stdout) == (0, True)
    assert "transport: Host_status" in done.stderr


def test_a_device_is_offline(scsi):
    with scsi.offline("a", 1):
        assert sg_persist("--in", "-k", scsi.path("a", 1).device).returncode == 56
    assert sg_persist("--in", "-k", scsi.path("a", 1).device).returncode == 0


def test_a_device_is_gone_and_found_again(scsi):
    with scsi.gone("a", 1):
        assert sg_persist("--in", "-k", scsi.path("a", 1).device).returncode == 52
    assert sg_persist("--in", "-k", scsi.path("a", 1).device).returncode == 0
    assert can_write(scsi.path("a", 1).device)


def test_a_disk_is_readonly_for_one_host(scsi):
    with scsi.readonly("a"):
        with pytest.raises(OSError, match="Read-only"):
            can_write(scsi.devices("a")[0])
        assert {Path(f"/sys/block/{Path(device).name}/ro").read_text() for device in scsi.devices("a")} == {"1\n"}
        assert writes(scsi, "b") == {True}
    assert writes(scsi, "a") == {True}


def test_a_target_restarts_and_has_forgotten_its_keys(scsi):
    take(scsi, "a", A)
    scsi.forget_keys()
    assert (scsi.look().keys, scsi.look().generation) == ({}, 0)
    assert writes(scsi, "a") == writes(scsi, "b") == {True}


def test_a_hundred_registrants(scsi):
    keys = [0xCC00 + number for number in range(100)]
    with scsi.crowd(keys, disk=7):
        assert sorted(registrant.key for registrant in scsi.look(7).registrants) == keys
        told = sg_persist("--in", "--readonly", "-k", scsi.devices("a", 7)[0]).stdout
        assert "100 registered reservation keys follow" in told
    assert scsi.look(7).registrants == ()


def test_devices_that_know_no_reservations(scsi):
    plain = scsi.devices("a", disk=scsi.layout.disks)[0]
    debug = [
        f"/dev/{file.parents[1].name}"
        for file in Path("/sys/block").glob("sd*/device/model")
        if "scsi_debug" in file.read_text()
    ]
    for device in [plain, *debug]:
        assert sg_persist("--in", "-k", device).returncode == 9
    assert len(debug) == 1
