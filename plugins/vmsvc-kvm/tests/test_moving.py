"""Moves, without a libvirt: what is told of a request that fails depends on where the guest is by then."""

import time

import pytest
from vmsvc_kvm import client, moving
from vmsvc_kvm.options import KvmGuest, reached_by
from vmsvc_kvm.seen import Seen

from vmsvc.driver import ConnectionLost, Destination, DriverError, Lane, Undetermined

IDENTITY = {"service": "web", "rid": "container#1", "kind": "container", "type": "kvm", "name": "web"}
GUEST = KvmGuest(**IDENTITY)
RUNNING, MOVED, PAUSED, ODD = (1, 1), (5, 4), (3, 1), (99, 0)
REFUSED = DriverError("no room", code="driver.libvirt-1")


class Libvirt:
    """In the place of a `Connection`: a guest that is somewhere, and a move that ends as it is told."""

    def __init__(self, state=RUNNING, ends=None, afterwards=None, goes_on=0, is_deaf=False):
        self.state = state
        self.ends = ends
        self.afterwards = afterwards
        self.goes_on = goes_on
        self.is_deaf = is_deaf
        self.asked = []

    def guarded(self, work, _deadline):
        return work(self)

    def close(self):
        pass

    def find(self, _name):
        return None if self.state is None else Seen(state=self.state[0], reason=self.state[1], uuid="u")

    def migrate(self, name, uri):
        self.asked.append((name, uri))
        if self.afterwards is not None:
            self.state = self.afterwards
        if self.ends == "never":
            time.sleep(5)
        if isinstance(self.ends, Exception):
            raise self.ends

    def is_moving(self, _name):
        self.goes_on -= 1
        return self.goes_on >= 0

    def call_off(self, name):
        self.asked.append(("call off", name))
        was_one = self.goes_on > 0
        if not self.is_deaf:
            self.goes_on = 0
        return was_one and not self.is_deaf

    def to(self, _uri, purpose, **_more):
        return Lane(purpose, connect=lambda: self, disconnect=Libvirt.close)


def move(libvirt, budget_s=1.0, **options):
    there = Destination(node="n2", guest=KvmGuest(**IDENTITY, **options))
    moving.migrate(libvirt, GUEST, there, budget_s)


def test_a_guest_is_not_moved_to_another_hypervisor():
    libvirt = Libvirt()
    with pytest.raises(DriverError, match="another hypervisor"):
        move(libvirt, migrate_uri="esx://n2")
    assert libvirt.asked == []


@pytest.mark.parametrize(
    ("options", "uri"),
    [
        ({}, "qemu+ssh://n2/system"),
        ({"uri": "qemu:///session"}, "qemu+ssh://n2/session"),
        ({"uri": "qemu:///system?socket=/run/x"}, "qemu+ssh://n2/system"),
        ({"uri": "xen:///system"}, "xen+ssh://n2/system"),
        ({"uri": "qemu+tls://h2/system"}, "qemu+tls://h2/system"),
        ({"uri": "qemu+tls://h2/system", "migrate_uri": "qemu+tls://inner/system"}, "qemu+tls://inner/system"),
    ],
)
def test_the_other_libvirt_is_reached_as_its_node_says_or_by_ssh(options, uri):
    assert reached_by("n2", KvmGuest(**IDENTITY, **options)) == uri


def test_a_guest_that_runs_is_moved():
    libvirt = Libvirt(afterwards=MOVED)
    move(libvirt)
    assert libvirt.asked == [("web", "qemu+ssh://n2/system")]


@pytest.mark.parametrize(
    ("state", "kind"), [(None, DriverError), (MOVED, DriverError), (PAUSED, DriverError), (ODD, Undetermined)]
)
def test_nothing_else_is(state, kind):
    libvirt = Libvirt(state)
    with pytest.raises(kind):
        move(libvirt)
    assert libvirt.asked == []


def test_a_libvirt_is_not_another_one():
    with pytest.raises(DriverError, match="by the same libvirt") as error:
        move(Libvirt(), migrate_uri=GUEST.uri)
    assert "migrate_uri@n2" in error.value.hint


@pytest.mark.parametrize("failure", [REFUSED, Undetermined("no answer"), ConnectionLost("it broke")])
def test_what_has_failed_and_runs_here_has_stayed(failure):
    libvirt = Libvirt(ends=failure)
    with pytest.raises(DriverError, match=r"qemu\+ssh://n2/system has not got it: ") as error:
        move(libvirt)
    assert "virsh -c qemu+ssh://n2/system list" in error.value.hint
    assert ("call off", "web") not in libvirt.asked


def test_disks_that_are_not_shared_have_a_hint_of_their_own():
    with pytest.raises(DriverError) as error:
        move(Libvirt(ends=DriverError("unsafe", code=moving.UNSAFE)))
    assert "must share its disks" in error.value.hint


def test_what_has_failed_and_has_moved_by_libvirt_s_word_is_left_to_who_looks_at_both_ends():
    move(Libvirt(ends=Undetermined("it broke"), afterwards=MOVED))


def test_what_has_failed_and_has_ended_here_is_no_move_and_libvirt_s_reason_is_kept():
    with pytest.raises(Undetermined, match="no room; here it is shut off"):
        move(Libvirt(ends=REFUSED, afterwards=(5, 1)))


@pytest.mark.parametrize("state", [PAUSED, ODD])
def test_what_has_failed_and_is_neither_here_nor_gone_is_unknown(state):
    with pytest.raises(Undetermined):
        move(Libvirt(ends=REFUSED, afterwards=state))


def test_a_move_that_takes_too_long_is_called_off():
    libvirt = Libvirt(ends="never", goes_on=1000)
    with pytest.raises(DriverError, match="the move was called off"):
        move(libvirt)
    assert libvirt.asked[-1] == ("call off", "web")


def test_one_that_cannot_be_called_off_is_unknown_within_the_budget():
    began = time.monotonic()
    with pytest.raises(Undetermined, match="goes on being moved"):
        move(Libvirt(ends="never", goes_on=1000, is_deaf=True))
    assert time.monotonic() - began < 2


def test_a_move_whose_request_broke_off_is_called_off_at_its_time_too():
    libvirt = Libvirt(ends=ConnectionLost("it broke"), goes_on=1000)
    with pytest.raises(DriverError, match="the move was called off"):
        move(libvirt)
    assert ("call off", "web") in libvirt.asked


def test_a_move_of_somebody_else_is_not_called_off():
    libvirt = Libvirt(ends=REFUSED, goes_on=1000)  # as where another one is under way already
    with pytest.raises(Undetermined, match="goes on being moved"):
        move(libvirt)
    assert ("call off", "web") not in libvirt.asked


def test_nothing_is_told_to_be_called_off_that_was_not():
    with pytest.raises(Undetermined, match="or may yet be"):
        move(Libvirt(ends="never"))


OUT, SAVE = 8, 4


class Failing(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.get_error_code = lambda: code


class Job:
    """In the place of libvirt, and of a guest of it that has a job."""

    VIR_ERR_NO_SUPPORT, VIR_ERR_NO_DOMAIN, VIR_ERR_OPERATION_INVALID, VIR_ERR_INTERNAL_ERROR = 3, 42, 55, 1
    VIR_DOMAIN_JOB_NONE, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT = 0, OUT
    VIR_MIGRATE_LIVE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_PERSIST_DEST, VIR_MIGRATE_ABORT_ON_ERROR = 1, 2, 8, 4096
    libvirtError = Failing  # noqa: N815 - as libvirt has it

    def __init__(self, told=None, refusal=None):
        self.told = told
        self.refusal = refusal
        self.flags = None

    def open(self, _uri):
        return self

    def setKeepAlive(self, *_times):  # noqa: N802 - as libvirt has it
        pass

    def lookupByName(self, _name):  # noqa: N802 - as libvirt has it
        return self

    def isPersistent(self):  # noqa: N802 - as libvirt has it
        return True

    def jobStats(self):  # noqa: N802 - as libvirt has it
        if self.refusal is not None:
            raise Failing(self.refusal)
        return self.told

    def migrateToURI3(self, _uri, _parameters, flags):  # noqa: N802 - as libvirt has it
        self.flags = flags

    def reached(self, monkeypatch, uri="qemu:///system"):
        monkeypatch.setattr(client, "library", lambda: self)
        connection = client.Connection(uri)
        connection.guarded(lambda _: None, time.monotonic() + 10)
        return connection


@pytest.mark.parametrize(
    ("told", "is_moving"),
    [
        ({"type": 0}, False),
        ({"type": 2, "operation": OUT}, True),
        ({"type": 2, "operation": SAVE}, False),
        ({"type": 2}, True),  # a libvirtd before 3.3 does not tell
    ],
)
def test_a_job_is_a_move_where_it_is_not_told_to_be_another(monkeypatch, told, is_moving):
    assert Job(told).reached(monkeypatch).is_moving("web") is is_moving


def test_a_hypervisor_that_knows_no_jobs_moves_nobody(monkeypatch):
    assert Job(refusal=Job.VIR_ERR_NO_SUPPORT).reached(monkeypatch).is_moving("web") is False
    with pytest.raises(Failing):
        Job(refusal=Job.VIR_ERR_INTERNAL_ERROR).reached(monkeypatch).is_moving("web")


@pytest.mark.parametrize(("uri", "has_it"), [("qemu:///system", True), ("xen:///system", False)])
def test_a_flag_of_qemu_alone_is_not_asked_of_another_hypervisor(monkeypatch, uri, has_it):
    libvirt = Job()
    libvirt.reached(monkeypatch, uri).migrate("web", "there")
    assert bool(libvirt.flags & Job.VIR_MIGRATE_ABORT_ON_ERROR) is has_it
