"""Who does what, to which disks, and how much may go wrong."""

from __future__ import annotations

from attrs import field, frozen

#: Each node's key. A's is a prefix of B's, as text; C's has its highest bit set.
KEYS = {"a": 0xA1, "b": 0xA1B2, "c": 0xFFFF_FFFF_FFFF_FFF0}


def dead_nexus(name: str) -> str:
    """A connection of a node from before it booted: its living ones are numbered from 1."""
    return f"{name}0"


@frozen
class Acquire:
    """Take all disks; with success, the guest runs.

    Attributes:
        over: The nodes that are named as holders who may be evicted.
        in_use: Whether the guest runs already: after it has arrived, or to register again what was lost.
        spares_holder: Whether the disks are taken from no other holder, nor where nothing of ours is left: so where the
            guest has run here all the time.
    """

    over: str = ""
    in_use: bool = False
    spares_holder: bool = False


@frozen
class Release:
    """The guest has stopped; remove what is ours."""


@frozen
class Join:
    """Register beside the source of a live migration."""

    source: str


@frozen
class Arrive:
    """The guest leaves the source and runs here, in one moment."""

    source: str


Action = Acquire | Release | Join | Arrive


@frozen(kw_only=True)
class Scenario:
    """What is explored.

    Attributes:
        name: What it is about.
        scripts: Each node's actions, one after the other. One that does not succeed ends the script.
        holding: The node whose guest runs on all disks in the beginning.
        stale: Nodes that are registered on all disks in the beginning, and run nothing.
        booted: The node that holds all disks in the beginning, by a connection that died when it booted.
        reserved_as: The type of the holder's reservation.
        is_race: Whether exactly one node must have taken all disks in the end, if nothing went wrong.
        faults: How many replies may be lost, or be wrong.
        crashes: How many times a node may die, or its process, or an action be interrupted.
        deaths: How many paths may die; they may come back.
        is_late: Whether a fault may also be that a request is given up, and is carried out at any time afterwards; and
            whether the requests of a process that is killed may be.
        is_attentive: Whether nodes hear of unit attentions. Kernels and other software may take them away.
        is_partial: Whether the holder is registered on its first path only.
        is_full: Whether no path is registered that is not, for the target has no room for it.
        disks: How many disks.
        paths: How many paths each node has to each disk.
    """

    name: str
    scripts: dict[str, tuple[Action, ...]] = field(eq=False)
    holding: str = ""
    stale: str = ""
    booted: str = ""
    reserved_as: int = 5
    is_race: bool = False
    faults: int = 0
    crashes: int = 0
    deaths: int = 0
    is_late: bool = False
    is_attentive: bool = True
    is_partial: bool = False
    is_full: bool = False
    disks: int = 2
    paths: int = 2

    def __str__(self) -> str:
        """Its name and its bounds."""
        bounds = f"{self.disks} disk{'s' * (self.disks > 1)}, {self.paths} path{'s' * (self.paths > 1)}"
        allowed = {"faults": self.faults, "crashes": self.crashes, "dead paths": self.deaths}
        flags = {
            "late": self.is_late,
            "no attentions": not self.is_attentive,
            "a path missing": self.is_partial,
            "no room": self.is_full,
        }
        told = [
            *(f"{name} ≤ {count}" for name, count in allowed.items() if count),
            *(name for name in flags if flags[name]),
        ]
        return ", ".join([self.name, bounds, *told])


_RACE = {"a": (Acquire(),), "b": (Acquire(),)}
_TURNS = {"a": (Acquire(), Release()), "b": (Acquire(),)}
_TAKEOVER = {"a": (Release(),), "b": (Acquire(over="a"),)}
_AGAIN = {"a": (Acquire(in_use=True, spares_holder=True),), "b": (Acquire(over="a"),)}
_AGAIN_AFTERWARDS = {**_AGAIN, "b": (Acquire(over="a"), Release())}
_AGAINST_EACH_OTHER = {"a": (Acquire(over="b", in_use=True, spares_holder=True),), "b": (Acquire(over="a"),)}
_MIGRATION = {"a": (Release(),), "b": (Join("a"), Arrive("a"), Acquire(over="a", in_use=True))}
_STAYING = {"a": (Acquire(over="b", in_use=True),), "b": (Join("a"), Release())}

#: What is explored in every test run.
SLICE = (
    Scenario(name="two race", scripts=_RACE, is_race=True),
    Scenario(name="two race", scripts=_RACE, is_race=True, faults=1),
    Scenario(name="two race", scripts=_RACE, is_race=True, crashes=1, disks=1),
    Scenario(name="two race", scripts=_RACE, is_race=True, deaths=1, disks=1),
    Scenario(name="three race", scripts={**_RACE, "c": (Acquire(),)}, is_race=True, paths=1),
    Scenario(name="one releases while the other takes", scripts=_TURNS),
    Scenario(name="who runs is forced against and forces", scripts=_AGAINST_EACH_OTHER, holding="a"),
    Scenario(name="one releases while the other takes", scripts=_TURNS, crashes=1, disks=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a"),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", crashes=1, is_late=True, disks=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", deaths=1, disks=1),
    Scenario(name="takeover from type 3", scripts=_TAKEOVER, holding="a", reserved_as=3, disks=1),
    Scenario(name="takeover from type 7", scripts=_TAKEOVER, holding="a", reserved_as=7, disks=1),
    Scenario(
        name="takeover beside a stale registrant",
        scripts={**_TAKEOVER, "c": (Release(),)},
        holding="a",
        stale="c",
        disks=1,
    ),
    Scenario(
        name="two take over from the same holder",
        scripts={"a": (), "b": (Acquire(over="a"),), "c": (Acquire(over="a"),)},
        holding="a",
    ),
    Scenario(name="takeover while the holder starts again", scripts=_AGAIN, holding="a"),
    Scenario(name="the holder starts again after it has lost its disks", scripts=_AGAIN_AFTERWARDS, holding="a"),
    Scenario(name="two race", scripts=_RACE, is_race=True, is_attentive=False),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", is_attentive=False),
    Scenario(name="takeover while the holder starts again", scripts=_AGAIN, holding="a", is_attentive=False),
    Scenario(name="two race", scripts=_RACE, is_race=True, faults=1, is_late=True, disks=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", faults=1, is_late=True, disks=1),
    Scenario(name="two race after a boot of one", scripts=_RACE, booted="a", disks=1),
    Scenario(name="two race after a boot of one", scripts=_RACE, booted="a", crashes=1, disks=1),
    Scenario(name="two race after a boot of one", scripts=_RACE, booted="a", is_full=True, disks=1),
    Scenario(name="migration", scripts=_MIGRATION, holding="a"),
    Scenario(name="migration", scripts=_MIGRATION, holding="a", faults=1, is_late=True, disks=1),
    Scenario(name="migration", scripts=_MIGRATION, holding="a", crashes=1, is_late=True, disks=1),
    Scenario(name="migration beside a racer", scripts={**_MIGRATION, "c": (Acquire(),)}, holding="a", disks=1),
    Scenario(name="migration that is abandoned", scripts=_STAYING, holding="a", disks=1),
)

#: What takes longer.
WHOLE = (
    Scenario(name="two race", scripts=_RACE, is_race=True, faults=2),
    Scenario(name="two race", scripts=_RACE, is_race=True, crashes=2),
    Scenario(name="two race", scripts=_RACE, is_race=True, deaths=1),
    Scenario(name="two race", scripts=_RACE, is_race=True, faults=1, crashes=1),
    Scenario(name="three race", scripts={**_RACE, "c": (Acquire(),)}, is_race=True),
    Scenario(name="one releases while the other takes", scripts=_TURNS, crashes=1),
    Scenario(name="one releases while the other takes", scripts=_TURNS, faults=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", faults=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", crashes=1),
    Scenario(name="takeover", scripts=_TAKEOVER, holding="a", deaths=1),
    Scenario(name="takeover while the holder starts again", scripts=_AGAIN, holding="a", faults=1, disks=1),
    Scenario(name="takeover while the holder starts again", scripts=_AGAIN, holding="a", deaths=1, disks=1),
    Scenario(name="takeover from a racer", scripts={"a": (Acquire(),), "b": (Acquire(over="a"),)}),
    Scenario(name="each may take over", scripts={"a": (Acquire(over="b"),), "b": (Acquire(over="a"),)}, paths=1),
    Scenario(
        name="takeover beside a stale registrant",
        scripts={**_TAKEOVER, "c": (Release(),)},
        holding="a",
        stale="c",
        paths=1,
    ),
    Scenario(name="migration", scripts=_MIGRATION, holding="a", faults=1),
    Scenario(name="migration", scripts=_MIGRATION, holding="a", crashes=1),
    Scenario(name="migration beside a racer", scripts={**_MIGRATION, "c": (Acquire(),)}, holding="a"),
    Scenario(name="migration that is abandoned", scripts=_STAYING, holding="a", faults=1, crashes=1, disks=1),
)

#: What is violated, and told in the documentation: all but the last by nothing that a request of SPC-4 could prevent.
LIMITS = (
    # To register is not conditional on holding: a path that has none gets its registration after it was evicted.
    (
        "I1",
        Scenario(
            name="a missing path is registered during a takeover", scripts=_AGAIN, holding="a", is_partial=True, disks=1
        ),
    ),
    # A request that was given up, or that a killed process had begun, is carried out when its node is at it again: it
    # takes away what the node has now, or leaves a registration behind.
    (
        "I2",
        Scenario(
            name="a request lands a turn later",
            scripts={"a": (Acquire(), Release(), Acquire()), "b": (Acquire(),)},
            faults=1,
            is_late=True,
            disks=1,
            paths=1,
        ),
    ),
    ("I2", Scenario(name="one releases while the other takes", scripts=_TURNS, crashes=1, is_late=True, disks=1)),
    ("I4", Scenario(name="two race", scripts=_RACE, crashes=1, is_late=True, disks=1)),
    # "Done" is said, and was not: the connection that died is counted for the path that is not registered.
    ("I11", Scenario(name="two race after a boot of one", scripts=_RACE, booted="a", faults=1, disks=1, paths=1)),
)
