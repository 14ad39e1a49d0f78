"""The seed's sample, its TOML twin, scoping, references and old names."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, frozen

from vmsvc.core.config import Catalog, load_service, parse_service
from vmsvc.core.errors import ConfigError, Severity
from vmsvc.core.kinds import Vmdg
from vmsvc.core.lazily import Lazily
from vmsvc.core.node import Node
from vmsvc.core.options import line, option
from vmsvc.core.resource import Guest

SAMPLE = (
    "\t[default]\n"
    "\tapp = ERP\n"
    "\tcomment = recette gen db #2\n"
    "\tservice_type = DEV\n"
    "\tnodes =  node109 node110 node111 node112\n"
    "\torchestrate = start\n"
    "\n"
    "        [container#1]\n"
    "        name = vm188\n"
    "        type = hpvm\n"
    "\n"
    "\t[ip#1]\n"
    "\tipname = vm188\n"
    "\tipdev = lan0\n"
    "\n"
    "\t[vmdg]\n"
    "\tscsireserv = false\n"
)

TWIN = """
[DEFAULT]
app = "ERP"
comment = "recette gen db #2"
service_type = "DEV"
nodes = ["node109", "node110", "node111", "node112"]
orchestrate = "start"

["container#1"]
name = "vm188"
type = "kvm"

["ip#1"]
ipname = "vm188"
ipdev = "lan0"

[vmdg]
scsireserv = false
"""


@frozen(kw_only=True)
class HyperGuest(Guest):
    uri: str = option(line, default="qemu:///system", help="Where the hypervisor listens.")


CATALOG = Catalog(
    classes={("container", "kvm"): HyperGuest},
    refused={"xen": "its plugin does not import: no module named xenapi"},
)
NODE = Node(name="node109", mode="DEV")


def parse(text, *, node=NODE, file="web.conf", with_applications=False):
    return parse_service(Path(file), node, CATALOG, text=text, with_applications=with_applications)


def service_of(text, **kwargs):
    service, problems = parse(text, **kwargs)
    assert service is not None, "\n".join(map(str, problems))
    return service


def found(text, **kwargs):
    return [(problem.code, problem.section, problem.key) for problem in parse(text, **kwargs)[1]]


def test_the_sample_verbatim_misses_only_its_driver():
    service, problems = parse(SAMPLE)

    assert service is None
    assert [(problem.code, problem.section, problem.key, problem.severity) for problem in problems] == [
        ("config.legacy", "DEFAULT", "service_type", Severity.WARNING),
        ("config.no-driver", "container#1", "type", Severity.ERROR),
    ]
    assert problems[0].hint == "write `env = DEV`"
    assert problems[1].message == "type `hpvm` needs the package `vmsvc-hpvm`"
    assert problems[1].hint == (
        "`pip install vmsvc-hpvm` into the environment of vmsvc, once that package exists; installed types: kvm"
    )


def rst_margin(text):
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "shape",
    [
        str,
        str.expandtabs,
        lambda text: text.expandtabs(4),
        rst_margin,
        lambda text: rst_margin(text).expandtabs(),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\t", "").replace("        ", ""),
        lambda text: text.replace("[default]", "[Default]"),
        lambda text: text.replace(" = ", ": "),
    ],
)
def test_the_sample_means_the_same_in_every_shape(shape):
    service = service_of(shape(SAMPLE.replace("hpvm", "kvm")))

    assert service.name == "web"
    assert service.app == "ERP"
    assert service.comment == "recette gen db #2"
    assert service.env == "DEV"
    assert service.nodes == ("node109", "node110", "node111", "node112")
    assert service.orchestrate == "start"
    assert [resource.rid for resource in service.resources] == ["container#1", "ip#1", "vmdg"]
    guest, ip, vmdg = service.resources
    assert isinstance(guest, HyperGuest)
    assert (guest.name, guest.type, guest.uri) == ("vm188", "kvm", "qemu:///system")
    assert (ip.ipname, ip.ipdev) == ("vm188", "lan0")
    assert isinstance(vmdg, Vmdg)
    assert (vmdg.container_id, vmdg.scsireserv) == ("container#1", False)


def test_the_toml_twin_is_the_same_service():
    ini = service_of(SAMPLE.replace("hpvm", "kvm"))
    twin = service_of(TWIN, file="web.toml")

    assert evolve(twin, file=ini.file, problems=()) == evolve(ini, problems=())


def test_a_node_in_no_list_is_a_note():
    service, problems = parse(SAMPLE.replace("hpvm", "kvm"), node=Node(name="elsewhere"))

    assert service is not None
    assert problems[-1].code == "config.not-listed"
    assert problems[-1].severity is Severity.NOTE
    assert service.problems == problems


def test_defaults_come_from_the_node():
    service = service_of("[container#1]\ntype = kvm\nname =\n", node=Node(name="n1", mode="PRD"))

    assert service.nodes == ("n1",)
    assert service.env == "PRD"
    assert service.guests[0].name == "web"


def test_load_raises_all_errors_at_once(tmp_path):
    file = tmp_path / "web.conf"
    file.write_text("[DEFAULT]\nnods = a\nrollback = perhaps\n")

    with pytest.raises(ConfigError) as raised:
        load_service(file, NODE, CATALOG)

    assert [problem.code for problem in raised.value.problems] == ["config.unknown-key", "config.type"]
    assert raised.value.problems[0].file == str(file)


def test_comments_and_continuations():
    service = service_of(
        "# first\n[DEFAULT] ; the service\n; a comment\ncomment = one ; not this\n  # nor this\n  two #2\n\n"
        "  app = a;b\n[app#1]\ncheck =\n   /bin/test -e /x\n  [app#2]\nstart = /bin/true\n"
    )

    assert service.comment == "one\ntwo #2"
    assert service.app == "a;b"
    assert service.resource("app#1").check == ("/bin/test", "-e", "/x")
    assert service.resource("app#2").start == ("/bin/true",)


def test_a_swallowed_key_is_told():
    service, problems = parse("[DEFAULT]\ncomment = x\n  orchestrate = start\n")

    assert service is not None
    assert service.orchestrate == "no"
    assert [(problem.code, problem.key, problem.severity) for problem in problems] == [
        ("config.continuation", "comment", Severity.WARNING)
    ]
    assert problems[0].hint == "un-indent it if it is the key `orchestrate`"


def test_a_uri_keeps_its_colons():
    service = service_of("[container#1]\ntype = kvm\nuri = qemu+ssh://root@peer/system?a=b\n")

    assert service.guests[0].uri == "qemu+ssh://root@peer/system?a=b"


SCOPED = """
[DEFAULT]
nodes = n1 n2 N3.example.com
drpnodes = d1 d2
[container#1]
type = kvm
name = plain
name@nodes = ours
name@drpnodes = spare
name@N2 = second
uri@n3.EXAMPLE.com = third
"""


@pytest.mark.parametrize(
    ("node", "name", "uri"),
    [
        ("n1", "ours", "qemu:///system"),
        ("n2", "second", "qemu:///system"),
        ("n3.example.com", "ours", "third"),
        ("D1", "spare", "qemu:///system"),
        ("stranger", "plain", "qemu:///system"),
    ],
)
def test_scoping(node, name, uri):
    guest = service_of(SCOPED, node=Node(name=node)).guests[0]

    assert (guest.name, guest.uri) == (name, uri)


def test_default_gives_what_may_be_inherited():
    service = service_of(
        "[DEFAULT]\nstart_timeout = 5m\nscsireserv = yes\n[container#1]\ntype = kvm\nstart_timeout = 1m\n[vmdg]\n[app#1]\n"
    )

    assert [service.resource(rid).start_timeout for rid in ("container#1", "app#1")] == [60.0, 300.0]
    assert service.resource("vmdg").scsireserv is True


@frozen(kw_only=True)
class BoxGuest(Guest):
    boxes: str = option(line, default="/boxes", inherited=True, help="Where boxes are.")
    lid: str = option(line, default="", help="No key of [DEFAULT].")


@pytest.mark.parametrize(
    ("key", "asked", "problems"),
    [
        ("app", ["box"], []),
        ("start_timeout", ["box"], []),
        ("boxes", ["box"], []),
        ("jars", ["box", "jar"], []),  # of a type that the file does not have
        ("lid", ["box", "jar"], ["misplaced-key"]),
        ("boxs", ["box", "jar"], ["unknown-key"]),
    ],
)
def test_default_asks_types_that_a_file_does_not_have_only_for_keys_that_are_nobody_elses(key, asked, problems):
    @frozen(kw_only=True)
    class JarGuest(Guest):
        jars: str = option(line, default="/jars", inherited=True, help="Where jars are.")

    types = {("container", "box"): BoxGuest, ("container", "jar"): JarGuest}
    looked_up = []
    classes = Lazily(lambda one: looked_up.append(one[1]) or types[one], types.keys)
    text = f"[DEFAULT]\n{key} = 5\n[container#1]\ntype = box\n"
    _, found = parse_service(Path("web.conf"), NODE, Catalog(classes), text=text)
    assert [problem.code for problem in found] == [f"config.{code}" for code in problems]
    assert sorted({one for one in looked_up if one}) == asked


def test_a_required_key_for_the_listed_nodes_only_is_no_error_elsewhere():
    text = "[DEFAULT]\nnodes = n1\n[ip#1]\nipname = a\nipdev@nodes = lan0\n"

    assert service_of(text, node=Node(name="stranger")).resource("ip#1").ipdev == "lan0"


def test_references():
    service = service_of(
        "[DEFAULT]\nnodes = n1.example.com\napp = {svcname}-{env}\n"
        'comment = {container#1.name} {nodename} {short_nodename} ${HOME} {print $1} {"a": 1} {{app}} {nodes}\n'
        "[container#1]\ntype = kvm\nname = {DEFAULT.app}\n"
        "[app#1]\ncheck = /bin/check {rid} {app} {container#1.start_timeout} {rollback}\n",
        node=Node(name="n1.example.com", mode="TST"),
    )

    assert service.app == "web-TST"
    assert service.comment == 'web-TST n1.example.com n1 ${HOME} {print $1} {"a": 1} {app} n1.example.com'
    assert service.guests[0].name == "web-TST"
    assert service.resource("app#1").check == ("/bin/check", "app#1", "web-TST", "240", "true")


def test_references_inside_of_lists():
    service = service_of('[DEFAULT]\nnodes = ["{nodename}", "n2"]\n["sync#1"]\nsrc = ["/a/{svcname}"]\n', file="w.toml")

    assert service.nodes == ("node109", "n2")
    assert service.resource("sync#1").src == ("/a/w",)


def test_a_cycle_is_told_once_and_drawn():
    problems = parse("[DEFAULT]\napp = {comment}\ncomment = {app#1.comment}\n[app#1]\ncomment = {app}\n")[1]

    assert [(problem.code, problem.key) for problem in problems] == [("config.reference", "app")]
    assert "app -> comment -> app#1.comment -> app" in problems[0].message


def test_references_cannot_explode():
    lines = ["[DEFAULT]", f"comment = {'{app#0.comment}' * 20}"]
    for number in range(30):
        lines += [f"[app#{number}]", f"comment = {f'{{app#{number + 1}.comment}}' * 20}"]
    text = "\n".join([*lines, "[app#30]", "comment = xxxxxxxxxx", ""])

    assert {code for code, *_ in found(text)} == {"config.reference", "config.no-command"}


OLD = """
[DEFAULT]
nodes = node109
service_type = PRD
mode = kvm
vm_name = vm1
guest_os = Linux
autostart_node = node109
drpnode = d1
drpnodes = d2
"""


def test_old_names_are_translated():
    service, problems = parse(OLD)

    assert service is not None
    assert {problem.code for problem in problems} == {"config.legacy"}
    assert [problem.key for problem in problems] == [
        "service_type", "mode", "vm_name", "guest_os", "autostart_node", "drpnode"
    ]  # fmt: skip
    assert all(problem.severity is Severity.WARNING for problem in problems)
    assert (service.env, service.orchestrate, service.drpnodes) == ("PRD", "start", ("d1", "d2"))
    guest = service.guests[0]
    assert (guest.rid, guest.type, guest.name, guest.guestos) == ("container#1", "kvm", "vm1", "unix")


@pytest.mark.keyword("ip.container_id", "app.container_id")
def test_what_is_inside_a_guest_knows_which():
    two = "[container#1]\ntype=kvm\n[container#2]\ntype=kvm\nname=b\n"
    service = service_of(
        f"{two}[ip#1]\nipname=a\nipdev=b\ncontainer_id=container#2\n[app#1]\ncheck=true\ncontainer_id=container#1\n"
    )
    assert service.guest_of(service.resource("ip#1")).name == "b"
    assert service.guest_of(service.resource("app#1")).rid == "container#1"
    alone = service_of("[container#7]\ntype=kvm\n[ip#1]\nipname=a\nipdev=b\n")
    assert alone.resource("ip#1").container_id == "container#7"
    on_the_node = service_of("[ip#1]\nipname=a\nipdev=b\n")
    assert not on_the_node.is_inside_guest(on_the_node.resource("ip#1"))


def test_guests_have_applications_without_a_section_where_somebody_asks_for_them():
    two = "[DEFAULT]\nlauncher_timeout = 7\n[container#1]\ntype=kvm\n[container#2]\ntype=kvm\nname=b\n"
    assert len(service_of(two).resources) == 2
    first, second = service_of(two, with_applications=True).resources[2:]
    assert [(app.rid, app.container_id, app.has_launchers) for app in (first, second)] == [
        ("app#1", "container#1", True),
        ("app#2", "container#2", True),
    ]
    assert first.launcher_timeout == 7.0
    one = "[container#1]\ntype=kvm\n[app#9]\nstart = x\n"
    assert [each.rid for each in service_of(one, with_applications=True).resources] == ["container#1", "app#9"]


def test_old_names_complete_the_only_container():
    service = service_of("[DEFAULT]\nvm_name@nodes = a\nmode = kvm\n[container#7]\nname = b\n[vmdg]\n")

    assert (service.guests[0].rid, service.guests[0].name, service.guests[0].type) == ("container#7", "a", "kvm")
    assert service.resource("vmdg").container_id == "container#7"


def test_hosted_needs_no_container():
    service = service_of("[DEFAULT]\nmode = hosted\nvm_name = x\n[app#1]\n")

    assert service.guests == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[DEFAULT]\nenv = PRD\nservice_type = DEV\n", ("config.legacy-conflict", "DEFAULT", "service_type")),
        (
            "[DEFAULT]\nvm_name = a\n[container#1]\ntype = kvm\nname = b\n",
            ("config.legacy-conflict", "DEFAULT", "vm_name"),
        ),
        (
            "[DEFAULT]\norchestrate = no\nautostart_nodes = a\n",
            ("config.legacy-conflict", "DEFAULT", "autostart_nodes"),
        ),
        ("[DEFAULT]\nvm_name = a\n", ("config.legacy-ambiguous", "DEFAULT", "vm_name")),
        (
            "[DEFAULT]\nvm_name = a\n[container#1]\ntype = kvm\nname = a\n[container#2]\nname = b\ntype = kvm\n",
            ("config.legacy-ambiguous", "DEFAULT", "vm_name"),
        ),
    ],
)
def test_old_names_that_contradict(text, expected):
    assert expected in found(text)


@pytest.mark.parametrize(
    ("word", "env", "codes"),
    [("prd", "PRD", []), ("lab", "lab", ["config.unknown-env"]), ("", "DEV", [])],
)
def test_env(word, env, codes):
    service, problems = parse(f"[DEFAULT]\nenv = {word}\n")

    assert service is not None
    assert service.env == env
    assert [problem.code for problem in problems] == codes


# --- disk groups ------------------------------------------------------------------------------------------------------

NAMER = evolve(CATALOG, capabilities={("container", "kvm"): frozenset({"disks"}), ("container", "null"): frozenset()})


def groups_of(text, catalog=NAMER):
    service, problems = parse_service(Path("w.conf"), NODE, catalog, text=text)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    groups = {each.rid: each for each in service.resources if isinstance(each, Vmdg)} if service else {}
    return groups, errors


KVM = "[container#1]\ntype = kvm\nname = a\n"


@pytest.mark.parametrize(
    ("text", "reserves"),
    [
        (KVM, {}),
        (KVM + "[vmdg]\n", {"vmdg": False}),
        (KVM + "[vmdg]\nscsireserv = false\n", {"vmdg": False}),
        (KVM + "[vmdg]\nscsireserv = true\n", {"vmdg": True}),
        (KVM + "scsireserv = true\n", {"vmdg#1": True}),
        (KVM + "scsireserv = true\n[vmdg]\n", {"vmdg": True}),
        ("[DEFAULT]\nscsireserv = true\n" + KVM, {"vmdg#1": True}),
        ("[DEFAULT]\nscsireserv = true\n" + KVM + "[vmdg]\nscsireserv = false\n", {"vmdg": False}),
        ("[container]\ntype = kvm\nscsireserv = yes\n", {"vmdg": True}),
        (
            "[DEFAULT]\nscsireserv = true\n" + KVM + "[container#2]\ntype = kvm\nname = b\n"
            "[vmdg#7]\ncontainer_id = container#2\n",
            {"vmdg#7": True, "vmdg#1": True},
        ),
    ],
)
def test_where_reservations_may_be_asked_for(text, reserves):
    groups, errors = groups_of(text)
    assert not errors
    assert {rid: group.scsireserv for rid, group in groups.items()} == reserves


def test_a_group_that_nobody_wrote_has_what_default_gives():
    groups, _ = groups_of(
        "[DEFAULT]\nnodes = node109 n2\nprkey@node109 = 0xABC\nprkey@n2 = 0x1\non_lost_keys = kill\n"
        + KVM
        + "scsireserv = true\n"
    )
    group = groups["vmdg#1"]
    assert (group.container_id, group.prkey, group.on_lost_keys) == ("container#1", "0x0000000000000abc", "kill")


@pytest.mark.parametrize(
    ("text", "section", "words"),
    [
        (KVM + "scsireserv = true\n[vmdg]\nscsireserv = false\n", "vmdg", "one thing here and another"),
        ("[container#1]\ntype = null\n[vmdg]\n", "vmdg", "cannot name a guest's disks"),
        ("[container#1]\ntype = null\nscsireserv = true\n", "container#1", "cannot name a guest's disks"),
        (
            KVM + "scsireserv = true\n[container#2]\ntype = kvm\nname = b\n[vmdg#1]\ncontainer_id = container#2\n",
            "container#1",
            "[vmdg#1] means another container",
        ),
        (KVM + "[vmdg]\nscsireserv = true\nprkey = 12\n", "vmdg", "hexadecimal"),
        (KVM + "[vmdg]\nscsireserv = true\nprkey = 0x0\n", "vmdg", "hexadecimal"),
        (KVM + "[vmdg]\nscsireserv = true\nprkey = 0x12345678901234567\n", "vmdg", "hexadecimal"),
    ],
)
def test_reservations_that_cannot_be(text, section, words):
    catalog = evolve(NAMER, classes={**NAMER.classes, ("container", "null"): Guest})
    _, errors = groups_of(text, catalog)
    assert [(error.section, words in error.message) for error in errors] == [(section, True)]


def test_disks_of_a_guest_on_another_host_cannot_be_reserved_from_here():
    @frozen(kw_only=True)
    class Elsewhere(HyperGuest):
        @property
        def is_local(self):
            return False

    catalog = evolve(NAMER, classes={("container", "kvm"): Elsewhere})
    _, errors = groups_of(KVM + "[vmdg]\nscsireserv = true\n", catalog)
    assert "another host" in errors[0].message
    assert groups_of(KVM + "[vmdg]\n", catalog)[1] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nnodes = node109 n2\nprkey = 0xABC\nscsireserv = true\n" + KVM, "several nodes"),
        ("[DEFAULT]\nnodes = node109 n2\n" + KVM + "[vmdg]\nscsireserv = true\nprkey@nodes = 0xABC\n", "several nodes"),
        ("[disk#1]\nscsireserv = true\n", "no disks to reserve"),
    ],
)
def test_what_could_never_keep_disks_apart(text, words):
    _, errors = groups_of(text)
    assert [words in error.message for error in errors] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "[DEFAULT]\nnodes = node109 n2\nprkey@node109 = 0xABC\nprkey@n2 = 0xDEF\nscsireserv = true\n" + KVM,
        "[DEFAULT]\nprkey = 0xABC\nscsireserv = true\n" + KVM,
        "[DEFAULT]\nnodes = node109 n2\nprkey = 0xABC\n" + KVM,
    ],
)
def test_keys_that_tell_nodes_apart(text):
    assert groups_of(text)[1] == []
