"""By which names targets know this node, from what the kernel tells of its SCSI hosts."""

from __future__ import annotations

import pytest

from vmsvc.core.vmdg.tools.initiators import initiators_of

FC = {"class/fc_host/host1/port_name": "0x21000024ff31a2b3", "class/fc_host/host2/port_name": "0x21000024FF31A2B4"}
ISCSI = {
    "devices/platform/host3/session1/iscsi_session/session1/initiatorname": "iqn.2024-01.lab:Host",
    "class/iscsi_host/host3/initiatorname": "(null)",
}
SAS = {
    "class/sas_phy/phy-4:0/sas_address": "0x500605b00a1b2c3d",
    "class/sas_phy/phy-4:0:7/sas_address": "0x5000c50000000001",  # an expander's
}
FILE = "## a comment\nInitiatorName=iqn.2024-01.lab:file\n"


@pytest.fixture
def machine(tmp_path):
    def machine(*hosts, of=(), file=FILE, is_ours=lambda _: True):
        for each in of:
            for name, text in each.items():
                path = tmp_path / "sys" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
        for session in (tmp_path / "sys/devices").rglob("iscsi_session/session*"):
            link = tmp_path / "sys/class/iscsi_session" / session.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(session)
        (tmp_path / "initiatorname.iscsi").write_text(file)
        return initiators_of(hosts, sys=tmp_path / "sys", file=tmp_path / "initiatorname.iscsi", is_ours=is_ours)

    return machine


def test_all_ports_of_the_nodes_own_transport_are_its_names(machine):
    assert machine("1", of=[FC, ISCSI, SAS]) == {"fc 21000024ff31a2b3", "fc 21000024ff31a2b4"}
    assert machine("4", of=[FC, ISCSI, SAS]) == {"sas 500605b00a1b2c3d"}
    assert machine("3", of=[FC, ISCSI, SAS]) == {"iscsi iqn.2024-01.lab:host", "iscsi iqn.2024-01.lab:file"}


def test_a_disk_with_paths_of_two_transports_is_known_by_the_names_of_both(machine):
    assert {name.partition(" ")[0] for name in machine("1", "4", of=[FC, SAS])} == {"fc", "sas"}


def test_nothing_is_concluded_of_a_host_that_does_not_say_what_it_is(machine):
    """A virtual disk: whoever runs this machine logs in at the target, under names of its own."""
    assert machine("0", of=[FC, ISCSI, SAS]) == frozenset()
    assert machine("0", "1", of=[FC]) == frozenset()
    assert machine(of=[FC]) == frozenset()


def test_nothing_is_concluded_from_the_file_where_no_session_leads_to_the_disk(machine):
    assert machine("3") == frozenset()


def test_ports_of_another_node_on_this_machine_are_not_ours(machine):
    assert machine("1", of=[FC], is_ours=lambda host: host == "1") == {"fc 21000024ff31a2b3"}


@pytest.mark.parametrize("file", ["", "InitiatorName=\n", "garbage"])
def test_a_file_without_a_name_adds_none(machine, file):
    assert machine("3", of=[ISCSI], file=file) == {"iscsi iqn.2024-01.lab:host"}
