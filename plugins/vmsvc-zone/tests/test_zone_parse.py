"""What the tools of zones print, as far as public sources and posts show it; and what must not be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_zone import parse
from vmsvc_zone.states import PHASES, phase_of

from vmsvc.driver import AT_REST, Phase, Undetermined

GLOBAL = "0:global:running:/::native:shared\n"
#: Lines of several systems, each with where it comes from.
LINES = {
    # 7 fields: Solaris 10 and older illumos, zone_print() of zoneadm.c; the line is from facter's tests
    "-:local:configured:/::native:shared": ("local", "configured", "/", "shared"),
    # 8 fields: illumos now, with the debug id
    "3:web:running:/zones/web:40cc68e3-f061-e385-cac9-ec6aefc6ae3a:ipkg:excl:3": (
        "web",
        "running",
        "/zones/web",
        "excl",
    ),
    # 10 fields: Solaris 11, from the tests of its packaging system
    "2:z2:installed:/path::solaris:excl:-::": ("z2", "installed", "/path", "excl"),
    # 11 fields: Solaris 11.4 since its update 43
    "-:p:installed:/p/solaris11:adf0:solaris:excl:-:::": ("p", "installed", "/p/solaris11", "excl"),
    # a colon in the path is escaped
    "-:odd:installed:/zones/a\\:b::native:shared": ("odd", "installed", "/zones/a:b", "shared"),
    # a kernel zone has no path
    "4:kz:running:-:::excl:-:none:": ("kz", "running", "", "excl"),
}


class TestZones:
    @pytest.mark.parametrize("line", LINES)
    def test_the_first_seven_fields_count(self, line):
        [zone] = parse.zones(GLOBAL + line + "\n")
        assert (zone.name, zone.state, zone.path, zone.ip_type) == LINES[line]

    @pytest.mark.parametrize("state", ["installed", "configured", "incomplete", "installed:suspended"])
    def test_a_zone_that_the_kernel_knows_is_not_down(self, state):
        word, _, auxiliary = state.partition(":")
        line = f":web:{word}:/zones/web::solaris-kz:excl:-:{auxiliary}:\n"
        [down], [odd] = parse.zones(f"{GLOBAL}-{line}"), parse.zones(f"{GLOBAL}7{line}")
        assert down.phase in AT_REST
        assert (odd.phase, odd.word) == (Phase.UNKNOWN, f"{word}, and has the number 7 in the kernel")

    def test_a_node_without_zones_has_none(self):
        assert parse.zones(GLOBAL) == []

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            "garbage\n",
            "-:web:running:/zones/web::ipkg:shared\n",  # seen from within a zone: others are not told of
            GLOBAL + "-:web:running\n",
            GLOBAL + "-:web:running:/zones/web::ipkg:sha",  # cut off
            GLOBAL + "x:web:running:/zones/web::ipkg:shared\n",
            GLOBAL + "-::running:/zones/web::ipkg:shared\n",
            GLOBAL + "-:web:running:zones::ipkg:shared\n",
            GLOBAL + 2 * "-:web:running:/zones/web::ipkg:shared\n",
            GLOBAL + GLOBAL,
        ],
    )
    def test_what_is_no_whole_list_tells_nothing(self, text):
        with pytest.raises(Undetermined):
            parse.zones(text)

    @given(st.text())
    def test_no_text_at_all_is_a_crash(self, text):
        try:
            found = parse.zones(GLOBAL + text)
        except Undetermined:
            return
        assert all(zone.name and zone.name in text for zone in found)


class TestStates:
    @pytest.mark.parametrize(
        ("state", "phase"),
        [
            ("running", Phase.RUNNING),
            ("ready", Phase.PREPARED),
            ("installed", Phase.STOPPED),
            ("configured", Phase.STOPPED),
            ("unavailable", Phase.STOPPED),
            ("incomplete", Phase.STOPPED),
            ("shutting_down", Phase.STOPPING),
            ("down", Phase.STOPPING),
            ("mounted", Phase.DEGRADED),
            ("Running", Phase.UNKNOWN),
            ("hovering", Phase.UNKNOWN),
            ("", Phase.UNKNOWN),
        ],
    )
    def test_a_state_is_a_phase(self, state, phase):
        assert phase_of(state) is phase

    @given(st.text())
    def test_a_word_that_nobody_knows_is_unknown(self, word):
        assert phase_of(word) is PHASES.get(word, Phase.UNKNOWN)


EXPORT = """create -b
set brand=solaris
set zonepath=/zones/web
set autoboot=true
add net
set physical=vnet1
end
add device
set match=/dev/rdsk/c1t1d0s2
end
add device
set match=/dev/rdsk/c2t*
end
add fs
set dir=/data
set special=/dev/dsk/c3t0d0s0
set raw=/dev/rdsk/c3t0d0s0
set type=ufs
add options ro
end
add fs
set dir=/opt/local
set special=/export/opt
set type=lofs
set options=[ro,nodevices]
end
add dataset
set name=tank/web
end
add rctl
set name=zone.cpu-cap
add value (priv=privileged,limit=250,action=deny)
end
add capped-memory
set physical=1536M
end
add attr
set name=comment
set type=string
set value="two words"
end
"""


class TestConfigurations:
    def test_values_and_parts(self):
        found = parse.configuration(EXPORT)
        assert found.values == {"brand": "solaris", "zonepath": "/zones/web", "autoboot": "true"}
        assert found.parts[0] == parse.Part(kind="net", values={"physical": "vnet1"})
        assert found.parts[-1].values["value"] == "two words"

    def test_the_zone_s_own_name_and_the_node_s_devices_are_written_in_ways_of_their_own(self):
        # The default configuration of a kernel zone, with a second disk; suri(7), solaris-kz(7).
        text = (
            "create -b\nset brand=solaris-kz\nset zonepath=/system/zones/%{zonename}\n"
            "add device\nset storage=dev:/dev/zvol/dsk/rpool/VARSHARE/zones/%{zonename}/disk0\nset id=0\nend\n"
            "add device\nset storage=dev:dsk/c0t1d0s2\nset id=1\nend\n"
            "add device\nset storage=iscsi://host/luname.naa.600144f0\nend\n"
        )
        found = parse.disks(parse.configuration(text), "kz1", live=False)
        assert [(disk.kind, disk.source) for disk in found] == [
            ("dir", "/system/zones/kz1"),
            ("block", "/dev/zvol/dsk/rpool/VARSHARE/zones/kz1/disk0"),
            ("block", "/dev/dsk/c0t1d0s2"),
            ("device", "iscsi://host/luname.naa.600144f0"),
        ]

    @pytest.mark.parametrize("options", ["add options ro\nadd options nodevices", "add options [ro,nodevices]"])
    def test_options_that_are_added_one_by_one_all_count(self, options):
        text = f"create -b\nset zonepath=/z\nadd fs\nset dir=/data\nset special=/export/data\n{options}\nend\n"
        assert [disk.readonly for disk in parse.disks(parse.configuration(text), "web", live=False)] == [False, True]

    def test_resources_within_resources_are_read(self):
        text = (
            "create -b\nset zonepath=/z\nadd anet\nset lower-link=auto\nadd mac\nset mac-address=auto\nset id=0\nend\n"
            "add vlan\nset vlan-id=7\nend\nset id=1\nend\nadd fs\nset dir=/data\nset special=/export/data\nend\n"
        )
        found = parse.configuration(text)
        assert [part.kind for part in found.parts] == ["mac", "vlan", "anet", "fs"]
        assert found.parts[2].values == {"lower-link": "auto", "id": "1"}
        assert [disk.source for disk in parse.disks(found, "web", live=False)] == ["/z", "/export/data"]
        with pytest.raises(Undetermined):
            parse.configuration(text.replace("set id=1\nend\n", "set id=1\n"))

    def test_disks(self):
        found = parse.disks(parse.configuration(EXPORT), "web", live=True)
        assert [(disk.target, disk.kind, disk.source) for disk in found] == [
            ("/", "dir", "/zones/web"),
            ("/dev/rdsk/c1t1d0s2", "block", "/dev/rdsk/c1t1d0s2"),
            ("/dev/rdsk/c2t*", "device", "/dev/rdsk/c2t*"),
            ("/data", "block", "/dev/dsk/c3t0d0s0"),
            ("/opt/local", "dir", "/export/opt"),
            ("tank/web", "dataset", "tank/web"),
        ]
        assert [disk.readonly for disk in found] == [False, False, False, True, True, False]
        assert all(disk.live and disk.persistent for disk in found)

    def test_sizes(self):
        assert parse.sizes(parse.configuration(EXPORT)) == (3, 1536)

    @pytest.mark.parametrize(
        ("written", "vcpus"), [("2", 2), ("2-4", 4), ("1.5", 2), ("0.2", 1), ("many", None), ("1-", None)]
    )
    def test_processors(self, written, vcpus):
        text = f"create -b\nset zonepath=/z\nadd dedicated-cpu\nset ncpus={written}\nend\n"
        assert parse.sizes(parse.configuration(text)) == (vcpus, None)

    @pytest.mark.parametrize(
        ("written", "mib"), [("2G", 2048), ("512m", 512), ("1T", 1 << 20), ("2097152", 2), ("2048K", 2), ("all", None)]
    )
    def test_memory(self, written, mib):
        text = f"create -b\nset zonepath=/z\nadd capped-memory\nset physical={written}\nend\n"
        assert parse.sizes(parse.configuration(text)) == (None, mib)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "garbage\n",
            "create -b\n",
            EXPORT[:-5],
            EXPORT + "add net\n",
            EXPORT + "Segmentation fault\n",
            "web: No such zone configured\nUse 'create' to begin configuring a new zone.\n",
        ],
    )
    def test_what_is_no_configuration_tells_nothing(self, text):
        with pytest.raises(Undetermined):
            parse.configuration(text)

    @given(st.text())
    def test_no_text_at_all_is_a_crash(self, text):
        try:
            parse.disks(parse.configuration("create -b\nset zonepath=/z\n" + text), "web", live=False)
        except Undetermined:
            return


LO0 = "lo0: flags=2001000849<UP,LOOPBACK,RUNNING,MULTICAST,IPv4,VIRTUAL> mtu 8232 index 1\n\tinet 127.0.0.1 netmask ff000000\n"
NET0 = (
    "net0:1: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1500 index 2\n"
    "\tzone web\n\tinet 192.0.2.7 netmask ffffff00 broadcast 192.0.2.255\n"
)
V6 = "net0:2: flags=2000840<RUNNING,MULTICAST,IPv6> mtu 1500 index 2\n\tzone db\n\tinet6 2001:db8::7/64\n"


class TestPlumbed:
    def test_who_has_which_address(self):
        found = parse.plumbed(LO0 + NET0 + V6)
        told = [(one.zone, one.address.device, one.address.address, one.address.prefix) for one in found]
        assert told == [
            ("", "lo0", "127.0.0.1", 8),
            ("web", "net0:1", "192.0.2.7", 24),
            ("db", "net0:2", "2001:db8::7", 64),
        ]
        assert [one.address.unusable for one in found] == ["", "", "the adapter is down"]

    @pytest.mark.parametrize("text", ["", "garbage\n", NET0, LO0 + "garbage\n", LO0 + NET0.replace("192.0.2.7", "x")])
    def test_what_cannot_be_read_tells_nothing(self, text):
        with pytest.raises(Undetermined):
            parse.plumbed(text)

    @pytest.mark.parametrize("length", range(len(LO0), len(LO0 + NET0)))
    def test_an_output_that_is_cut_off_does_not_say_that_an_address_is_on_no_adapter(self, length):
        text = (LO0 + NET0)[:length]
        if not text.endswith("\n"):
            with pytest.raises(Undetermined):
                parse.plumbed(text)

    @pytest.mark.parametrize("line", ["\tinet?192.0.2.7 netmask ffffff00", "\tinet 192.0.2 netmask ffffff00"])
    def test_a_garbled_address_is_not_passed_over(self, line):
        with pytest.raises(Undetermined):
            parse.plumbed(f"{LO0}{NET0.splitlines()[0]}\n{line}\n")

    @pytest.mark.parametrize(
        ("was", "flags", "why"),
        [
            ("IPv4>", "IPv4,DUPLICATE>", "another machine has it (DUPLICATE)"),
            ("IPv4>", "IPv4,FAILED>", "the adapter has failed (FAILED)"),
            ("RUNNING,", "", "the adapter has no carrier"),
        ],
    )
    def test_an_address_that_is_of_no_use_is_told_so(self, was, flags, why):
        found = parse.plumbed(LO0 + NET0.replace(was, flags))
        assert found[1].address.unusable == why

    def test_the_ends_of_a_tunnel_are_no_addresses_of_the_node(self):
        tunnel = "ip.tun0: flags=2200851<UP,POINTOPOINT,RUNNING,MULTICAST,IPv6> mtu 1480 index 3\n"
        tunnel += "\tinet tunnel src 192.0.2.1 tunnel dst 192.0.2.9\n\tinet6 fe80::1/10 --> fe80::2\n"
        assert [one.address.address for one in parse.plumbed(LO0 + tunnel + NET0)] == [
            "127.0.0.1",
            "fe80::1",
            "192.0.2.7",
        ]

    @given(st.text())
    def test_no_text_at_all_is_a_crash(self, text):
        try:
            parse.plumbed(LO0 + text)
        except Undetermined:
            return
