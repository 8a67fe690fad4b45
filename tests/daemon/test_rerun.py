import json

import pytest

from daemon.rerun import Former, Kept, reusable
from engine.errors import TaskUnknownError
from engine.limits import Limits
from engine.model import Edge, Foreach, Loop, Routing, Task, Workflow
from engine.plan import make_plan
from engine.states import State

C, F, S, X = State.COMPLETED, State.FAILED, State.SKIPPED, State.CANCELLED


def taken(workflow: Workflow, states: dict[str, State], start: str | None = None) -> Kept:
    """Ask what is kept of a run in which these tasks and instances ended like this, each output being its key."""
    outputs = {key: json.dumps(key).encode() for key, state in states.items() if state is C}
    expansions = {key.partition("[")[0]: b"memo" for key in states if "[" in key}
    former = Former(run="r", states=states, outputs=outputs, expansions=expansions)
    return reusable(former, make_plan(workflow, Limits()), start)


def kept(states: dict[str, State], edges: dict[str, list[str]], start: str | None = None) -> list[str]:
    tasks = tuple(Task(id=key, type="print", depends_on=tuple(edges.get(key, ()))) for key in states)
    return sorted(taken(Workflow(tasks=tasks), states, start).reused)


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


FAN = Task(id="fan", type="print", foreach=Foreach(items=[1, 2, 3]))


def fanned(**changes: State) -> dict[str, State]:
    """Return how a fan ended whose last instance failed, and what stands before and behind it."""
    return {"first": C, "fan": F, "fan[0]": C, "fan[1]": C, "fan[2]": F, "last": S} | changes


def behind(fan: Task) -> Workflow:
    first, last = Task(id="first", type="print"), Task(id="last", type="print", depends_on=("fan",))
    fan = Task(id=fan.id, type=fan.type, foreach=fan.foreach, loop=fan.loop, depends_on=("first",))
    return Workflow(tasks=(first, fan, last))


def test_of_a_fan_that_did_not_complete_the_instances_that_did_are_kept_with_what_it_was_spread_over():
    found = taken(behind(FAN), fanned())
    assert sorted(found.reused) == ["fan[0]", "fan[1]", "first"]
    assert found.expansions == {"fan": b"memo"}


def test_of_a_fan_that_completed_its_output_says_it_all():
    found = taken(behind(FAN), fanned(fan=C, last=F))
    assert (sorted(found.reused), found.expansions) == (["fan", "first"], {})


@pytest.mark.parametrize("start", ["first", "fan"])
def test_a_fan_that_is_begun_again_or_is_behind_what_is_runs_all_its_instances(start):
    found = taken(behind(FAN), fanned(), start)
    assert [key for key in found.reused if "[" in key] == []
    assert found.expansions == {}


def test_a_fan_behind_a_failure_may_have_other_elements_and_keeps_nothing():
    assert taken(behind(FAN), fanned(first=F)) == Kept({}, {})


def test_iterations_of_a_loop_are_never_kept_singly():
    loop = Task(id="fan", type="print", loop=Loop(max_iterations=3, until="false"))
    assert taken(behind(loop), fanned()) == Kept({"first": b'"first"'}, {})


def test_a_graph_is_walked_again_from_its_entry():
    routing = Routing(entry="a", edges=(Edge(source="a", target="b"),))
    graph = Workflow(tasks=(Task(id="a", type="print"), Task(id="b", type="print")), routing=routing)
    assert taken(graph, {"a": C, "a[1]": C, "b": F, "b[2]": F}) == Kept({}, {})


def test_a_hook_runs_again_and_nothing_begins_with_one():
    hooked = Workflow(tasks=(Task(id="a", type="print"),), finally_=(Task(id="tidy", type="print"),))
    assert taken(hooked, {"a": C, "tidy": C}).reused == {"a": b'"a"'}
    with pytest.raises(TaskUnknownError, match="tidy"):
        taken(hooked, {"a": C, "tidy": C}, "tidy")


CALL = Task(id="call", type="workflow", fields={"workflow": "child"})
EACH = Task(id="each", type="workflow", fields={"workflow": "child"}, foreach=Foreach(items=[1, 2]))
ROUNDS = Task(id="rounds", type="workflow", fields={"workflow": "child"}, loop=Loop(until="true", max_iterations=3))
BEHIND = Task(id="behind", type="workflow", fields={"workflow": "child"}, depends_on=("call",))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, {"call": "run of call", "each[1]": "run of each[1]"}),
        ("call", {"each[1]": "run of each[1]"}),
        ("each", {"call": "run of call"}),
    ],
)
def test_what_a_call_led_to_is_gone_on_with_where_nothing_before_it_runs_anew(start, expected):
    states = {"call": F, "each": F, "each[0]": C, "each[1]": F, "rounds": F, "rounds[1]": C, "rounds[2]": F}
    called = {key: f"run of {key}" for key in (*states, "behind")}
    former = Former(
        run="r",
        states=states | {"behind": X},
        outputs={"each[0]": b"1"},
        expansions={"each": b"memo"},
        called={key: run for key, run in called.items() if key not in ("each", "rounds")},
    )
    assert reusable(former, make_plan(Workflow(tasks=(CALL, EACH, ROUNDS, BEHIND)), Limits()), start).called == expected
