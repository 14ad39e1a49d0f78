"""The verbs as guests do them: the script in every shell of POSIX that this machine has, as anything and as a forced command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from vmsvc.core.errors import ActionFailed, NoWayIn, Undetermined, UsageError
from vmsvc.core.inside import verbs
from vmsvc.core.inside.addresses.forms import BEGIN
from vmsvc.core.inside.launchers import Entry, EntryKind
from vmsvc.core.inside.verbs import BUSY, NAME, ask, script
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.asking import Script, encoded
from vmsvc.core.transport.command import shown

# dash and busybox are always there in CI; the others where somebody has installed them
SHELLS = [
    shell for shell in (["dash"], ["busybox", "sh"], ["bash", "--posix"], ["ksh"], ["mksh"]) if shutil.which(shell[0])
]
#: Names with every byte that a name can have, in pieces that a directory takes.
ODD_NAMES = [
    b"S10 web",
    b"-n",
    b"S'\"$(id)`id`;id|&",
    b"S\n\nK10\n",
    b"*",
    b"[S]?",
    b"a%040b",
    b"\\0101\\n",
    "Sgröße☂".encode(),
    *(bytes(each for each in range(start, min(start + 64, 256)) if each not in b"\0/") for start in range(0, 256, 64)),
]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request):
    return request.param


class Guest:
    """The inside of a guest that is this machine, by a shell of one's choice."""

    name = "guest"

    def __init__(self, shell):
        self.shell = shell

    def run(self, argv, *, budget_s, environment=None):
        assert argv[0] == "sh"
        return outcome([*self.shell, *argv[1:]], environment)


class Restricted(Guest):
    """The same, behind a key whose forced command is the installed script."""

    is_restricted = False

    def __init__(self, shell, tmp_path, *directories):
        super().__init__(shell)
        self.installed = tmp_path / "installed.sh"
        self.installed.write_text(script().text)
        self.directories = directories or (str(tmp_path / "init.d"),)

    def open(self, *, budget_s):
        self.is_restricted = True

    def run(self, argv, *, budget_s, environment=None):
        return self.send(" ".join(argv))

    def send(self, command):
        """What a client sends, whoever it is."""
        told = {} if command is None else {"SSH_ORIGINAL_COMMAND": command}
        return outcome([*self.shell, str(self.installed), "permit", *self.directories], told)


def outcome(argv, environment=None):
    done = subprocess.run(argv, check=False, env={**os.environ, **(environment or {})}, capture_output=True, timeout=60)
    return Outcome(
        argv=tuple(map(str, argv)), code=done.returncode, stdout=done.stdout, stderr=done.stderr, duration_s=0.0
    )


@pytest.fixture(params=["any command", "verbs alone"])
def host(request, shell, tmp_path):
    return Guest(shell) if request.param == "any command" else Restricted(shell, tmp_path)


@pytest.fixture
def init_d(tmp_path):
    made = tmp_path / "init.d"
    made.mkdir()
    return made


def launcher(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)


def test_hello(host):
    assert ask(host, "hello", budget_s=30.0).out == f"{script().greeting}\n"


def test_addresses_tell_the_system_and_the_form(host):
    begin, system, form, *told = ask(host, "addresses", budget_s=30.0).out.splitlines()
    assert begin == BEGIN
    assert (system, form in {"FORM ip-json", "FORM ip-text", "FORM ifconfig"}) == ("SYSTEM Linux", True)
    assert "127.0.0.1" in "".join(told)


def tools(tmp_path, monkeypatch, **scripts):
    """A machine with these tools alone, beside what the script itself needs."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for name in ("sed", "sort", "printf", "cat"):
        (directory / name).symlink_to(shutil.which(name))
    for name, text in scripts.items():
        launcher(directory / name, f"#!{shutil.which('dash')}\n{text}\n")
    text = script().text.replace(":/usr/sbin:/sbin:/usr/bin:/bin", "", 1)
    monkeypatch.setattr(verbs, "script", lambda: Script(NAME, text))
    return {"PATH": str(directory)}


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ({"ip": '[ $1 = -j ] && exit 255; echo "1: lo"'}, "SYSTEM SunOS\nFORM ip-text\n1: lo\n"),
        ({"ip": "exit 1", "ifconfig": 'echo "lo0: $1"'}, "SYSTEM SunOS\nFORM ifconfig\nlo0: -a\n"),
        ({"ifconfig": 'echo "lo0: $1"'}, "SYSTEM SunOS\nFORM ifconfig\nlo0: -a\n"),
        (
            {
                "uname": "echo HP-UX",
                "netstat": "echo 'Name Mtu'; echo 'lan1* 1500'; echo 'lan0 1500'; echo 'lan0 1500'",
                "ifconfig": 'echo "$1: flags"',
            },
            "SYSTEM HP-UX\nFORM netstat\nName Mtu\nlan1* 1500\nlan0 1500\nlan0 1500\nlan0: flags\nlan1: flags\n",
        ),
    ],
)
def test_addresses_of_systems_without_a_modern_ip(tmp_path, monkeypatch, scripts, told):
    environment = tools(tmp_path, monkeypatch, **{"uname": "echo SunOS", **scripts})
    done = outcome([shutil.which("dash"), "-c", verbs.script().text, NAME, "addresses"], environment)
    assert (done.out, done.code) == (f"{BEGIN}\n{told}", 0)


def test_a_system_that_cannot_tell_addresses(tmp_path, monkeypatch):
    environment = tools(tmp_path, monkeypatch, uname="echo SunOS")
    done = outcome([shutil.which("dash"), "-c", verbs.script().text, NAME, "addresses"], environment)
    assert (done.out, done.err, done.code) == (
        f"{BEGIN}\n",
        f"{NAME}: neither ip nor ifconfig tells the addresses\n",
        125,
    )


def test_what_lies_in_a_directory_whatever_its_name(host, init_d):
    for odd in ODD_NAMES:
        (init_d / os.fsdecode(odd)).touch()
    launcher(init_d / "S1", "")
    (init_d / "S2").mkdir()
    (init_d / "S3").symlink_to("/nowhere")
    (init_d / ".hidden").touch()
    begin, *told = ask(host, "launchers", str(init_d), budget_s=30.0).stdout.split(b"/")
    assert (begin, told.pop()) == (b"vmsvc-guest launchers", b"end\n")
    found = dict(zip(told[1::2], told[::2], strict=True))
    assert found.pop(b"S1") == b"executable"
    assert found.pop(b"S2") == b"other"
    assert found.pop(b"S3") == b"dangling"
    assert found == dict.fromkeys(ODD_NAMES, b"readable")


def test_no_directory_is_not_the_same_as_nothing_in_it(host, init_d):
    assert ask(host, "launchers", str(init_d), budget_s=30.0).stdout == b"vmsvc-guest launchers/end\n"
    init_d.rmdir()
    assert ask(host, "launchers", str(init_d), budget_s=30.0).stdout == b"vmsvc-guest launchers/absent/./end\n"
    init_d.touch()
    with pytest.raises(ActionFailed, match=r"guest: launchers: .*init\.d is no directory"):
        ask(host, "launchers", str(init_d), budget_s=30.0)


def test_a_directory_that_may_be_entered_and_not_read_is_not_an_empty_one(shell):
    """As of a file system of NFS, where root is nobody."""
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "S1").touch()
        Path(directory).chmod(0o311)
        with pytest.raises(ActionFailed, match="cannot be read"):
            ask(Guest([*nobody, *shell]), "launchers", directory, budget_s=30.0)
        Path(directory).chmod(0o700)


def test_a_launcher_of_any_name_is_run_with_its_action_and_its_exit_code(host, init_d):
    for odd in (b"S" + each for each in ODD_NAMES):
        launcher(init_d / os.fsdecode(odd), '#!/bin/sh\nprintf "%s by %s" "$1" "${0##*/}"\nexit 7\n')
        done = ask(host, "launch", str(init_d), os.fsdecode(odd), "start", budget_s=30.0)
        assert (done.code, done.stdout, done.stderr) == (7, b"start by " + odd, b"")


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("#!/bin/sh\necho by itself", 0o755, "by itself"),
        ("echo by itself", 0o755, "by itself"),
        ("echo by sh", 0o644, "by sh"),
        ("#!/usr/bin/env python3\nprint('by python')", 0o644, "by python"),
        ("#! /usr/bin/printf %s\n", 0o644, "%s{}/S1start"),
    ],
)
def test_a_launcher_that_is_not_executable_is_run_by_what_it_names(host, init_d, text, mode, told):
    launcher(init_d / "S1", text, mode)
    done = ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0)
    assert (done.out.strip().removeprefix("%s"), done.code) == (told.removeprefix("%s").format(init_d), 0)


class Stranger:
    """A guest where something else answers than vmsvc's script."""

    name = "guest"

    def __init__(self, code, stdout, stderr):
        self.answer = {"code": code, "stdout": stdout, "stderr": stderr}

    def run(self, argv, *, budget_s, environment=None):
        return Outcome(argv=tuple(argv), duration_s=0.1, **self.answer)


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "words"),
    [
        (
            127,
            b"",
            b"/bin/sh: 0: cannot open /usr/local/lib/vmsvc/vmsvc-guest",
            "exit code 127; it said last: .*vmsvc-guest",
        ),
        (0, b"Welcome!\n", b"", "exit code 0; it said last: Welcome!"),
        (0, b"vmsvc-peer 1\n", b"", "exit code 0"),
    ],
)
def test_who_does_not_know_the_verbs_has_let_no_verbs_in(code, stdout, stderr, words):
    with pytest.raises(NoWayIn, match=f"guest does not know vmsvc's verbs: {words}") as error:
        verbs.greet(Stranger(code, stdout, stderr), budget_s=5.0)
    assert "vmsvc trust guest" in error.value.hint


def test_who_knows_the_verbs_has_let_them_in(host):
    verbs.greet(host, budget_s=30.0)
    verbs.greet(Stranger(0, b"Welcome!\nvmsvc-guest 1\n", b""), budget_s=5.0)


def test_a_launcher_is_told_of_its_service(host, init_d, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    launcher(init_d / "S1", '#!/bin/sh\necho "$VMSVC_SERVICE|$OPENSVC_IPADDR|$LC_ALL|$(cat)"\n')
    environment = {"VMSVC_SERVICE": "we b\n'\"$(id);=", "OPENSVC_IPADDR": ""}
    done = ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0, environment=environment)
    assert done.out == f"{environment['VMSVC_SERVICE']}||C.UTF-8|\n"


@pytest.mark.parametrize(
    "variable",
    [
        "PATH",
        "LD_PRELOAD",
        "IFS",
        "VMSVC_",
        "VMSVC_a",
        "XVMSVC_A",
        "VMSVC_A;id",
        "VMSVC_ROOT",
        "VMSVC_NODENAME",
        "OPENSVC_",
    ],
)
def test_a_launcher_is_told_nothing_that_changes_what_it_is(host, init_d, variable):
    launcher(init_d / "S1", "#!/bin/sh\necho ran\n")
    with pytest.raises(ActionFailed, match="refused: a variable of another name") as error:
        ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0, environment={variable: "x"})
    assert error.value.code == "action.refused-inside"


@pytest.mark.parametrize("name", [".", "..", "../evil", "/bin/sh", "sub/S1"])
def test_a_launcher_lies_in_its_directory(host, init_d, name):
    (init_d / "sub").mkdir()
    launcher(init_d / "sub" / "S1", "echo ran")
    launcher(init_d.parent / "evil", "echo ran")
    with pytest.raises(ActionFailed, match="refused: a launcher that is not in the directory"):
        ask(host, "launch", str(init_d), name, "start", budget_s=30.0)


def test_a_launcher_that_is_not_there_or_is_no_file(host, init_d):
    (init_d / "S1").mkdir()
    for name in ("S1", "S2"):
        with pytest.raises(ActionFailed, match=f"there is no launcher .*/{name}$"):
            ask(host, "launch", str(init_d), name, "start", budget_s=30.0)


def test_a_launcher_leaves_nothing_behind_in_its_directory(host, init_d):
    launcher(init_d / "S1", "pwd")
    assert ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0).out == "/\n"


def test_an_action_that_is_none_of_launchers(host, init_d):
    launcher(init_d / "S1", "echo ran")
    with pytest.raises(ActionFailed, match="an action that launchers do not have"):
        ask(host, "launch", str(init_d), "S1", "-c", budget_s=30.0)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("README", "start"),
        (".hidden", "start"),
        ("s10", "start"),
        ("S10", "stop"),
        ("S10", "status"),
        ("K10", "start"),
        ("K10", "info"),
        ("C10", "stop"),
        *((f"S10{end}", "start") for end in ("~", ".bak", ".BAK", ".rpmsave", ".dpkg-old", ".ucf-dist", ".old")),
    ],
)
def test_no_file_is_run_that_is_no_launcher_and_no_launcher_for_what_it_is_not(host, init_d, name, action):
    launcher(init_d / name, "echo ran")
    is_launcher = not Entry(name, EntryKind.EXECUTABLE).fault
    words = "an action that this launcher does not have" if is_launcher else "what looks like a backup"
    with pytest.raises(ActionFailed, match=f"refused: {words}"):
        ask(host, "launch", str(init_d), name, action, budget_s=30.0)


def test_one_launcher_of_a_directory_starts_or_stops_at_a_time_and_what_it_leaves_keeps_nobody_waiting(host, init_d):
    for name in ("S1", "K2", "C3"):
        launcher(init_d / name, "echo ran")
    launcher(init_d / "S0", f"#!/bin/sh\n(exec sleep 987 >&- 2>&- & echo $! >{init_d}/daemon)\nsleep 987\n")
    argv = [*host.shell, "-c", script().text, NAME, "launch", str(init_d), "S0", "start"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as running:
        while not (init_d / "daemon").exists() or not (init_d / "daemon").read_text():
            time.sleep(0.01)
        try:
            for name, action in (("S1", "start"), ("K2", "stop"), ("S0", "start")):
                words = f"a launcher of {init_d} still runs there, as process {running.pid}"
                with pytest.raises(ActionFailed, match=words) as error:
                    ask(host, "launch", str(init_d), name, action, budget_s=30.0)
                assert error.value.code == BUSY
            for name, action in (("C3", "status"), ("S1", "info")):
                assert ask(host, "launch", str(init_d), name, action, budget_s=30.0).out == "ran\n"
        finally:
            running.kill()
            running.wait()
        try:
            assert ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0).out == "ran\n"
        finally:
            os.kill(int((init_d / "daemon").read_text()), signal.SIGKILL)


def test_a_launchers_own_exit_codes_are_no_refusals(host, init_d):
    for code in (124, 125, 126, 127):
        launcher(init_d / "S1", f"#!/bin/sh\necho oops >&2\nexit {code}\n")
        assert ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0).code == code


# --- as a forced command -----------------------------------------------------------------------------------------------

HOSTILE = [
    None,
    "",
    " ",
    "rm -rf /",
    "/usr/lib/openssh/sftp-server",
    "vmsvc-guest",
    "vmsvc-guest ",
    "vmsvc-guest  ; touch evil",
    "vmsvc-guest permit /",
    "vmsvc-guest -c hello",
    "vmsvc-guest hello; touch evil",
    "vmsvc-guest hello\ntouch evil",
    "vmsvc-guest hello $(touch evil)",
    "vmsvc-guest hello `touch evil`",
    "vmsvc-guest hello | touch evil",
    "vmsvc-guest hello & touch evil",
    "vmsvc-guest hello > evil",
    "vmsvc-guest hello hello",
    "vmsvc-guest *",
    "vmsvc-guest launchers /etc",
    "vmsvc-guest launchers DIR/..",
    "vmsvc-guest launchers DIR%012",
    "vmsvc-guest launchers DIR%012/etc",
    "vmsvc-guest launchers %",
    "vmsvc-guest launchers DIR%4",
    "vmsvc-guest launchers DIR%999",
    "vmsvc-guest launchers DIR%000",
    "vmsvc-guest launchers DIR DIR",
    "vmsvc-guest launchers DIR\tDIR",
    "vmsvc-guest launchers",
    "vmsvc-guest launch",
    "vmsvc-guest launch DIR",
    "vmsvc-guest launch DIR S1",
    "vmsvc-guest launch DIR ..%057evil start",
    "vmsvc-guest launch / S1 start",
    "vmsvc-guest launch DIR S1 start PATH=/tmp",
    "vmsvc-guest launch DIR S1 start BASH_ENV=/tmp",
    "vmsvc-guest launch DIR S1 start%073touch%040evil",
    "vmsvc-guest launch DIR S1 start VMSVC_A=",
    "vmsvc-guest launch DIR S1 start VMSVC_RID",
    "vmsvc-guest end",
    "vmsvc-guest end 1",
    "vmsvc-guest end ................................",
    "vmsvc-guest end -1",
    "VMSVC-GUEST hello",
    "sh -c vmsvc-guest hello",
    "vmsvc-guest héllo",
    "vmsvc-guest hello \udcff\udc80",
]


@pytest.mark.parametrize("command", HOSTILE)
def test_a_forced_command_does_its_verbs_and_nothing_else(shell, tmp_path, init_d, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    launcher(init_d / "S1", "echo ran\n")
    launcher(tmp_path / "evil.sh", "echo ran\n")
    before = sorted(tmp_path.rglob("*"))
    guest = Restricted(shell, tmp_path)
    before.append(guest.installed)
    done = guest.send(None if command is None else command.replace("DIR", str(init_d)))
    assert (done.code, done.out) == (126, "")
    assert done.err.startswith(f"{NAME}: refused: ")
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == sorted(before)


def test_a_forced_command_may_be_for_several_directories(shell, tmp_path, init_d):
    other = tmp_path / "other one"
    other.mkdir()
    guest = Restricted(shell, tmp_path, str(init_d), str(other))
    for directory in (init_d, other):
        assert ask(guest, "launchers", str(directory), budget_s=30.0).code == 0
    with pytest.raises(ActionFailed, match="a directory that this key is not for"):
        ask(guest, "launchers", str(tmp_path), budget_s=30.0)


def test_a_forced_command_without_a_directory_does_nothing(shell, tmp_path):
    guest = Restricted(shell, tmp_path)
    guest.directories = ()
    assert guest.send("vmsvc-guest hello").code == 126


@pytest.mark.skipif(not shutil.which("flock"), reason="without flock(1), two that look at once may both go on")
def test_of_launchers_that_are_launched_at_once_one_runs(shell, tmp_path, init_d):
    guest = Restricted(shell, tmp_path)
    launcher(
        init_d / "S1", f"#!/bin/sh\nmkdir {tmp_path}/runs || touch {tmp_path}/both\nsleep 1\nrmdir {tmp_path}/runs\n"
    )
    told = {**os.environ, "SSH_ORIGINAL_COMMAND": f"vmsvc-guest launch {init_d} S1 start"}
    command = [*guest.shell, str(guest.installed), "permit", str(init_d)]
    at_once = [subprocess.Popen(command, env=told, stderr=subprocess.DEVNULL) for _ in range(6)]
    codes = sorted(each.wait(30) for each in at_once)
    assert not (tmp_path / "both").exists()
    assert (codes[0], set(codes) <= {0, 124}) == (0, True)


def test_a_process_that_has_got_the_number_of_a_launcher_is_none(host, init_d):
    launcher(init_d / "S1", "#!/bin/sh\necho ran\n")
    inherited = f"VMSVC_LAUNCHER=$$:1:{init_d}: exec sleep 987"
    with subprocess.Popen(["sh", "-c", inherited]) as later:
        while Path(f"/proc/{later.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        assert ask(host, "launch", str(init_d), "S1", "start", budget_s=30.0).out == "ran\n"
        later.kill()


@pytest.mark.parametrize("action", ["start", "info"])
def test_a_launcher_has_no_file_of_the_scripts_open(host, init_d, action):
    launcher(init_d / "S1", "#!/bin/sh\n[ -e /proc/$$/fd/9 ] || echo none\n")
    assert ask(host, "launch", str(init_d), "S1", action, budget_s=30.0).out == "none\n"


BACKUPS = [
    "S1~",
    "S1.BAK",
    "S1.swp",
    "S1.rpmsave",
    "S1.dpkg-dist",
    "S10.dpkg-tool.sh",
    "S1.ucf-x y",
    "S4.dpkg-",
    "S1.x\ny~",
]
LAUNCHERS = ["S1", "S1.sh", "S1.bak.sh", "S~1", "S1.ba\u212a", "S1dpkg-dist", "S1.old2"]


@pytest.mark.parametrize("name", [*BACKUPS, *LAUNCHERS])
def test_what_looks_like_a_backup_is_one_to_both_ends(host, init_d, name):
    launcher(init_d / name, "#!/bin/sh\necho ran\n")
    assert bool(Entry(name, EntryKind.EXECUTABLE).fault) is (name in BACKUPS)
    if name in BACKUPS:
        with pytest.raises(ActionFailed, match="refused: what looks like a backup"):
            ask(host, "launch", str(init_d), name, "start", budget_s=30.0)
    else:
        assert ask(host, "launch", str(init_d), name, "start", budget_s=30.0).out == "ran\n"


def test_a_launch_is_ended_wherever_its_processes_went_and_nothing_else_is(shell, tmp_path, init_d):
    guest = Restricted(shell, tmp_path)
    mark = "0123456789abcdef" * 2
    launcher(init_d / "S1", f"#!/bin/sh\ntrap '' TERM\n(setsid sleep 987 &)\necho $$ >{tmp_path}/pid\nsleep 987\n")
    command = [*guest.shell, str(guest.installed), "permit", str(init_d)]
    sent = f"vmsvc-guest launch {init_d} S1 start VMSVC_LAUNCH={mark}"
    with (
        subprocess.Popen(command, env={**os.environ, "SSH_ORIGINAL_COMMAND": sent}) as launched,
        subprocess.Popen(["sleep", "987"], env={"VMSVC_LAUNCH": mark[::-1]}) as other,
    ):
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        assert guest.send(f"vmsvc-guest end {mark}").out == "vmsvc-guest ended\n"
        assert launched.wait(5) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
    marked = [each for each in Path("/proc").glob("[0-9]*/environ") if mark.encode() in read(each)]
    assert marked == []


def read(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""


# --- our end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "a\0b"])
def test_what_no_guest_can_be_sent(word):
    with pytest.raises(UsageError, match="cannot be sent"):
        encoded(word)


def test_words_are_sent_as_their_bytes():
    assert encoded("S10 größe\n") == "S10%040gr%303%266%303%237e%012"
    assert encoded(os.fsdecode(b"\xff")) == "%377"


def test_an_error_calls_a_verb_what_it_is_and_not_by_the_line_that_it_takes():
    class Hanging:
        name = "guest"

        def run(self, argv, *, budget_s, environment=None):
            raise Undetermined(f"guest: {shown(argv)}: did not end", code="undetermined.timeout", hint="look")

    told = {"VMSVC_SERVICE": "web", "OPENSVC_SVCNAME": "web"}
    with pytest.raises(Undetermined) as error:
        ask(Hanging(), "launch", "/svc/etc/init.d", "S1 web", "start", budget_s=1.0, environment=told)
    assert error.value.message == "guest: launch /svc/etc/init.d 'S1 web' start: did not end"
    assert (error.value.code, error.value.hint) == ("undetermined.timeout", "look")


def test_a_way_that_cannot_be_opened_is_asked_nothing():
    class Closed:
        name = "guest"
        is_restricted = False

        def open(self, *, budget_s):
            raise NoWayIn("nobody answers")

        def run(self, argv, *, budget_s, environment=None):
            raise AssertionError(argv)

    with pytest.raises(NoWayIn, match="nobody answers"):
        ask(Closed(), "hello", budget_s=1.0)
