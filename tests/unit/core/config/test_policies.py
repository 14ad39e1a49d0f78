"""Keys about starts and stops in a file: whose they are, what is inherited, and those that would be ignored in silence."""

from __future__ import annotations

import pytest

from vmsvc.core.config import Catalog, parse_service
from vmsvc.core.errors import Severity
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest

NODE = Node(name="n1")
CATALOG = Catalog(
    {("container", type_): Guest for type_ in ("kvm", "lxc", "docker")},
    capabilities={("container", "lxc"): {"entry"}, ("container", "docker"): {"entry", "self-starting"}},
)
GUEST = "[container#1]\ntype = kvm\n"
ADDRESS = "[ip#1]\nipname = a\nipdev = b\n"


@pytest.fixture
def read(tmp_path):
    def read(text, node=NODE):
        path = tmp_path / "web.conf"
        path.write_text(text)
        service, problems = parse_service(path, node, CATALOG)
        assert service is not None, problems
        told = [problem for problem in problems if problem.code == "config.no-effect"]
        assert all(problem.severity is Severity.WARNING for problem in told)
        return service, [(problem.section, problem.key) for problem in told]

    return read


def test_a_trigger_of_the_service_is_none_of_its_resources_and_its_timeout_is(read):
    web, told = read(f"[DEFAULT]\npre_start = a 'b c'\ntrigger_timeout = 2m\n{GUEST}post_stop = d\n")
    assert (web.pre_start, web.trigger_timeout, web.post_stop) == (("a", "b c"), 120.0, ())
    guest = web.resources[0]
    assert (guest.pre_start, guest.trigger_timeout, guest.post_stop) == ((), 120.0, ("d",))
    assert told == []


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("[ip#1]\nipname = a\nipdev = b\nrestart = 1\n", [("ip#1", "restart")]),
        ("[fs#1]\ndev = /a\nmnt = /b\npre_start = x\nmonitor = true\n", [("fs#1", "pre_start"), ("fs#1", "monitor")]),
        (f"{ADDRESS}netmask = 24\ngateway = c\n", [("ip#1", "netmask"), ("ip#1", "gateway")]),
        (f"{ADDRESS}netmask = 24\nstop_timeout = 3\n[app#1]\n", [("ip#1", "stop_timeout")]),  # launchers are told it
        (f"{ADDRESS}check_ping = no\nwait = no\n", []),
        ("[app#1]\nstart = x\nblocking_post_stop = y\n", []),  # inside of the guest
        ("[app#1]\npre_start = x\nrestart = 2\n", []),  # launchers start it
        ("[disk#1]\ndevices = /dev/x\npost_start = x\n", [("disk#1", "post_start")]),  # it is not reserved
        ("[fs#1]\ndev = /a\nmnt = /b\npre_start@n2 = x\n", []),
        ("[fs#1]\ndev = /a\nmnt = /b\nrestart = 0\npre_start =\ntrigger_timeout = 5\n", []),
        ("[fs#1]\ndev = /a\nmnt = /b\nrestart = 1\ndisable = true\n", []),
    ],
)
def test_what_would_be_ignored_in_silence_is_told(read, section, told):
    assert read(f"[DEFAULT]\nnodes = n1 n2\n{GUEST}{section}")[1] == told


def test_what_is_started_and_stopped_here_is_not_told(read):
    keys = "restart = 1\nmonitor = true\npre_start = x\npost_stop = y\n"
    assert read(f"{GUEST}{keys}")[1] == []
    assert read(f"[app#1]\nstart = a\nstop = b\ncheck = c\n{keys}")[1] == []


def test_what_is_inherited_has_its_effect_elsewhere(read):
    assert read(f"[DEFAULT]\nstop_timeout = 3\ncheck_ping = no\n{GUEST}{ADDRESS}")[1] == []


def test_an_address_of_the_node_is_not_checked_as_a_guests_is(read):
    told = read(f"{ADDRESS}netmask = 24\ngateway = c\ncheck_adapter = no\nping_timeout = 1\nwait = no\n")[1]
    assert told == [("ip#1", "check_adapter"), ("ip#1", "ping_timeout"), ("ip#1", "wait")]


LAUNCHERS = "[app#1]\nlaunchers = /l\nlauncher_timeout = 1\non_launcher_failure = fail\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{GUEST}{LAUNCHERS}", []),
        (f"{GUEST}{LAUNCHERS}stop = x\n", ["launchers", "launcher_timeout"]),  # its failure to stop is forgiven
        (f"{LAUNCHERS}stop = x\n", ["launchers", "launcher_timeout", "on_launcher_failure"]),
        (
            f"[container#1]\ntype = docker\n{LAUNCHERS}",
            ["launchers", "launcher_timeout", "on_launcher_failure"],
        ),
        (f"[container#1]\ntype = lxc\n{LAUNCHERS}", []),
        (f"{GUEST}[app#1]\nstart_timeout = 1\nstop_timeout = 1\ncheck_timeout = 1\n", []),
        (
            "[app#1]\nstart = x\nstart_timeout = 1\nstop_timeout = 1\ncheck_timeout = 1\n",
            ["stop_timeout", "check_timeout"],
        ),
        (
            "[app#1]\ncheck = x\nstart_timeout = 1\nstop_timeout = 1\ncheck_timeout = 1\n",
            ["start_timeout", "stop_timeout"],
        ),
    ],
)
def test_keys_of_an_application_that_others_make_useless(read, text, told):
    assert read(text)[1] == [("app#1", key) for key in told]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("type = kvm\nhostname = h\nready = way-in", []),
        ("type = kvm\nhostname = h\nway_in = agent", ["hostname"]),
        ("type = kvm\nhostname = h\nready = way-in\nway_in = none", ["hostname", "ready"]),
        ("type = kvm\nhostname = h\nguestos = windows", ["hostname"]),
        ("type = lxc\nhostname = h", ["hostname"]),
        ("type = lxc\nhostname = h\nway_in = ssh", []),
    ],
)
def test_keys_of_a_guest_that_its_way_in_makes_useless(read, options, told):
    assert read(f"[container#1]\n{options}\n")[1] == [("container#1", key) for key in told]


def test_a_ping_that_is_left_out_has_no_time(read):
    assert read(f"{GUEST}{ADDRESS}check_ping = no\nping_timeout = 1\n")[1] == [("ip#1", "ping_timeout")]


@pytest.mark.parametrize("action", ["reboot", "crash"])
def test_a_node_that_is_to_end_and_is_not_told_how_is_told(read, action):
    text = f"[DEFAULT]\nmonitor_action = {action}\n{GUEST}monitor = true\n"
    assert read(text)[1] == [("DEFAULT", "monitor_action")]
    assert read(text, Node(name="n1", reboot_command=("a",), crash_command=("b",)))[1] == []
    assert read(text.replace(action, "freezestop"))[1] == []
