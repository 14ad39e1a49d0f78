"""vmsvc on real guests of the real Xen, from the command line."""

import json
import os
import time
from pathlib import Path

import pytest
from vmsvc_xen import config, parse

from lab.xen import client, guests
from tests.lab.shell import NODE, Shell, ok

pytestmark = pytest.mark.timeout(400)

#: Disks in all the ways in which xl-disk-configuration(5) has them, and texts of xl.cfg(5).
CONFIGS = (
    "disk = [ '/dev/vg/guest-volume,,hda', '/root/image.iso,,hdc,cdrom' ]",
    "disk = [ '/dev/vg/guest-volume,raw,hda,rw', 'format=raw, vdev=hdb, access=rw, target=/dev/vg/guest-volume' ]",
    "disk = [ 'raw:/dev/vg/guest-volume,hda,w', 'raw:/root/image.iso,hdc:cdrom,ro', '/root/image.iso,,hdd,,cdrom' ]",
    "disk = [ 'phy:vg/x,xvda,w', 'tap:aio:/srv/x,xvdb,r', 'file:/srv/y,xvdc,w', 'drbd:r0,xvdd,w', ',hde:cdrom' ]",
    "disk = [ 'vdev=xvda,script=block-x,target=a,b:c ', \"vdev=xvdb , target=/a'b\", 'vdev=xvdc,/dev/x' ]",
    "disk = [ 'phy:/dev/a,xvda,w',   # a comment\n 'b,,xvdb',\n\n ]\ndisk += [ 'c,,xvdc,ro,discard,direct-io-safe' ]",
    'memory = 0x10 ; vcpus = 02\nextra = \'a # b\' # c\nname = "an\\"other\\\\"; disk=[]',
    "name = 'it\\'s'",
)
#: What it refuses.
REFUSED = ("name = web", "disk = [ 'a,,xvda' 'b,,xvdb' ]", "Name = 'x'", "extra = '\\x41'", "disk = [ 'a,,xvda'")


@pytest.fixture
def shell(tmp_path, xen):
    shell = Shell(tmp_path / "root")
    shell.environment["PATH"] = f"{xen.tools}:{os.environ['PATH']}"
    return shell


def serve(shell, name, text, *lines):
    """A service with one guest; its config file is returned."""
    file = shell.root / f"xen/{name}.cfg"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    words = "".join(f"{line}\n" for line in lines)
    shell.file(name, f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = xen\nconfig_dir = {file.parent}\n{words}")
    return file


def test_a_service_lives(shell, xen):
    serve(shell, "web", guests.linux("web", words="slow=2"))
    assert shell.statuses()["web"][:2] == ("down", "stopped")
    ok(shell.run("start", "web"))
    assert shell.statuses()["web"][:2] == ("up", "running")
    number = xen.seen("web").number
    ok(shell.run("start", "web"))
    assert xen.seen("web").number == number, "what runs is not started anew"
    facts = str(shell.json("push", "web"))
    assert "'vcpus': 1" in facts
    assert "'memory_mib': 128" in facts
    found = shell.json("diskupdate", "web")["stored"][0]["content"]
    assert [(each["target"], each["kind"], each["source"], each["readonly"]) for each in found] == [
        ("xvda", "block", "/dev/loop0", False),
        ("xvdb", "block", "/dev/loop1", True),
    ]
    while not xen.is_listening("web"):
        time.sleep(0.3)
    began = time.monotonic()
    ok(shell.run("stop", "web"))
    assert time.monotonic() - began > 2, "it was asked, and not destroyed"
    assert xen.seen("web") is None


def test_a_guest_without_its_config_file_is_absent_and_started_as_it_is_kept(shell, xen):
    file = serve(shell, "web", guests.config("web"), "stop_timeout = 2")
    ok(shell.run("push", "web"))
    text = file.read_text()
    file.unlink()
    assert shell.statuses()["web"][:2] == ("down", "absent")
    ok(shell.run("start", "web"))
    assert file.read_text() == text
    assert xen.seen("web").letters[:2] != "--p"

    number = xen.seen("web").number
    done = shell.run("stop", "web")
    ok(done)
    assert xen.seen("web") is None, f"the guest {number} hears nothing: it was to be destroyed"


def test_a_paused_guest_is_warn_and_is_not_started_and_can_be_stopped(shell, xen):
    file = serve(shell, "web", guests.config("web"))
    xen.xl("create", str(file))
    xen.has_run("web")
    xen.xl("pause", "web")
    assert shell.statuses()["web"][:2] == ("warn", "paused")
    refused = shell.run("start", "web")
    assert (refused.returncode, "paused" in refused.stderr) == (3, True), refused.stderr
    ok(shell.run("stop", "web"))
    assert xen.seen("web") is None


def test_while_xenstored_is_silent_all_is_unknown_and_nothing_is_done(shell, xen):
    serve(shell, "web", guests.config("web"))
    file = serve(shell, "db", guests.config("db"))
    xen.xl("create", str(file))
    with xen.silent():
        began = time.monotonic()
        found = shell.statuses(code=4)
        assert time.monotonic() - began < 20
        assert {name: told[0] for name, told in found.items()} == {"web": "unknown", "db": "unknown"}
        for verb, name in (("start", "web"), ("stop", "db")):
            assert shell.run(verb, name).returncode == 4
    assert {name: told[0] for name, told in shell.statuses().items()} == {"web": "down", "db": "up"}


def test_a_guest_that_reboots_is_never_down_and_a_stop_ends_that(shell, xen):
    # Its kernel does nothing but reboot: again and again, Xen has no such domain for some seconds.
    file = serve(shell, "web", guests.config("web", "reboot"))
    xen.xl("create", str(file))
    told, were_without = [], 0
    deadline = time.monotonic() + 120
    while were_without < 3:
        assert time.monotonic() < deadline, told
        told.append(shell.statuses()["web"][:2])
        were_without += told[-1] == ("warn", "rebooting")
    assert {status for status, _ in told} <= {"warn", "up"}, told
    ok(shell.run("stop", "--kill", "web"))
    for _ in range(5):  # two seconds pass before xl makes a domain anew
        assert xen.seen("web") is None
        time.sleep(1)
    assert shell.statuses()["web"][:2] == ("down", "stopped")


def test_config_files_are_read_as_xl_reads_them(xen):
    base = guests.config("web").replace("disk =", "disk = [] #")
    written = [f"{base}\n{text}\n" for text in (*CONFIGS, *REFUSED)]
    told = [_read_by_xl(xen, text) for text in written]
    for text, real in zip(written[: len(CONFIGS)], told, strict=False):
        found = config.settings(text)
        assert config.name(found) == real["config"]["c_info"]["name"], text
        [devices] = parse.devices(json.dumps([{**real, "domid": 1}])).values()
        assert config.devices(found) == devices, text
        assert config.number(found, "memory") == real["config"]["b_info"]["max_memkb"] >> 10
    assert told[len(CONFIGS) :] == [None] * len(REFUSED)
    for text in written[len(CONFIGS) :]:
        with pytest.raises(ValueError, match="line"):
            config.settings(text)


def _read_by_xl(xen, text):
    """What the real one makes of a config file, without a guest being made; None where it refuses it."""
    place = Path(xen.directory, "read.cfg")
    place.write_text(text)
    done = xen.run(client.brought(["xl", "create", "--dryrun", str(place)]))
    return None if done.code else {"config": json.loads(done.out)}
