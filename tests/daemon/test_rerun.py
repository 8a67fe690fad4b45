import pytest

from daemon.intake import judge
from daemon.rerun import reusable
from engine.errors import TaskUnknownError
from engine.limits import Limits
from engine.states import State
from engine.task import Catalogue, TaskType

C, F, S, X = State.COMPLETED, State.FAILED, State.SKIPPED, State.CANCELLED


def kept(states, edges, start=None):
    tasks = [{"id": key, "type": "print", "message": "", "depends_on": edges.get(key, [])} for key in states]
    import json

    plan = judge(json.dumps({"tasks": tasks}).encode(), Catalogue({"print": TaskType(type="print")}), Limits())
    outputs = {key: b"1" for key, state in states.items() if state is C}
    return sorted(reusable("r", plan, states, outputs, start))


@pytest.mark.parametrize(
    ("states", "edges", "start", "expected"),
    [
        ({"a": C, "b": F, "c": S}, {"b": ["a"], "c": ["b"]}, None, ["a"]),
        ({"a": C, "b": C, "c": F}, {"b": ["a"], "c": ["b"]}, "b", ["a"]),
        ({"a": C, "b": C, "c": C}, {"b": ["a"], "c": ["b"]}, "a", []),
        # What completed behind a failure saw it; it has to see the new outcome.
        ({"a": F, "b": C, "c": C}, {"b": ["a"]}, None, ["c"]),
        # What a condition left out is judged again, and need not change anything.
        ({"a": C, "b": S, "c": C, "d": X}, {"b": ["a"], "c": ["b"]}, None, ["a", "c"]),
        # From one task on: what did not complete elsewhere runs too.
        ({"a": C, "b": F, "c": C}, {}, "c", ["a"]),
    ],
)
def test_what_is_not_behind_anything_that_runs_anew_is_kept(states, edges, start, expected):
    assert kept(states, edges, start) == expected


def test_a_task_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(TaskUnknownError, match="fetch"):
        kept({"fetch": C}, {}, "fecth")
