"""What a verb may act upon."""

import pytest

from vmsvc.driver import Phase, Undetermined, settled


@pytest.mark.parametrize("phase", [each for each in Phase if each not in (Phase.UNKNOWN, Phase.MIGRATING)])
def test_a_guest_whose_state_is_known_and_its_own_may_be_changed(phase):
    assert settled(phase, "domain web", "bound") is phase


def test_a_guest_whose_state_nobody_knows_is_not_changed():
    with pytest.raises(Undetermined, match="domain web is in a state that is not known: hovering"):
        settled(Phase.UNKNOWN, "domain web", "hovering")


@pytest.mark.parametrize("told", [{}, {"hint": "see by `xl list` who has it"}])
def test_a_guest_between_two_nodes_is_left_to_whoever_moves_it(told):
    with pytest.raises(Undetermined, match="domain web is between two nodes: it is active") as error:
        settled(Phase.MIGRATING, "domain web", "active (migrating)", **told)
    assert error.value.hint == told.get("hint", "try again when the migration has ended")
