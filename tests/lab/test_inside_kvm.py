"""Services whose guest has an address and launchers, on a real guest with two adapters and a network of its own.

The service's address is on eth0; ssh comes in by another one, on eth1. One guest serves all tests, and each begins with
it shut off: a boot brings everything back but what launchers leave on its disk.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import LabError
from lab.bridge import Bridge
from lab.domain import define_guest
from lab.fixtures import required
from tests.lab.shell import NODE, Shell, ok

pytestmark = pytest.mark.timeout(600)

SERVICE, WAY, NOWHERE = 2, 3, 4
MARK = "/run/web-is-up"
PING = json.dumps({"execute": "guest-ping"})
LAUNCHERS = {
    "S10db": "true",
    "S20 web": f"touch {MARK}",
    "K10web": f"rm {MARK}",
    "K20db": "true",
    "C10web": f"test -e {MARK}",
    "other": "true",
}
STARTED, STOPPED = ["S10db start", "S20 web start"], ["K10web stop", "K20db stop"]


class Machine:
    """The guest: what it is booted with, and what is done in it, by its agent whatever its network."""

    def __init__(self, libvirtd, image, bridge, directory):
        self.libvirtd, self.image, self.bridge, self.directory = libvirtd, image, bridge, directory
        self.address, self.way = bridge.address(SERVICE), bridge.address(WAY)
        self.disk = directory / "disk"
        self._with_launchers()
        self.guest = None
        self.boots_with()

    def boots_with(self, words=""):
        """Have the next boot get these words, too."""
        known = {"uuid": self.guest.uuid} if self.guest else {}
        cmdline = f"lab.eth0={self.address}/24 lab.eth1={self.way}/24 {words}"
        bridges = [self.bridge.name, self.bridge.name]
        options = {**known, "disks": [self.disk], "bridges": bridges, "cmdline": cmdline}
        self.guest = define_guest(self.libvirtd, self.image, "inside", options)

    def launched(self):
        """What launchers have said on the console since the boot, without checks."""
        said = re.findall(r"^LAUNCHER (.*?)\s*$", self.guest.console.read_text(errors="replace"), re.MULTILINE)
        return [line for line in said if not line.endswith("status")]

    def do(self, script):
        """Run a script in the guest, by its agent."""
        shell = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self._agent("guest-exec", shell)["pid"]
        while not (state := self._agent("guest-exec-status", {"pid": pid}))["exited"]:
            time.sleep(0.05)
        assert state["exitcode"] == 0, state

    def ready(self):
        """Wait until the agent answers, of a guest that reboots."""
        deadline = time.monotonic() + 60
        while self.guest.libvirtd.virsh("qemu-agent-command", self.guest.uuid, PING, check=False) == "":
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def _agent(self, command, arguments):
        request = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.libvirtd.virsh("qemu-agent-command", self.guest.uuid, request))["return"]

    def _with_launchers(self):
        launchers = self.directory / "content/svc/etc/init.d"
        launchers.mkdir(parents=True)
        for name, does in LAUNCHERS.items():
            says = 'echo "LAUNCHER ${0##*/} $1" >/dev/console'
            (launchers / name).write_text(f"#!/bin/sh\n{says}\n{does}\n")
            (launchers / name).chmod(0o755)
        mkfs = ["mkfs.ext4", "-q", "-d", self.directory / "content", self.disk, "16M"]
        done = subprocess.run(mkfs, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"mkfs.ext4: {done.stderr}")


class Site(Shell):
    """vmsvc at a shell whose ssh has the lab's key, and knows no other host's."""

    def __init__(self, root, machine):
        super().__init__(root)
        self.machine = machine
        home = root / "home"
        (home / ".ssh").mkdir(parents=True)
        (home / ".ssh/config").write_text(f"IdentityFile {machine.image.key}\n")
        self.environment |= {"HOME": str(home), "VMSVC_COLUMNS": "200"}
        self.environment.pop("SSH_AUTH_SOCK", None)

    def web(self, *lines, way="ssh", hostname=None, ip="", app=""):
        guest = self.machine.guest
        container = f"type = kvm\nname = {guest.name}\nuri = {guest.libvirtd.uri}\nway_in = {way}\n"
        container += f"hostname = {hostname or self.machine.way}\n" + "".join(f"{line}\n" for line in lines)
        address = f"ipname = {self.machine.address}\nipdev = eth0\n{ip}\n"
        self.file("web", f"[DEFAULT]\nnodes = {NODE}\n[container#1]\n{container}[ip#1]\n{address}[app]\n{app}\n")

    def svcmgr(self, *words):
        began = time.monotonic()
        argv = [Path(sys.executable).with_name("svcmgr"), "-s", "web", *words]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=240, check=False)
        return done, time.monotonic() - began

    def states(self, code=0):
        """The status of each resource of the service, and the words for it."""
        (service,) = self.json("status", "web", code=code)["services"]
        resources = service["instances"][0]["resources"]
        return {each["rid"]: (each["status"], each["evidence"]["detail"]) for each in resources}


@pytest.fixture(scope="module")
def machine(libvirtd, guest_image, tmp_path_factory):
    with required(), Bridge() as bridge:
        made = Machine(libvirtd, guest_image, bridge, tmp_path_factory.mktemp("machine"))
        yield made
        made.guest.remove()


@pytest.fixture
def site(tmp_path, machine):
    libvirtd, guest = machine.guest.libvirtd, machine.guest
    libvirtd.virsh("destroy", guest.uuid, check=False)
    machine.boots_with()
    return Site(tmp_path / "root", machine)


def test_a_service_is_up_when_what_is_inside_is_and_says_why_it_is_not(site, machine):
    site.web("start_timeout = 100")
    done, _ = site.svcmgr("start")
    ok(done)
    assert machine.launched() == STARTED
    done, _ = site.svcmgr("print", "status")
    assert re.search(rf"ping answers in .* ms; {machine.address}/24 is on eth0\b", ok(done))
    assert "1 of 1 checks are well" in done.stdout
    done, _ = site.svcmgr("start")
    assert "nothing to do" in ok(done)
    assert machine.launched() == STARTED

    # a shell that prints, before whatever it is asked for
    machine.do(
        "printf '#!/bin/sh\\necho Welcome; echo Welcome >&2; exec /bin/sh \"$@\"\\n' >/bin/loud; chmod 755 /bin/loud;"
        "echo /bin/loud >>/etc/shells; sed -i s,:/bin/sh,:/bin/loud, /etc/passwd"
    )
    assert [status for status, _ in site.states().values()] == ["up", "up", "up"]
    machine.do("sed -i s,:/bin/loud,:/bin/sh, /etc/passwd")

    # another host key
    machine.do("killall dropbear; sleep 1; rm /etc/dropbear/*_host_key; dropbear -s -R")
    done, took = site.svcmgr("print", "status")
    assert (done.returncode, took < 15) == (4, True), done.stdout
    states = site.states(code=4)
    assert [states[rid][0] for rid in ("container#1", "ip#1", "app")] == ["up", "unknown", "unknown"]
    for rid in ("ip#1", "app"):
        assert re.search(r"has changed: it is SHA256:\S+ .* now, and was SHA256:\S+ ", states[rid][1])

    # nobody there: what is sent is swallowed
    site.web(hostname=machine.bridge.swallow(NOWHERE))
    done, took = site.svcmgr("print", "status")
    assert (done.returncode, took < 25) == (4, True), done.stdout
    states = site.states(code=4)
    assert [states[rid][0] for rid in ("container#1", "ip#1", "app")] == ["up", "unknown", "unknown"]

    # by the agent, without any network
    machine.do("killall dropbear; ip link set eth0 down; ip link set eth1 down")
    site.web(way="agent")
    states = site.states()
    assert [states[rid][0] for rid in ("container#1", "app")] == ["up", "up"]
    assert states["ip#1"][0] == "down", states
    assert states["ip#1"][1].startswith("ping does not answer; "), states
    assert "is on eth0, and of no use: the adapter is down" in states["ip#1"][1], states
    done, _ = site.svcmgr("stopapp")
    ok(done)
    assert machine.launched() == STARTED + STOPPED
    assert site.states()["app"][0] == "down"
    done, _ = site.svcmgr("startapp")
    ok(done)
    done, _ = site.svcmgr("stop")
    ok(done)
    assert machine.launched() == (STARTED + STOPPED) * 2
    assert {status for status, _ in site.states().values()} == {"down"}


@pytest.mark.parametrize("boot_s", [25, pytest.param(60, marks=pytest.mark.soak)])
def test_a_slow_boot_is_waited_for_within_the_budget_and_no_longer(site, machine, boot_s):
    machine.boots_with(f"lab.boot={boot_s}")
    site.web("start_timeout = 8")
    done, took = site.svcmgr("start")
    assert (done.returncode, took < boot_s + 35) == (1, True), done.stderr  # a guest that boots is deaf to a stop
    assert "it was not seen in time: ping does not answer; " in done.stderr
    assert "rolled back: stop container#1: done" in done.stderr
    assert machine.launched() == []
    assert {status for status, _ in site.states().values()} == {"down"}
    site.web("start_timeout = 120")
    done, took = site.svcmgr("start")
    ok(done)
    assert boot_s < took < boot_s + 60
    assert machine.launched() == STARTED


def test_an_address_that_this_node_has_itself_keeps_the_guest_down(site, machine):
    with machine.bridge.own(SERVICE):
        site.web()
        done, _ = site.svcmgr("start")
    assert done.returncode == 3, done.stderr
    assert f"{machine.address} answers although the guest is shut off" in done.stderr
    assert "this node itself has it" in done.stderr
    assert site.states()["container#1"][0] == "down"


def test_a_start_by_the_agent_needs_no_network(site, machine):
    site.web("start_timeout = 100", way="agent", ip="check_ping = no")
    with machine.bridge.cut():
        done, _ = site.svcmgr("start")
        ok(done)
        assert machine.launched() == STARTED
        assert [status for status, _ in site.states().values()] == ["up", "up", "up"]
        done, _ = site.svcmgr("stop")
        ok(done)
    assert machine.launched() == STARTED + STOPPED


@pytest.mark.parametrize("way", ["agent", pytest.param("ssh", marks=pytest.mark.soak)])
def test_a_launcher_that_reboots_its_guest_or_finds_the_disk_full_is_bounded_and_told(site, machine, way):
    patience = "launcher_timeout = 10\ncheck_timeout = 8"
    site.web("start_timeout = 100", way=way, app=patience)
    done, _ = site.svcmgr("start")
    ok(done)

    # once only: what has been started again is not what reboots
    reboots = "[ -e /svc/once ] || { touch /svc/once; sync; reboot -f; sleep 100; }"
    machine.do(f"rm -f {MARK} /svc/once; echo '{reboots}' >/svc/etc/init.d/S15boot; sync")
    done, took = site.svcmgr("startapp")
    # By the agent, nobody can look inside yet; by ssh, the guest is back before the service is looked at.
    assert (done.returncode, took < 90) == ({"agent": 4, "ssh": 0}[way], True), done.stderr
    assert "S15boot: " in done.stderr
    machine.ready()
    done, _ = site.svcmgr("startapp")
    ok(done)
    assert [status for status, _ in site.states().values()] == ["up", "up", "up"]

    machine.do(f"rm {MARK} /svc/etc/init.d/S15boot /svc/once")
    machine.do(
        "echo 'head -c 99999 /dev/zero >/svc/more || exit 7' >/svc/etc/init.d/S15full; cat /dev/zero >/svc/full || true"
    )
    done, _ = site.svcmgr("startapp")
    ok(done)
    assert "S15full exited with 7: head: " in done.stderr
    assert [status for status, _ in site.states().values()] == ["up", "up", "up"]
    machine.do("rm -f /svc/full /svc/more /svc/etc/init.d/S15full; sync")
