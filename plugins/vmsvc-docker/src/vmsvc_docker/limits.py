"""How much of its node a container may use. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vmsvc.driver import Sizes
from vmsvc_docker.containers import Inspected

_NANO = 10**9
_MIB = 2**20
# The kernel's own period where only a quota is given, in microseconds: cpu.cfs_period_us.
_USUAL_PERIOD = 100_000


def of_container(container: Inspected, capacity: Callable[[], tuple[int, int]]) -> Sizes:
    """What a container may use; a part of a processor counts as one.

    Args:
        container: The container.
        capacity: Tells the node's processors and its memory in bytes; called where a limit is missing.
    """
    given = container.host_config
    cpus, memory = min(_processors(given), default=None), int(given.get("Memory") or 0)
    if cpus is None or not memory:
        all_cpus, all_memory = capacity()
        cpus, memory = cpus or all_cpus, memory or all_memory
    return Sizes(vcpus=math.ceil(cpus), memory_mib=memory // _MIB)


def _processors(given: Mapping[str, Any]) -> Iterator[float]:
    """Each limit that there is, in processors: the least holds."""
    if nano := int(given.get("NanoCpus") or 0):
        yield nano / _NANO
    if (quota := int(given.get("CpuQuota") or 0)) > 0:
        yield quota / int(given.get("CpuPeriod") or _USUAL_PERIOD)
    if named := str(given.get("CpusetCpus") or ""):
        yield sum(_length(each) for each in named.split(","))


def _length(processors: str) -> int:
    """How many processors ``3`` or ``0-3`` names: see cpuset(7), Formats."""
    first, _, last = processors.partition("-")
    return int(last or first) - int(first) + 1
