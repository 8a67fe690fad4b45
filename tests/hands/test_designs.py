"""The documents of the designs that Dropmill grew out of, copied as data, run by the engine to their end.

Only addresses are put in their place: there is no `api.internal` here, and no test speaks to another machine.
"""

import json
from pathlib import Path

import msgspec
import pytest

import engine
from engine import loader
from engine.limits import Limits
from engine.plan import make_plan
from engine.registry import Registry
from tests.plugins.servers import serving

DESIGNS = Path(__file__).parent / "designs"
DOCUMENTS = sorted(DESIGNS.glob("*.json"))


def read(name):
    return json.loads((DESIGNS / f"{name}.json").read_text())


@pytest.fixture
def web():
    with serving() as server:
        yield server


def run(document, *given, **named):
    """Run it; return the run, and outputs by id (of a graph's nodes and visits: the state after them)."""
    ran = engine.run(document, *given, **named)
    assert ran.state == "COMPLETED", [(task.id, task.message) for task in ran.tasks]
    return ran, {task.id: task.output and msgspec.json.decode(task.output) for task in ran.tasks}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_is_valid_as_it_is_printed_and_has_a_plan(path):
    registry = Registry()
    registry.load()
    workflow, problems = loader.load(path.read_bytes(), registry.catalogue(), Limits())
    assert problems == ()
    assert make_plan(workflow, Limits()) is not None


def test_every_design_is_there():
    assert {path.name[0] for path in DOCUMENTS} == set("12345")


def test_the_first_design_calls_a_service_and_prints(web):
    document = read("1-tasks")
    document["tasks"][0]["url"] = web.url('/json/{"n":1}')
    assert run(document)[1] == {"fetch": {"n": 1}, "say": "it answered"}


def test_the_second_design_hands_a_state_from_node_to_node():
    _, outputs = run(read("2-states"))
    assert outputs["multiply[1]"] == {"value": 20}
    assert outputs["add[2]"] == outputs["add"] == {"value": 25}


def test_the_second_design_goes_where_conditions_lead_round_and_round():
    ran, outputs = run(read("2-routes"))
    assert [outputs[f"add[{number}]"]["value"] for number in (1, 2, 3)] == [50, 90, 130]
    assert outputs["large[4]"] == {"value": 130, "large": '{"value":130}'}
    never = next(task for task in ran.tasks if task.id == "never")
    assert (never.state, never.reason) == ("SKIPPED", "not_reached")
    assert all(task.started_at and task.ended_at for task in ran.tasks if "[" in task.id)


def test_a_graph_that_never_ends_meets_its_max_iterations():
    document = read("2-routes") | {"max_iterations": 2}
    ran = engine.run(document)
    assert ran.state == "FAILED"
    assert next(task for task in ran.tasks if task.id == "add").reason == "loop_limit"


def test_the_third_design_takes_data_from_one_to_the_next():
    ran, outputs = run(read("3-simple"))
    assert ran.workflow == "simple_workflow"
    assert outputs == {"collect_data": {"message": "hello"}, "process_data": {"message": "HELLO"}}


def test_the_third_design_runs_side_by_side_and_asks_a_model(web):
    web.say("two values")
    _, outputs = run(read("3-parallel"), settings={"ai": {"endpoint": web.url("/v1"), "model": "stub-1"}})
    assert outputs["output"]["text"] == "two values"
    (asked,) = json.loads(web.seen[0].body)["messages"]
    assert asked["content"].startswith("Analyze data")
    assert '{"process_a":{"value":1},"process_b":{"value":2}}' in asked["content"]


def test_the_fourth_design_waits_for_dependencies():
    assert run(read("4-nodes"))[1]["end"] == {"n": 1, "left": True, "right": True}


def test_the_fifth_design_asks_a_service(web):
    document = read("5-order-processing")
    document["steps"][0]["config"]["url"] = web.url('/json/{"valid":true}')
    assert run(document)[1] == {"validate-order": {"valid": True}}
    assert web.seen[0].method == "POST"


def test_the_fifth_design_runs_in_order_over_what_it_was_given(web):
    document = read("5-handlers")
    document["steps"][1]["config"]["url"] = web.url('/json/{"a":1,"x":"y"}')
    document["steps"][3]["config"]["seconds"] = 0.01
    _, outputs = run(document, {"input_data": {"order_id": "12345"}})
    assert json.loads(web.seen[0].body) == {"order": "new"}
    assert outputs == {
        "fetch": {"a": 1, "x": "y"},
        "rename": {"order_id": "12345", "b": 1, "x": "y"},
        "wait": {"waited": 0.01},
        "decide": {"result": True, "branch": "true"},
        "say": "Processing 12345",
    }


def test_what_a_run_is_given_may_stand_in_the_document_or_be_declared():
    document = {"steps": [{"name": "say", "task_type": "log", "config": {"message": "{order_id}"}}]}
    assert run(document | {"input_data": {"order_id": "1"}})[1] == {"say": "1"}
    assert run(document | {"params": {"order_id": {"type": "string"}}}, {"order_id": "2"})[1] == {"say": "2"}
