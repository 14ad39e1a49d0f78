"""What tests ask of the simulator of vSphere, and do to it, without our driver and without its gateway's troubles."""

from __future__ import annotations

import time

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from lab.vcsim import USER, PrivateVcsim

#: The datastore of all models.
STORE = "LocalDS_0"


class Inventory:
    """A client of a simulator, in plain HTTP, with a session of its own."""

    def __init__(self, simulator: PrivateVcsim) -> None:
        host, port = simulator.behind
        self._stub = SoapStubAdapter(host=host, port=-port, version="vim.version.version10")
        self.content = vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
        self.content.sessionManager.Login(USER, simulator.password)

    @property
    def center(self):
        return self.content.rootFolder.childEntity[0]

    @property
    def guests(self):
        """All guests, and what each is called."""
        kinds = [vim.VirtualMachine]
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, kinds, True)
        query = vmodl.query.PropertyCollector
        each = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[each])],
            propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
        )
        answer = self.content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions())
        view.DestroyView()
        return {one.obj: one.propSet[0].val for one in answer.objects} if answer else {}

    def guest(self, name):
        return next(iter(self.called(name)), None)

    def power(self, name):
        found = self.guest(name)
        return str(found.runtime.powerState) if found else None

    def host(self, name):
        """What the host of a guest is called."""
        return self.guest(name).runtime.host.name

    @property
    def hosts(self):
        """All hosts by their names."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [vim.HostSystem], True)
        return {each.name: each for each in view.view}

    def called(self, name):
        return [each for each, called in self.guests.items() if called == name]

    def create(self, name, *, folder="", within="", disk=True, **more):
        """Make a guest that is off, with a disk of a mebibyte; where it lies is returned."""
        path = f"[{STORE}] {folder or name}"
        devices = [] if not disk else [_controller(), _disk()]
        spec = vim.vm.ConfigSpec(
            name=name, guestId="otherGuest", numCPUs=2, memoryMB=64, deviceChange=devices,
            files=vim.vm.FileInfo(vmPathName=path), **more,
        )  # fmt: skip
        pool = self.center.hostFolder.childEntity[0].resourcePool
        home = self.center.vmFolder.CreateFolder(within) if within else self.center.vmFolder
        made = done(home.CreateVM_Task(config=spec, pool=pool))
        # What every real server tells; the simulator breaks off where it is asked for this one, and has it not.
        self._set(made, guestHeartbeatStatus="gray")
        return made.config.files.vmPathName

    def make_so(self, name, **properties):
        """Have the simulator tell something of a guest: its `SET.` keys do that."""
        self._set(self.guest(name), **properties)

    def _set(self, machine, **properties):
        values = [vim.option.OptionValue(key=f"SET.{key}", value=value) for key, value in properties.items()]
        done(machine.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=values)))

    def reconfigure(self, name, **changes):
        done(self.guest(name).ReconfigVM_Task(vim.vm.ConfigSpec(**changes)))

    def ask(self, name, text, *answers):
        """Have a guest ask a question."""
        choices = [vim.ElementDescription(key=str(at), label=each, summary=each) for at, each in enumerate(answers)]
        choice = vim.option.ChoiceOption(choiceInfo=choices)
        self.make_so(name, **{"runtime.question": vim.vm.QuestionInfo(id="1", text=text, choice=choice)})

    def do(self, name, method):
        return done(getattr(self.guest(name), method)())

    def put(self, name, host):
        """Move a guest to a host, as a vCenter does by itself."""
        to = self.hosts[host]
        done(self.guest(name).RelocateVM_Task(vim.vm.RelocateSpec(host=to, pool=to.parent.resourcePool)))

    def sessions(self):
        return len(self.content.sessionManager.sessionList) - 1

    def close(self):
        self._stub.DropConnections()


def done(task):
    deadline = time.monotonic() + 10
    while task.info.state not in ("success", "error"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if task.info.state == "error":
        raise task.info.error
    return task.info.result


def _controller():
    device = vim.vm.device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing")
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=device)


def _disk():
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode="persistent", thinProvisioned=True, fileName="")
    device = vim.vm.device.VirtualDisk(key=2000, controllerKey=1000, unitNumber=0, capacityInKB=1024, backing=backing)
    return vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=device)
