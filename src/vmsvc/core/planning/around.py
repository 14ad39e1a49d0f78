"""The operator's own commands around the steps of a plan. Pure."""

from __future__ import annotations

import shlex

from vmsvc.core.planning.plan import Step
from vmsvc.core.triggers import Triggered
from vmsvc.core.verb import Verb


def around(owner: Triggered, verb: Verb, steps: list[Step], rid: str = "") -> list[Step]:
    """Steps with what runs before and after them. Where there are none, nothing runs.

    Args:
        owner: What the commands belong to.
        verb: What is done to it.
        steps: The steps.
        rid: The resource's id; empty where they belong to the service itself.
    """

    def runs(*, before: bool) -> list[Step]:
        return [
            Step(rid=rid, verb=Verb.RUN, budget_s=each.budget_s, why=shlex.join(each.command), trigger=each)
            for each in owner.triggers(verb, before=before, rid=rid)
        ]

    return [*runs(before=True), *steps, *runs(before=False)] if steps else []
