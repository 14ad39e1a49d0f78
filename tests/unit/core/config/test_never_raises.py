"""Whatever a file holds, reading it gives problems and no exception."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmsvc.core.config import Catalog, parse_service
from vmsvc.core.config.ini import lines_of
from vmsvc.core.errors import Severity
from vmsvc.core.node import Node
from vmsvc.core.options import argv, line, option
from vmsvc.core.resource import Guest


@frozen(kw_only=True)
class HyperGuest(Guest):
    uri: str = option(line, default="qemu:///system", help="Where the hypervisor listens.")
    extra: tuple[str, ...] = option(argv, default=(), help="More words.")


CATALOG = Catalog(classes={("container", "kvm"): HyperGuest}, refused={"xen": "broken"})
NODE = Node(name="n1")
INI = (
    "[default]\napp = ERP ; x\nnodes = n1 n2\ndrpnode = d1\nservice_type = DEV\ncomment = one\n  more\n\n[container#1]\n"
    "type = kvm\nname@n1 = {svcname}-{app}\nextra = 'a b' {{c}}\n[ip#1]\nipname: vm\nipdev = lan0\n[vmdg]\nscsireserv = 1\n"
)
TOML = (
    '[DEFAULT]\napp = "ERP"\nnodes = ["n1", "n2"]\nmode = "kvm"\nlock_timeout = 3.5\n["container#1"]\n'
    '"name@n1" = "{svcname}"\nextra = ["a", 1, true]\n[vmdg]\nscsireserv = false\n'
)
PIECES = ["[", "]", "=", ":", "{", "}", "@", "#", ";", "\n", "\r", " ", "\t", "\0", ".", '"', "'", "\x85", "\ufeff",
          "{app}", "{{", "[default]", "nodes", "drpnodes", "type = xen", "vm_name = a", "hosted", "é", "\udcff", "9" * 5000]  # fmt: skip
FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(path, text=None):
    service, problems = parse_service(path, NODE, CATALOG, text=text)
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    assert (service is None) == failed
    assert all(problem.message and problem.file == str(path) for problem in problems)


@st.composite
def mutated(draw, text):
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
    return text


@FAST
@given(data=st.binary(max_size=300), name=st.sampled_from(["a.conf", "a.toml"]))
def test_random_bytes(tmp_path_factory, data, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)

    check(path)


@FAST
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
def test_random_text(text):
    check(Path("a.conf"), text)
    check(Path("a.toml"), text)


@FAST
@given(mutated(INI))
def test_mutated_ini(text):
    check(Path("a.env"), text)


@FAST
@given(mutated(TOML))
def test_mutated_toml(text):
    check(Path("a.toml"), text)


@given(st.text())
def test_lines_joined_are_the_text(text):
    assert "".join(lines_of(text)) == text


def test_the_texts_that_are_mutated_are_valid():
    for name, text in (("a.env", INI), ("a.toml", TOML)):
        service, problems = parse_service(Path(name), NODE, CATALOG, text=text)
        assert service is not None, "\n".join(map(str, problems))
