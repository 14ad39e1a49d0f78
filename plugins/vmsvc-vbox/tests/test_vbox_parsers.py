"""What VBoxManage prints: recorded sessions of the real one, and what must not be believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_vbox import parse
from vmsvc_vbox.states import phase_of

from vmsvc.driver import Phase, Undetermined
from vmsvc.testing.standin import exchanges

SESSION = list(exchanges(Path(__file__).parent / "samples/vboxmanage-7.2.22.txt"))
VM1 = "a97c7bb1-da44-432a-bbfb-640462424b8e"
D1 = "c6427746-b75e-4a84-9dec-c4ff36703540"
SHORT = f'"vm1" {{{VM1}}}\n'


def printed(*words: str, which: int = 0) -> str:
    """What the real one printed when it was called for the nth time in this way."""
    return [exchange.out for exchange in SESSION if exchange.argv == ("VBoxManage", *words)][which]


LONG = printed("showvminfo", "vm1")


def surveyed(short: str, long: str) -> list[parse.Listed]:
    return parse.surveyed(short.split("\n"), long.split("\n"))


class TestLists:
    def test_guests_by_their_uuid(self):
        assert parse.listed(printed("list", "vms", which=1).split("\n")) == {VM1: "vm1"}
        assert parse.listed(printed("list", "vms", which=0).split("\n")) == {}

    def test_the_long_list_tells_states(self):
        [guest] = surveyed(SHORT, LONG)
        assert (guest.name, guest.state, guest.autostart) == ("vm1", "powered off", False)
        running = LONG.replace("powered off (", "running (").replace(
            "Autostart Enabled:           dis", f"{'Autostart Enabled:':29}en"
        )
        [guest] = surveyed(SHORT, running)
        assert (guest.state, guest.autostart) == ("running", True)

    def test_a_description_is_not_taken_for_a_guest(self):
        forged = f"Description:\nName:                        db\nUUID:  {VM1}\nState:                       running (since 2026)\n"
        for long in (LONG + forged, forged + LONG):  # whichever is told first: one of the two is a lie
            [guest] = surveyed(SHORT, long)
            assert (guest.state, "'running'" in guest.contradiction) == ("", True)
        other = "11111111-da44-432a-bbfb-640462424b8e"
        forged = forged.replace(VM1, other)
        assert [guest.name for guest in surveyed(SHORT, LONG + forged)] == ["vm1"]

    def test_a_shared_folder_is_not_taken_for_a_guest(self):
        folder = LONG.replace("State:", "Name: 'share', Host path: '/srv' (machine mapping), writable\nState:", 1)
        assert surveyed(SHORT, folder)[0].state == "powered off"

    def test_a_guest_that_came_between_the_two_lists_has_no_state(self):
        other = '"db" {11111111-da44-432a-bbfb-640462424b8e}\n'
        assert [guest.state for guest in surveyed(SHORT + other, LONG)] == ["powered off", ""]

    def test_the_warning_of_a_missing_kernel_module_is_not_a_guest(self):
        warning = "WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install it.\n\n"
        assert parse.listed((warning + SHORT).split("\n")) == {VM1: "vm1"}

    @pytest.mark.parametrize("text", ["garbage\n", SHORT[:-5], SHORT + "Segmentation fault\n", '"vm1" {1}\n', "\0\n"])
    def test_what_is_no_list_tells_nothing(self, text):
        with pytest.raises(Undetermined, match="no list of guests"):
            parse.listed(text.split("\n"))

    @pytest.mark.parametrize("long", ["", "garbage", LONG[:20]])
    def test_a_long_list_without_a_guest_tells_nothing(self, long):
        with pytest.raises(Undetermined, match="no list of guests"):
            surveyed(SHORT, long)

    def test_a_list_without_a_guest_is_none_where_the_long_one_has_some(self):
        with pytest.raises(Undetermined, match="its long list has guests"):
            surveyed("", LONG)
        assert surveyed("", "") == []

    @given(st.text())
    def test_no_text_at_all_is_a_crash_or_a_state(self, text):
        try:
            guests = surveyed(SHORT, text)
        except Undetermined:
            return
        assert all(phase_of(guest.state) is Phase.UNKNOWN for guest in guests if guest.state not in text)


class TestInfo:
    def test_of_a_real_guest(self):
        values = parse.info(printed("showvminfo", "vm1", "--machinereadable").split("\n"))
        assert values["VMState"] == "poweroff"
        assert (values["memory"], values["cpus"]) == ("256", "1")
        assert values["CfgFile"] == "/root/VirtualBox VMs/vm1/vm1.vbox"

    def test_what_is_attached(self):
        values = parse.info(printed("showvminfo", "vm1", "--machinereadable").split("\n"))
        assert parse.attached(values) == [
            parse.Attached(target="SATA-0-0", bus="IntelAhci", location="/root/d1.vdi", uuid=D1)
        ]

    def test_an_empty_drive_is_a_drive(self):
        text = printed("showvminfo", "vm1", "--machinereadable").replace('"SATA-1-0"="none"', '"SATA-1-0"="emptydrive"')
        assert [(each.target, each.location) for each in parse.attached(parse.info(text.split("\n")))] == [
            ("SATA-0-0", "/root/d1.vdi"),
            ("SATA-1-0", ""),
        ]

    def test_the_first_of_two_lines_counts(self):
        text = printed("showvminfo", "vm1", "--machinereadable")
        text = text.replace("GuestMemory", 'VMState="running"\nGuestMemory')
        assert parse.info(text.split("\n"))["VMState"] == "poweroff"

    def test_a_description_adds_no_disk(self):
        text = printed("showvminfo", "vm1", "--machinereadable")
        described = 'description="see\n"SATA-9-0"="/dev/sdzz"\nbye"\nGuestMemoryBalloon='
        values = parse.info(text.replace("GuestMemoryBalloon=", described).split("\n"))
        assert [each.target for each in parse.attached(values)] == ["SATA-0-0"]

    @pytest.mark.parametrize("text", ["", "garbage", 'name="vm1"\n', 'name="vm1"  extra\n'])
    def test_what_lacks_something_tells_nothing(self, text):
        with pytest.raises(Undetermined, match="lacks"):
            parse.info([*text.split("\n"), "GuestMemoryBalloon=0"])
        with pytest.raises(Undetermined, match="not whole"):
            parse.info(text.split("\n"))


class TestMachines:
    @pytest.mark.parametrize(
        ("line", "guest", "comment"),
        [
            (f"vbox     /usr/lib/virtualbox/VBoxHeadless --comment web 1 --startvm {VM1} --vrde config", VM1, "web 1"),
            (f"vbox VirtualBoxVM --comment web --startvm {VM1} --no-startvm-errormsgbox", VM1, "web"),
            ("vbox VBoxHeadless -s web", "web", ""),
            ("vbox /usr/bin/VBoxHeadless -startvm web --vrde off", "web", ""),
            (f"1001 VBoxSDL --startvm {{{VM1}}}", VM1, ""),
        ],
    )
    def test_a_process_that_runs_a_guest(self, line, guest, comment):
        [machine] = parse.machines([line])
        assert (machine.guest, machine.comment) == (guest, comment)

    @pytest.mark.parametrize(
        "line",
        ["vbox /usr/lib/virtualbox/VBoxSVC --auto-shutdown", "vbox VirtualBox", "root grep VBoxHeadless -s web", ""],
    )
    def test_other_processes(self, line):
        assert parse.machines([line]) == []


class TestMedia:
    def test_of_a_real_list(self):
        assert parse.media(printed("list", "hdds").split("\n")[:-1]) == {
            D1: parse.Medium(
                uuid=D1, parent="", location="/root/d1.vdi", format="VDI", type="normal", size_bytes=64 << 20
            )
        }

    def test_a_list_that_is_not_whole_tells_nothing(self):
        *lines, _ = printed("list", "hdds").split("\n")
        assert parse.media([]) == {}
        for number in range(1, len(lines)):
            with pytest.raises(Undetermined):
                parse.media(lines[:number])
        for number in (0, 1, 3, 4, 5):
            with pytest.raises(Undetermined):
                parse.media([*lines[:number], *lines[number + 1 :]])
        for text in ("garbage", "\0", "UUID: 1", "Location: /root/d1.vdi"):
            with pytest.raises(Undetermined, match="no medium"):
                parse.media([text, ""])

    def test_the_warning_of_a_missing_kernel_module_is_no_medium(self):
        *lines, _ = printed("list", "hdds").split("\n")
        assert set(
            parse.media(["WARNING: The vboxdrv kernel module", "", "    sudo /sbin/vboxconfig", "", *lines])
        ) == {D1}

    @pytest.mark.parametrize(
        ("descriptor", "device"),
        [
            ('createType="fullDevice"\nRW 2048 FLAT "/dev/disk/by-id/a b" 0\n', "/dev/disk/by-id/a b"),
            ('createType="partitionedDevice"\nRW 63 FLAT "d-pt.vmdk" 0\nRW 9 FLAT "/dev/sdb" 63\n', "/dev/sdb"),
            ('createType="monolithicSparse"\nRW 2048 SPARSE "/dev/sdb" 0\n', ""),
            ('createType="monolithicSp', None),
            ('createType="fullDevice"\nRW 2048 FLAT "/dev/sd', None),
            ("KDMV\x00\x01", None),
            ("", None),
        ],
    )
    def test_files_that_stand_for_devices(self, descriptor, device):
        assert parse.raw_device(descriptor) == device


class TestStates:
    @pytest.mark.parametrize(
        ("word", "phase"),
        [
            ("powered off", Phase.STOPPED),
            ("poweroff", Phase.STOPPED),
            ("aborted", Phase.STOPPED),
            ("saved", Phase.SAVED),
            ("aborted-saved", Phase.SAVED),
            ("teleported", Phase.MOVED),
            ("running", Phase.RUNNING),
            ("live snapshotting", Phase.RUNNING),
            ("paused", Phase.PAUSED),
            ("guru meditation", Phase.STUCK),
            ("gurumeditation", Phase.STUCK),
            ("restoring", Phase.STARTING),
            ("saving", Phase.STOPPING),
            ("teleporting (incoming)", Phase.MIGRATING),
            ("running and more", Phase.UNKNOWN),
            ("ausgeschaltet", Phase.UNKNOWN),
            ("", Phase.UNKNOWN),
        ],
    )
    def test_a_word_means(self, word, phase):
        assert phase_of(word) is phase
