"""Recordings: nothing of the host is told, what matters to a driver is kept, and a driver reads it as it read the host."""

from __future__ import annotations

import contextlib
import json
import re
import string

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.testing.reference import Machine, Tool, ToyDriver, ToyGuest
from vmsvc.driver import ActionFailed, Capability, Context, Node, Outcome, Undetermined, UsageError
from vmsvc.testing import identity
from vmsvc.testing.recording import Masking, Recording, answers_of, described, guest_from, read, replay, replayed
from vmsvc.testing.recording.samples import Command, RecordingHost, ReplayingHost

SECRET = b"not so secret"
NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_. äЖ$*'"), min_size=1, max_size=20)


# --- masking ----------------------------------------------------------------------------------------------------------


@given(st.lists(NAMES, unique=True))
def test_equal_names_have_equal_masks_and_others_have_others(names):
    mask = Masking(names, secret=SECRET)
    assert len({mask.name(name) for name in names if name.isascii()}) == len({n for n in names if n.isascii()})
    for name in names:
        assert len(mask.name(name)) == len(name)
        assert [each for each in mask.name(name) if not each.isalnum()] == [each for each in name if not each.isalnum()]


@given(NAMES, NAMES)
def test_what_begins_alike_still_does(name, more):
    mask = Masking([], secret=SECRET)
    assert mask.name(name + more).startswith(mask.name(name))


def test_another_secret_makes_other_masks():
    assert Masking([], secret=b"1").name("production-db") != Masking([], secret=b"2").name("production-db")


def masked(text, *names):
    return Masking(names, secret=SECRET).text(text)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("web01 is on, web01-old is off", "web01"),
        ("/var/lib/web01/disk.img", "web01"),
        ("id 6a7f2bb0-3a6e-4c8e-9d3f-0c9a51c1a001 running", "6a7f2bb0"),
        ("ID 6A7F2BB0-3A6E-4C8E-9D3F-0C9A51C1A001", "6A7F2BB0"),
        ("<mac address='52:54:00:ab:cd:ef'/>", "ab:cd:ef"),
        ("inet 10.17.3.9/24 brd", "10.17"),
        ("inet6 2a02:810d:1::7/64", "810d"),
        ("inet6 fe80::5054:ff:feab:cdef", "feab"),
        ("wwn=0x5000c500a1b2c3d4", "c500a1b2"),
        ("naa.600508b1001c4d5e6f70", "1001c4d5e"),
        ("Serial Number: Z1D5K3QX", "Z1D5K3QX"),
        ('"serial": "QM00001"', "QM00001"),
        ("<serial>WD-12345</serial>", "WD-12345"),
        ("mail to root@db.example.org", "example.org"),
        ('"hostname": "payroll.acme.corp"', "acme"),
        ("Hostname: web01.acme.corp", "acme"),
        ("DB_PASSWORD=hunter2 other", "hunter2"),
        ('"password": "hunter2"', "hunter2"),
        ("api_key: abc123", "abc123"),
        ("container 4ed3c59d98a64ed3c59d98a6", "4ed3c59d"),
        ("lxc.environment = DB_PASS=hunter2", "hunter2"),
        ("MYSQL_PWD=hunter2 PGPASS=pg", "hunter2"),
        ("PWD=/root PGPASS=hunter2", "hunter2"),
        ("RABBITPASS='one two hunter2'", "hunter2"),
        ("pwd=hunter2,id=5", "hunter2"),
        ("/bin/true --password hunter2", "hunter2"),
        ("--auth-token=hunter2 -x", "hunter2"),
        ("postgres://app:hunter2@db/x", "hunter2"),
        ("curl -s -u admin:hunter2 http://x", "hunter2"),
        ("mysql -u me -phunter2 db", "hunter2"),
        ("A=Authorization: Bearer hunter2", "hunter2"),
        ('{"Authorization": "Basic aHVudGVyMg=="}', "aHVudGVyMg"),
        ("SESSION=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln", "eyJzdWIi"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIA"),
        ("aws_secret_access_key = /hunter2+x", "hunter2"),
        ("sshpass -p hunter2 ssh root@db", "hunter2"),
        ("rclone -u root:hunter2 x", "hunter2"),
        ("LDAP_BIND_DN_PW=hunter2 PW=x", "hunter2"),
        ("smtp_auth=me:hunter2", "hunter2"),
        ("COOKIE=session=hunter2", "hunter2"),
        ("slack xoxb-12345-hunter2", "hunter2"),
        ("PIN=483920", "4839"),
        ("# password is hunter2", "hunter2"),
        ('password = "two words hunter2"', "hunter2"),
        ('"password": "hun;ter2"', "ter2"),
        ('"Env": ["PATH=/bin", "DB_PASS=hunter2"]', "hunter2"),
        ('"cmd": "password = \\"two hunter2\\" x"', "hunter2"),
        ("<password>hunter2</password>", "hunter2"),
        ("KEY=-----BEGIN PRIVATE KEY-----MIIEvQ", "MIIEvQ"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_what_tells_of_a_host_is_masked(text, hidden):
    told = masked(text, "web01", "web01-old")
    assert hidden not in told
    assert told != text
    if not re.search(r"inet", text):
        assert len(told) == len(text)  # columns keep their places


@pytest.mark.parametrize(
    "text",
    [
        "State: running, since 12:30:05",
        "xen version 4.17.3, up 10.2 days",
        "127.0.0.1 localhost ::1",
        "memory 2048 vcpus 4 0x1f",
        "2026-11-26 02:52:23",
        "total 1234567890",
        "webserver",
        "PWD=/root OLDPWD=/",
        '"hostname": "localhost", "hostname": ""',
        "bypass=on, passthrough: yes",
        "credentials = /etc/vmsvc/esx.toml",
        '"token": null, "secret": {"file": "x"}',
        "docker run -u 1000:1000",
        "password:\nnext line",
        "mem=137438953472, since 20260101123456",
        "PINNED=0-3 auth_method=none, the password is not set",
    ],
)
def test_what_a_driver_reads_stays(text):
    assert masked(text, "web", "n1") == text


def test_a_value_is_masked_alike_wherever_it_stands():
    mask = Masking(["db"], secret=SECRET)
    uuid = "6a7f2bb0-3a6e-4c8e-9d3f-0c9a51c1a001"
    one, other = mask.text(f"{uuid} 10.1.1.1 db"), mask.text(f"db: {uuid.upper()} at 10.1.1.1")
    assert one.split()[0] == other.split()[1].lower()
    assert one.split()[1] == other.split()[3] == "192.0.2.1"
    assert one.split()[2] == other.split(":")[0]


def test_a_host_s_name_has_the_mask_that_the_name_has_elsewhere():
    mask = Masking(["web01"], secret=SECRET)
    told, alone = mask.text("hostname=web01.corp"), mask.text("web01")
    assert told.partition("=")[2].startswith(alone)


def test_more_addresses_than_a_network_has():
    mask = Masking([], secret=SECRET)
    assert len({mask.text(f"10.0.{number // 250}.{number % 250}") for number in range(700)}) == 700


# --- recordings -------------------------------------------------------------------------------------------------------


class Small(ToyDriver):
    """What goes into guests is nothing that is recorded."""

    capabilities = ToyDriver.capabilities - {Capability.CONFIG_FILES}


@pytest.fixture
def tool():
    return Tool(machines={"web": Machine("on"), "web 2": Machine("off"), "db": Machine("paused")})


@pytest.fixture
def guests():
    return [ToyGuest(**identity("toy", name), colours=("red",)) for name in ("web", "web 2", "db", "gone")]


def recorded(tool, guests, tmp_path):
    host = RecordingHost(tool)
    driver = Small(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path / "state"))
    answers = answers_of(driver, guests)
    return Recording(
        type="toy", versions={"vmsvc": "1"}, guests=[described(guest) for guest in guests], commands=host.commands, answers=answers
    )  # fmt: skip


def test_a_driver_reads_a_masked_recording_as_it_read_the_host(tool, guests, tmp_path):
    recording = recorded(tool, guests, tmp_path)
    mask = Masking(["web", "web 2", "db", "gone", *(guest.service for guest in guests)], secret=SECRET)
    hidden = recording.masked(mask.text)
    hidden.write(tmp_path / "samples")
    again = read(tmp_path / "samples")
    assert again == evolve(hidden, guests=again.guests, commands=again.commands)
    assert replayed(Small, again) == again.answers
    replay(Small, tmp_path / "samples")
    everything = b"".join(file.read_bytes() for file in (tmp_path / "samples").iterdir())
    assert not re.search(rb"\bweb\b|\bdb\b|\bgone\b", everything)
    phases = [answer["phase"] for question, answer in again.answers.items() if question.startswith("observe ")]
    assert phases == ["running", "stopped", "paused", "absent"]


def test_a_driver_that_reads_it_otherwise_today_is_told(tool, guests, tmp_path):
    recorded(tool, guests, tmp_path).write(tmp_path / "samples")

    class Today(Small):
        def _seen(self, states, resource):
            return super()._seen({**states, "db": "on"}, resource)

    with pytest.raises(AssertionError, match=r"observe_all: it was .*paused.* and is .*running"):
        replay(Today, tmp_path / "samples")


def test_a_command_that_was_not_recorded_is_a_mistake(tool, guests, tmp_path):
    recorded(tool, guests, tmp_path).write(tmp_path / "samples")

    class Today(Small):
        def _states(self, budget_s):
            return super()._states(budget_s) if self._run("version", budget_s=budget_s) else {}

    with pytest.raises(AssertionError, match="toy version: this command was not recorded; there are: toy list"):
        replay(Today, tmp_path / "samples")


def test_what_a_command_printed_is_kept_byte_for_byte(tmp_path):
    outcome = Outcome(
        argv=("a", "b c"), code=3, stdout=b"\xff\x00\r\n", stderr="ä".encode(), duration_s=0.5, truncated=True
    )
    failed = Command(argv=("a",), error=("ActionFailed", "a: no such command"))
    recording = Recording(
        type="toy", versions={}, guests=[], commands=[Command(argv=("a", "b c"), outcome=outcome), failed]
    ).masked(lambda text: text)
    recording.write(tmp_path / "samples")
    host = ReplayingHost(read(tmp_path / "samples").commands)
    assert host.run(["a", "b c"], budget_s=1) == outcome
    with pytest.raises(ActionFailed, match="no such command"):
        host.run(["a"], budget_s=1)


def test_what_a_host_raised_is_recorded_and_raised_again():
    class Hanging:
        name = "n1"

        def run(self, argv, *, budget_s, environment=None, keep=0):
            raise Undetermined("it hangs")

    host = RecordingHost(Hanging())
    with contextlib.suppress(Undetermined):
        host.run(["toy", "list"], budget_s=1)
    with pytest.raises(Undetermined, match="it hangs"):
        ReplayingHost(host.commands).run(["toy", "list"], budget_s=1)


def test_a_command_that_answers_another_thing_each_time_does_so_again():
    outcomes = [Outcome(argv=("a",), code=code, stdout=b"", stderr=b"", duration_s=0) for code in (1, 2)]
    host = ReplayingHost([Command(argv=("a",), outcome=outcome) for outcome in outcomes])
    assert [host.run(["a"], budget_s=1).code for _ in range(4)] == [1, 2, 2, 2]


def test_a_guest_is_the_same_after_it_was_written_down():
    guest = ToyGuest(**identity("toy", "web"), home="/a b", colours=("red", "blue"), delay=1.5, fast=True, tags=("x",))
    assert guest_from(ToyGuest, json.loads(json.dumps(described(guest))), "toy") == guest


def test_what_is_no_recording(tmp_path):
    with pytest.raises(UsageError, match="holds no recording"):
        read(tmp_path)
    (tmp_path / "recording.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="reads recordings of format 1, not 99"):
        read(tmp_path)
    (tmp_path / "recording.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no recording"):
        read(tmp_path)
