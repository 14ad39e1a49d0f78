"""Trust, from the shell, with a real OpenSSH server as the guest: what vmsvc's own key lets in, and what it does not."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = str(Path(__file__).parents[2] / "src")
SCRIPT = "/usr/local/lib/vmsvc/vmsvc-guest"

pytestmark = pytest.mark.timeout(180)


class Admin:
    """Who works on a node, with a home of one's own, and a service whose guest is the server."""

    def __init__(self, server, directory):
        self.server, self.root, self.home = server, directory / "root", directory / "home"
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh/config").write_text(server.config.read_text())
        services = self.root / "etc/vmsvc/services"
        services.mkdir(parents=True)
        (services / "web.conf").write_text("[container#1]\ntype = null\nname = guest\nway_in = ssh\n")
        self.keys = f"{server.home}/.ssh/authorized_keys"

    def run(self, *words):
        environment = {
            **{name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"},
            "HOME": str(self.home),
            "VMSVC_ROOT": str(self.root),
            "VMSVC_NODENAME": "n1",
            "PYTHONPATH": SOURCES,
        }
        return subprocess.run(
            [sys.executable, "-m", "vmsvc", "trust", "guest", "web", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def guest(self, *words):
        done = self.run(*words, "--format", "json")
        (guest,) = json.loads(done.stdout)["guests"]
        return done.returncode, guest

    def own_key(self, *words, options=(), command=""):
        """OpenSSH's own client, with vmsvc's own key and no other."""
        key = self.root / "var/lib/vmsvc/ssh/id_ed25519"
        files = ["-F", str(self.server.config), "-o", "IdentityFile=none", "-i", str(key)]
        return subprocess.run(
            ["ssh", *files, *options, "guest", *([command] if command else []), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )


@pytest.fixture
def admin(make_sshd, tmp_path):
    return Admin(make_sshd(more="AllowAgentForwarding yes\nX11Forwarding yes"), tmp_path)


def verdicts(guest):
    return {each["verdict"] for each in guest["tests"]}


def test_what_is_needed_is_shown_without_going_anywhere(admin):
    admin.server.stop()
    done = admin.run()
    assert done.returncode == 0
    key = admin.root / "var/lib/vmsvc/ssh/id_ed25519"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    told = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    fingerprint = told.split()[1]
    assert fingerprint in done.stdout
    assert f'restrict,command="/bin/sh {SCRIPT} permit /svc/etc/init.d" ssh-ed25519 ' in done.stdout
    assert fingerprint in admin.run().stdout  # made once
    admin.server.start()


@pytest.mark.option("trust guest --dry-run")
def test_a_dry_run_shows_what_an_installation_would_change_and_changes_nothing(admin):
    code, guest = admin.guest("--install", "--dry-run")
    assert code == 0
    assert [each["file"] for each in guest["changes"]] == [SCRIPT, admin.keys]
    assert all(each["diff"] and not each["is_done"] for each in guest["changes"])
    assert not guest["tests"]
    assert admin.server.ssh("test", "!", "-e", SCRIPT, "-a", "!", "-e", admin.keys).returncode == 0
    assert admin.run("--dry-run").returncode == 2


def test_what_others_have_written_in_whatever_encoding_stays_as_it_is(admin):
    admin.server.ssh("mkdir", "-m", "700", str(Path(admin.keys).parent))
    theirs = "ssh-rsa AAAA J\\374rgen \\\\c 100%s"
    line = f"printf '%b\\n' '{theirs}'".replace("\\374", "\\0374")
    # More than one argument of a command may have.
    admin.server.ssh("sh", "-c", f"for n in $(seq 8000); do {line}; done >{admin.keys}")
    before = admin.server.ssh("cat", admin.keys).stdout
    assert b"J\xfcrgen" in before
    assert len(before) > 1 << 17
    code, guest = admin.guest("--install")
    assert (code, guest["problems"]) == (0, [])
    assert admin.server.ssh("cat", admin.keys).stdout == before + f"{guest['line']}\n".encode()


def test_commands_that_the_key_will_not_let_in_are_told_beforehand(admin):
    service = admin.root / "etc/vmsvc/services/web.conf"
    service.write_text(service.read_text() + "[app#1]\nstart = /bin/web\n[app#2]\n")
    code, guest = admin.guest()
    assert (code, [(each["section"], each["code"]) for each in guest["problems"]]) == (0, [("app#1", "trust.commands")])
    assert "[app#1]: it has commands of its own, which vmsvc's key does not let in" in admin.run().stderr


@pytest.mark.option("trust guest --install", "trust guest --test")
def test_what_is_installed_permits_the_verbs_and_nothing_else(admin):
    assert admin.guest("--test")[0] == 1  # the key is not there yet
    admin.server.ssh("mkdir", "-m", "700", str(Path(admin.keys).parent))
    admin.server.write_home(".ssh/authorized_keys", "# mine\nssh-rsa AAAA other@n9")
    code, guest = admin.guest("--install")
    wrong = [each for each in guest["tests"] if not each["is_right"]]
    assert wrong == []
    assert (code, guest["problems"]) == (0, [])
    assert verdicts(guest) == {"works", "refused"}
    assert all(each["is_done"] for each in guest["changes"])
    assert admin.server.read(admin.keys) == f"# mine\nssh-rsa AAAA other@n9\n{guest['line']}\n"
    assert admin.server.read(SCRIPT) == guest["script"]["text"]
    assert admin.server.ssh("stat", "-c", "%a", SCRIPT).stdout == b"755\n"
    code, again = admin.guest("--install")
    assert code == 0
    assert not any(each["diff"] or each["is_done"] for each in again["changes"])
    assert admin.run("--test").stdout.count("refused as it should be") > 15
    assert admin.guest()[1]["host_keys"]


def test_a_directory_of_launchers_that_the_service_names_is_permitted(admin):
    service = admin.root / "etc/vmsvc/services/web.conf"
    service.write_text(service.read_text() + "[app#1]\nlaunchers = /root/my launchers\n")
    code, guest = admin.guest("--install")
    assert (code, verdicts(guest)) == (0, {"works", "refused"})
    assert "permit '/root/my launchers'\"" in guest["line"]


def test_the_client_of_openssh_gets_no_further_with_the_key(admin):
    assert admin.run("--install").returncode == 0
    assert admin.own_key(command="vmsvc-guest hello").stdout == b"vmsvc-guest 1\n"
    target = admin.server.directory / "precious"
    target.mkdir()
    for line in (f"rm -rf {target}", f"vmsvc-guest hello; rm -rf {target}", f"vmsvc-guest hello $(rm -rf {target})",
                 f"vmsvc-guest hello `rm -rf {target}`", f"vmsvc-guest hello\nrm -rf {target}"):  # fmt: skip
        assert admin.own_key(command=line).returncode == 126
        assert target.exists()
    assert admin.own_key().returncode == 126
    assert admin.own_key(options=("-tt",)).returncode != 0
    assert admin.own_key(options=("-W", "127.0.0.1:1")).returncode != 0
    assert admin.own_key(options=("-s",), command="sftp").returncode == 126
    listening = ("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
    assert admin.own_key(options=listening, command="vmsvc-guest hello").returncode == 255


def test_a_key_that_is_not_restricted_is_found_out(admin):
    admin.run()
    public = json.loads(admin.run("--format", "json").stdout)["key"]["public"]
    (admin.server.directory / "own.pub").write_text(public)
    admin.server.authorize(admin.server.directory / "own.pub")
    code, guest = admin.guest("--test")
    assert code == 1
    found = {each["name"]: each["verdict"] for each in guest["tests"]}
    not_refused = {name for name, verdict in found.items() if verdict == "not-refused"}
    assert {
        "rm -rf of a directory that is nowhere",
        "a command behind ;",
        "a shell",
        "sftp",
        "a terminal",
    } <= not_refused
    assert {name for name in found if name.startswith("forwarding")} <= not_refused
    assert found["the verb hello"] == "does-not-work"


def test_a_guest_that_is_gone_is_told_as_not_determined(admin):
    admin.server.stop()
    code, guest = admin.guest("--test")
    assert code == 4
    assert guest["problems"][0]["code"] == "undetermined.ssh-refused"
    admin.server.start()
