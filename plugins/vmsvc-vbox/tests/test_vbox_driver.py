"""What is VirtualBox's own about the driver; the contract is held to by test_vbox_kit.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_vbox.driver import VboxDriver
from vmsvc_vbox.kit import VboxBackend

from vmsvc.driver import DriverError, GuestDisk, Phase, Undetermined
from vmsvc.testing.standin import engine, exchanges

SESSION = list(exchanges(Path(__file__).parent / "samples/vboxmanage-7.2.22.txt"))


@pytest.fixture(name="backend")
def a_backend(tmp_path: Path) -> Iterator[VboxBackend]:
    with contextlib.closing(VboxBackend(tmp_path)) as backend:
        yield backend


@pytest.fixture(name="driver")
def a_driver(backend: VboxBackend) -> VboxDriver:
    return VboxDriver(backend.context)


class TestStandIn:
    """The stand-in and the real VBoxManage have one judge: what the real one has printed."""

    UUID = "a97c7bb1-da44-432a-bbfb-640462424b8e"

    @pytest.fixture(name="vm1")
    def a_guest_as_in_the_session(self, backend):
        disk = {"uuid": "c6427746-b75e-4a84-9dec-c4ff36703540", "location": "/root/d1.vdi"}
        backend.standin.add(
            "vm1",
            uuid=self.UUID,
            config="/root/VirtualBox VMs/vm1/vm1.vbox",
            media=[{**disk, "port": 0}],
            hdds=[{**disk, "parent": "base", "type": "normal (base)", "format": "VDI", "mbytes": 64}],
        )

    @pytest.mark.parametrize(
        "words",
        [
            "list vms",
            "list hdds",
            "showvminfo nosuch --machinereadable",
            "controlvm vm1 poweroff",
            "controlvm vm1 acpipowerbutton",
            "controlvm nosuch poweroff",
        ],
    )
    def test_it_prints_what_the_real_one_has_printed(self, backend, vm1, words):
        [real] = [each for each in SESSION if each.argv == ("VBoxManage", *words.split())][-1:]
        if words == "list vms":
            [real] = [each for each in SESSION if each.argv[1:] == ("list", "vms") and each.out]
        done = backend.host.run(["VBoxManage", *words.split()], budget_s=10)
        assert (done.out, done.err, done.code) == (real.out, real.err, real.code)

    @pytest.mark.parametrize(
        ("words", "as_real"),
        [
            ("list --long vms", "showvminfo vm1"),
            ("showvminfo vm1 --machinereadable", "showvminfo vm1 --machinereadable"),
        ],
    )
    def test_it_prints_no_line_that_the_real_one_has_not(self, backend, vm1, words, as_real):
        real = iter(next(each.out for each in SESSION if each.argv == ("VBoxManage", *as_real.split())).splitlines())
        lines = backend.host.run(["VBoxManage", *words.split()], budget_s=10).out.splitlines()
        lost = [line for line in lines if line.strip() and line not in real]  # what is found is used up: order counts
        assert lost in ([], ["Shared folders:              <none>", "* Guest:", "Configured memory balloon:   0MB"])


class TestLooks:
    def test_two_commands_serve_all_guests(self, backend, driver):
        guests = [backend.guest(f"g{number}") for number in range(5)]
        driver.observe_all([evolve(guest, service=guest.name) for guest in guests], budget_s=10)
        assert [call.argv[1:] for call in backend.standin.calls()] == [("list", "vms"), ("list", "--long", "vms")]

    def test_none_at_all_is_an_answer_where_virtualbox_answers(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "absent")
        assert driver.observe(guest, budget_s=10).phase is Phase.ABSENT
        with backend.standin.having("empty"):
            assert driver.observe(guest, budget_s=10).phase is Phase.UNKNOWN

    def test_a_guest_whose_settings_cannot_be_read_might_be_the_one(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "absent")
        backend.standin.add("<inaccessible>")
        seen = driver.observe(guest, budget_s=10)
        assert seen.phase is Phase.UNKNOWN
        assert "cannot read the settings" in seen.evidence.detail

    def test_two_guests_of_one_name_are_unknown(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.add("web", "running")
        seen = driver.observe(guest, budget_s=10)
        assert (seen.phase, "2 guests of VirtualBox" in seen.evidence.detail) == (Phase.UNKNOWN, True)
        with pytest.raises(Undetermined):
            driver.start(guest, budget_s=10)

    def test_a_guest_that_starts_by_itself_is_warned_of(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", autostart="enabled")
        [warning] = driver.observe(guest, budget_s=10).warnings
        assert "behind the service's back" in warning
        assert driver.discover(guest, budget_s=10)[0].autostart

    def test_a_state_that_nobody_knows_is_unknown(self, backend, driver):
        guest = backend.guest("web")
        longer = {"long": {"poweroff": "hovering"}}
        views = {**backend.standin.table.data["views"], **longer}
        engine.write(str(backend.standin.directory), "table", {**backend.standin.table.data, "views": views})
        assert driver.observe(guest, budget_s=10).phase is Phase.UNKNOWN
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match="hovering"):
                verb(guest, budget_s=10)


class TestVerbs:
    def test_a_saved_guest_goes_on(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "saved")
        assert driver.observe(guest, budget_s=10).phase is Phase.SAVED
        assert driver.start(guest, budget_s=10) is True

    def test_a_paused_guest_is_neither_started_nor_asked(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "paused")
        with pytest.raises(DriverError, match="it is paused"):
            driver.start(guest, budget_s=10)
        with pytest.raises(DriverError, match="cannot hear"):
            driver.stop(guest, budget_s=10)
        assert not backend.standin.calls("startvm")
        assert not backend.standin.calls("controlvm")

    def test_a_guest_between_two_nodes_is_left_alone(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "teleporting")
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match="between two nodes"):
                verb(guest, budget_s=10)
        assert not backend.standin.calls("startvm")
        assert not backend.standin.calls("controlvm")

    @pytest.mark.keyword("container.vbox.headless")
    def test_a_guest_is_started_with_a_window_where_the_file_says_so(self, backend, driver):
        driver.start(evolve(backend.guest("web"), headless=False), budget_s=10)
        driver.start(backend.guest("db"), budget_s=10)
        assert [call.argv[-1] for call in backend.standin.calls("startvm")] == ["gui", "headless"]

    @pytest.mark.keyword("container.vbox.settings")
    def test_a_guest_that_is_not_known_is_registered_by_its_own_file(self, backend, driver):
        guest = backend.guest("registered")
        backend.standin.change("registered", "absent")
        with pytest.raises(DriverError, match="knows no guest") as caught:
            driver.start(guest, budget_s=10)
        assert "settings" in caught.value.problems[0].hint
        assert driver.start(evolve(guest, settings="/srv/registered.vbox"), budget_s=10) is True
        assert backend.standin.calls("registervm")[0].argv[2] == "/srv/registered.vbox"

    def test_a_file_of_another_guest_is_not_started(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "absent")
        with pytest.raises(DriverError, match="does not make a guest 'web' known"):
            driver.start(evolve(guest, settings="/srv/other.vbox"), budget_s=10)
        assert not backend.standin.calls("startvm")

    def test_what_is_locked_is_told_in_its_words(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.knob("locked", words=["startvm"])
        with pytest.raises(DriverError, match="already locked by a session"):
            driver.start(guest, budget_s=10)

    def test_somebody_else_was_faster(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.knob("die", "after", words=["startvm"])
        assert driver.start(guest, budget_s=10) is False
        backend.standin.well()


class TestDisks:
    def test_a_file_that_stands_for_a_device_is_the_device(self, backend, driver):
        [disk] = driver.disks(backend.guest("web"), budget_s=10)
        assert disk == GuestDisk(
            target="SATA-0-0", kind="block", source="/dev/sdz", bus="IntelAhci", size_bytes=64 << 20, persistent=True
        )

    def test_below_a_snapshot_there_is_the_device(self, backend, driver):
        guest = backend.guest("web")
        known = backend.standin.guest("web")
        base = known["hdds"][0]
        diff = {
            **base,
            "uuid": f"e{base['uuid'][1:]}",
            "parent": base["uuid"],
            "location": "/vm/S.vdi",
            "format": "VDI",
        }
        medium = {"port": 0, "uuid": diff["uuid"], "location": "/vm/S.vdi"}
        backend.standin.change("web", media=[medium], hdds=[base, diff])
        assert [(each.kind, each.source, each.readonly) for each in driver.disks(guest, budget_s=10)] == [
            ("file", "/vm/S.vdi", False),
            ("block", "/dev/sdz", True),
        ]

    def test_a_file_that_cannot_be_read_may_stand_for_a_device(self, backend, driver):
        guest = backend.guest("web")
        Path(backend.standin.guest("web")["media"][0]["location"]).unlink()
        with pytest.raises(Undetermined, match="does not tell whether it stands for a device"):
            driver.disks(guest, budget_s=10)

    @pytest.mark.parametrize("size", [0, 40, 80, 100])
    def test_a_file_of_which_a_part_is_read_may_stand_for_a_device(self, backend, driver, size):
        guest = backend.guest("web")
        file = Path(backend.standin.guest("web")["media"][0]["location"])
        file.write_text(file.read_text(encoding="utf-8")[:size], encoding="utf-8")
        with pytest.raises(Undetermined, match="does not tell whether it stands for a device"):
            driver.disks(guest, budget_s=10)

    def test_a_medium_that_is_no_hard_disk_is_read_only(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running", hdds=[], dvds=backend.standin.guest("web")["media"])
        [disk] = driver.disks(guest, budget_s=10)
        assert (disk.device, disk.readonly, disk.live) == ("cdrom", True, True)

    def test_a_medium_that_is_in_no_list_is_not_known(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running", hdds=[])
        with pytest.raises(Undetermined, match="does not tell what kind of medium is at SATA-0-0"):
            driver.disks(guest, budget_s=10)

    def test_a_medium_whose_base_is_in_no_list_is_not_known(self, backend, driver):
        guest = backend.guest("web")
        [disk] = backend.standin.guest("web")["hdds"]
        backend.standin.change("web", hdds=[{**disk, "parent": f"e{disk['uuid'][1:]}"}])
        with pytest.raises(Undetermined, match="does not tell what the disk at SATA-0-0 differs from"):
            driver.disks(guest, budget_s=10)


@pytest.mark.parametrize("text", ["", "<VirtualBox><Machine", "<VirtualBox>\n<Machine/>\n"])
def test_a_definition_that_is_not_whole_is_none(backend, driver, text):
    guest = backend.guest("web")
    Path(backend.standin.guest("web")["config"]).write_text(text, encoding="utf-8")
    with pytest.raises(Undetermined, match="is not whole"):
        driver.definition(guest, budget_s=10)
