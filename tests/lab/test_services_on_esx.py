"""Services on the standard simulator of vSphere, an ESX host and a vCenter, from the command line."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lab import gateway, relay
from lab.fixtures import required
from lab.vcsim import USER, PrivateVcsim
from tests.lab.shell import NODE, Shell, ok
from tests.lab.vsphere import Inventory
from tests.support import drivers_but

pytestmark = pytest.mark.timeout(180)

#: A password that must not be found anywhere but in its file.
CANARY = "c4nary-p4ssw0rd"
#: The first guest of each model.
FIRST = {"esx": "ha-host_VM0", "vpx": "DC0_H0_VM0"}


@pytest.fixture(params=FIRST)
def model(request):
    return request.param


@pytest.fixture
def server(model):
    yield from started(model)


@pytest.fixture
def esx():
    yield from started("esx")


def started(model, **options):
    with required():
        simulator = PrivateVcsim(model, password=CANARY, **options).__enter__()
    try:
        yield simulator
    finally:
        simulator.close()


@pytest.fixture
def inventory_of_vpx():
    yield from with_inventory("vpx")


@pytest.fixture
def inventory_of_many():
    yield from with_inventory("esx", guests=100)


def with_inventory(model, **options):
    for simulator in started(model, **options):
        inventory = Inventory(simulator)
        yield simulator, inventory
        inventory.close()


@pytest.fixture
def inventory(request):
    name = "server" if "server" in request.fixturenames else "esx"
    inventory = Inventory(request.getfixturevalue(name))
    yield inventory
    inventory.close()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path / "root")
    shell.environment["VMSVC_DISABLE_PLUGINS"] = drivers_but("esx")
    file = tmp_path / "root/etc/vmsvc/esx.toml"
    file.touch(mode=0o600)
    file.write_text(f'user = "{USER}"\npassword = "{CANARY}"\n')
    return shell


def serve(shell, simulator, name, *lines, trust=True, nodes=NODE):
    text = f"[DEFAULT]\nnodes = {nodes}\n[container#1]\ntype = esx\nserver = {simulator.address}\n"
    trusted = [f"thumbprint = {simulator.fingerprint}"] if trust else []
    shell.file(name, text + "".join(f"{line}\n" for line in (*trusted, *lines)))


def timed(call, *words, **options):
    began = time.monotonic()
    return call(*words, **options), time.monotonic() - began


# --- daily life -------------------------------------------------------------------------------------------------------


@pytest.mark.keyword("container.esx.server")
def test_a_service_lives(shell, server, model, inventory):
    name = FIRST[model]
    serve(shell, server, "web", f"name = {name}")
    assert shell.statuses()["web"][:2] == ("up", "poweredOn")
    ok(shell.run("stop", "web"))
    assert inventory.power(name) == "poweredOff"
    assert "ShutdownGuest" in server.gateway.requests
    assert "PowerOffVM_Task" not in server.gateway.requests
    assert shell.statuses()["web"][:2] == ("down", "poweredOff")
    ok(shell.run("stop", "web"))
    ok(shell.run("start", "web"))
    ok(shell.run("start", "web"))
    assert server.gateway.requests.count("PowerOnVM_Task") == 1
    assert shell.statuses()["web"][:2] == ("up", "poweredOn")
    ok(shell.run("stop", "--kill", "web"))
    assert inventory.power(name) == "poweredOff"
    assert inventory.sessions() == 0, "each command ends its session"


@pytest.mark.keyword("container.esx.ca_file", "container.esx.thumbprint")
def test_a_server_proves_that_it_is_the_right_one_before_it_is_told_anything(shell, esx):
    serve(shell, esx, "web", f"name = {FIRST['esx']}", trust=False)
    avail, _, detail = shell.statuses(code=4)["web"]
    assert avail == "unknown"
    assert "self-signed certificate" in detail or "self signed certificate" in detail
    assert esx.fingerprint in detail
    assert esx.gateway.requests == []
    serve(shell, esx, "web", f"name = {FIRST['esx']}", f"ca_file = {esx.gateway.certificate}", trust=False)
    assert shell.statuses()["web"][0] == "up"
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    assert shell.statuses()["web"][0] == "up"
    was = esx.fingerprint
    esx.gateway.renew()
    esx.gateway.requests.clear()
    detail = shell.statuses(code=4)["web"][2]
    assert "shows another certificate" in detail
    assert esx.fingerprint in detail
    assert was not in detail
    assert esx.gateway.requests == []


def test_push_diskupdate_and_drift(shell, server, model, inventory):
    vmx = inventory.create("shop")
    serve(shell, server, "shop")
    facts = str(shell.json("push", "shop"))
    assert "'vcpus': 2" in facts
    assert "'memory_mib': 64" in facts
    found = shell.json("diskupdate", "shop")["stored"][0]["content"]
    named = [(each["target"], each["kind"], each["source"], each["size_bytes"]) for each in found]
    assert named == [("scsi0:0", "vmdk", vmx.replace(".vmx", ".vmdk"), 1 << 20)]
    assert "no drift" in ok(shell.run("show", "--drift", "shop"))
    inventory.reconfigure("shop", memoryMB=128)
    told = shell.run("show", "--drift", "shop")
    assert "memory_mib" in told.stdout
    assert "128" in told.stdout


def test_adopt_makes_a_service_of_each_guest_and_tells_guests_of_one_name_apart(shell, server, model, inventory):
    inventory.create("twin")
    inventory.create("twin", folder="elsewhere", within="apart") if model == "vpx" else None
    keys = {"server": server.address, "thumbprint": server.fingerprint}
    ok(shell.run("adopt", *(word for key, value in keys.items() for word in ("--set", f"container#1.{key}={value}"))))
    files = {file.stem: file.read_text() for file in (shell.root / "etc/vmsvc/services").iterdir()}
    assert any(FIRST[model] in text for text in files.values())
    twins = [text for text in files.values() if "twin" in text]
    assert len(twins) == (2 if model == "vpx" else 1)
    assert all(("uuid = " in text) == (model == "vpx") for text in twins)
    assert {found[0] for found in shell.statuses().values()} <= {"up", "down"}


def test_of_guests_of_one_name_nothing_is_guessed(shell, inventory_of_vpx):
    server, inventory = inventory_of_vpx
    inventory.create("web")
    inventory.create("web", folder="elsewhere", within="apart")
    serve(shell, server, "web")
    avail, _, detail = shell.statuses(code=4)["web"]
    assert avail == "unknown"
    assert "2 guests" in detail
    assert "[LocalDS_0] elsewhere/web.vmx" in detail
    for verb in ("start", "stop"):
        assert shell.run(verb, "web").returncode == 4
    assert "PowerOnVM_Task" not in server.gateway.requests
    serve(shell, server, "web", "vmx = [LocalDS_0] elsewhere/web.vmx")
    ok(shell.run("start", "web"))
    assert sorted(str(each.runtime.powerState) for each in inventory.called("web")) == ["poweredOff", "poweredOn"]


def test_what_the_server_says_of_a_guest_is_told_and_obeyed(shell, esx, inventory):
    inventory.create("web")
    serve(shell, esx, "web")
    inventory.do("web", "PowerOnVM_Task")
    inventory.do("web", "SuspendVM_Task")
    assert shell.statuses()["web"][:2] == ("down", "suspended")
    ok(shell.run("start", "web"))
    inventory.make_so("web", guestHeartbeatStatus="red")
    assert shell.statuses()["web"][:2] == ("warn", "poweredOn (no heartbeat)")
    inventory.ask("web", "This virtual machine may have been moved or copied.", "I moved it")
    avail, state, detail = shell.statuses()["web"]
    assert (avail, state) == ("warn", "poweredOn (asks a question)")
    assert "moved or copied. [I moved it]" in detail
    refused = shell.run("start", "web")
    assert (refused.returncode, "asks a question" in refused.stderr) == (3, True), refused.stderr
    inventory.make_so("web", **{"runtime.connectionState": "inaccessible"})
    assert shell.statuses(code=4)["web"][:2] == ("unknown", "inaccessible")
    assert shell.run("start", "web").returncode == 4


def test_a_guest_that_its_host_starts_by_itself_is_told_of(shell, esx, inventory):
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    assert "starts when it boots" not in ok(shell.run("status", "web"))
    about = inventory.guest(FIRST["esx"])._moId
    entry = f'<powerInfo><key type="VirtualMachine">{about}</key>{AUTOSTART}</powerInfo>'
    esx.gateway.change = lambda answer: answer.replace(b"<defaults>", b"<defaults><enabled>true</enabled>").replace(
        b"</defaults>", b"</defaults>" + entry.encode()
    )
    said = shell.run("status", "web")
    assert "starts when it boots" in said.stdout + said.stderr


AUTOSTART = (
    "<startOrder>1</startOrder><startDelay>120</startDelay><waitForHeartbeat>no</waitForHeartbeat>"
    "<startAction>powerOn</startAction><stopDelay>120</stopDelay><stopAction>guestShutdown</stopAction>"
)


def test_a_guest_without_tools_is_powered_off_at_once_and_one_whose_tools_do_not_run_when_its_time_is_over(
    shell, esx, inventory
):
    esx.gateway.answers["ShutdownGuest"] = lambda _body: gateway.fault("ToolsUnavailable")
    for status, words, timeout_s, between in (
        ("guestToolsNotInstalled", "it has no VMware Tools", 90, (0, 60)),
        ("guestToolsUnmanaged", "its VMware Tools do not run", 4, (4, 60)),
    ):
        serve(shell, esx, "web", f"name = {FIRST['esx']}", f"stop_timeout = {timeout_s}")
        inventory.make_so(FIRST["esx"], **{"guest.toolsVersionStatus2": status})
        done, took = timed(shell.run, "stop", "web")
        ok(done)
        assert words in done.stderr
        assert between[0] < took < between[1]
        assert inventory.power(FIRST["esx"]) == "poweredOff"
        inventory.do(FIRST["esx"], "PowerOnVM_Task")


def test_a_host_that_does_not_know_the_guest_gets_to_know_it_by_its_start(shell, esx, inventory):
    vmx = inventory.create("web")
    serve(shell, esx, "web")
    ok(shell.run("push", "web"))
    inventory.guest("web").UnregisterVM()
    assert shell.statuses()["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))
    assert inventory.power("web") == "poweredOn"
    ok(shell.run("stop", "web"))
    inventory.guest("web").UnregisterVM()
    (shell.root / "var/lib/vmsvc/definitions/web/container#1").unlink()
    failed = shell.run("start", "web")
    assert (failed.returncode, "set `vmx`" in failed.stderr) == (1, True), failed.stderr
    serve(shell, esx, "web", f"vmx = {vmx}")
    ok(shell.run("start", "web"))
    assert inventory.power("web") == "poweredOn"


def test_a_vcenter_is_never_given_a_guest_that_it_does_not_know(shell, inventory_of_vpx):
    server, inventory = inventory_of_vpx
    vmx = inventory.create("web")
    inventory.guest("web").UnregisterVM()
    serve(shell, server, "web", f"vmx = {vmx}")
    failed = shell.run("start", "web")
    assert (failed.returncode, "is a vCenter" in failed.stderr) == (1, True), failed.stderr
    assert inventory.guest("web") is None


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_a_server_that_hangs_costs_the_budget_and_no_more(shell, esx):
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    esx.pause()
    (found, took) = timed(shell.statuses, code=4)
    assert found["web"][0] == "unknown"
    assert "did not answer" in found["web"][2]
    assert took < 12
    for verb in ("start", "stop"):
        done, took = timed(shell.run, verb, "web")
        assert (done.returncode, took < 40) == (4, True), done.stderr
    esx.resume()
    assert shell.statuses()["web"][0] == "up"


def test_a_server_that_is_killed_says_nothing_of_its_guests(shell, server, model):
    serve(shell, server, "web", f"name = {FIRST[model]}")
    assert shell.statuses()["web"][0] == "up"
    server.kill()
    assert shell.statuses(code=4)["web"][0] == "unknown"
    with server.gateway.down():
        assert "refused" in shell.statuses(code=4)["web"][2]
        assert shell.run("start", "web").returncode == 4
    server.start()
    assert shell.statuses()["web"][0] == "up"


def test_a_server_may_be_restarted_between_the_calls_of_an_action(shell, esx, inventory):
    inventory.create("web")
    serve(shell, esx, "web")
    asked = []

    def once(_body):
        asked.append(True)
        return gateway.no_session() if len(asked) == 1 else None

    esx.gateway.answers["PowerOnVM_Task"] = once
    ok(shell.run("start", "web"))
    assert (len(asked), esx.gateway.requests.count("Login")) == (2, 2)
    assert inventory.power("web") == "poweredOn"


def test_a_start_that_is_not_done_in_time_is_called_off(shell, esx, inventory):
    inventory.create("web")
    serve(shell, esx, "web", "start_timeout = 3")
    esx.gateway.answers["PowerOnVM_Task"] = lambda _body: gateway.result("PowerOnVM_Task", "Task", "task-0")
    esx.gateway.answers["Fetch task-0"] = lambda _body: gateway.fetched("TaskInfo", RUNNING_TASK)
    done, took = timed(shell.run, "start", "web")
    assert (done.returncode, took < 15) == (4, True), done.stderr
    assert "it is still at it" in done.stderr
    assert "CancelTask" in esx.gateway.requests


RUNNING_TASK = (
    '<key>task-0</key><task type="Task">task-0</task><descriptionId>VirtualMachine.powerOn</descriptionId>'
    "<state>running</state><cancelled>false</cancelled><cancelable>true</cancelable>"
    '<reason xsi:type="TaskReasonUser"><userName>lab</userName></reason>'
    "<queueTime>2026-01-01T00:00:00Z</queueTime><eventChainId>0</eventChainId>"
)


@pytest.mark.parametrize("spoil", [relay.truncated, relay.empty, relay.garbage])
def test_what_cannot_be_read_is_no_answer(shell, esx, spoil):
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    esx.gateway.spoil = spoil
    avail, _, detail = shell.statuses(code=4)["web"]
    assert avail == "unknown"
    assert "cannot be read" in detail or "broke" in detail
    assert shell.run("stop", "web").returncode == 4


def test_a_password_that_is_refused_is_not_tried_again_by_the_next_command(shell, esx):
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    file = shell.root / "etc/vmsvc/esx.toml"
    file.write_text(f'user = "{USER}"\npassword = "wrong-{CANARY}"\n')
    detail = shell.statuses(code=4)["web"][2]
    assert f"does not let the user '{USER}' in" in detail
    assert str(file) in detail
    esx.gateway.requests.clear()
    done = shell.run("start", "web")
    assert done.returncode == 4
    assert esx.gateway.requests.count("Login") == 0, "ESXi locks accounts after a few failures"
    file.chmod(0o644)
    assert "read by others" in shell.statuses(code=4)["web"][2]
    file.unlink()
    assert "no credentials" in shell.statuses(code=4)["web"][2]


def test_a_user_without_a_role_sees_nothing_which_is_no_evidence(shell, esx, inventory):
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    esx.gateway.answers["RetrievePropertiesEx"] = lambda _body: gateway.done("RetrievePropertiesEx")
    avail, _, detail = shell.statuses(code=4)["web"]
    assert avail == "unknown"
    assert "shows neither guests nor hosts" in detail


def test_the_status_of_a_hundred_guests_is_one_question(shell, inventory_of_many):
    server, _ = inventory_of_many
    for number in range(100):
        serve(shell, server, f"web{number}", f"name = ha-host_VM{number}")
    found, took = timed(shell.statuses)
    assert {avail for avail, _, _ in found.values()} == {"up"}
    assert len(found) == 100
    assert server.gateway.requests == [
        "RetrieveServiceContent", "Login", "CreateContainerView", "RetrievePropertiesEx", "Logout",
    ]  # fmt: skip
    assert took < 15


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_password_is_found_nowhere_but_in_its_file(shell, esx, inventory, tmp_path):
    """Not in what is printed, logged or kept, nor on a command line or in the environment of what is started."""
    inventory.create("web")
    started_with = tmp_path / "started-with"
    serve(shell, esx, "web", f"pre_start = sh -c 'env >> {started_with}; sleep 0.2'")
    shell.environment.update(VMSVC_ESX_USER=USER, VMSVC_ESX_PASSWORD=CANARY, VMSVC_TRACEBACK="1")
    (shell.root / "etc/vmsvc/esx.toml").unlink()
    said, seen = [], Watched(CANARY)
    looks = (
        ("status",),
        ("show", "--drift", "web"),
        ("adopt", "--dry-run", "--set", f"container#1.server={esx.address}"),
    )
    with seen:
        for words in (("start", "web"), ("push", "web"), *looks, ("stop", "web")):
            said += outputs(shell, *words, "--verbose")
        assert f"VMSVC_ESX_USER={USER}" in started_with.read_text(), "what is started has the rest of the environment"
        assert CANARY not in started_with.read_text()
        esx.gateway.spoil = relay.garbage
        for words in (*looks, ("start", "web"), ("diskupdate", "web")):
            said += outputs(shell, *words, "--format", "json")
        esx.gateway.spoil = None
        shell.environment["VMSVC_ESX_PASSWORD"] = f"{CANARY}-wrong"
        said += outputs(shell, "status", "--verbose")
        assert "does not let the user" in said[-1]
    assert CANARY not in "".join(said)
    kept = [file for file in shell.root.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]
    assert kept == []
    assert seen.found == {"environ of vmsvc itself"}


def outputs(shell, *words):
    done = shell.run(*words)
    return done.stdout, done.stderr


class Watched:
    """Looks at all processes, over and over, for what must not be seen in them."""

    def __init__(self, word):
        self.word = word.encode()
        self.found = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                self._look(process)

    def _look(self, process):
        try:
            command, environ = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            return
        if self.word in command:
            self.found.add(f"cmdline {command!r}")
        if self.word in environ:
            is_ours = b"-m\0vmsvc\0" in command
            self.found.add("environ of vmsvc itself" if is_ours else f"environ of {command!r}")
