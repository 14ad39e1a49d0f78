"""Reads every path of disks once, for a status: what must not change anything, and costs one request a path. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from vmsvc.core.vmdg import laws
from vmsvc.core.vmdg.decide import REPEATS
from vmsvc.core.vmdg.seen import Performed, Reading, ScsiDisk
from vmsvc.core.vmdg.turn import Request

#: How often a disk is read anew whose paths show different things. They were read at different moments, and somebody is
#: changing it; if they go on to differ, they may lead to different disks.
LOOKS_AGAIN = 2


@frozen(kw_only=True)
class Survey:
    """A look at disks through all of their paths, as a machine like :class:`~vmsvc.core.vmdg.attempt.Attempt`.

    Attributes:
        disks: The disks.
        wants: The next requests, in parallel: a path with a unit attention or "busy" is asked again, and so is a disk
            whose paths show different things.
        looks: How often disks were read anew for that.
        readings: What each path showed so far.
    """

    disks: tuple[ScsiDisk, ...]
    wants: tuple[Request, ...]
    looks: int = 0
    readings: tuple[tuple[Request, Reading], ...] = ()

    @property
    def result(self) -> tuple[tuple[Reading, ...], ...] | None:
        """The readings of each disk, in the order of the disks and of their paths; ``None`` until all are there."""
        if self.wants:
            return None
        shown = {(request.disk, request.path): reading for request, reading in self.readings}
        return tuple(
            tuple(shown[disk, path] for path in disk.paths if (disk, path) in shown)  # fewer if it was given up
            for disk in self.disks
        )

    @property
    def takes_back(self) -> bool:
        """A look has nothing to take back."""
        return False

    def advanced(self, answers: tuple[Reading | Performed, ...]) -> Survey:
        """The survey after its requests have been answered.

        Args:
            answers: One reading for each request.
        """
        again: tuple[Request, ...] = ()
        readings = self.readings
        for request, answer in zip(self.wants, answers, strict=True):
            assert isinstance(answer, Reading)
            readings = (*readings, (evolve(request, tries=0), answer))  # a later one replaces it
            if answer.answer in laws.AGAIN and request.tries < REPEATS:
                again = (*again, evolve(request, tries=request.tries + 1))
        seen = evolve(self, wants=again, readings=readings)
        return seen if again or self.looks >= LOOKS_AGAIN else seen._looking_again()  # noqa: SLF001 - it is one of us

    def _looking_again(self) -> Survey:
        """The survey, about to read disks anew whose paths differ."""
        moving = [
            disk
            for disk, shown in zip(self.disks, self.result or (), strict=True)
            if not laws.agree(reading for reading in shown if laws.is_credible(reading, has_counted=False))
        ]
        return evolve(self, wants=_of_every_path(moving, tries=self.looks + 1), looks=self.looks + 1)

    def given_up(self, why: str) -> Survey:
        """The survey with what it has; what was not read stays unread.

        Args:
            why: Not used: a path that is missing among the readings is told as one that did not answer.
        """
        del why
        return evolve(self, wants=())


def survey(disks: Iterable[ScsiDisk]) -> Survey:
    """Look at disks through all of their paths.

    Args:
        disks: The disks.
    """
    disks = tuple(disks)
    return Survey(disks=disks, wants=_of_every_path(disks))


def _of_every_path(disks: Iterable[ScsiDisk], *, tries: int = 0) -> tuple[Request, ...]:
    return tuple(Request(disk=disk, path=path, tries=tries) for disk in disks for path in disk.paths)
