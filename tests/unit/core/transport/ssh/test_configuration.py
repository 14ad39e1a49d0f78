"""How an ssh configuration leads somewhere; where ssh is there, it is asked what it makes of the same file."""

import shutil
import subprocess
from collections import Counter

import pytest
from paramiko import SSHConfig

from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport.ssh.configuration import CONNECT_S, connect_s, load, route

CONFIG = """
Include {directory}/conf.d/*.conf
Host early
    Port 24
Host web
    HostName 192.0.2.7
    Port 2222
    ProxyJump first,admin@second:2022
Host first
    HostName 192.0.2.1
    ProxyJump zeroth
Host plain
    User someone
Host *.inside
    Include {directory}/inside.conf
    Port 23
Host loop
    ProxyJump pool
Host pool
    ProxyJump loop
Host relayed
    ProxyCommand relay %h %p
Host bare
    ProxyJump none
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").write_text('Host extra "two words"\n    Port 77\n')
    (tmp_path / "inside.conf").write_text("User deep\n")
    (tmp_path / "config").write_text(CONFIG.replace("{directory}", str(tmp_path)))
    return tmp_path / "config"


def way(target, config):
    return [(c.user, c.host, c.port) for c in route(target, load(config), user="root")]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("plain", ("someone", "plain", 22)),
        ("other", ("root", "other", 22)),
        ("extra", ("root", "extra", 77)),
        ("a.inside", ("deep", "a.inside", 23)),
        ("me@plain:2200", ("me", "plain", 2200)),
        ("2001:db8::7", ("root", "2001:db8::7", 22)),
        ("me@[2001:db8::7]:2222", ("me", "2001:db8::7", 2222)),
        ("bare", ("root", "bare", 22)),
    ],
)
def test_where_a_target_is(config, target, expected):
    assert way(target, config) == [expected]


def test_jumps_come_in_their_order_and_the_first_may_need_one_itself(config):
    assert [(host, port) for _, host, port in way("web", config)] == [
        ("zeroth", 22),
        ("192.0.2.1", 22),
        ("second", 2022),
        ("192.0.2.7", 2222),
    ]


def test_jumps_in_a_circle_come_to_an_end(config):
    assert [host for _, host, _ in way("loop", config)] == ["pool", "loop"]


def test_a_proxy_command_knows_its_target(config):
    (connection,) = route("relayed", load(config), user="root")
    assert connection.ssh_config["proxycommand"] == "relay relayed 22"


@pytest.mark.parametrize("line", ["ProxyCommand nc %h %p", 'Match exec "test %n = web"', 'Match exec "test %h = web"'])
@pytest.mark.parametrize(
    "target",
    [
        *(f"x{each}y" for each in "'`\"$\\;&<>|(){} \t\n\r\x7f"),
        "x$(touch${IFS}pwned)",
        "me@-x",
        "-oProxyCommand=touch pwned@web",
        "ssh://me;touch pwned@web",
        "a'b@web",
        "a -b@web",
        "a\\@web",
    ],
)
def test_no_name_becomes_a_part_of_what_a_shell_is_told(tmp_path, monkeypatch, target, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").write_text(f"Host *\n    User someone\n{line}\n")
    with pytest.raises(NoWayIn, match=r"is no name of a (host|user) for ssh") as caught:
        way(target, tmp_path / "config")
    assert caught.value.code == "undetermined.ssh-configuration"
    assert "`hostname`" in caught.value.hint
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "target", [r"DOMAIN\user$@web", "first last@web", "web_1", "wéb", "a~b", "10.0.0.1", "fe80::1%eth0"]
)
def test_odd_names_that_no_shell_stumbles_over_are_names(tmp_path, target):
    (tmp_path / "config").write_text("")
    user, _, host = target.rpartition("@")
    assert way(target, tmp_path / "config") == [(user or "root", host, 22)]


def test_what_is_included_is_below_the_users_ssh(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh/deep").mkdir(parents=True)
    (tmp_path / ".ssh/config").write_text("Include one\nPort 25\n")
    (tmp_path / ".ssh/one").write_text("Host else\n    User nobody\n    Include deep/two\n")
    (tmp_path / ".ssh/deep/two").write_text("HostName 192.0.2.9\n")
    assert way("else", None) == [("nobody", "192.0.2.9", 25)]
    assert way("web", None) == [("root", "web", 25)]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
@pytest.mark.parametrize("target", ["plain", "extra", "a.inside"])
def test_ssh_understands_the_same(config, target):
    asked = subprocess.run(
        ["ssh", "-G", "-l", "root", "-F", config, target], capture_output=True, text=True, check=True
    )
    told = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
    ((_, host, port),) = way(target, config)
    assert (told["hostname"], told["port"]) == (host, str(port))


@pytest.mark.parametrize("text", ["Host web\n  Port many\n", "nonsense\n", "Host 'web\n"])
def test_a_configuration_that_makes_no_sense(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(NoWayIn) as caught:
        way("web", tmp_path / "config")
    assert caught.value.code == "undetermined.ssh-configuration"


def test_files_that_include_each_other(tmp_path):
    (tmp_path / "config").write_text(f"Include {tmp_path}/config\n")
    with pytest.raises(NoWayIn, match="16 files deep"):
        way("web", tmp_path / "config")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NoWayIn, match="there is no such file"):
        way("web", tmp_path / "none")


def test_many_connections_at_once_parse_the_configuration_once(config, monkeypatch):
    parsed = []
    parse = SSHConfig.parse
    monkeypatch.setattr(SSHConfig, "parse", lambda self, lines: (parsed.append(self), parse(self, lines)))
    config.write_text(f"{config.read_text()}\n# as no test before has it")
    for target in ("web", "early", "a.inside", "web"):
        way(target, config)
    assert len(parsed) == 1


def test_on_a_way_each_host_is_looked_up_once(config, monkeypatch):
    looked_up = Counter()
    lookup = SSHConfig.lookup
    monkeypatch.setattr(SSHConfig, "lookup", lambda self, name: (looked_up.update([name]), lookup(self, name))[1])
    way("web", config)
    assert looked_up == {"web": 1, "first": 1, "zeroth": 1, "second": 1}


def test_a_configuration_that_changes_is_read_anew_and_so_is_what_it_includes(config):
    assert way("a.inside", config) == [("deep", "a.inside", 23)]
    (config.parent / "inside.conf").write_text("User deeper\n")
    assert way("a.inside", config) == [("deeper", "a.inside", 23)]
    config.write_text(config.read_text().replace("Port 23", "Port 24"))
    assert way("a.inside", config) == [("deeper", "a.inside", 24)]


@pytest.mark.parametrize(
    "criterion",
    ["tagged x", "localnetwork 10.99.0.0/16", "sessiontype subsystem", "version NOPE", "command foo", "new 1"],
)
def test_a_match_by_what_nobody_here_can_tell_sends_no_command_to_another_host(tmp_path, criterion):
    config = tmp_path / "config"
    config.write_text(f"Match {criterion}\n    HostName elsewhere\n")
    with pytest.raises(NoWayIn, match=f"cannot tell whether `Match {criterion.split()[0]}` matches") as error:
        route("web", load(config), user="root")
    assert error.value.code == "undetermined.ssh-configuration"
    for other in (f"originalhost nope {criterion}", f"{criterion} originalhost nope"):
        config.write_text(f"Match {other}\n    HostName elsewhere\n")
        assert way("web", config) == [("root", "web", 22)]


def test_criteria_of_a_match_may_be_in_capitals(tmp_path):
    config = tmp_path / "config"
    config.write_text("Match OriginalHost other\n    Port 1\nMatch OriginalHost web\n    Port 2\n")
    assert way("web", config) == [("root", "web", 2)]


COMMENTED = """
Host web # and no other
    User admin # me
    HostName "192.0.2.7" # "there"
    HostKeyAlias "a # b"
    IdentityFile a#b
# Port 1
    Port 2222\t#1
Host relayed
    ProxyCommand relay %h # %p
"""


def test_a_comment_may_stand_at_the_end_of_a_line(tmp_path):
    config = tmp_path / "config"
    config.write_text(COMMENTED)
    assert way("web", config) == [("admin", "192.0.2.7", 2222)]
    found = load(config).lookup("web")
    assert (found["hostkeyalias"], found["identityfile"]) == ("a # b", ["a#b"])
    assert load(config).lookup("relayed")["proxycommand"] == "relay relayed # 22"
    assert way("and", config) == [("root", "and", 22)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("10s", 10),
        ("1m", 60),
        ("1M30", 90),
        ("1h", 3600),
        ("none", CONNECT_S),
        ("0", CONNECT_S),
        ("", CONNECT_S),
    ],
)
def test_times_are_read_as_ssh_reads_them(tmp_path, text, seconds):
    config = tmp_path / "config"
    config.write_text(f"Host *\n    {f'ConnectTimeout {text}' if text else 'Port 22'}\n")
    (found,) = route("web", load(config), user="root")
    assert connect_s(found) == seconds


@pytest.mark.parametrize("text", ["soon", "1x", "-1", "1.5"])
def test_what_is_no_time_is_told_before_anything_is_connected_to(tmp_path, text):
    config = tmp_path / "config"
    config.write_text(f"Host *\n    ConnectTimeout {text}\n")
    with pytest.raises(NoWayIn, match="is no time") as error:
        route("web", load(config), user="root")
    assert error.value.code == "undetermined.ssh-configuration"
