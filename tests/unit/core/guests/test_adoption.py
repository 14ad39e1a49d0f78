"""Which guests get a service file, under which name, and what it says."""

from __future__ import annotations

import random

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from vmsvc.core.answers import FoundGuest, GuestDisk
from vmsvc.core.config import Catalog, load_service, parse_service
from vmsvc.core.config.files import check_service_name, ignored_files
from vmsvc.core.errors import ConfigError, Undetermined, UsageError
from vmsvc.core.estate import Estate
from vmsvc.core.guests.adoption import Adoption, is_named, places, propose
from vmsvc.core.guests.discovery import Discovery
from vmsvc.core.kinds import Vmdg
from vmsvc.core.node import Node
from vmsvc.core.options import line, option
from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase


@frozen(kw_only=True)
class Fake(Guest):
    uri: str = option(line, default="here", inherited=True, identifies=True, help="Where.")


CATALOG = Catalog(classes={("container", "fake"): Fake, ("container", "other"): Guest})


def found(name, **more):
    return FoundGuest(**{"name": name, "phase": Phase.RUNNING, "state": "running", **more})


def told(*guests, served="fake"):
    return Discovery(type=served, guests=guests)


@pytest.fixture
def node(tmp_path):
    node = Node(name="n1", root=tmp_path)
    node.services_dir.mkdir(parents=True)
    return node


@pytest.fixture
def adopt(node):
    """What would become of guests; ``write`` writes the files as well."""

    def adopt(*discoveries, write=False, settings=None, guests=()) -> Adoption:
        made = propose(
            node,
            CATALOG,
            Estate.of(node, CATALOG),
            discoveries,
            settings=settings or {},
            is_wanted=is_named(guests),
        )
        for proposal in made.proposals if write else ():
            proposal.draft.write()
        return made

    return adopt


def names(made):
    return {proposal.guest.name: proposal.draft.path.name for proposal in made.proposals}


def test_a_file_says_what_the_guest_is_and_where_it_may_run(adopt):
    (proposal,) = adopt(told(found("web01", options={"uri": "there"}, title="the shop"))).proposals
    assert proposal.draft.text == (
        "# The fake guest web01, as it was found on n1.\n"
        "[DEFAULT]\n"
        "comment = the shop\n"
        "nodes = n1\n"
        "\n"
        "[container#1]\n"
        "type = fake\n"
        "name = web01\n"
        "uri = there\n"
    )


def test_autostart_is_carried_over(adopt):
    made = adopt(told(found("a", autostart=True), found("b")))
    assert [proposal.draft.service.orchestrate for proposal in made.proposals] == ["start", "no"]


@pytest.mark.parametrize(
    ("disk", "is_group"),
    [
        (GuestDisk(target="vda", kind="block", source="/dev/mapper/erp"), True),
        (GuestDisk(target="sda", kind="block", source="/dev/sdb", device="lun"), True),
        (GuestDisk(target="sr0", kind="block", source="/dev/sr0", device="cdrom"), False),
        (GuestDisk(target="vda", kind="block", source=""), False),
        (GuestDisk(target="vda", kind="file", source="/srv/erp.qcow2"), False),
        (GuestDisk(target="vda", kind="network", source="rbd://m/pool/erp"), False),
    ],
)
def test_only_disks_that_are_passed_through_make_a_disk_group_and_it_reserves_nothing(adopt, disk, is_group):
    (proposal,) = adopt(told(found("erp", disks=(disk,)))).proposals
    groups = [each for each in proposal.draft.service.resources if isinstance(each, Vmdg)]
    assert len(groups) == is_group
    assert not any(group.scsireserv for group in groups)
    assert ("Block devices that it is given" in proposal.draft.text) == is_group


def test_a_second_time_writes_nothing(adopt):
    guests = told(found("a"), found("b c"), found("d ; e"))
    assert len(adopt(guests, write=True).proposals) == 3
    again = adopt(guests)
    assert again.proposals == ()
    assert {each.guest.name: each.service for each in again.claimed} == {"a": "a", "b c": "b-c", "d ; e": "d-e"}


def test_a_guest_that_a_service_of_another_name_means_is_not_adopted(adopt, node):
    (node.services_dir / "shop.toml").write_text('["container#1"]\ntype = "fake"\nname = "web01"\n')
    made = adopt(told(found("web01"), found("web01", options={"uri": "there"})))
    assert [each.service for each in made.claimed] == ["shop"]
    assert [each.guest.options for each in made.proposals] == [{"uri": "there"}]


def test_a_name_that_belongs_to_a_service_is_not_taken(adopt, node):
    (node.services_dir / "web.conf").write_text("[container#1]\ntype = fake\nname = quite-another\n")
    before = (node.services_dir / "web.conf").read_text()
    assert names(adopt(told(found("web")), write=True)) == {"web": "web-fake.conf"}
    assert (node.services_dir / "web.conf").read_text() == before


def test_a_file_that_has_come_in_between_is_not_overwritten(adopt, node):
    (proposal,) = adopt(told(found("web"))).proposals
    (node.services_dir / "web.conf").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        proposal.draft.write()
    assert (node.services_dir / "web.conf").read_text() == "mine"


@pytest.mark.parametrize(
    ("stem", "text", "is_left"),
    [
        ("web", "[container#1]\ntpye = fake\n", True),  # a service's name is its guest's
        ("shop", "[container#1]\ntpye = fake\nname = web\n", True),
        ("shop", "[container#1]\ntpye = fake\nname = {svc}\n", True),  # may come to anything
        ("shop", b"\xff\xfe", True),
        ("shop", "[container#1]\ntpye = fake\nname = mail\n", False),
    ],
)
def test_a_guest_that_an_unreadable_file_may_mean_is_left_alone(adopt, node, stem, text, is_left):
    (node.services_dir / f"{stem}.conf").write_bytes(text if isinstance(text, bytes) else text.encode())
    made = adopt(told(found("web")))
    assert [each.guest.name for each in made.left] == ["web"] * is_left
    assert len(made.proposals) == 1 - is_left
    for left in made.left:
        assert (type(left.error), left.error.hint) == (ConfigError, f"mend that first: `vmsvc validate {stem}`")


def test_two_files_of_one_name_may_mean_any_guest(adopt, node):
    for ending in ("conf", "env"):
        (node.services_dir / f"shop.{ending}").write_text("[container#1]\ntype = fake\nname = mail\n")
    assert [each.guest.name for each in adopt(told(found("web"))).left] == ["web"]


def test_settings_are_for_every_file_and_win(adopt):
    made = adopt(told(found("a", autostart=True), found("b")), settings={"nodes": "n1 n2", "orchestrate": "no"})
    services = [proposal.draft.service for proposal in made.proposals]
    assert [(service.nodes, service.orchestrate) for service in services] == [(("n1", "n2"), "no")] * 2


def test_only_guests_that_are_asked_for(adopt):
    made = adopt(told(found("web1"), found("web2"), found("web[1]")), guests=["web[1]", "x*"])
    assert {proposal.guest.name for proposal in made.proposals} == {"web1", "web[1]"}


def test_what_a_driver_could_not_tell_is_kept_apart(adopt):
    error = Undetermined("no answer")
    made = adopt(Discovery(type="other", error=error), told(found("a")))
    assert made.errors == {"other": error}
    assert [proposal.guest.name for proposal in made.proposals] == ["a"]


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guest", "file"),
    [
        ("erp-db.example.org", "erp-db.example.org.conf"),
        ("VM_1", "VM_1.conf"),
        ("Büro 2 (alt)", "Büro-2-alt.conf"),
        ("虚拟机", "虚拟机.conf"),
        ("a[1]*?", "a-1.conf"),
        (".hidden", "hidden.conf"),
        ("#1", "1.conf"),
        ("backup~", "backup.conf"),
        ("a,b", "a-b.conf"),
        ("***", "guest.conf"),
        ("x ; y", "x-y.toml"),  # INI would take the rest for a comment
        (" blanks ", "blanks.toml"),
        ("{nodename}", "nodename.conf"),
        ("'quoted'", "quoted.toml"),
        ("u\u0308", "\u00fc.conf"),
        ("x" * 200, f"{'x' * 150}.conf"),
    ],
)
def test_odd_names(adopt, node, guest, file):
    made = adopt(told(found(guest)), write=True)
    assert names(made) == {guest: file}
    service = load_service(node.services_dir / file, node, CATALOG)
    assert ([each.name for each in service.guests], service.problems) == ([guest], ())


@pytest.mark.parametrize("guest", ["a/b", "../../etc/passwd", "-rf", "", "a\nb", "a\x1b[2Jb", "x" * 201])
def test_names_that_no_file_can_hold_are_told_and_left(adopt, node, guest):
    made = adopt(told(found(guest), found("web")), write=True)
    assert [left.guest.name for left in made.left] == [guest]
    assert [path.name for path in node.services_dir.iterdir()] == ["web.conf"]


def test_who_keeps_its_name_comes_first_and_others_get_one_of_their_own(adopt):
    first = names(adopt(told(found("a b"), found("a-b"), found("a,b"))))
    assert first["a-b"] == "a-b.conf"
    assert len(set(first.values())) == 3
    assert all(name.startswith("a-b-") for guest, name in first.items() if guest != "a-b")
    both = adopt(told(found("web")), told(found("web"), served="other")).proposals
    assert [(each.type, each.draft.path.name) for each in both] == [("fake", "web.conf"), ("other", "web-other.conf")]


guest_names = st.one_of(
    st.text(st.sampled_from("ab -._#;,'\"{}[]*~/ü\u0308=:$%\t\\"), max_size=8),
    st.text(max_size=20),
    st.sampled_from(["web", "web ", "WEB", "web.conf", "{svc}", "{{svc}}", "DEFAULT", "a" * 199]),
)


@given(st.lists(guest_names, max_size=6, unique=True), st.randoms())
def test_every_file_is_right_and_its_name_good_unique_and_stable(tmp_path_factory, guests, chance: random.Random):
    node = Node(name="n1", root=tmp_path_factory.mktemp("root"))
    shuffled = list(guests)
    chance.shuffle(shuffled)
    first, second = (
        propose(node, CATALOG, Estate(), [told(*map(found, each))], settings={}) for each in (guests, shuffled)
    )
    assert names(first) == names(second)
    assert len(set(names(first).values())) == len(first.proposals)
    assert sorted(guest.name for guest in first.found) == sorted(guests)
    node.services_dir.mkdir(parents=True)
    for proposal in first.proposals:
        proposal.draft.write()
        service, problems = parse_service(proposal.draft.path, node, CATALOG)
        assert problems == ()
        assert [guest.name for guest in service.guests] == [proposal.guest.name]
        assert check_service_name(service.name) == ""
    assert ignored_files(node) == []
    again = propose(node, CATALOG, Estate.of(node, CATALOG), [told(*map(found, guests))], settings={})
    assert (again.proposals, len(again.claimed)) == ((), len(first.proposals))


@given(st.text(max_size=30))
def test_a_title_never_keeps_a_guest_from_its_file(tmp_path_factory, title):
    node = Node(name="n1", root=tmp_path_factory.mktemp("root"))
    (proposal,) = propose(node, CATALOG, Estate(), [told(found("web", title=title))], settings={}).proposals
    assert proposal.draft.path.name == "web.conf"
    assert proposal.draft.service.problems == ()
    assert proposal.draft.service.comment in ("", title.strip())


# --- where to look ----------------------------------------------------------------------------------------------------


def test_settings_tell_where_to_look_and_whom_to_ask(node):
    everywhere = places(node, CATALOG, ["fake", "other"], {})
    assert [(where.type, getattr(where, "uri", None)) for where in everywhere] == [("fake", "here"), ("other", None)]
    (there,) = places(node, CATALOG, ["fake", "other"], {"container#1.uri": "there"})
    assert (there.type, there.uri) == ("fake", "there")


def test_what_cannot_be_asked_for(node):
    with pytest.raises(UsageError, match=r"container#1\.name is each guest's own"):
        places(node, CATALOG, ["fake"], {"container#1.name": "web"})
    with pytest.raises(ConfigError) as wrong:
        places(node, CATALOG, ["fake"], {"container#1.url": "x"})
    assert (wrong.value.hint, wrong.value.problems[0].file) == ("did you mean `uri`?", "")
    with pytest.raises(UsageError, match="no installed driver can tell"):
        places(node, CATALOG, [], {})
