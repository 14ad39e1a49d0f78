"""How a server is asked, with answers in the place of a server: pages, tasks, and what ends a session."""

# ruff: noqa: N802 - the names are vSphere's

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from attrs import evolve
from pyVmomi import VmomiSupport, vim, vmodl
from vmsvc_esx import faults, session, soap
from vmsvc_esx.client import Client
from vmsvc_esx.credentials import Credentials
from vmsvc_esx.machines import Machine
from vmsvc_esx.options import Access, EsxGuest
from vmsvc_esx.refusals import Refusals
from vmsvc_esx.session import Place
from vmsvc_esx.surveys import PAGE

from vmsvc.driver import ConnectionLost, DriverError, Undetermined
from vmsvc.testing import identity

QUERY = vmodl.query.PropertyCollector
WEB = Machine(id="vm-1", name="web")


class Server:
    """Guests in pages, and tasks that stand as they are told to."""

    def __init__(self, guests: int = 0, page: int = 1000, roles: Sequence[int] = (-1,)) -> None:
        self.asked: list[str] = []
        self.states: list[str] = []
        self.question = None
        self._objects = [self._root(roles), self._host(), *(self._guest(number) for number in range(guests))]
        self._page = page

    @staticmethod
    def _root(roles):
        told = (
            [vmodl.DynamicProperty(name="effectiveRole", val=VmomiSupport.GetVmodlType("int[]")(roles))]
            if roles
            else []
        )
        return QUERY.ObjectContent(obj=vim.Folder("group-d1"), propSet=told)

    @staticmethod
    def _host():
        return QUERY.ObjectContent(obj=vim.HostSystem("host-1"), propSet=[])

    @staticmethod
    def _guest(number):
        told = {"name": f"web{number}", "runtime.powerState": "poweredOn", "runtime.connectionState": "connected"}
        properties = [vmodl.DynamicProperty(name=name, val=value) for name, value in told.items()]
        return QUERY.ObjectContent(obj=vim.VirtualMachine(f"vm-{number}"), propSet=properties)

    def RetrievePropertiesEx(self, specs, options):
        self.asked.append("first")
        assert options.maxObjects == PAGE
        return self._answer(0)

    def ContinueRetrievePropertiesEx(self, token):
        self.asked.append(token)
        return self._answer(int(token))

    def _answer(self, at):
        if not self._objects:
            return None
        until = at + self._page
        token = str(until) if until < len(self._objects) else None
        return QUERY.RetrieveResult(objects=self._objects[at:until], token=token)

    # --- as the guest and as its task ------------------------------------------------------------------------------

    def PowerOnVM_Task(self):
        self.asked.append("power on")
        return self

    def ShutdownGuest(self):
        self.asked.append("shut down")

    @property
    def info(self):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return SimpleNamespace(state=state, error=vim.fault.InvalidPowerState() if state == "error" else None)

    @property
    def runtime(self):
        return SimpleNamespace(question=self.question)

    def CancelTask(self):
        self.asked.append("cancel")


def client_of(server, tmp_path, monkeypatch, budget_s=5.0):
    client = Client(Access(server="esx1"), tmp_path, Refusals(tmp_path / "state"))
    place = Place(
        content=SimpleNamespace(propertyCollector=server, rootFolder=vim.Folder("group-d1")),
        view=vim.view.ContainerView("view-1"),
    )
    monkeypatch.setattr(client, "_entered", lambda: place)
    monkeypatch.setattr(client, "_guest", lambda machine: server)
    client.guarded(lambda _: None, time.monotonic() + budget_s)
    return client


@pytest.mark.parametrize(("guests", "questions"), [(0, 1), (997, 1), (2500, 3)])
def test_all_guests_are_asked_for_page_by_page(tmp_path, monkeypatch, guests, questions):
    server = Server(guests)
    found = client_of(server, tmp_path, monkeypatch).survey()
    assert {machine.name for machine in found.told} == {f"web{number}" for number in range(guests)}
    assert len(server.asked) == questions


def test_an_answer_without_hosts_and_guests_is_none(tmp_path, monkeypatch):
    server = Server()
    server._objects = []
    with pytest.raises(Undetermined, match="neither guests nor hosts"):
        client_of(server, tmp_path, monkeypatch).survey()


@pytest.mark.parametrize(
    ("roles", "is_whole"), [([-1], True), ([-2], True), ([-3, 11], True), ([-3], False), ([], False)]
)
def test_only_who_sees_the_whole_inventory_can_tell_who_is_absent(tmp_path, monkeypatch, roles, is_whole):
    client = client_of(Server(3, roles=roles), tmp_path, monkeypatch)
    guest = EsxGuest(**identity("esx", "gone"), server="esx1")
    with contextlib.nullcontext() if is_whole else pytest.raises(Undetermined, match="a part of its inventory"):
        assert client.find(guest) is None


def test_a_start_waits_for_its_task(tmp_path, monkeypatch):
    server = Server()
    server.states = ["queued", "running", "running", "success"]
    client_of(server, tmp_path, monkeypatch).power_on(WEB)
    assert server.asked == ["power on"]


def test_a_start_that_fails_is_told_by_the_class_of_its_fault(tmp_path, monkeypatch):
    server = Server()
    server.states = ["running", "error"]
    with pytest.raises(DriverError, match="InvalidPowerState") as failed:
        client_of(server, tmp_path, monkeypatch).power_on(WEB)
    assert failed.value.code == "driver.InvalidPowerState"


def test_a_start_that_waits_for_an_answer_is_called_off_and_tells_the_question(tmp_path, monkeypatch):
    server = Server()
    server.states = ["running"]
    server.question = SimpleNamespace(text="moved or copied?", choice=None)
    with pytest.raises(DriverError, match=r"moved or copied\?"):
        client_of(server, tmp_path, monkeypatch).power_on(WEB)
    assert server.asked == ["power on", "cancel"]


def test_nothing_is_begun_and_what_goes_on_is_called_off_when_the_time_is_over(tmp_path, monkeypatch):
    server = Server()
    server.states = ["running"]
    with pytest.raises(Undetermined, match="still at it"):
        client_of(server, tmp_path, monkeypatch, budget_s=1.2).power_on(WEB)
    assert server.asked == ["power on", "cancel"]
    for verb in ("power_on", "power_off", "shut_down"):
        with pytest.raises(Undetermined, match="too late"):
            getattr(client_of(server, tmp_path, monkeypatch, budget_s=-1), verb)(WEB)
    assert server.asked == ["power on", "cancel"]


@pytest.mark.parametrize(
    "error",
    [
        vim.fault.NotAuthenticated(), vmodl.fault.ManagedObjectNotFound(obj=vim.view.ContainerView("view-1")),
        ConnectionResetError(104, "reset"), BrokenPipeError(32, "broken"), http.client.RemoteDisconnected("closed"),
    ],
)  # fmt: skip
def test_what_ends_a_session_is_known_so_that_another_is_begun(tmp_path, monkeypatch, error):
    server = Server()
    client = client_of(server, tmp_path, monkeypatch)
    monkeypatch.setattr(server, "RetrievePropertiesEx", raising(error), raising=False)
    with pytest.raises(ConnectionLost):
        client.survey()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "did not answer in time"),
        (ConnectionRefusedError(111, "refused"), "no connection to esx1"),
        (OSError(113, "No route to host"), "no connection to esx1"),
        (ssl.SSLError(1, "wrong version number"), "does not speak TLS"),
        (http.client.BadStatusLine("SSH-2.0"), "cannot be read"),
        (ValueError("no element found"), "cannot be read"),
        (KeyError("urn:vim25"), "cannot be read"),
        (vmodl.fault.HostNotConnected(), "HostNotConnected"),
        (vim.fault.TaskInProgress(), "busy with another task"),
    ],
)
def test_what_is_no_answer_leaves_all_unknown(tmp_path, monkeypatch, error, words):
    server = Server()
    client = client_of(server, tmp_path, monkeypatch)
    monkeypatch.setattr(server, "RetrievePropertiesEx", raising(error), raising=False)
    with pytest.raises(Undetermined, match=words) as told:
        client.survey()
    assert not isinstance(told.value, ConnectionLost)


def raising(error):
    def ask(*_):
        raise error

    return ask


def test_a_fault_is_told_in_the_server_s_words_and_by_its_class():
    fault = vim.fault.NoPermission(msg="Permission to perform this operation was denied.", privilegeId="System.View")
    told = faults.meaning(fault, "web cannot be powered on")
    assert isinstance(told, DriverError)
    assert told.message == (
        "web cannot be powered on: Permission to perform this operation was denied (NoPermission: System.View)"
    )
    assert "role" in told.hint
    assert faults.words(vim.fault.InvalidPowerState(msg="*types.InvalidPowerState")) == "InvalidPowerState"


class Doorman:
    """A server that lets in who has the password."""

    def __init__(self):
        self.asked = []
        self.sessionManager = self
        self.viewManager = SimpleNamespace(CreateContainerView=lambda *_: vim.view.ContainerView("view-1"))
        self.rootFolder = vim.Folder("group-d1")
        self.propertyCollector = Server(1)

    def RetrieveContent(self):
        return self

    def Login(self, user, password):
        self.asked.append(password)
        if password != "right":
            raise vim.fault.InvalidLogin


def test_a_password_that_was_refused_is_not_tried_again_and_one_that_is_corrected_is_at_once(tmp_path, monkeypatch):
    doorman, written = Doorman(), ["wrong"]
    monkeypatch.setattr(soap.vim, "ServiceInstance", lambda *_: doorman)
    monkeypatch.setattr(session, "find", lambda *_: Credentials(user="me", password=written[-1], origin="a file"))

    def survey():  # as one process after the other does
        client = Client(Access(server="esx1"), tmp_path, Refusals(tmp_path / "state"))
        return client.guarded(Client.survey, time.monotonic() + 5)

    for _ in range(6):
        with pytest.raises(Undetermined, match="does not let the user 'me' in"):
            survey()
    assert doorman.asked == ["wrong"]
    written.append("right")
    assert len(survey().told) == 1
    assert doorman.asked == ["wrong", "right"]
    assert list((tmp_path / "state").iterdir()) == []


class TestRefusals:
    ME = Credentials(user="me", password="hunter2", origin="a file")
    SERVER = Access(server="esx1")

    @pytest.fixture(name="refusals")
    def a_refused_login(self, tmp_path):
        refusals = Refusals(tmp_path / "state")
        refusals.keep(self.SERVER, self.ME, "no")
        return refusals

    def test_another_user_server_or_password_is_tried(self, refusals):
        assert refusals.of(self.SERVER, evolve(self.ME, origin="another file")) == "no"
        assert refusals.of(Access(server="esx2"), self.ME) is None
        assert refusals.of(self.SERVER, evolve(self.ME, user="you")) is None
        assert refusals.of(self.SERVER, evolve(self.ME, password="hunter3")) is None

    @pytest.mark.parametrize("later_s", [61, -5])
    def test_after_a_minute_or_by_another_clock_it_is_tried(self, refusals, monkeypatch, later_s):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + later_s)
        assert refusals.of(self.SERVER, self.ME) is None

    def test_the_password_is_not_in_the_file_and_the_file_is_its_owner_s(self, refusals, tmp_path):
        [file] = (tmp_path / "state").iterdir()
        assert "hunter2" not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"at": "x"}', '{"at": 1e999}', "\0"])
    def test_a_file_that_cannot_be_read_tells_nothing(self, refusals, tmp_path, text):
        [file] = (tmp_path / "state").iterdir()
        file.write_text(text)
        assert refusals.of(self.SERVER, self.ME) is None

    def test_where_nothing_can_be_kept_nothing_is_remembered(self, tmp_path):
        (tmp_path / "state").write_text("in the way")
        refusals = Refusals(tmp_path / "state")
        refusals.keep(self.SERVER, self.ME, "no")
        assert refusals.of(self.SERVER, self.ME) is None
        refusals.forget(self.SERVER, self.ME)
