"""How a run is shown: of many instances what tells something, visits in order, hooks apart."""

import io
import json

import msgspec

from daemon.cli import standing
from daemon.cli.output import Output
from daemon.cli.standing import Shape
from engine.limits import Limits
from engine.states import State
from engine.views import ChildView, RunView, TaskView

AT = "2027-01-31T06:00:00.000000Z"


def task(key, state="COMPLETED", **more):
    values = {"type": "print", "reason": None, "message": "", "attempts": 1, "output": msgspec.Raw(b"1")}
    values |= {"started_at": AT, "ended_at": AT}
    return TaskView(id=key, state=State(state), **(values | more))


def run_of(*tasks, **more):
    return RunView(
        id="01run",
        workflow="w",
        state=State.RUNNING,
        reason=None,
        message="",
        trigger={"type": "cli"},
        params={},
        created_at=AT,
        started_at=AT,
        ended_at=None,
        tasks=list(tasks),
        **more,
    )


def names(run, shape=None, *, is_short=True):
    """Return the names of the rows of each part, and the sentence about the rest."""
    parts = standing.parts(Output(io.StringIO(), {}), run, shape, is_short=is_short)
    return {title: ([getattr(row[0], "text", row[0]) for row in rows], left) for title, rows, left in parts}


def test_of_many_instances_failures_and_what_lives_are_shown_and_the_rest_is_counted():
    states = {7: "FAILED", 5000: "RUNNING", 9000: "RETRYING"}
    instances = [task(f"each[{key}]", states.get(key, "COMPLETED")) for key in range(10_000)]
    [(rows, left)] = names(run_of(task("each", "RUNNING"), *instances, task("end", "PENDING"))).values()
    assert rows == [
        "each",
        *(f"  each[{key}]" for key in (0, 1, 2, 3, 4, 7, 5000, 9000)),
        "  and 9,992 more",
        "end",
    ]
    assert left == ""
    [(everything, _)] = names(run_of(task("each", "RUNNING"), *instances), is_short=False).values()
    assert len(everything) == 10_001


def test_of_many_tasks_the_rest_is_counted_too():
    tasks = [task(f"t{number}", "SKIPPED" if number == 70 else "COMPLETED") for number in range(80)]
    [(rows, left)] = names(run_of(*tasks)).values()
    assert (len(rows), rows[-1], left) == (50, "t70", "30 more tasks")


def test_visits_of_a_graph_stand_in_the_order_in_which_they_were_made():
    run = run_of(task("a"), task("a[1]"), task("a[3]"), task("b"), task("b[2]"), task("b[10]"), task("clean"))
    shape = Shape({"finally": ("clean",)}, is_graph=True)
    assert names(run, shape) == {
        "": (["a", "b"], ""),
        "visits": (["a[1]", "b[2]", "a[3]", "b[10]"], ""),
        "finally": (["clean"], ""),
    }


def test_called_runs_stand_under_the_task_that_called_them():
    children = [ChildView(run="01abc", task="call", attempt=number, state=State.FAILED) for number in (1, 2)]
    [(rows, _)] = names(run_of(task("call"), task("end"), children=children)).values()
    assert rows == ["call", "  -> run 01abc", "  -> run 01abc", "end"]


def test_what_a_document_has_beside_its_tasks_is_read_out_of_it():
    tasks = [{"id": "a", "type": "gone-since", "description": 'says "finally"'}]
    hooks = {"on_failure": [{"id": "b", "type": "x"}], "finally": [{"id": "c", "type": "x"}]}
    assert standing.shape_of(json.dumps({"tasks": tasks}).encode(), Limits()) is None
    shape = standing.shape_of(json.dumps({"tasks": tasks, **hooks}).encode(), Limits(document_tasks=1))
    assert shape == Shape({"on_failure": ("b",), "finally": ("c",)}, is_graph=False)
    graph = {"nodes": [{"id": "a", "type": "x"}, {"id": "b", "type": "x"}], "edges": [{"from": "a", "to": "b"}]}
    graph["entry"] = "a"
    assert standing.shape_of(json.dumps(graph).encode(), Limits()) == Shape({}, is_graph=True)
