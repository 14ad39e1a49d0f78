"""Trust in peers, from the shell, with a real OpenSSH server before each: what vmsvc's own key lets in, and what not."""

import subprocess

import pytest

pytest.importorskip("vmsvc_null")

from tests.lab.peer import Peer

SCRIPT = "/usr/local/lib/vmsvc/vmsvc-peer"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def n1(make_sshd, tmp_path):
    return Peer(make_sshd, tmp_path, "n1")


@pytest.fixture
def n2(make_sshd, tmp_path, n1):
    peer = Peer(make_sshd, tmp_path, "n2")
    n1.knows(peer)
    n1.add("web", default=("nodes = n1 n2",))
    n1.add("db", default=("nodes = n1", "drpnodes = N2"))
    n1.add("alone")
    for name in ("web", "db"):
        peer.add(name, default=("nodes = n1 n2",))
    return peer


def trust(node, *words):
    code, answer = node.json("trust", "peers", *words)
    (peer,) = answer["peers"]
    return code, peer


def own_key(n1, n2, *options, command=""):
    """OpenSSH's own client, with vmsvc's own key and no other."""
    key = n1.root / "var/lib/vmsvc/ssh/id_ed25519_peers"
    files = ["-F", str(n2.server.config), "-o", "IdentityFile=none", "-i", str(key)]
    return subprocess.run(
        ["ssh", *files, *options, "guest", *([command] if command else [])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def test_each_peer_is_shown_once_and_nothing_is_connected_to(n1, n2):
    n2.server.stop()
    code, peer = trust(n1)
    assert (code, peer["node"], peer["services"], peer["tests"]) == (0, "N2", ["db", "web"], [])
    assert peer["line"].startswith(f'restrict,command="/bin/sh {SCRIPT} permit" ssh-ed25519 ')
    assert trust(n1, "web")[1]["services"] == ["web"]
    assert n1.json("trust", "peers", "alone")[1]["peers"] == []
    n2.server.start()


@pytest.mark.option("trust peers --install", "trust peers --test", "trust peers --dry-run")
def test_install_and_test_leave_a_key_that_permits_the_questions_alone(n1, n2):
    code, peer = trust(n1, "web", "--install", "--dry-run")
    assert code == 0
    assert all(each["diff"] and not each["is_done"] for each in peer["changes"])
    code, peer = trust(n1, "web", "--install")
    assert [each for each in peer["tests"] if not each["is_right"]] == []
    assert (code, peer["problems"]) == (0, [])
    assert {each["verdict"] for each in peer["tests"]} == {"works", "refused"}
    assert n2.server.read(SCRIPT) == peer["script"]["text"]
    code, again = trust(n1, "web", "--test")
    assert (code, again["changes"]) == (0, [])
    assert again["host_keys"]


def test_the_client_of_openssh_gets_no_further_with_the_key(n1, n2):
    assert trust(n1, "web", "--install")[0] == 0
    assert own_key(n1, n2, command="vmsvc-peer mode").stdout == b"TST\n"
    assert b'"name": "web"' in own_key(n1, n2, command="vmsvc-peer status web").stdout
    target = n2.server.directory / "precious"
    target.mkdir()
    for line in (f"rm -rf {target}", f"vmsvc-peer hello; rm -rf {target}", f"vmsvc-peer status $(rm -rf {target})",
                 f"vmsvc-peer hello\nrm -rf {target}", "vmsvc-peer start web", "vmsvc start web"):  # fmt: skip
        assert own_key(n1, n2, command=line).returncode == 126
        assert target.exists()
    assert own_key(n1, n2).returncode == 126
    assert own_key(n1, n2, "-s", command="sftp").returncode == 126
    assert own_key(n1, n2, "-W", "127.0.0.1:1").returncode != 0
    listening = ("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
    assert own_key(n1, n2, *listening, command="vmsvc-peer hello").returncode == 255


def test_a_key_that_is_not_restricted_is_found_out(n1, n2):
    public = n1.json("trust", "peers")[1]["key"]["public"]
    (n2.server.directory / "own.pub").write_text(public)
    n2.server.authorize(n2.server.directory / "own.pub")
    code, peer = trust(n1, "web", "--test")
    assert code == 1
    not_refused = {each["name"] for each in peer["tests"] if each["verdict"] == "not-refused"}
    assert {"rm -rf of a directory that is nowhere", "a command behind ;", "a shell", "sftp"} <= not_refused


def test_a_peer_that_is_gone_or_has_another_host_key_is_told_as_not_determined(n1, n2):
    assert trust(n1, "web", "--install")[0] == 0
    n2.server.stop()
    code, peer = trust(n1, "web", "--test")
    assert (code, peer["problems"][0]["code"]) == (4, "undetermined.ssh-refused")
    n2.server.new_host_key()
    n2.server.start()
    code, peer = trust(n1, "web", "--test")
    assert (code, peer["problems"][0]["code"]) == (4, "undetermined.ssh-host-key")


def starts(peer):
    """What the test has found of what starts ask."""
    return {each["name"]: each["detail"] for each in peer["tests"] if each["name"].startswith("what a start of ")}


def test_the_test_tries_what_a_start_asks_and_whether_the_peer_would_ask_in_turn(n1, n2):
    assert trust(n1, "web", "db", "--install")[0] == 0
    assert starts(trust(n1, "web", "db", "--test")[1]) == {"what a start of db, web asks": ""}
    n2.add("web", default=("nodes = n2",))
    (n2.services_dir / "db.conf").unlink()
    code, peer = trust(n1, "web", "db", "--test")
    told = starts(peer)
    assert code == 1
    assert "n2's file of web does not name n1" in told["what a start of web asks"]
    assert "db" in told["what a start of db asks"]


def test_a_peer_that_is_called_otherwise_where_ssh_comes_in_is_told_with_what_to_do(n1, n2):
    program = n2.tools / "vmsvc"
    program.write_text(program.read_text().replace("export ", "export VMSVC_NODENAME=host7 ", 1))
    code, peer = trust(n1, "web", "--install")
    told = starts(peer)["what a start of web asks"]
    assert (code, "calls itself host7" in told, "`SetEnv VMSVC_NODENAME=" in told) == (1, True, True)


def test_a_machine_may_be_a_peer_and_a_guest(n1, n2):
    n1.add("inner", "name = n2", "way_in = ssh")
    assert trust(n1, "web", "--install")[0] == 0
    code, answer = n1.json("trust", "guest", "inner", "--install")
    assert (code, answer["guests"][0]["problems"]) == (0, [])
    assert trust(n1, "web", "--test")[0] == 0
    assert n1.json("trust", "guest", "inner", "--test")[0] == 0
