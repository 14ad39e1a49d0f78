"""Addresses that the node itself has: looked for on its adapters, added once nobody else has them, taken away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from vmsvc.core.answers import GuestAddress
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import DriverError, Undetermined, VmsvcError
from vmsvc.core.ips import links
from vmsvc.core.ips.free import check_in_network, taken
from vmsvc.core.ips.halves import Found, left_over, on_adapter
from vmsvc.core.ips.ledger import Ledger
from vmsvc.core.ips.names import meant, only_one
from vmsvc.core.ips.neighbours import who_has_on
from vmsvc.core.kinds import Ip
from vmsvc.core.status import Evidence, Observation, Phase
from vmsvc.core.transport import Host

_log = logging.getLogger(__name__)

_PROBE = "ip -j addr"
#: How IPv6 tells that another machine has an address; ip-address(8).
_DUPLICATE = "dadfailed"
#: How often IPv6 is asked whether its own duplicate address detection is over, in seconds; it takes about two.
_POLL_S = 0.2
#: How long a command may take that only tells others of an address, in seconds.
_TELL_S = 3.0


class NodeAddresses:
    """Looks at the node's own addresses, adds them and takes them away.

    Args:
        node: Makes the host where the node's commands run.
        ledger: Where it is written down what was added.
    """

    def __init__(self, node: Callable[[], Host], ledger: Ledger) -> None:
        self._node = node
        self._ledger = ledger

    def observe(self, resource: Ip, *, budget_s: float) -> Observation:
        """Say whether an address is on its adapter, and whether that has a link.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Raises:
            Undetermined: It cannot be told.
        """
        began = time.monotonic()
        added = self._ledger.read(resource)
        address, doubt = meant(resource, added, budget_s)
        seen = links.look(self._node(), budget_s=left_until(began + budget_s))
        half = on_adapter(address, resource.ipdev, seen.addresses, added)
        is_up, is_something = half.found is Found.YES, seen.of(address) or half.left_over
        phase = Phase.RUNNING if is_up else Phase.DEGRADED if is_something else Phase.STOPPED
        words = half.words if is_up else half.all_words
        missing = "" if _adapter(resource) in seen.flags else f"this node has no adapter {_adapter(resource)}"
        return Observation(
            phase=phase,
            state=words,
            evidence=Evidence(probe=_PROBE, detail=words, duration_s=time.monotonic() - began),
            warnings=tuple(filter(None, (half.left_over if is_up else "", doubt, missing))),
        )

    def start(self, resource: Ip, *, budget_s: float) -> bool:
        """Add an address to its adapter, unless it is there, and once nobody else in its network has it.

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
        deadline = time.monotonic() + budget_s
        address = only_one(resource, budget_s)
        seen = links.look(self._node(), budget_s=left_until(deadline))
        if having := seen.of(address):
            if any(each.is_on(resource.ipdev) for each in having):
                return False
            raise DriverError(f"{on_adapter(address, resource.ipdev, seen.addresses).words}", code="driver.elsewhere")
        self._check_adapter(resource, address, seen)
        prefix = _prefix(resource, address, seen)
        has_neighbours = seen.has_neighbours(_adapter(resource))
        if has_neighbours:
            check_in_network(self._node(), address, _adapter(resource), budget_s=left_until(deadline))
        if has_neighbours and ":" in address:
            self._try(resource, links.telling_neighbours(_adapter(resource)))
        wanted = GuestAddress(device=resource.ipdev, address=address, prefix=prefix)
        self._ledger.write(resource, [*self._ledger.read(resource), wanted])
        if not links.add(self._node(), address, prefix, resource.ipdev, budget_s=left_until(deadline)):
            return False
        self._settle(resource, address, deadline)
        self._tell_others(resource, address, has_neighbours=has_neighbours)
        return True

    def stop(self, resource: Ip, *, budget_s: float) -> None:
        """Take an address away from its adapter, and what else was added for it; no other one.

        Args:
            resource: The address.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: It is on another adapter, or the kernel refuses.
        """
        deadline = time.monotonic() + budget_s
        added = self._ledger.read(resource)
        address, _ = meant(resource, added, budget_s)
        seen = links.look(self._node(), budget_s=left_until(deadline))
        having = seen.of(address)
        there = [each for each in having if each.is_on(resource.ipdev)]
        there += left_over(address, resource.ipdev, seen.addresses, added)
        if having and not there:
            words = on_adapter(address, resource.ipdev, seen.addresses).words
            raise DriverError(f"{words}: nothing is taken away from there", code="driver.elsewhere")
        for each in there:
            if seen.leaning_on(each):
                links.keep_secondaries(self._node(), _adapter(resource), budget_s=left_until(deadline))
            links.take_away(self._node(), each, budget_s=left_until(deadline))
        self._ledger.write(resource, ())

    def _check_adapter(self, resource: Ip, address: str, seen: links.Links) -> None:
        adapter = _adapter(resource)
        if adapter != resource.ipdev and ":" in address:
            raise DriverError(
                f"{address} can have no alias {resource.ipdev}: addresses of IPv6 have no labels",
                code="driver.alias",
                hint=f"`ipdev = {adapter}` in [{resource.rid}]",
            )
        if adapter not in seen.flags:
            raise DriverError(f"this node has no adapter {adapter}", hint=f"it has {', '.join(seen.flags)}")
        if "UP" not in seen.flags[adapter]:
            raise DriverError(f"the adapter {adapter} is down", hint=f"`ip link set {adapter} up`")
        if "NO-CARRIER" in seen.flags[adapter]:
            raise DriverError(f"the adapter {adapter} has no carrier: nobody could be asked whether an address is free")

    def _settle(self, resource: Ip, address: str, deadline: float) -> None:
        """Read back what was added. IPv6 finds out first whether another machine has it (RFC 4862, 5.4)."""
        while True:
            seen = links.look(self._node(), budget_s=left_until(deadline))
            there = [each for each in seen.of(address) if each.is_on(resource.ipdev)]
            if not there:
                raise DriverError(f"{address} was added to {resource.ipdev}, and is not there", code="driver.not-there")
            if not there[0].unusable:
                return
            is_taken = _DUPLICATE in there[0].unusable
            if not is_taken and time.monotonic() + _POLL_S < deadline:
                time.sleep(_POLL_S)
                continue
            links.take_away(self._node(), there[0], budget_s=_TELL_S)
            if is_taken:
                raise taken(address, who_has_on(self._node(), address, _adapter(resource)))
            raise Undetermined(f"{address} did not become usable on {resource.ipdev}: {there[0].unusable}")

    def _tell_others(self, resource: Ip, address: str, *, has_neighbours: bool) -> None:
        """Have the neighbours learn where the address is now; those who miss it learn it a little later."""
        if has_neighbours and ":" not in address:  # of IPv6, the kernel has told them
            self._try(resource, ["arping", "-A", "-c", "1", "-w", "1", "-I", _adapter(resource), address])
        if resource.gateway:
            self._try(resource, ["ping", "-n", "-c", "1", "-w", "1", "-I", address, resource.gateway])

    def _try(self, resource: Ip, argv: Sequence[str]) -> None:
        """Run what has others learn of an address sooner: without it, they learn of it later."""
        try:
            outcome = self._node().run(argv, budget_s=_TELL_S, environment=links.C_LOCALE)
        except VmsvcError as error:
            _log.warning("%s: telling others of %s: %s", resource.rid, resource.ipname, error)
        else:
            if outcome.code:
                _log.warning(
                    "%s: telling others of %s: %s exited with %d", resource.rid, resource.ipname, argv, outcome.code
                )


def _prefix(resource: Ip, address: str, seen: links.Links) -> int:
    longest = 128 if ":" in address else 32
    prefix = resource.netmask or seen.prefix_for(address, _adapter(resource))
    if not prefix:
        raise DriverError(
            f"the netmask of {address} is not known: no address of {_adapter(resource)} is in its network",
            code="driver.netmask",
            hint=f"add `netmask = 24`, or whatever it is, to [{resource.rid}]",
        )
    if prefix > longest:
        raise DriverError(f"`netmask` is longer than {address}: {prefix} bits", code="driver.netmask")
    return prefix


def _adapter(resource: Ip) -> str:
    """The adapter itself, where an alias of it is meant."""
    return resource.ipdev.partition(":")[0]
