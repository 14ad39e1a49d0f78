"""Bind what a section says of containers: whose disks a group means, and inside which one something is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import evolve, frozen

from vmsvc.core.config.model import DEFAULT, Findings, Section, shortened
from vmsvc.core.config.schema import Catalog
from vmsvc.core.config.values import Values
from vmsvc.core.kinds import App, Disk, Ip, Located, Reserved, Vmdg
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest, Resource, kind_of


@frozen
class Binding:
    """Binds the resources of one file to its containers.

    Attributes:
        node: The node that reads the file.
        catalog: What drivers can do.
        findings: Where problems go.
        sections: The file's sections, by name.
        values: What the sections' keys say.
    """

    node: Node
    catalog: Catalog
    findings: Findings
    sections: Mapping[str, Section]
    values: Values

    def bound(self, resources: Sequence[Resource], implied: Callable[[Section], Resource | None]) -> list[Resource]:
        """Bind resources to containers, and give each container that reserves its disks a ``vmdg``.

        Args:
            resources: What the self.sections have been read as.
            implied: Reads what stands in no section, of which only the name and the place are given.

        Returns:
            The resources; those that mean no container are told to be wrong, and left out.
        """
        bound: list[Resource] = []
        for resource in resources:
            each: Resource | None = resource
            if isinstance(resource, Vmdg):
                each = self._group(resource, resources)
            elif isinstance(resource, Located):
                each = self._located(resource, resources)
            bound += [each] if each else []
        taken = {resource.container_id for resource in bound if isinstance(resource, Vmdg)}
        for guest in [resource for resource in bound if isinstance(resource, Guest)]:
            if guest.scsireserv and guest.rid not in taken:
                bound += self._implied_group(guest, implied)
        for each in bound:
            if isinstance(each, Vmdg):
                self._check_disk_group(each, bound)
            if isinstance(each, Reserved) and each.scsireserv:
                self._check_reservation(each)
        return bound

    def applications(
        self, resources: Sequence[Resource], implied: Callable[[Section], Resource | None]
    ) -> list[Resource]:
        """The applications that guests may have without a section: there may be launchers in them.

        Args:
            resources: The resources of the file.
            implied: Reads what stands in no section, of which only the name and the place are given.

        Returns:
            One for each guest; none where the file has applications.
        """
        if any(kind_of(rid) == "app" for rid in self.sections):
            return []
        found: list[Resource] = []
        for guest in resources:
            if isinstance(guest, Guest):
                rid = guest.rid.replace("container", "app", 1)
                app = implied(Section(name=rid, position=self.sections[guest.rid].position))
                found += [evolve(app, container_id=guest.rid, is_implied=True)] if isinstance(app, App) else []
        return found

    def _check_reservation(self, disks: Reserved) -> None:
        default = self.sections.get(DEFAULT, Section(name=DEFAULT))
        section = self.sections.get(disks.rid, default)
        entry = self.values.chosen(section.variants("prkey")) or self.values.chosen(default.variants("prkey"))
        if entry is not None and not self.node.is_called(entry.scope) and self.values.has_peers:
            self.findings.add(
                entry.position,
                "several nodes would have this key, and each could write to the disks of the others",
                code="prkey",
                section=section.name,
                key=entry.label,
                hint=f"remove it, and each node has its own; or give each one: `prkey@{self.node.name} = 0x…`",
            )
        if isinstance(disks, Disk) and not disks.devices:
            message, hint = "it names no disks to reserve", "add `devices = /dev/disk/by-id/…`"
            self.findings.add(
                section.position, message, code="missing-key", section=section.name, key="devices", hint=hint
            )

    def _group(self, group: Vmdg, resources: Sequence[Resource]) -> Vmdg | None:
        wanted = self._container(group.rid, group.container_id)
        if not wanted:
            return None
        says_itself = bool(self.sections[group.rid].variants("scsireserv"))
        guest = next((each for each in resources if isinstance(each, Guest) and each.rid == wanted), None)
        reserves = group.scsireserv if says_itself or guest is None else guest.scsireserv
        return evolve(group, container_id=wanted, scsireserv=reserves)

    def _located(self, resource: Located, resources: Sequence[Resource]) -> Located | None:
        if not resource.container_id and not any(kind_of(rid) == "container" for rid in self.sections):
            return resource  # it is on the node
        wanted = self._container(resource.rid, resource.container_id)
        if wanted and isinstance(resource, Ip):
            plumbed = {each.rid for each in resources if isinstance(each, Guest) and each.is_plumbed}
            return evolve(resource, container_id=wanted, is_plumbed=wanted in plumbed)
        return evolve(resource, container_id=wanted) if wanted else None

    def _container(self, rid: str, wanted: str) -> str:
        """The container that a section means; empty where that is told to be wrong."""
        containers = [each for each in self.sections if kind_of(each) == "container"]
        containers.sort(key=lambda each: self.sections[each].position)
        section = self.sections[rid]
        wanted = wanted or (containers[0] if len(containers) == 1 else "")
        if wanted in containers:
            return wanted
        listed = ", ".join(containers)
        if not containers:
            message, hint = "the file has no container that it could mean", "add a `[container#1]` section"
        elif wanted:
            message = f"there is no container `{shortened(wanted, 60)}`"
            hint = did_you_mean(wanted, containers, otherwise=f"the containers are {listed}")
        else:
            message = f"it does not say which container it means: {listed}"
            hint = f"add `container_id = {containers[0]}`"
        self.findings.add(
            section.position, message, code="container", section=section.name, key="container_id", hint=hint
        )
        return ""

    def _implied_group(self, guest: Guest, implied: Callable[[Section], Resource | None]) -> list[Resource]:
        """The disk group of a container that asks for reservations and has no section for them."""
        rid = guest.rid.replace("container", "vmdg", 1)
        section = self.sections[guest.rid]
        if rid in self.sections:
            hint = f"add a section `[vmdg#…]` with `container_id = {guest.rid}`"
            self.findings.add(
                section.position,
                f"it asks for reservations, and [{rid}] means another container",
                code="container",
                section=guest.rid,
                key="scsireserv",
                hint=hint,
            )
            return []
        group = implied(Section(name=rid, position=section.position))
        return [evolve(group, container_id=guest.rid, scsireserv=True)] if isinstance(group, Vmdg) else []

    def _check_disk_group(self, group: Vmdg, resources: Sequence[Resource]) -> None:
        guest = next((each for each in resources if isinstance(each, Guest) and each.rid == group.container_id), None)
        if guest is None:
            return  # what is wrong with it has been told
        section = self.sections.get(group.rid) or self.sections[guest.rid]
        say = partial(self.findings.add, section.position, section=section.name, code="disk-group")
        served = self.catalog.capabilities.get(("container", guest.type))
        if served is not None and "disks" not in served:
            message = f"the driver of type `{guest.type}` cannot name a guest's disks"
            say(message, key="scsireserv" if group.scsireserv else "", hint="remove it; name devices in a `[disk#1]`")
        elif group.scsireserv and not guest.is_local:
            message = f"{guest.name} runs on another host, whose disks cannot be reserved from here"
            say(message, key="scsireserv", hint="set `scsireserv = false`")
        elif self.sections[guest.rid].variants("scsireserv") and guest.scsireserv != group.scsireserv:
            message = f"`scsireserv` says one thing here and another in [{guest.rid}]"
            say(message, key="scsireserv", hint="remove one of them")
