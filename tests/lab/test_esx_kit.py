"""The driver of ESX and vCenter is held to the contract on the standard simulator of vSphere."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_esx import EsxGuest
from vmsvc_esx.kit import EsxKit

from lab import gateway, relay
from lab.fixtures import required
from lab.vcsim import USER, PrivateVcsim
from tests.lab.kits import hung, slow
from tests.lab.vsphere import Inventory
from vmsvc.driver import Capability, Destination, Phase
from vmsvc.testing import Backend, identity

pytestmark = pytest.mark.timeout(180)

_PHASES = {"poweredOn": Phase.RUNNING, "poweredOff": Phase.STOPPED, "suspended": Phase.SAVED}


class VsphereBackend(Backend):
    """Guests of a simulated ESX host; what its gateway cannot pass on, it answers itself."""

    phases = frozenset({Phase.ABSENT, Phase.SAVED, Phase.STOPPING, Phase.DEGRADED, Phase.SUSPENDED})

    def __init__(self, directory: Path, simulator: PrivateVcsim) -> None:
        super().__init__(directory)
        self.simulator = simulator
        self.gateway = simulator.gateway
        self.inventory = Inventory(simulator)
        self._starts: dict[str, int] = {}
        self.credentials = directory / "esx.toml"
        self.credentials.write_text(f'user = "{USER}"\npassword = "{simulator.password}"\n')
        self.credentials.chmod(0o600)

    def close(self) -> None:
        super().close()
        self.inventory.close()
        self.simulator.close()

    def guest(self, name: str) -> EsxGuest:
        self.inventory.create(name, folder=f"g{len(self.inventory.guests)}")
        access = {"server": self.simulator.address, "thumbprint": self.simulator.fingerprint.replace(":", "").lower()}
        return EsxGuest(**identity("esx", name), **access, credentials=str(self.credentials), tags=("kit",))

    def elsewhere(self, guest):
        return evolve(guest, server="127.0.0.1:1")

    def truth(self, guest):
        found = self.inventory.guest(guest.name)
        if found is None:
            return Phase.ABSENT
        phase = _PHASES[str(found.runtime.powerState)]
        if phase is not Phase.RUNNING:
            return phase
        if str(found.guestHeartbeatStatus or "") == "red":
            return Phase.DEGRADED
        return {"shuttingDown": Phase.STOPPING, "standby": Phase.SUSPENDED}.get(found.guest.guestState, phase)

    def put(self, guest, phase):
        if phase is Phase.ABSENT:
            self.inventory.guest(guest.name).UnregisterVM()
            return
        self.inventory.do(guest.name, "PowerOnVM_Task")
        if phase is Phase.SAVED:
            self.inventory.do(guest.name, "SuspendVM_Task")
        elif phase is Phase.DEGRADED:
            self.inventory.make_so(guest.name, guestHeartbeatStatus="red")
        else:
            state = "shuttingDown" if phase is Phase.STOPPING else "standby"
            self.inventory.make_so(guest.name, **{"guest.guestState": state})

    def generation(self, guest):
        found = self.inventory.guest(guest.name)
        return found and str(found.runtime.bootTime or found.summary.runtime.bootTime)

    def queries(self):
        return len(self.gateway.requests)

    @contextlib.contextmanager
    def when_deaf(self, guest):
        about = self.inventory.guest(guest.name)._moId
        with self._answered(f"ShutdownGuest {about}", gateway.done("ShutdownGuest")):
            yield

    @contextlib.contextmanager
    def when_dying(self, guest):
        over = threading.Event()
        machine = self.inventory.guest(guest.name)
        other = Inventory(self.simulator)

        def lie_in_wait():
            while not over.is_set():
                if other.power(guest.name) == "poweredOn":
                    other.do(guest.name, "PowerOffVM_Task")
                    return
                time.sleep(0.01)

        waiting = threading.Thread(target=lie_in_wait)
        waiting.start()
        try:
            yield machine
        finally:
            over.set()
            waiting.join()
            other.close()

    def when_hung(self):
        return hung(self.simulator)

    def when_slow(self, delay_s):
        return slow(self.simulator, delay_s)

    def when_dead(self):
        return self.gateway.down()

    @contextlib.contextmanager
    def when_restarted(self):
        with self.gateway.down():
            self.gateway.forget_sessions()
        yield

    def when_refused(self):
        more = '<object type="VirtualMachine">vm-1</object><privilegeId>System.View</privilegeId>'
        return self._answered("*", gateway.fault("NoPermission", "Permission to perform this was denied.", more))

    def when_truncated(self):
        return self._spoilt(relay.truncated)

    def when_unheard(self):
        return self._spoilt(lambda answer: answer.replace(b">poweredOn<", b">poweredUp<"))

    def when_empty(self):
        return self._spoilt(relay.empty)

    def when_garbage(self):
        return self._spoilt(relay.garbage)

    @contextlib.contextmanager
    def _answered(self, what, answer):
        self.gateway.answers[what] = lambda _body: answer
        try:
            yield
        finally:
            del self.gateway.answers[what]

    @contextlib.contextmanager
    def _spoilt(self, spoil):
        self.gateway.spoil = spoil
        try:
            yield
        finally:
            self.gateway.spoil = None


class VcenterBackend(VsphereBackend):
    """Guests of a simulated vCenter; this node is in charge of the host on which each is made."""

    def __init__(self, directory: Path, simulator: PrivateVcsim) -> None:
        super().__init__(directory, simulator)
        self._here: dict[str, str] = {}

    def guest(self, name):
        made = super().guest(name)
        self._here[name] = self.inventory.host(name)
        return evolve(made, host=self._here[name])

    def truth(self, guest):
        phase = super().truth(guest)
        is_gone = phase is Phase.RUNNING and self.inventory.host(guest.name) != self._here[guest.name]
        return Phase.MOVED if is_gone else phase

    def destination(self, guest, *, is_open):
        to, full = self._others(guest)
        if is_open:
            return Destination(node="elsewhere", guest=evolve(guest, host=to))
        about = f">{self.inventory.hosts[full]._moId}<".encode()
        no_room = gateway.fault("InsufficientCpuResourcesFault", "Insufficient CPU resources.")
        self.gateway.answers["RelocateVM_Task"] = lambda body: no_room if about in body else None
        return Destination(node="nowhere", guest=evolve(guest, host=full))

    def has_arrived(self, guest):
        return (self.inventory.power(guest.name), self.inventory.host(guest.name)) == (
            "poweredOn",
            self._others(guest)[0],
        )

    def _others(self, guest):
        return sorted(set(self.inventory.hosts) - {self._here[guest.name]})[:2]


class TestEsx(EsxKit):
    @pytest.fixture
    def kit_backend(self, tmp_path, request):
        """An ESX host; where guests are moved, which one host cannot, a vCenter."""
        moves = Capability.MIGRATE in request.node.callspec.params["clause"].capabilities
        with required():
            simulator = PrivateVcsim("vpx" if moves else "esx", guests=0).__enter__()
        return (VcenterBackend if moves else VsphereBackend)(tmp_path, simulator)
