"""A small driver that keeps every clause, for a tool that exists in memory; its mutants are in ``test_kit.py``."""

from __future__ import annotations

import contextlib
import json
import time

from attrs import define, evolve, field, frozen

from vmsvc.driver import (
    OUTPUT_LIMIT,
    Capability,
    DefinitionFields,
    Definitions,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestAddress,
    GuestDisk,
    NoWayIn,
    Observation,
    Outcome,
    Phase,
    Sizes,
    Undetermined,
    boolean,
    option,
    path,
    seconds,
    unknown,
    words,
)
from vmsvc.testing import CommandBackend, DriverKit, identity

PHASES = {"on": Phase.RUNNING, "off": Phase.STOPPED, "paused": Phase.PAUSED, "booting": Phase.STARTING,
          "ending": Phase.STOPPING, "crashed": Phase.CRASHED, "ready": Phase.PREPARED, "moving": Phase.MIGRATING}  # fmt: skip
NOT_FOUND, NOT_RUNNING = 4, 5


@define
class Machine:
    state: str = "off"
    starts: int = 0
    deaf: bool = False
    dying: bool = False
    has_arrived: bool = False
    addresses: list[str] = field(factory=list)


@define
class Tool:
    """The tool ``toy``: ``list``, ``start``, ``stop``, ``kill``, ``show`` NAME. It is also the host it runs on."""

    name: str = "memory"
    machines: dict[str, Machine] = field(factory=dict)
    words: dict[str, str] = field(factory=dict)
    inside: object = None

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        if budget_s <= 0:
            raise Undetermined("no time was left")
        if argv[1] == "enter":
            return self.inside.run(argv[3:], budget_s=budget_s, environment=environment)
        code, out, err = self._answer(*argv[1:])
        return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=err.encode(), duration_s=0.0)

    def _answer(self, command, name="", *more):
        if command == "list":
            rows = [
                f"{json.dumps(name)}\t{self.words.get(machine.state, machine.state)}\tend"
                for name, machine in self.machines.items()
            ]
            return 0, "".join(f"{row}\n" for row in ("name\tstate\tend", *rows)), ""
        if name not in self.machines:
            return NOT_FOUND, "", f"no such machine: {name}"
        return getattr(self, f"_{command}")(self.machines[name], *more)

    def _start(self, machine):
        if machine.state in ("off", "crashed", "ready"):
            machine.state, machine.starts = "crashed" if machine.dying else "on", machine.starts + 1
            return 0, "started\n", ""
        return 0, "runs\n", ""

    def _stop(self, machine):
        if machine.state == "ready" or (machine.state == "on" and not machine.deaf):
            machine.state, machine.addresses = "off", []
        return 0, "asked\n", ""

    def _kill(self, machine):
        machine.state, machine.addresses = "off", []
        return 0, "killed\n", ""

    def _prepare(self, machine):
        if machine.state == "off":
            machine.state = "ready"
            return 0, "prepared\n", ""
        return 0, "is prepared\n", ""

    def _migrate(self, machine, to):
        if to == "nowhere":
            return 0, "turned away\n", ""
        machine.state, machine.has_arrived = "off", machine.state == "on"
        return 0, "moved\n", ""

    def _plumbed(self, machine):
        return 0, json.dumps(machine.addresses), ""

    def _plumb(self, machine):
        machine.addresses.append("192.0.2.7")
        return 0, "", ""

    def _unplumb(self, machine):
        machine.addresses.clear()
        return 0, "", ""

    def _show(self, machine):
        return 0, json.dumps({"memory": 64, "vcpus": 1, "disk": "/dev/toy", "state": machine.state}), ""


@frozen(kw_only=True)
class ToyGuest(Guest):
    home: str = option(path, default="/run/toy", help="Where it lives.")
    delay: float = option(seconds, default=0.0, help="How long it takes.")
    fast: bool = option(boolean, default=False, help="Whether it is fast.")
    colours: tuple[str, ...] = option(words, default=(), help="Its colours.")


class ToyDriver:
    type = "toy"
    kind = "container"
    api = frozenset({1})
    options = ToyGuest
    capabilities = frozenset(
        {Capability.BULK, Capability.WAIT, Capability.DISKS, Capability.DEFINITION, Capability.CONFIG_FILES,
         Capability.SIZES, Capability.DISCOVER, Capability.COMPARE, Capability.ENTRY, Capability.ADDRESSES,
         Capability.SELF_STARTING, Capability.SPLIT_START, Capability.PLUMB, Capability.MIGRATE}
    )  # fmt: skip

    def __init__(self, context):
        self._context = context
        self._host = context.host

    def close(self):
        pass

    def observe(self, resource, *, budget_s):
        try:
            return self._seen(self._states(budget_s), resource)
        except Undetermined as error:
            return unknown("toy list", error)

    def observe_all(self, resources, *, budget_s):
        states = self._states(budget_s)
        return {(each.service, each.rid): self._seen(states, each) for each in resources}

    def _seen(self, states, resource):
        state = states.get(resource.name, "absent") if resource.home != "/nowhere" else "absent"
        phase = Phase.ABSENT if state == "absent" else PHASES.get(state, Phase.UNKNOWN)
        return Observation(phase=phase, state=state, evidence=Evidence(probe="toy list"))

    def _states(self, budget_s):
        done = self._run("list", budget_s=budget_s)
        header, *rows = done.out.splitlines() or [""]
        if done.truncated or not header.startswith("name\tstate\tend") or not done.out.endswith("\n"):
            raise Undetermined("toy list: this cannot be read")
        cells = [row.split("\t") for row in rows]
        return {json.loads(name): state for name, state, *_ in cells}

    def _run(self, *words, budget_s):
        done = self._host.run(["toy", *words], budget_s=budget_s, environment={"LC_ALL": "C"})
        if done.code == NOT_FOUND:
            raise DriverError(f"there is no such machine: {words[-1]}")
        if done.code:
            raise Undetermined(done.err)
        return done

    def start(self, resource, *, budget_s):
        return self._ask("start", resource, budget_s).out == "started\n"

    def stop(self, resource, *, budget_s):
        self._ask("stop", resource, budget_s)

    def kill(self, resource, *, budget_s):
        self._ask("kill", resource, budget_s)

    def _ask(self, verb, resource, budget_s):
        state = self._states(budget_s).get(resource.name, "absent")
        if state == "moving" or state not in (*PHASES, "absent"):
            raise Undetermined(f"it is {state}")
        return self._run(verb, resource.name, budget_s=budget_s)

    def wait(self, resource, until, *, budget_s):
        deadline = time.monotonic() + budget_s
        while not until(seen := self.observe(resource, budget_s=budget_s)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return seen

    def _facts(self, guest, budget_s):
        try:
            return json.loads(self._run("show", guest.name, budget_s=budget_s).out)
        except ValueError:
            raise Undetermined("toy show: this cannot be read") from None

    def disks(self, guest, *, budget_s):
        source = self._facts(guest, budget_s)["disk"]
        return [GuestDisk(target="a", kind="block", source=f"{source}-{guest.name}", persistent=True)]

    def definition(self, guest, *, budget_s):
        facts = self._facts(guest, budget_s)
        del facts["state"]
        return json.dumps({"name": guest.name, **facts})

    def definitions(self, guest, *, budget_s):
        text = self.definition(guest, budget_s=budget_s)
        runs = self._facts(guest, budget_s)["state"] == "on"
        return Definitions(live=text if runs else None, persistent=text)

    def fields(self, definition):
        try:
            return DefinitionFields(values={key: str(value) for key, value in json.loads(definition).items()})
        except ValueError:
            raise DriverError("this is no definition") from None

    def config_files(self, guest, *, budget_s):
        return [self._context.node.root.parent]

    def sizes(self, guest, *, budget_s):
        facts = self._facts(guest, budget_s)
        return Sizes(vcpus=facts["vcpus"], memory_mib=facts["memory"])

    def discover(self, where, *, budget_s):
        return [
            FoundGuest(name=name, phase=PHASES[state], state=state) for name, state in self._states(budget_s).items()
        ]

    def _inside(self, guest, budget_s):
        if self.observe(guest, budget_s=budget_s).phase is not Phase.RUNNING:
            raise NoWayIn("it does not run")

    def enter(self, guest, argv, *, budget_s, environment=None):
        self._inside(guest, budget_s)
        done = self._host.run(["toy", "enter", guest.name, *argv], budget_s=budget_s, environment=environment)
        return evolve(done, argv=tuple(argv))

    def addresses(self, guest, *, budget_s):
        self._inside(guest, budget_s)
        return [GuestAddress(device="eth0", address="192.0.2.1")]

    def prepare(self, guest, *, budget_s):
        return self._run("prepare", guest.name, budget_s=budget_s).out == "prepared\n"

    def boot(self, guest, *, budget_s):
        if self._states(budget_s).get(guest.name) not in ("ready", "on"):
            raise DriverError("it is not prepared")
        return self.start(guest, budget_s=budget_s)

    def plumbed(self, guest, *, budget_s):
        found = json.loads(self._run("plumbed", guest.name, budget_s=budget_s).out)
        return [GuestAddress(device="net0", address=each) for each in found]

    def plumb(self, guest, address, *, budget_s):
        if self._states(budget_s).get(guest.name) not in ("ready", "on"):
            raise DriverError("it is not prepared")
        if self.plumbed(guest, budget_s=budget_s):
            return False
        self._run("plumb", guest.name, budget_s=budget_s)
        return True

    def unplumb(self, guest, address, *, budget_s):
        self._run("unplumb", guest.name, budget_s=budget_s)

    def migrate(self, guest, destination, *, budget_s):
        if self._states(budget_s).get(guest.name) != "on":
            raise DriverError("it does not run here")
        self._send(guest, destination, budget_s)

    def _send(self, guest, destination, budget_s):
        if self._run("migrate", guest.name, destination.node, budget_s=budget_s).out != "moved\n":
            raise DriverError(f"{destination.node} has turned it away")

    def why_no_launchers(self, guest):
        return "its image starts what is to run"


class ToyBackend(CommandBackend):
    phases = frozenset({*PHASES.values(), Phase.ABSENT}) - {Phase.RUNNING, Phase.STOPPED}
    budget_s = 2.0
    short_s = 0.1
    patience_s = 0.3
    runs_commands = True

    def real_host(self):
        self.tool = Tool(inside=self.host)
        return self.tool

    @contextlib.contextmanager
    def when_unheard(self):
        self.tool.words = dict.fromkeys(PHASES, "frobnicating")
        yield
        self.tool.words = {}

    def guest(self, name):
        self.tool.machines[name] = Machine()
        options = {"home": "/a b", "delay": 1.5, "fast": True, "colours": ("red", "blue"), "tags": ("one",)}
        return ToyGuest(**identity("toy", name), **options)

    def truth(self, guest):
        machine = self.tool.machines.get(guest.name)
        return PHASES[machine.state] if machine else Phase.ABSENT

    def put(self, guest, phase):
        if phase is Phase.ABSENT:
            del self.tool.machines[guest.name]
        else:
            self.tool.machines[guest.name].state = {value: key for key, value in PHASES.items()}[phase]

    def elsewhere(self, guest):
        return evolve(guest, home="/nowhere")

    def generation(self, guest):
        machine = self.tool.machines.get(guest.name)
        return machine and machine.starts

    def has_arrived(self, guest):
        return self.tool.machines[guest.name].has_arrived

    @contextlib.contextmanager
    def when_deaf(self, guest):
        self.tool.machines[guest.name].deaf = True
        yield

    @contextlib.contextmanager
    def when_dying(self, guest):
        self.tool.machines[guest.name].dying = True
        yield


class ToyKit(DriverKit):
    driver = ToyDriver
    backend = ToyBackend
