"""What xl prints, and what guests' config files say: recorded answers of the real one, and what must not be believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_xen import config, parse
from vmsvc_xen.device import Device, device
from vmsvc_xen.kit import config_of

from vmsvc.driver import Phase, Undetermined
from vmsvc.testing.standin import exchanges

SESSION = list(exchanges(Path(__file__).parent / "samples/xl-4.17.txt"))
LISTS = [each.out for each in SESSION if each.argv == ("xl", "list") and not each.code]
HEADER, DOM0 = LISTS[0].splitlines()


def listed(*rows: str) -> str:
    return "".join(f"{line}\n" for line in (HEADER, DOM0, *rows))


def row(name: str, letters: str = "-b----", seconds: str = "6.1") -> str:
    return f"{name:<40} {7:>5} {128:>5} {1:>5}     {letters}  {seconds:>8}"


class TestLists:
    def test_what_the_real_one_has_told_of_guests(self):
        told = [
            (each.name, each.letters, each.phase)
            for text in dict.fromkeys(LISTS)
            for each in parse.domains(text).named.values()
        ]
        assert set(told) == {
            ("web", "r-----", Phase.RUNNING),
            ("web", "-b----", Phase.RUNNING),
            ("web", "--p---", Phase.PAUSED),
            ("web", "--p---", Phase.STARTING),
            ("deaf", "-b----", Phase.RUNNING),
            ("kept", "---s--", Phase.STOPPING),
            ("kept", "---sr-", Phase.STOPPING),
        }
        assert parse.domains(LISTS[0]).of("web") is None

    @pytest.mark.parametrize(
        ("letters", "phase"),
        [
            ("------", Phase.RUNNING),
            ("rb----", Phase.RUNNING),
            ("--ps--", Phase.STOPPING),
            ("--pscd", Phase.STOPPING),
            ("-----d", Phase.STOPPING),
            ("---sc-", Phase.CRASHED),
            ("---sw-", Phase.CRASHED),
            ("---ss-", Phase.SUSPENDED),
            ("---sS-", Phase.STOPPING),
            ("---s?-", Phase.UNKNOWN),
        ],
    )
    def test_a_name_in_the_list_is_not_up(self, letters, phase):
        [guest] = parse.domains(listed(row("web", letters))).named.values()
        assert guest.phase is phase

    @pytest.mark.parametrize("name", [" blank", "two words", "7 128 1 r----- 1.0", "a" * 60, "ä中", "100%", "Domain-0"])
    def test_names_are_read_as_they_are(self, name):
        assert list(parse.domains(listed(row(name))).named) == [name]

    @pytest.mark.parametrize("second", ["web", "web "])
    def test_two_domains_of_one_name_tell_nothing(self, second):
        with pytest.raises(Undetermined, match="two domains are named 'web'"):
            parse.domains(listed(row("web"), row(second, "--ps--")))
        assert len(parse.domains(listed(row("(null)"), row("(null)"))).nameless) == 2

    def test_a_domain_without_a_name_may_be_any_guest(self):
        domains = parse.domains(listed(row("(null)", "--ps-d"), row("web")))
        assert domains.of("web") is not None
        with pytest.raises(Undetermined, match=r"whose names nobody knows.*7 \(--ps-d\)"):
            domains.of("db")

    @pytest.mark.parametrize("ending", ["--incoming", "--migratedaway"])
    def test_a_guest_that_migrates_is_not_absent(self, ending):
        found = parse.domains(listed(row(f"web{ending}"))).of("web")
        assert found is not None
        assert found.phase is Phase.MIGRATING

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "garbage\n",
            f"{HEADER}\n",
            f"{HEADER}\n{row('web')}\n",
            listed(row("web")[:-4]),
            listed("Segmentation fault"),
            listed(f"{row('web')}  extra"),
            next(each.out for each in SESSION if each.argv == ("xl", "list", "-v")),
        ],
    )
    def test_what_is_no_whole_list_tells_nothing(self, text):
        with pytest.raises(Undetermined, match="xl list"):
            parse.domains(text)

    @given(st.text())
    def test_no_text_at_all_is_a_crash(self, text):
        with pytest.raises(Undetermined):
            parse.domains(text)


class TestLongLists:
    def test_of_the_real_one(self):
        text = next(each.out for each in SESSION if each.argv == ("xl", "list", "-l", "web"))
        assert parse.devices(text) == {
            1: [
                Device(vdev="xvda", target="/dev/loop0"),
                Device(vdev="xvdb", target="/root/disk1.img", readonly=True),
                Device(vdev="xvdc", target="/dev/loop2", readonly=True),
            ]
        }
        assert text.count("4294967295") == 1, "the number of the domain is the one beside its config"

    @pytest.mark.parametrize(
        "text",
        ["", "garbage", "[", "7", "[7]", "{}x", '[{"domid": 1}]', "[" * 100_000, '[{"domid": 1, "config": {"disks": [{}]}}]',
         '[{"domid": 1, "config": {"disks": [{"vdev": 7}]}}]', '[{"domid": "x", "config": {}}]'],
    )  # fmt: skip
    def test_what_is_none_tells_nothing(self, text):
        with pytest.raises(Undetermined, match="cannot be read"):
            parse.devices(text)


class TestConfig:
    def test_as_xl_reads_it(self):
        text = """
# a comment
name = 'two words' ; type="pv"   # another one
memory = 0x80; vcpus=2;
extra = "a\\t'q' # none"
disk = [ 'phy:/dev/a,xvda,w',   # of it
   "b,,xvdb",
]
disk += [ 'c,,xvdc' ]
vif = [ ]
cpus = [ [1, 2], 'x' ]
extra += "!"
memory = "64"
"""
        assert config.settings(text) == {
            "name": "two words",
            "type": "pv",
            "memory": "64",
            "vcpus": "2",
            "extra": "a\t'q' # none!",
            "disk": ["phy:/dev/a,xvda,w", "b,,xvdb", "c,,xvdc"],
            "vif": [],
            "cpus": [["1", "2"], "x"],
        }
        assert config.settings("") == {}
        assert config.settings('name="x"') == {"name": "x"}

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("name = web\n", "line 1: 'web' is not expected"),
            ("a = 1\nb = 2 c = 3\n", "line 2: 'c' is not expected"),
            ("name =\n", "the end of the line is not expected"),
            ("disk = [ 'a'\n", "the end of the file is not expected"),
            ("disk = [ 'a' 'b' ]", "not expected"),
            ("disk = [ , ]", "not expected"),
            ("name", "the end of the file"),
            ("name = 'a\nb'", 'line 1: "\'a" cannot be read'),
            ("Name = 'a'", "cannot be read"),
            ("extra = '\\x41'", "does not read"),
            ("disk += 'a'\ndisk += []", "adds a list to a text"),
            ("import os\nos.system('true')", "not expected"),
            ("name = open('/etc/passwd')", "not expected"),
            ("a = " + "[" * 100_000, "not expected"),
        ],
    )
    def test_what_xl_could_not_read_says_where(self, text, why):
        with pytest.raises(ValueError, match=r"line|adds") as caught:
            config.settings(text)
        assert why in str(caught.value)

    @given(st.text())
    def test_no_text_at_all_is_a_crash(self, text):
        try:
            config.devices(config.settings(text))
        except ValueError as error:
            assert str(error)  # noqa: PT017 - most texts are none, and some are one

    @given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
    def test_any_name_can_be_written(self, name):
        assert config.name(config.settings(config_of(name))) == name

    def test_disks_that_are_no_list_are_none_for_xl(self):
        with pytest.raises(ValueError, match="without disks"):
            config.devices({"disk": "phy:/dev/a,xvda,w"})


class TestDevice:
    """The examples of xl-disk-configuration(5) among others; tests/lab asks the real one about such, too."""

    @pytest.mark.parametrize(
        "text",
        [
            "/dev/vg/guest-volume,,hda",
            "/dev/vg/guest-volume,raw,hda,rw",
            "format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume",
            "raw:/dev/vg/guest-volume,hda,w",
            "phy:vg/guest-volume,hda,w",
            "tap:aio:/dev/vg/guest-volume,hda,w",
            "vdev=hda,/dev/vg/guest-volume",
        ],
    )
    def test_one_disk_can_be_written_in_many_ways(self, text):
        found = device(text)
        assert (found.path, found.vdev, found.readonly) == ("/dev/vg/guest-volume", "hda", False)

    @pytest.mark.parametrize(
        "text",
        [
            "/root/image.iso,,hdc,cdrom",
            "/root/image.iso,,hdc,,cdrom",
            "/root/image.iso,raw,hdc,devtype=cdrom",
            "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso",
            "raw:/root/image.iso,hdc:cdrom,ro",
        ],
    )
    def test_so_can_a_drive(self, text):
        assert device(text) == Device(vdev="hdc", target="/root/image.iso", readonly=True, cdrom=True)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            (",hdd:cdrom", Device(vdev="hdd", target="", readonly=True, cdrom=True)),
            (",,hdd,cdrom", Device(vdev="hdd", target="", readonly=True, cdrom=True)),
            ("drbd:res1,xvdf,w", Device(vdev="xvdf", target="res1", script="block-drbd")),
            ("vdev=xvde,script=block-x,target=a,b:c ", Device(vdev="xvde", target="a,b:c ", script="block-x")),
            (
                "a,,xvda,r,backend=store,discard,later=1",
                Device(vdev="xvda", target="a", backend="store", readonly=True),
            ),
        ],
    )
    def test_what_is_no_path_keeps_what_it_is(self, text, found):
        assert device(text) == found
        assert found.path == ""

    @pytest.mark.parametrize(
        "text", ["", "a", "a,,", "a,,xvda,x", "a,,xvda,w,more", ",,xvda", "a,vdev=b,vdev=c", "cdrom"]
    )
    def test_what_is_no_disk_is_refused(self, text):
        with pytest.raises(ValueError, match=r"is told|is not told|no kind|nobody knows|given twice"):
            device(text)
