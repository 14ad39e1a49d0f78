"""Broken files: each says what is wrong, where, and what to do next; all of it at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import frozen

from vmsvc.core.config import Catalog, parse_service
from vmsvc.core.errors import Severity
from vmsvc.core.node import Node
from vmsvc.core.options import Value, line, option
from vmsvc.core.resource import Guest


def _buggy(raw):
    raise KeyError(raw)


@frozen(kw_only=True)
class HyperGuest(Guest):
    uri: str = option(line, default="qemu:///system", help="Where the hypervisor listens.")


@frozen(kw_only=True)
class BuggyGuest(Guest):
    weird: str = option(Value("something weird", _buggy), default="", help="Its type has a bug.")

    def __attrs_post_init__(self):
        raise RuntimeError("a bug of the driver")


CATALOG = Catalog(
    classes={("container", "kvm"): HyperGuest, ("container", "buggy"): BuggyGuest},
    refused={"xen": "its plugin does not import: no module named xenapi"},
)
NODE = Node(name="n1")
KVM = "[container#1]\ntype = kvm\n"

# text, code, section, key, words of the message or hint
INI = [
    # syntax
    ("[DEFAULT\napp = a\n", "syntax", "", "", "line 1 has no end"),
    ("[DEFAULT] app = a\n", "syntax", "", "", "line 1 has text after"),
    ("app = a\n", "syntax", "", "app", "before the first section"),
    ("[DEFAULT]\nhello\n", "syntax", "DEFAULT", "", "line 2 is neither a section, a key nor a comment"),
    ("[DEFAULT]\n= 3\n", "syntax", "DEFAULT", "", "line 2 has a value but no key"),
    ("[DEFAULT]\napp = a\n\n   hello\n", "syntax", "DEFAULT", "", "line 4 is neither"),
    ("[DEFAULT]\n@n1 = a\n", "syntax", "DEFAULT", "", "no key"),
    ("<xml/>\n", "syntax", "", "", "line 1 is neither"),
    ("# nothing\n", "file", "", "", "describes nothing"),
    ("   \n\n", "file", "", "", "empty"),
    ("", "file", "", "", "empty"),
    ("[DEFAULT]\napp = \0\n", "file", "", "", "not text"),
    ("[DEFAULT]\napp = \ud800\n", "file", "", "", "not text"),
    # duplicates
    ("[DEFAULT]\n[ip]\nipname=a\nipdev=b\n[ip]\n", "duplicate-section", "ip", "", "line 2 and again on line 5"),
    ("[DEFAULT]\n[default]\n", "duplicate-section", "DEFAULT", "", "line 1 and again on line 2"),
    ("[DEFAULT]\napp = a\nAPP = b\n", "duplicate-key", "DEFAULT", "app", "line 2 and again on line 3"),
    ("[DEFAULT]\napp@n1 = a\napp@N1 = b\n", "duplicate-key", "DEFAULT", "app@N1", "line 2 and again on line 3"),
    # sections
    ("[contaner#1]\n", "unknown-section", "contaner#1", "", "did you mean `container#1`"),
    ("[Container#1]\n", "unknown-section", "Container#1", "", "did you mean `container#1`"),
    ("[defualt]\n", "unknown-section", "defualt", "", "did you mean `DEFAULT`"),
    ("[]\n", "unknown-section", "", "", "valid are: DEFAULT"),
    ("[zzz]\n", "unknown-section", "zzz", "", "valid are: DEFAULT"),
    ("[app#]\n", "unknown-section", "app#", "", "cannot name a resource"),
    ("[app#../../etc]\n", "unknown-section", "app#../../etc", "", "cannot name a resource"),
    ("[app#1 2]\n", "unknown-section", "app#1 2", "", "cannot name a resource"),
    ('["container#1"]\n', "unknown-section", '"container#1"', "", "did you mean `container#1`?"),
    ("['app#x y']\n", "unknown-section", "'app#x y'", "", "write `app#` and a number"),
    ("[vm#1]\n", "unknown-section", "vm#1", "", "did you mean `container#1`?"),
    ("[Guest#2]\n", "unknown-section", "Guest#2", "", "did you mean `container#2`?"),
    ("[container#2]\n[]\n", "unknown-section", "", "", "the section on line 2 has no name"),
    ("[vg#1]\n", "unknown-section", "vg#1", "", "vmdg#1"),
    # keys
    ("[DEFAULT]\nnods = a\n", "unknown-key", "DEFAULT", "nods", "did you mean `nodes`"),
    ("[DEFAULT]\ncluster_type = flex\n", "unknown-key", "DEFAULT", "cluster_type", "valid here"),
    ("[DEFAULT]\nservice_typ = a\n", "unknown-key", "DEFAULT", "service_typ", "`service_type`? It is now `env`"),
    ("[DEFAULT]\nvm_nam = a\n", "unknown-key", "DEFAULT", "vm_nam", "It is now `name` in [container#1]"),
    ("[container#1]\ntype = buggy\nuri = a\n", "unknown-key", "container#1", "uri", "type buggy has no `uri`"),
    ("[DEFAULT]\nqqqq = a\n", "unknown-key", "DEFAULT", "qqqq", "valid here: app"),
    ("[DEFAULT]\nfoo bar = a\n", "unknown-key", "DEFAULT", "foo bar", "no key `foo bar`"),
    (KVM + "urii = a\n", "unknown-key", "container#1", "urii", "did you mean `uri`"),
    (KVM + "orchestrate = ha\n", "misplaced-key", "container#1", "orchestrate", "it belongs in [DEFAULT]"),
    (KVM + "ipname = ha\n", "misplaced-key", "container#1", "ipname", "it belongs in [ip]"),
    ("[DEFAULT]\nipdev = lan0\n", "misplaced-key", "DEFAULT", "ipdev", "it belongs in [ip]"),
    ("[DEFAULT]\nuri = x\n", "misplaced-key", "DEFAULT", "uri", "it belongs in [container]"),
    ("[ip#1]\nipname = a\n", "missing-key", "ip#1", "ipdev", "add `ipdev = …`"),
    ("[container#1]\nname = a\n", "missing-key", "container#1", "type", "choose among buggy, kvm, xen"),
    ("[DEFAULT]\nnodes = n1 n2\n[ip#1]\nipname = a\nipdev@n2 = b\n", "missing-key", "ip#1", "ipdev", "missing"),
    # types
    ("[DEFAULT]\nrollback = perhaps\n", "type", "DEFAULT", "rollback", "expected true or false"),
    ("[DEFAULT]\nlock_timeout = soon\n", "type", "DEFAULT", "lock_timeout", "expected a duration such as 90"),
    ("[DEFAULT]\nlock_timeout = 2y\n", "type", "DEFAULT", "lock_timeout", "duration"),
    ("[DEFAULT]\norchestrate = strat\n", "type", "DEFAULT", "orchestrate", "did you mean `start`"),
    ("[DEFAULT]\napp = a\n  b\n", "type", "DEFAULT", "app", "expected text on one line"),
    (KVM + "scsireserv = maybe\n", "type", "container#1", "scsireserv", "expected true or false"),
    (KVM + "start_timeout =\n", "type", "container#1", "start_timeout", "expected a duration"),
    ("[DEFAULT]\nstart_timeout = x\n" + KVM, "type", "DEFAULT", "start_timeout", "expected a duration"),
    (KVM + "start_timeout@n1 = x\n", "type", "container#1", "start_timeout@n1", "expected a duration"),
    (
        "[DEFAULT]\nnodes = n1 n2\n" + KVM + "start_timeout@n2 = x\n",
        "type",
        "container#1",
        "start_timeout@n2",
        "expected",
    ),
    ("[app#1]\nstart = sh -c 'a\n", "type", "app#1", "start", "expected a command"),
    ("[fs#1]\ndev = sda\nmnt = /a\n", "type", "fs#1", "dev", "expected an absolute path"),
    ("[container#1]\ntype = buggy\nweird = x\n", "type", "container#1", "weird", "KeyError"),
    ("[container#1]\ntype = buggy\n", "type", "container#1", "", "a bug of the driver"),
    (KVM + "start_timeout = 0\n", "type", "container#1", "start_timeout", "leaves no time"),
    (KVM + "start_timeout = 5m # long\n", "type", "container#1", "start_timeout", "a comment begins a line"),
    ("[disk#1]\ndevices = sda\n", "type", "disk#1", "devices", "'sda' is not an absolute path"),
    ("[sync#1]\ntarget = everywhere\n", "type", "sync#1", "target", "nodes, drpnodes"),
    # container types
    ("[ip#1]\ntype = zzz\nipname = a\nipdev = b\n", "unknown-type", "ip#1", "type", "there is no ip type `zzz`"),
    ("[app#1]\ntype = simple\n", "unknown-type", "app#1", "type", "remove it"),
    ("[container#1]\ntype = hpvm\n", "no-driver", "container#1", "type", "pip install vmsvc-hpvm"),
    ("[container#1]\ntype = hpvm\nguestos = dos\n", "type", "container#1", "guestos", "one of unix, windows"),
    ("[container#1]\ntype = xen\n", "refused-driver", "container#1", "type", "no module named xenapi"),
    ("[container#1]\ntype = kmv\n", "unknown-type", "container#1", "type", "did you mean `kvm`"),
    ("[container#1]\ntype = qqqq\n", "unknown-type", "container#1", "type", "choose among buggy, kvm"),
    (
        "[container#1]\ntype = qqqq\n",
        "unknown-type",
        "container#1",
        "type",
        "if a plugin in trouble serves it: its plugin",
    ),
    ("[DEFAULT]\nnodes = n1 n2\n" + KVM + "type@n2 = kmv\n", "unknown-type", "container#1", "type@n2", "kvm"),
    # disk groups and guests
    ("[vmdg]\n", "container", "vmdg", "container_id", "no container"),
    (
        KVM + "[container#2]\ntype=kvm\nname=b\n[vmdg]\n",
        "container",
        "vmdg",
        "container_id",
        "container#1, container#2",
    ),
    (
        "[ip#1]\nipname = a\nipdev = b\ncontainer_id = container#1\n",
        "container",
        "ip#1",
        "container_id",
        "no container",
    ),
    (
        KVM + "[container#2]\ntype=kvm\nname=b\n[app#1]\ncheck = true\n",
        "container",
        "app#1",
        "container_id",
        "add `container_id = container#1`",
    ),
    (
        KVM + "[vmdg#1]\ncontainer_id = container#2\n",
        "container",
        "vmdg#1",
        "container_id",
        "did you mean `container#1`",
    ),
    (KVM + "[container#2]\ntype = kvm\n", "same-guest", "container#2", "name", "[container#1] means the same guest"),
    # scopes
    ("[DEFAULT]\nnodes = node1 n1\napp@nodee1 = a\n", "scope", "DEFAULT", "app@nodee1", "did you mean `app@node1`"),
    ("[DEFAULT]\nnodes@n1 = a\n", "scope", "DEFAULT", "nodes@n1", "write `nodes`"),
    ("[DEFAULT]\napp@drpnode = a\n", "scope", "DEFAULT", "app@drpnode", "`app@drpnodes`"),
    # references
    ("[DEFAULT]\napp = {svcnam}\n", "reference", "DEFAULT", "app", "did you mean `{svcname}`"),
    ("[DEFAULT]\napp = {qqqq}\n", "reference", "DEFAULT", "app", "write `{{qqqq}}`"),
    ("[DEFAULT]\napp = {app}\n", "reference", "DEFAULT", "app", "app -> app"),
    (KVM + "comment = {container#1.nam}\n", "reference", "container#1", "comment", "`{container#1.name}`"),
    (KVM + "comment = {container#2.name}\n", "reference", "container#1", "comment", "`{container#1.name}`"),
    ("[DEFAULT]\napp = {rid}\n", "reference", "DEFAULT", "app", "refers to nothing"),
    # names
    (KVM + "name = -x\n", "type", "container#1", "name", "expected a name"),
    (KVM + "name = a/b\n", "type", "container#1", "name", "expected a name"),
    (KVM + f"name = {'é' * 101}\n", "name", "container#1", "name", "too long"),
    ("[DEFAULT]\nnodes = n1 -x\n", "type", "DEFAULT", "nodes", "'-x'"),
    (f"[DEFAULT]\nnodes = n1 {'n' * 201}\n", "name", "DEFAULT", "nodes", "too long"),
    ("[DEFAULT]\nnodes = n1 # the main one\n", "type", "DEFAULT", "nodes", "a comment begins a line"),
    ("[DEFAULT]\nnodes = n1 'n2'\n", "type", "DEFAULT", "nodes", "that is TOML"),
    ('[DEFAULT]\nnodes = ["n1"]\n', "type", "DEFAULT", "nodes", "that is TOML"),
    ("[app#1]\nstart = sh -c 'a ; b'\n", "type", "app#1", "start", "` ;` begins a comment within quotes, too"),
    ("[DEFAULT]\nnodes = n1; n2!\n", "type", "DEFAULT", "nodes", "'n1;' is no host name"),
    ("[DEFAULT]\nnodes = n1 n2 N2\n", "node-twice", "DEFAULT", "nodes", "more than once: n2"),
    ("[DEFAULT]\nnodes = n1 n2\ndrpnodes = N2\n", "node-twice", "DEFAULT", "drpnodes", "n2"),
    ("[DEFAULT]\nenv = PROD\n", "unknown-env", "DEFAULT", "env", "did you mean `PRD`"),
    ("[DEFAULT]\ndrpnodes = a/b\n", "type", "DEFAULT", "drpnodes", "'a/b'"),
]

TOML = [
    ("[container#1]\n", "syntax", "container#1", "", '`["container#1"]`'),
    ("[DEFAULT]\napp@n1 = 'x'\n", "syntax", "DEFAULT", "app@n1", '"key@node"'),
    ("[DEFAULT]\napp = ERP\n", "syntax", "DEFAULT", "app", "text needs quotes"),
    ("[DEFAULT]\napp = 'a'\napp = 'b'\n", "syntax", "DEFAULT", "app", "the key stands twice"),
    ("[DEFAULT]\n[DEFAULT]\n", "syntax", "DEFAULT", "", "the section stands twice"),
    ("[DEFAULT]\nnodes = ['a'\n", "syntax", "DEFAULT", "nodes", "close the list"),
    ("[DEFAULT]\nnodes = ['a' 'b']\n", "syntax", "DEFAULT", "nodes", "commas"),
    ('[DEFAULT]\napp = "a\n', "syntax", "DEFAULT", "app", "close the text"),
    ("[DEFAULT]\napp =\n", "syntax", "DEFAULT", "app", "no value"),
    ("; x\n[DEFAULT]\n", "syntax", "", "", "a comment begins with `#`"),
    ("DEFAULT = 5\n", "syntax", "", "DEFAULT", "a section is one table: `[DEFAULT]`"),
    ("nodes = ['n1']\n", "syntax", "", "nodes", "put `[DEFAULT]` above it"),
    ("[DEFAULT]\nenv = true\n", "type", "DEFAULT", "env", 'true is true or false: write it in quotes, "true"'),
    ("[DEFAULT]\nnodes = ['n1', 2]\n", "type", "DEFAULT", "nodes", "2 is a number"),
    ("[DEFAULT]\nnodes = ['n1 n2']\n", "type", "DEFAULT", "nodes", "has blanks in it"),
    ("app = 'a'\n", "syntax", "", "app", "outside of a section"),
    ("[[ip]]\n", "syntax", "", "ip", "a section is one table"),
    ("[DEFAULT.x]\n", "type", "DEFAULT", "x", "a table cannot stand inside"),
    ("[DEFAULT]\napp = 2026-01-01\n", "type", "DEFAULT", "app", "a date cannot be"),
    ("[DEFAULT]\nnodes = [['n1']]\n", "type", "DEFAULT", "nodes", "a list cannot be"),
    ("[DEFAULT]\napp = ['a']\n", "type", "DEFAULT", "app", "not a list"),
    (f"[DEFAULT]\napp = 0x{'f' * 5000}\n", "type", "DEFAULT", "app", "64 bits"),
    ("[DEFAULT]\nnodes = " + "[" * 3000 + "]" * 3000, "syntax", "", "", "words, not lists"),
    ("[DEFAULT]\n[default]\n", "duplicate-section", "DEFAULT", "", "twice"),
    ("[DEFAULT]\n'app@' = 'a'\n", "unknown-key", "DEFAULT", "app@", "app"),
    ("[DEFAULT]\napp = 'a'\nApp = 'b'\n", "duplicate-key", "DEFAULT", "app", "twice"),
    ("[DEFAULT]\nrollback = 3\n", "type", "DEFAULT", "rollback", "expected true or false"),
    ("[DEFAULT]\nlock_timeout = nan\n", "type", "DEFAULT", "lock_timeout", "expected a duration"),
    ('[DEFAULT]\napp = "\\u0000"\n', "type", "DEFAULT", "app", "NUL"),
    ('[DEFAULT]\n"" = 1\n', "syntax", "DEFAULT", "", "no key"),
    ('["container#1"]\ntype = "hpvm"\n', "no-driver", "container#1", "type", "vmsvc-hpvm"),
]


@pytest.mark.parametrize(
    ("file", "case"), [*(("web.conf", case) for case in INI), *(("web.toml", case) for case in TOML)]
)
def test_each_mistake_is_told(file, case):
    text, code, section, key, words = case

    service, problems = parse_service(Path(file), NODE, CATALOG, text=text)

    assert service is None
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    assert (f"config.{code}", section, key) in [(error.code, error.section, error.key) for error in errors]
    assert words in "\n".join(f"{error.message} ({error.hint})" for error in errors)
    assert all(error.file == file for error in errors)


def test_all_mistakes_come_at_once_and_in_order():
    text = (
        "[DEFAULT]\nnods = a\nrollback = perhaps\nhello\n[contaner#1]\n[container#1]\ntype = kmv\n"
        "[ip#1]\nipname = {nodname}\nipname = b\n[vmdg]\ncontainer_id = container#3\n"
    )

    _, problems = parse_service(Path("web.env"), NODE, CATALOG, text=text)

    assert [(problem.code.removeprefix("config."), problem.section, problem.key) for problem in problems] == [
        ("unknown-key", "DEFAULT", "nods"),
        ("type", "DEFAULT", "rollback"),
        ("syntax", "DEFAULT", ""),
        ("unknown-section", "contaner#1", ""),
        ("unknown-type", "container#1", "type"),
        ("missing-key", "ip#1", "ipdev"),
        ("reference", "ip#1", "ipname"),
        ("duplicate-key", "ip#1", "ipname"),
        ("container", "vmdg", "container_id"),
    ]


def told(text, file="web.conf"):
    return [
        (problem.code.removeprefix("config."), problem.section, problem.key)
        for problem in parse_service(Path(file), NODE, CATALOG, text=text)[1]
    ]


def test_every_reference_of_a_value_is_told():
    text = "[DEFAULT]\ncomment = {one} {two} {app}\napp = {three} {one}\n"
    _, problems = parse_service(Path("web.conf"), NODE, CATALOG, text=text)

    assert [(problem.key, problem.message) for problem in problems] == [
        ("comment", "`{one}` refers to nothing"),
        ("comment", "`{two}` refers to nothing"),
        ("app", "`{three}` refers to nothing"),
        ("app", "`{one}` refers to nothing"),
    ]


def test_a_suggestion_is_no_circle():
    _, (problem,) = parse_service(Path("web.conf"), NODE, CATALOG, text=KVM + "name = {nme}\n")

    assert "{name}" not in problem.hint


def test_a_section_that_stands_twice_misses_nothing():
    assert told(KVM + "[container#1]\nname = x\nguestos = dos\n") == [
        ("duplicate-section", "container#1", ""),
        ("type", "container#1", "guestos"),
    ]


@pytest.mark.parametrize("command", ["a | b", "a && b", "a || b", "a > /x", "a </x", "a;b", "a $(b)", "a `b`", "a &"])
def test_syntax_of_a_shell_is_a_warning(command):
    text = f"[app#1]\nstart = {command}\n"
    service, problems = parse_service(Path("web.conf"), NODE, CATALOG, text=text)

    assert service is not None
    assert [(problem.code, problem.key, problem.severity) for problem in problems] == [
        ("config.shell", "start", Severity.WARNING)
    ]


@pytest.mark.parametrize(
    "command", ["sh -c 'a | b && c'", 'a "b;c"', r"find / -exec a {} \;", "curl http://x/?a=1&b=2", 'sh -c "a\\"|b"']
)
def test_no_syntax_of_a_shell(command):
    assert told(f"[app#1]\nstart = {command}\n") == []


def test_what_is_legal_and_hardly_meant():
    assert told(KVM + 'name = "web 01"\n') == [("quotes", "container#1", "name")]
    assert told("[app#1]\n") == [("no-command", "app#1", "")]
    assert told('["app#1"]\nstart = ["a", "|", "b|c"]\n', "web.toml") == [("shell", "app#1", "start")]
    assert told("[DEFAULT]\ncomment = \"'x'\"\n", "web.toml") == []


@pytest.mark.parametrize("name", ["-x", "a\nb", "n" * 201, "a*", "web[1]", "b?"])
def test_service_names_are_checked(name):
    service, problems = parse_service(Path("web.conf"), NODE, CATALOG, name=name, text="[ip]\nipname=a\nipdev=b\n")

    assert service is None
    assert [problem.code for problem in problems] == ["config.name"]


def _file(tmp_path, kind):
    path = tmp_path / "web.conf"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "big":
        path.write_bytes(b"#" * (1024 * 1024 + 1))
    elif kind == "latin":
        path.write_bytes(b"[DEFAULT]\napp = \xe9\n")
    elif kind == "nul":
        path.write_bytes(b"[DEFAULT]\napp = \0\n")
    elif kind == "utf16":
        path.write_text("[DEFAULT]\napp = a\n", encoding="utf-16")
    elif kind == "loop":
        path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No such file"), ("directory", "a directory"), ("fifo", "no regular file"),
        ("big", "larger than 1 MiB"), ("latin", "line 2 is not UTF-8"), ("nul", "not text"), ("utf16", "not UTF-8"),
        ("loop", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_text_file(tmp_path, kind, words):
    path = _file(tmp_path, kind)

    service, problems = parse_service(path, NODE, CATALOG)

    assert service is None
    assert len(problems) == 1
    assert words in problems[0].message
    assert problems[0].file == str(path)


def test_a_hostile_file_takes_no_more_than_a_moment():
    text = "[DEFAULT]\n" + "".join(f"kex{number} = 1\n" for number in range(70_000))

    _, problems = parse_service(Path("web.conf"), NODE, CATALOG, text=text)

    assert len(problems) == 501
    assert problems[-1].code == "config.more"
