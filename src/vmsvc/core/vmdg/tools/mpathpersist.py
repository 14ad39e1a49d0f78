"""Reservations of multipath maps whose registrations multipathd keeps (``reservation_key file`` in multipath.conf).

multipathd registers a path that appears later, if it knows the key, and it learns the key from ``mpathpersist``. That,
and no more, is what ``mpathpersist`` is used for. All else goes through the paths, one by one, by ``sg_persist``, since
versions before 0.13 (Debian 12 has 0.9.4)

* register some paths only, and exit with 0;
* refuse ``--preempt-abort`` where the key stands in the section ``multipaths``;
* reserve through one path, and conflict with themselves once that path is down;
* release by removing everybody's keys, and registering others' anew, where the holding path is down;
* roll back a removal that one path conflicts with: all others are registered again;
* swallow unit attentions, which tell that somebody has evicted us.

Sources: NEWS.md of multipath-tools 0.12 and 0.13, mpathpersist(8), multipathd(8), multipath.conf(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from attrs import evolve

from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.transport import Host
from vmsvc.core.vmdg.keys import key_text
from vmsvc.core.vmdg.laws import AGAIN
from vmsvc.core.vmdg.seen import Act, Answer, Capabilities, Operation, Performed, Reading, ScsiDisk
from vmsvc.core.vmdg.tool import NO_DEADLINE, TOO_LATE, Deadline
from vmsvc.core.vmdg.tools.sg_persist import SgPersist

_WORDS = re.compile(r'"[^"]*"|[{}]|[^\s{}"]+')

#: After these answers another path may do better: it was dead, or was not registered.
_TRY_ANOTHER = (Answer.GONE, Answer.SILENT, Answer.CONFLICT)


class MpathPersist:
    """Asks devices by ``sg_persist``, and tells multipathd of keys where it is to keep a map's registrations.

    Operations upon a managed disk name its map; of others, and whatever is read, a path.

    Args:
        host: Where the commands run.
        paths: What single paths are asked by.
        budget_s: How long one call of a tool may take, in seconds.
    """

    def __init__(self, host: Host, paths: SgPersist, *, budget_s: float = 15.0) -> None:
        self._host = host
        self._paths = paths
        self._budget_s = budget_s
        self._acts: dict[Act, Callable[[ScsiDisk, Operation, Deadline], Performed]] = {
            Act.REGISTER: self._register,
            Act.UNREGISTER: self._unregister,
            Act.RESERVE: self._through_one,
            Act.PREEMPT: self._through_one,
            Act.RELEASE: self._release,
        }

    def read(self, disk: ScsiDisk, path: str, *, deadline: Deadline = NO_DEADLINE) -> Reading:
        """Read registrations and reservation through one path.

        Args:
            disk: The disk.
            path: One of its paths.
            deadline: Until when commands may run for it.
        """
        return self._paths.read(disk, path, deadline=deadline)

    def capabilities(self, disk: ScsiDisk, path: str) -> Capabilities:
        """Ask through one path what the disk can do with reservations.

        Args:
            disk: The disk.
            path: One of its paths.
        """
        return self._paths.capabilities(disk, path)

    def perform(self, disk: ScsiDisk, operation: Operation, *, deadline: Deadline = NO_DEADLINE) -> Performed:
        """Do something, once; of a managed disk, through as many paths as it takes.

        Args:
            disk: The disk.
            operation: What to do, and through which of its paths, or by its map.
            deadline: Until when commands may run for it.
        """
        if operation.path != disk.map:
            return self._paths.perform(disk, operation, deadline=deadline)
        return self._acts[operation.act](disk, operation, deadline)

    def _register(self, disk: ScsiDisk, operation: Operation, deadline: Deadline) -> Performed:
        each = self._through_all(disk, operation, deadline)
        if again := _to_be_repeated(each):
            return _joined(operation, again, each)  # mpathpersist would register over the attention
        if not any(one.answer is Answer.DONE for one in each):
            return _joined(operation, _first_but(each), each)
        told = self._tell(
            *("mpathpersist", "--out", "--register-ignore", f"--param-sark={key_text(operation.key)}"),
            *(["--param-aptpl"] if self._paths.keeps_registrations(disk) else []),
            disk.map,
            deadline=deadline,
        )
        return _joined(operation, Answer.DONE, each, told)  # the map can be used through one path at least

    def _unregister(self, disk: ScsiDisk, operation: Operation, deadline: Deadline) -> Performed:
        # multipathd first: it would register a path that comes back meanwhile.
        told = self._tell("multipathd", "unsetprkey", "map", PurePosixPath(disk.map).name, deadline=deadline)
        each = self._through_all(disk, operation, deadline)
        # A path that conflicts has no registration of ours: that is what was wanted.
        answer = _to_be_repeated(each) or _first_but(each, Answer.DONE, Answer.CONFLICT)
        return _joined(operation, answer, each, told)

    def _release(self, disk: ScsiDisk, operation: Operation, deadline: Deadline) -> Performed:
        """Through all paths: one of them may hold it, and the others say "done" and do nothing."""
        each = self._through_all(disk, operation, deadline)
        return _joined(operation, _to_be_repeated(each) or _first_but(each, Answer.DONE), each)

    def _through_one(self, disk: ScsiDisk, operation: Operation, deadline: Deadline) -> Performed:
        """Through the first path that can do it; repeating it through another takes nothing from anybody else."""
        tried: list[Performed] = []
        for path in disk.paths:
            tried.append(self._paths.perform(disk, evolve(operation, path=path), deadline=deadline))
            if tried[-1].answer not in _TRY_ANOTHER:
                break
        return _joined(operation, tried[-1].answer if tried else Answer.GONE, tried)

    def _through_all(self, disk: ScsiDisk, operation: Operation, deadline: Deadline) -> list[Performed]:
        def perform(path: str) -> Performed:
            return self._paths.perform(disk, evolve(operation, path=path), deadline=deadline)

        with ThreadPoolExecutor(max_workers=max(len(disk.paths), 1)) as threads:
            return [*threads.map(perform, disk.paths)]

    def _tell(self, *argv: str, deadline: Deadline) -> str:
        """Have multipathd know something; what came in the way is told, and does not keep paths from being asked."""
        budget_s = deadline.budget_s(self._budget_s)
        if not budget_s:
            return f"{argv[0]}: {TOO_LATE}"
        try:
            outcome = self._host.run(argv, budget_s=budget_s, environment={"LC_ALL": "C"})
        except (Undetermined, ActionFailed) as error:
            return error.message
        words = "; ".join(line.strip() for line in (outcome.out + outcome.err).splitlines() if line.strip())
        has_failed = outcome.code != 0 or words == "fail"  # multipathd answers in words
        return f"{argv[0]}: {words} (exit code {outcome.code})" if has_failed else ""


def _to_be_repeated(each: Iterable[Performed]) -> Answer | None:
    """An answer that says that a path has not done it yet; whether it is asked again is for the caller to decide.

    A unit attention may have told that somebody has just evicted us: it must not be lost here.
    """
    return next((one.answer for one in each if one.answer in AGAIN), None)


def _first_but(each: Iterable[Performed], *good: Answer) -> Answer:
    """The first answer that is none of the good ones."""
    return next((one.answer for one in each if one.answer not in good), Answer.DONE)


def _joined(operation: Operation, answer: Answer, each: Iterable[Performed], told: str | None = None) -> Performed:
    """One answer for a map, of its paths' answers, and of what multipathd was told."""
    each = [*each]
    failed = [
        f"{one.operation.path}: {one.detail or one.answer.value}" for one in each if one.answer is not Answer.DONE
    ]
    return Performed(
        operation=operation,
        answer=answer,
        detail="; ".join(filter(None, [told, *failed])),
        calls=sum(one.calls for one in each) + (told is not None),
    )


def managed_maps(host: Host, *, budget_s: float = 10.0) -> Callable[[str, str], bool]:
    """Which maps' registrations multipathd keeps, by one command.

    Args:
        host: Where multipathd runs.
        budget_s: How long it may take, in seconds.

    Returns:
        A function of a map's name and of its WWID in multipathd's words, such as ``mpatha`` and ``36001405…``. It says
        no to every map where multipathd does not answer, since then it registers nothing.
    """
    try:
        outcome = host.run(["multipathd", "show", "config", "local"], budget_s=budget_s, environment={"LC_ALL": "C"})
    except (Undetermined, ActionFailed):
        return lambda _name, _wwid: False
    return keeps_keys(outcome.out if outcome.code == 0 else "")


def keeps_keys(text: str) -> Callable[[str, str], bool]:
    """Which maps have ``reservation_key file``, from multipathd's configuration. Pure.

    Args:
        text: What ``multipathd show config local`` printed, or a multipath.conf.

    Returns:
        A function of a map's name and of its WWID in multipathd's words.

    >>> keeps = keeps_keys("multipaths { multipath { wwid 36001405 reservation_key file } }")
    >>> keeps("mpatha", "36001405"), keeps("mpathb", "36001406")
    (True, False)
    """
    by_default, own = False, dict[str, bool]()
    section: list[str] = []
    entry: dict[str, str] = {}
    words = iter([word.strip('"') for line in text.splitlines() for word in _WORDS.findall(line.partition("#")[0])])
    for word in words:
        if word == "}":
            if section == ["multipaths", "multipath"] and "reservation_key" in entry:
                for name in ("wwid", "alias"):
                    own[entry.get(name, "")] = entry["reservation_key"] == "file"
            section, entry = section[:-1], {}
            continue
        value = next(words, "}")
        if value == "{":
            section, entry = [*section, word], {}
        elif section == ["defaults"] and word == "reservation_key":
            by_default = value == "file"
        else:
            entry[word] = value
    return lambda name, wwid: own.get(wwid, own.get(name, by_default))
