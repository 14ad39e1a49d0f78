"""Addresses: the core's own driver of kind ``ip``, of those inside guests and of those that the node itself has."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from vmsvc.core.contract import API, Capability
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import VmsvcError
from vmsvc.core.inside.place import Places
from vmsvc.core.ips.given import GivenAddresses
from vmsvc.core.ips.guests import Adapters
from vmsvc.core.ips.halves import Check, Found, Half, best
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.names import only_one
from vmsvc.core.ips.neighbours import asked, who_has
from vmsvc.core.ips.node import NodeAddresses
from vmsvc.core.ips.ping import START_S, ping
from vmsvc.core.ips.sweep import Sweep
from vmsvc.core.kinds import Ip, Located
from vmsvc.core.lane import call_each
from vmsvc.core.networks import held_by_no_one, lacks_zone, usual_form
from vmsvc.core.planning.rules import CANNOT_HEAR
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Evidence, Observation, Phase, Status, inapplicable, unknown
from vmsvc.core.transport.names import resolved

_PROBE = "ping, adapters inside"
#: How many addresses of one name are looked at side by side.
_WIDTH = 16
#: What is left of a look's time for telling what was seen, in seconds.
_RESERVE_S = 0.2


class IpDriver:
    """Looks at addresses, and configures those that are the node's own.

    An address inside a guest is up where ping answers *and* the adapter has it. Where a name has several addresses, one
    that is up by both is enough; the others are told.

    Args:
        places: Where addresses are.
        ledger: Where it is written down what the node has added.
        elsewhere: Asks the other nodes where a guest is that is down here, within so many seconds; ``None`` where they
            are not to be asked.
    """

    type: ClassVar[str] = ""
    kind: ClassVar[str] = "ip"
    api: ClassVar[frozenset[int]] = frozenset({API})
    options: ClassVar[builtins.type[Resource]] = Ip
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(
        self, places: Places, ledger: Ledger, elsewhere: Callable[[Guest, float], tuple[str, str]] | None = None
    ) -> None:
        self._places = places
        self._elsewhere = elsewhere
        self._adapters = Adapters(places)
        self._own = NodeAddresses(places.node, ledger)
        self._given = GivenAddresses(places, ledger)
        self._sweep = Sweep(self._unexpected, places.node)

    def guest_of(self, resource: Located) -> Guest:
        """The guest inside which an address is.

        Args:
            resource: An address inside a guest.
        """
        return self._places.guest_of(resource)

    def observe_inside(self, resource: Ip, guest: Observation, *, budget_s: float) -> Observation:
        """Say where an address stands, once its guest has been looked at.

        Args:
            resource: The address.
            guest: What was seen of its guest.
            budget_s: How long the look may take, in seconds.
        """
        began = time.monotonic()
        if guest.phase is Phase.UNKNOWN:
            return unknown(_PROBE, f"its guest could not be seen: {guest.evidence.detail}")
        if guest.status is Status.DOWN:
            return self._without_guest(resource, guest, began, budget_s)
        try:
            checks = self._checks(resource, guest, began + budget_s)
        except VmsvcError as error:
            return unknown(_PROBE, error, duration_s=time.monotonic() - began)
        check, others = best(checks)
        phase, words = check.phase, self._words(check)
        is_better_off = guest.status is not Status.UP and phase is Phase.RUNNING
        if guest.phase in CANNOT_HEAR or (is_better_off and guest.phase is not Phase.PREPARED):
            phase = guest.phase  # an address is never better off than its guest, unless the node has given it that
        if guest.status is not Status.UP:
            words = f"the guest is {guest.state}; {words}"
        if phase is Phase.INAPPLICABLE:
            return inapplicable("configuration", words)
        also = [f"{resource.ipname} is {each.address}, too: {each.words}" for each in others]
        left = check.adapter.left_over
        if left and check.phase is not Phase.RUNNING:
            words = f"{words}; {left}"
        elif left:
            also.append(left)
        return _observation(phase, words, began, *also)

    def _without_guest(self, resource: Ip, guest: Observation, began: float, budget_s: float) -> Observation:
        """The guest is down, and so is its address; unless somebody else has it."""
        words = f"the guest is {guest.state}"
        if resource.is_plumbed:
            left = self._left_behind(resource, words, began, budget_s)
            if left is not None:
                return left
        if not resource.check_ping:
            return _observation(Phase.STOPPED, words, began)
        try:
            addresses = resolved(resource.ipname, budget_s=budget_s)
        except VmsvcError as error:
            return _observation(Phase.STOPPED, words, began, f"whether somebody else has the address: {error}")
        deadline = began + budget_s - _RESERVE_S
        halves = _together([partial(self._ask_unexpected, address, deadline) for address in addresses], deadline)
        for address, half in zip(addresses, halves, strict=True):
            if half.found is Found.YES and guest.phase is Phase.MOVED:
                return _observation(Phase.MOVED, f"{words}; {half.words}", began)
            if half.found is Found.YES:
                where, doubt = self._where(resource, began + budget_s - _RESERVE_S)
                claim = f"{address} {self._claim(address, half, guest)}{doubt}"
                phase, told = (Phase.STOPPED, f"{words} here, and {where}") if where else (Phase.CONTESTED, claim)
                return _observation(phase, told, began)
        doubts = [f"whether somebody else has the address: {half.words}" for half in halves if _is_doubt(half)]
        return _observation(Phase.STOPPED, f"{words}; {halves[0].words}", began, *doubts)

    def _claim(self, address: str, half: Half, guest: Observation) -> str:
        if half.holder:
            return f"is taken although the guest is {guest.state} here: {half.holder}, and does not answer to ping"
        return f"answers although the guest is {guest.state} here: {self._who_has(address)}"

    def _ask_unexpected(self, address: str, deadline: float) -> Half:
        if useless := _why_no_ping(address):
            return Half(Found.UNKNOWN, useless)
        swept = self._sweep.check(address, deadline)
        return asked(self._places.node(), address, deadline=deadline) if swept is None else swept

    def _unexpected(self) -> list[str]:
        """The addresses inside guests that are given as such; names are resolved, and asked, one by one."""
        written = (
            usual_form(each.ipname)
            for service in self._places.services.values()
            for each in service.resources
            if isinstance(each, Ip) and each.is_inside_guest and each.check_ping and not each.disable
        )
        return [address for address in written if address]

    def _left_behind(self, resource: Ip, words: str, began: float, budget_s: float) -> Observation | None:
        """What the node has given to a guest that is down, and has still."""
        try:
            address = only_one(resource, budget_s)
        except VmsvcError as error:
            return unknown(_PROBE, error, duration_s=time.monotonic() - began)
        half = self._given.check(resource, address, began + budget_s - _RESERVE_S)
        if half.found is Found.UNKNOWN:
            return unknown(_PROBE, half.words, duration_s=time.monotonic() - began)
        left = half.words if half.found is Found.YES else half.left_over
        return _observation(Phase.DEGRADED, f"{words}; {left}", began) if left else None

    def _where(self, resource: Ip, deadline: float) -> tuple[str, str]:
        """On which other node the guest is whose address answers; or what speaks for it that it may be on one."""
        service = self._places.services[resource.service]
        if len({*service.nodes, *service.drpnodes}) <= 1:
            return "", ""
        if self._elsewhere is None:
            return "", "; the guest may be up on another node of the service"
        where, doubt = self._elsewhere(self.guest_of(resource), left_until(deadline))
        return where, f"; {doubt}" if doubt else "; no other node of the service says that it is there"

    def _checks(self, resource: Ip, guest: Observation, deadline: float) -> list[Check]:
        deadline -= _RESERVE_S
        addresses = resolved(resource.ipname, budget_s=left_until(deadline))
        in_time = deadline - _RESERVE_S  # so that who waits in vain can still tell for what
        outside = [self._ping(resource, address, guest, in_time) for address in addresses]
        inside = [self._adapter(resource, address, guest, in_time) for address in addresses]
        halves = _together([*outside, *inside], deadline)
        count = len(addresses)
        return [
            Check(address=address, ping=heard, adapter=seen)
            for address, heard, seen in zip(addresses, halves[:count], halves[count:], strict=True)
        ]

    def _ping(self, resource: Ip, address: str, guest: Observation, deadline: float) -> Callable[[], Half]:
        if guest.phase is Phase.PREPARED:
            return partial(Half, Found.LEFT_OUT, "nobody is there yet to answer a ping")
        if not resource.check_ping:
            return partial(Half, Found.LEFT_OUT, "ping is left out (`check_ping = false`)")
        if useless := _why_no_ping(address):
            return partial(Half, Found.UNKNOWN, useless)
        wait_s = min(resource.ping_timeout, left_until(deadline) - START_S)
        return partial(ping, self._places.node(), address, wait_s=wait_s)

    def _adapter(self, resource: Ip, address: str, guest: Observation, deadline: float) -> Callable[[], Half]:
        if resource.is_plumbed and (resource.check_adapter or guest.phase is Phase.PREPARED):
            return partial(self._given.check, resource, address, deadline)
        if not resource.check_adapter:
            return partial(Half, Found.LEFT_OUT, "the adapter is left out (`check_adapter = false`)")
        if guest.phase in CANNOT_HEAR:
            return partial(Half, Found.LEFT_OUT, "nobody was asked inside")
        if why := self._adapters.left_out(self.guest_of(resource)):
            return partial(Half, Found.LEFT_OUT, f"the adapter is left out ({why})")
        return partial(self._adapters.check, resource, address, guest, deadline)

    def _words(self, check: Check) -> str:
        """Both halves in words; of an address that answers and is not where it should be, who it is that answers."""
        if check.ping.found is Found.YES and check.adapter.found is Found.NO:
            return f"{check.ping.words} ({self._who_has(check.address)}); {check.adapter.words}"
        return check.words

    def _who_has(self, address: str) -> str:
        return who_has(self._places.node(), address)

    # --- what the node itself has, or gives to a guest ----------------------------------------------------------------

    def observe(self, resource: Ip, *, budget_s: float) -> Observation:
        """Say where an address of the node itself stands.

        Args:
            resource: The address.
            budget_s: How long the look may take, in seconds.

        Raises:
            Undetermined: It cannot be told.
        """
        return self._own.observe(resource, budget_s=budget_s)

    def start(self, resource: Ip, *, budget_s: float) -> bool:
        """Add an address to the node, or give it to a guest; nothing where it is there.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Returns:
            Whether it was this call that added it.

        Raises:
            Refused: Somebody else has the address.
            DriverError: The adapter is not as it must be, or the address is on another one.
            Undetermined: Whether somebody else has the address cannot be found out.
        """
        return self._keeper(resource).start(resource, budget_s=budget_s)

    def stop(self, resource: Ip, *, budget_s: float) -> None:
        """Take an address away from the node, or from a guest; nothing where it is not there.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: It is on another adapter, or the kernel refuses.
        """
        self._keeper(resource).stop(resource, budget_s=budget_s)

    def kill(self, resource: Ip, *, budget_s: float) -> None:
        """Take an address away: there is no force that would help more.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: It is on another adapter, or the kernel refuses.
        """
        self._keeper(resource).stop(resource, budget_s=budget_s)

    def _keeper(self, resource: Ip) -> NodeAddresses | GivenAddresses:
        return self._given if resource.is_plumbed else self._own

    def close(self) -> None:
        """Do nothing: hosts are the session's."""


def _together(asks: Sequence[Callable[[], Half]], deadline: float) -> list[Half]:
    """Ask side by side; who has not answered by the deadline is unknown."""
    halves = call_each(lambda ask: ask(), asks, deadline=deadline, width=_WIDTH, name="vmsvc ip")
    return [half or Half(Found.UNKNOWN, "no answer in time") for half in halves]


def _why_no_ping(address: str) -> str:
    """Why nobody knows who it is that answers to an address, which a name has resolved to; empty where it is known."""
    why = held_by_no_one(address) or ("is in each network (link-local)" if lacks_zone(address) else "")
    return why and f"{address} {why}: no ping can tell whether the guest has it"


def _is_doubt(half: Half) -> bool:
    return half.found is Found.UNKNOWN


def _observation(phase: Phase, words: str, began: float, *warnings: str) -> Observation:
    evidence = Evidence(probe=_PROBE, detail=words, duration_s=time.monotonic() - began)
    return Observation(phase=phase, state=words, evidence=evidence, warnings=warnings)
