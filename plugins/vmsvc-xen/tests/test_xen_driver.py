"""What is Xen's own about the driver; the contract is held to by test_xen_kit.py."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_xen import tool as tool_module
from vmsvc_xen.driver import XenDriver
from vmsvc_xen.kit import XenBackend, config_of
from vmsvc_xen.parse import devices

from vmsvc.driver import Destination, DriverError, GuestDisk, Phase, Sizes, Undetermined
from vmsvc.testing.kit.bench import Bench
from vmsvc.testing.standin import exchanges

BUDGET_S = 10.0
SESSION = list(exchanges(Path(__file__).parent / "samples/xl-4.17.txt"))


@pytest.fixture(name="backend")
def a_backend(tmp_path: Path) -> Iterator[XenBackend]:
    with contextlib.closing(XenBackend(tmp_path)) as backend:
        yield backend


@pytest.fixture(name="driver")
def a_driver(backend: XenBackend) -> XenDriver:
    return XenDriver(backend.context)


@pytest.fixture(name="guest")
def a_guest(backend):
    return backend.guest("web")


def told(backend, *words):
    return backend.host.run(["xl", *words], budget_s=10)


class TestStandIn:
    """The stand-in and the real xl have one judge: what the real one has printed."""

    @pytest.mark.parametrize(
        ("words", "state"),
        [
            ("destroy 99", "off"),
            ("shutdown -F 99", "off"),
            ("list -l 99", "off"),
            ("create /etc/xen/web.cfg", "off"),
            ("create /etc/xen/web.cfg", "running"),
            ("shutdown -F 1", "paused"),
            ("shutdown -F 1", "running"),
        ],
    )
    def test_it_prints_what_the_real_one_has_printed(self, backend, words, state):
        backend.standin.add("web", state)
        done = told(backend, *words.split())
        real = [(each.out, each.err, each.code) for each in SESSION if each.argv == ("xl", *words.split())]
        assert (done.out, done.err, done.code) in real

    @pytest.mark.parametrize("state", ["running", "paused", "made"])
    def test_its_lists_are_those_of_the_real_one_but_for_times(self, backend, state):
        backend.standin.add("web", state)
        real = [each.out for each in SESSION if each.argv == ("xl", "list")]
        assert any(_timeless(told(backend, "list").out) == _timeless(text) for text in real)

    def test_its_disks_are_where_the_real_one_has_them(self, backend):
        backend.standin.add("web", "running")
        real = next(each.out for each in SESSION if each.argv == ("xl", "list", "-l", "web"))
        text = told(backend, "list", "-l", "1").out
        assert devices(text)[1] == devices(real)[1][:1]
        lines = iter(real.splitlines())
        assert [line for line in text.splitlines() if "uuid" not in line and line not in lines] == []


def _timeless(text: str) -> list[list[str]]:
    """The words of a list but the last of each line; a domain is 1 here, and whatever it was there."""
    return [[word for place, word in enumerate(line.split()[:-1]) if place != 1] for line in text.splitlines()]


class TestLooks:
    def test_three_commands_serve_all_guests(self, backend, driver):
        guests = [backend.guest(f"g{number}") for number in range(5)]
        backend.standin.change("g3", "running")
        seen = driver.observe_all([evolve(guest, service=guest.name) for guest in guests], budget_s=10)
        assert [argv[0] for argv in backend.commands.ran] == ["xl", "find", "pgrep"]
        assert {key[0]: each.phase for key, each in seen.items()} == {
            **dict.fromkeys(("g0", "g1", "g2", "g4"), Phase.STOPPED), "g3": Phase.RUNNING,
        }  # fmt: skip

    def test_a_domain_without_a_name_is_waited_for_a_moment(self, backend, driver, guest, monkeypatch):
        monkeypatch.setattr(tool_module, "_MOMENT_S", 0.5)
        backend.standin.add("(null)", "reaped")
        seen = driver.observe(guest, budget_s=10)
        assert seen.phase is Phase.UNKNOWN
        assert "whose names nobody knows" in seen.evidence.detail
        assert len(backend.standin.calls("list")) > 1
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match="whose names"):
                verb(guest, budget_s=10)
        backend.standin.add("db", "running")
        backend.standin.change("web", "running")
        assert driver.observe(guest, budget_s=10).phase is Phase.RUNNING

    def test_a_config_file_that_cannot_be_looked_at_may_be_there(self, backend, driver, guest):
        loop = Path(guest.file).with_name("loop.cfg")
        loop.symlink_to(loop.name)
        seen = driver.observe(evolve(guest, config=str(loop)), budget_s=10)
        assert seen.phase is Phase.UNKNOWN
        assert "Too many levels of symbolic links" in seen.evidence.detail

    @pytest.mark.keyword("container.xen.config_dir")
    @pytest.mark.keyword("container.xen.config")
    def test_config_files_are_where_the_service_file_says(self, backend, driver, guest, tmp_path):
        elsewhere = evolve(guest, config_dir=str(tmp_path / "elsewhere"))
        assert driver.observe(elsewhere, budget_s=10).phase is Phase.ABSENT
        with pytest.raises(DriverError, match=r"no config file .*elsewhere/web\.cfg"):
            driver.start(elsewhere, budget_s=10)
        named = evolve(elsewhere, config=guest.file)
        assert driver.observe(named, budget_s=10).phase is Phase.STOPPED
        assert driver.start(named, budget_s=10) is True

    def test_a_guest_that_the_node_starts_or_resumes_is_warned_of(self, backend, driver, guest, monkeypatch, tmp_path):
        auto = Path(guest.config_dir, "auto")
        auto.mkdir()
        other = backend.guest("db")
        (auto / "10-web").symlink_to("../web.cfg")
        (auto / "db.cfg").write_text("a copy")
        for each, entry in ((guest, "10-web"), (other, "db.cfg")):
            [warning] = driver.observe(each, budget_s=10).warnings
            assert f"{auto}/{entry} makes the node start {each.name}" in warning
        (auto / "10-web").unlink()
        assert driver.observe(guest, budget_s=10).warnings == ()
        monkeypatch.setattr("vmsvc_xen.tool.SAVED", str(tmp_path))
        monkeypatch.setattr("vmsvc_xen.observing.SAVED", str(tmp_path))
        (tmp_path / "web").write_text("memory")
        [warning] = driver.observe(guest, budget_s=10).warnings
        assert "would resume it" in warning


def an_xl_that_waits(directory: Path) -> Path:
    """A program that is called xl, and does nothing but run."""
    return Path(shutil.copy2(shutil.which("sleep") or "", directory / "xl"))


def test_an_xl_of_another_test_is_not_seen(backend, driver, guest, tmp_path_factory):
    with subprocess.Popen([an_xl_that_waits(tmp_path_factory.mktemp("other")), "60"]) as other:
        try:
            assert driver.observe(guest, budget_s=10).phase is Phase.STOPPED
        finally:
            other.kill()
    assert [argv[0] for argv in backend.commands.ran] == ["xl", "find", "pgrep"]


@pytest.fixture(name="keeper")
def a_keeper(tmp_path, monkeypatch):
    """Starts a process that is called xl, and whose output is a log in the place of Xen's; all are ended."""
    program = an_xl_that_waits(tmp_path)
    monkeypatch.setattr(tool_module, "LOGS", str(tmp_path))
    with contextlib.ExitStack() as ended:

        def start(name: str) -> subprocess.Popen[bytes]:
            with (tmp_path / f"xl-{name}.log").open("wb") as log:
                process = subprocess.Popen([program, "60"], stdout=log)
            ended.callback(process.wait)
            ended.callback(process.kill)
            return process

        yield start


class TestReboot:
    """In between two domains of a guest that reboots, Xen has none; its xl alone tells that it comes back."""

    def test_a_guest_between_two_domains_is_not_down(self, backend, driver, guest, keeper):
        process = keeper("web")
        others = [backend.guest(name) for name in ("we", "web.log", "db")]
        seen = driver.observe_all([evolve(each, service=each.name) for each in (guest, *others)], budget_s=10)
        assert {key[0]: (each.phase, each.state) for key, each in seen.items()} == {
            "web": (Phase.STARTING, "rebooting"),
            **{each.name: (Phase.STOPPED, "stopped") for each in others},
        }
        assert f"the process {process.pid} of xl" in next(iter(seen.values())).evidence.detail
        found = {each.name: (each.phase, each.state) for each in driver.discover(guest, budget_s=10)}
        assert found["web"] == (Phase.STARTING, "rebooting")
        assert found["db"] == (Phase.STOPPED, "stopped")
        assert driver.start(guest, budget_s=10) is False
        assert not backend.standin.calls("create")

    @pytest.mark.parametrize("becomes", [".1", None])
    def test_a_log_that_was_put_away_is_still_its_guest_s(self, driver, guest, keeper, tmp_path, becomes):
        keeper("web")
        log = tmp_path / "xl-web.log"
        log.rename(f"{log}{becomes}") if becomes else log.unlink()
        assert driver.observe(guest, budget_s=10).phase is Phase.STARTING

    def test_a_guest_that_has_come_from_another_node_is_not_down_while_it_reboots(self, backend, driver, guest, keeper):
        keeper("web--incoming")  # so its xl has called it until it had come, and so its log is called for ever
        assert driver.observe(guest, budget_s=10).phase is Phase.STARTING
        assert driver.start(guest, budget_s=10) is False
        assert driver.observe(backend.guest("we"), budget_s=10).phase is Phase.STOPPED

    @pytest.mark.parametrize("verb", ["stop", "kill"])
    @pytest.mark.parametrize("log", ["web", "web--incoming"])
    def test_what_is_to_be_down_is_not_made_anew(self, backend, driver, guest, keeper, verb, log):
        ours, other = keeper(log), keeper("web2")
        getattr(driver, verb)(guest, budget_s=10)
        assert ours.wait(timeout=5)
        assert other.poll() is None
        assert driver.observe(guest, budget_s=10).phase is Phase.STOPPED

    def test_a_guest_that_is_killed_while_it_reboots_is_not_made_anew(self, backend, driver, guest, keeper):
        backend.standin.change("web", "shutdown")
        ours = keeper("web")
        driver.kill(guest, budget_s=10)
        assert ours.wait(timeout=5)
        assert len(backend.standin.calls("destroy")) == 1

    def test_what_was_begun_when_its_xl_was_ended_is_destroyed(self, backend, driver, guest, keeper, monkeypatch):
        keeper("web")
        release = tool_module.Tool.release

        def late(tool, name):
            was_one = release(tool, name)
            backend.standin.change("web", "made")
            return was_one

        monkeypatch.setattr(tool_module.Tool, "release", late)
        driver.stop(guest, budget_s=10)
        assert len(backend.standin.calls("destroy")) == 1

    def test_where_processes_cannot_be_looked_at_nothing_is_down(self, backend, driver, guest):
        pgrep = backend.standin.tools / "pgrep"
        pgrep.write_text("#!/bin/sh\necho 'pgrep: cannot open /proc' >&2\nexit 3\n")
        backend.standin.change(backend.guest("db").name, "running")
        seen = driver.observe_all([guest, evolve(guest, name="db", rid="container#2")], budget_s=10).values()
        assert [each.phase for each in seen] == [Phase.UNKNOWN, Phase.RUNNING]
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match=r"makes web anew cannot be told: .*cannot open /proc"):
                verb(guest, budget_s=10)


class TestVerbs:
    def test_guests_are_called_by_their_numbers(self, backend, driver):
        backend.standin.add("other", "running")
        guest = backend.guest("1")  # xl would take it for the domain 1
        backend.standin.change("2", "running")
        driver.stop(guest, budget_s=10)
        driver.kill(guest, budget_s=10)
        assert {call.argv[-1] for call in backend.standin.calls("xl") if call.argv[1] != "list"} == {"2"}
        assert backend.standin.state("other") == "running"

    @pytest.mark.parametrize("state", ["paused", "crashed", "suspended"])
    def test_what_cannot_hear_is_not_asked(self, backend, driver, guest, state):
        backend.standin.change("web", state)
        with pytest.raises(DriverError, match=f"cannot hear a request to stop: it is {state}"):
            driver.stop(guest, budget_s=10)
        with pytest.raises(DriverError, match="cannot be started"):
            driver.start(guest, budget_s=10)
        assert not backend.standin.calls("shutdown")
        assert not backend.standin.calls("create")

    def test_a_guest_that_does_not_answer_has_been_asked(self, backend, driver, guest):
        backend.standin.change("web", "running")
        backend.standin.knob("hang", words=["shutdown"])
        driver.stop(guest, budget_s=1)
        assert backend.standin.state("web") == "running"
        backend.standin.knob("hang", words=["list"])
        with pytest.raises(Undetermined):
            driver.stop(guest, budget_s=1)
        backend.standin.well()

    def test_what_has_shut_down_and_is_kept_is_destroyed_by_force_alone(self, backend, driver, guest):
        backend.standin.change("web", "shutdown")
        driver.stop(guest, budget_s=10)
        assert not backend.standin.calls("shutdown")
        driver.kill(guest, budget_s=10)
        assert len(backend.standin.calls("destroy")) == 1

    def test_a_config_file_of_another_guest_is_not_started(self, backend, driver, guest):
        Path(guest.file).write_text(config_of("db"))
        with pytest.raises(DriverError, match="does not describe the guest 'web', but 'db'"):
            driver.start(guest, budget_s=10)
        assert not backend.standin.calls("create")

    def test_a_node_without_the_config_file_is_brought_the_one_that_is_kept(self, backend, driver, guest):
        kept = backend.context.definition_file(guest)
        kept.parent.mkdir(parents=True)
        kept.write_text(driver.definition(guest, budget_s=10))
        Path(guest.file).unlink()
        assert driver.start(guest, budget_s=10) is True
        assert Path(guest.file).read_text() == config_of("web")
        assert Path(guest.file).stat().st_mode & 0o777 == 0o600, "it may have passwords"

    def test_somebody_else_was_faster(self, backend, driver, guest):
        backend.standin.knob("die", "after", words=["create"])
        assert driver.start(guest, budget_s=10) is False
        backend.standin.well()

    def test_a_guest_that_is_left_half_made_is_told_how_to_be_let_go(self, backend, driver, guest):
        backend.standin.change("web", "made")
        [warning] = driver.observe(guest, budget_s=10).warnings
        assert "`xl unpause 1` lets it go" in warning

    def test_what_a_start_has_begun_does_not_outlast_its_time(self, backend, driver, guest):
        backend.standin.knob("hang", words=["create"])

        def make_it_meanwhile():
            deadline = time.monotonic() + 8
            while not backend.standin.calls("create") and time.monotonic() < deadline:
                time.sleep(0.05)
            backend.standin.change("web", "made")

        begun = threading.Thread(target=make_it_meanwhile)
        begun.start()
        with pytest.raises(Undetermined, match="did not end"):
            driver.start(guest, budget_s=4)
        begun.join()
        backend.standin.well()
        assert len(backend.standin.calls("destroy")) == 1
        assert driver.observe(guest, budget_s=10).phase is Phase.STOPPED

    def test_what_somebody_else_s_xl_makes_is_not_destroyed(
        self, backend, driver, guest, keeper, monkeypatch, tmp_path
    ):
        keeper("db")  # its log is not where Xen's are, once these are elsewhere
        monkeypatch.setattr(tool_module, "LOGS", str(tmp_path / "logs"))
        backend.standin.knob("hang", words=["create"])
        begun = threading.Timer(0.5, lambda: backend.standin.change("web", "made"))
        begun.start()
        with pytest.raises(Undetermined, match="did not end"):
            driver.start(guest, budget_s=4)
        begun.join()
        backend.standin.well()
        assert not backend.standin.calls("destroy")
        assert driver.observe(guest, budget_s=10).phase is Phase.STARTING

    @pytest.mark.parametrize(
        ("name", "decision"), [("web--incoming", "`xl unpause 2`"), ("web--migratedaway", "`xl destroy 2`")]
    )
    def test_a_guest_between_two_nodes_is_left_to_whoever_moves_it(self, backend, driver, guest, name, decision):
        backend.standin.add(name, "running")
        assert driver.observe(guest, budget_s=10).phase is Phase.MIGRATING
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match="is between two nodes: it is migrating") as error:
                verb(guest, budget_s=10)
            assert "`xl list`" in error.value.hint
            assert decision in error.value.hint
        assert backend.standin.state(name) == "running"

    def test_a_refusal_is_told_in_xl_s_words(self, backend, driver, guest):
        backend.standin.knob("locked", words=["create"])
        with pytest.raises(DriverError, match="web cannot be started: xl exits with 1; it said last: error: locked"):
            driver.start(guest, budget_s=10)


class TestParts:
    def test_disks_are_those_that_it_has_and_those_of_its_next_start(self, backend, driver, guest, tmp_path):
        image = tmp_path / "image"
        image.touch()
        disk = f'disk = [ "{image},,xvdb,r", "drbd:r0,xvdc,w", "vg/x,,xvda,w" ]\n'
        Path(guest.file).write_text(config_of("web") + disk)
        backend.standin.change("web", "running", disks=[{"path": "/dev/loop0", "vdev": "xvda"}])
        common = {"device": "disk"}
        assert driver.disks(guest, budget_s=10) == [
            GuestDisk(target="xvdb", kind="file", source=str(image), readonly=True, persistent=True, **common),
            GuestDisk(target="xvdc", kind="block-drbd", source="r0", persistent=True, **common),
            GuestDisk(target="xvda", kind="block", source="/dev/vg/x", persistent=True, **common),
            GuestDisk(target="xvda", kind="block", source="/dev/loop0", live=True, **common),
        ]
        Path(guest.file).unlink()
        assert [(each.source, each.live, each.persistent) for each in driver.disks(guest, budget_s=10)] == [
            ("/dev/loop0", True, False)
        ]

    def test_sizes_are_those_that_it_has_while_it_lives(self, backend, driver, guest):
        backend.standin.change("web", "running", memory=96, vcpus=3)
        assert driver.sizes(guest, budget_s=10) == Sizes(vcpus=3, memory_mib=96)
        backend.standin.change("web", "made", memory=0, vcpus=0)
        assert driver.sizes(guest, budget_s=10) == Sizes(vcpus=1, memory_mib=128)
        backend.standin.change("web", "off")
        Path(guest.file).write_text('name = "web"\n')
        with pytest.raises(Undetermined, match="does not tell the `memory`"):
            driver.sizes(guest, budget_s=10)

    def test_what_xl_could_not_read_is_not_told(self, driver, guest):
        Path(guest.file).write_text('name = "web"\ndisk = "phy:/dev/sda,xvda,w"\n')
        with pytest.raises(Undetermined, match="`disk` is no list"):
            driver.disks(guest, budget_s=10)
        Path(guest.file).write_text("name = web\n")
        for read in (driver.disks, driver.definition, driver.sizes):
            with pytest.raises(Undetermined, match="line 1: 'web' is not expected"):
                read(guest, budget_s=10)

    def test_guests_are_found_by_what_runs_and_by_config_files(self, backend, driver, guest):
        backend.standin.add("lost", "running")
        Path(guest.config_dir, "renamed.cfg").write_text(config_of("db"))
        found = {each.name: each for each in driver.discover(guest, budget_s=10)}
        assert {name: each.phase for name, each in found.items()} == {
            "web": Phase.STOPPED, "db": Phase.STOPPED, "lost": Phase.RUNNING,
        }  # fmt: skip
        assert found["web"].options == {"config_dir": guest.config_dir}
        assert found["db"].options["config"] == f"{guest.config_dir}/renamed.cfg"
        assert "could not be started again" in found["lost"].warnings[0]
        assert [disk.source for disk in found["lost"].disks] == ["/dev/loop0"]

    @pytest.mark.parametrize("text", ["name = ", "", 'name = "web"', "name =\n"])
    def test_a_config_file_that_cannot_be_read_may_describe_any_guest(self, driver, guest, text):
        Path(guest.config_dir, "broken.cfg").write_text(text)
        with pytest.raises(Undetermined, match=r"broken\.cfg is (not whole|no config file that xl could read)"):
            driver.discover(guest, budget_s=10)

    def test_a_definition_that_ends_within_a_line_is_none(self, driver, guest):
        Path(guest.file).write_text('name = "web"\nmemory = 12')
        with pytest.raises(Undetermined, match="ends within a line"):
            driver.definition(guest, budget_s=10)


@pytest.mark.keyword("container.xen.migrate_host")
def test_a_move_goes_to_what_other_nodes_call_the_node(backend, driver, guest):
    driver.start(guest, budget_s=BUDGET_S)
    Bench(XenDriver, backend).true(guest, Phase.RUNNING)
    named = Destination(node="elsewhere", guest=evolve(guest, migrate_host="nowhere"))
    with pytest.raises(DriverError, match="has not come to nowhere"):
        driver.migrate(guest, named, budget_s=BUDGET_S)
    assert backend.truth(guest) is Phase.RUNNING
    named = Destination(node="nowhere", guest=evolve(guest, migrate_host="elsewhere"))
    driver.migrate(guest, named, budget_s=BUDGET_S)
    assert backend.truth(guest) is Phase.STOPPED
