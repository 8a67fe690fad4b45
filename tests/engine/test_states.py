import itertools
from pathlib import Path

import pytest

from engine import states
from engine.states import ACTIVE, ENDED, IDLE, MEANING, MOVES, IllegalMoveError, Reason, State, move


def test_every_state_is_in_exactly_one_of_the_named_sets():
    assert sorted([*ENDED, *ACTIVE, *IDLE]) == sorted(State)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_a_move_is_made_exactly_when_the_table_has_it(old, new):
    if new in MOVES[old]:
        assert move(old, new) is new
    else:
        with pytest.raises(IllegalMoveError, match=f"{old} -> {new}"):
            move(old, new)


def test_what_has_ended_moves_no_more_but_a_failure_that_is_retried():
    assert {(old, new) for old in ENDED for new in MOVES[old]} == {(State.FAILED, State.RETRYING)}


def test_anything_that_has_not_ended_can_be_cancelled():
    assert all(State.CANCELLED in MOVES[state] for state in State if state not in ENDED)


def test_every_reason_has_a_sentence():
    assert set(MEANING) == set(Reason)
    assert all(len(sentence.split()) > 2 for sentence in MEANING.values())


def test_the_diagram_in_the_architecture_is_the_table():
    page = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert states.diagram() in page
