"""What each dialect becomes, and every problem of the others at its exact place in the text as it was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import loader
from engine.limits import Limits
from engine.model import Edge, Param, Retry, Routing, Task, Workflow
from engine.problems import PROBLEMS
from engine.task import Catalogue, TaskType
from tests.engine.bad_dialects import BAD

MESSAGE = {"type": "object", "properties": {"message": {}}, "additionalProperties": False}
CATALOGUE = Catalogue(
    {
        "any": TaskType(type="any"),
        "print": TaskType(type="print", required_fields=("message",), fields=("message",), param_schema=MESSAGE),
    }
    | {name: TaskType(type=name) for name in ("log", "process")}
)


def sound(document):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, Limits())
    assert problems == ()
    return workflow


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_every_problem_stands_where_it_was_written(text, expected):
    workflow, problems = loader.load(text.encode(), CATALOGUE, Limits())
    assert workflow is None
    found = [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems]
    assert found == [problem[:4] for problem in expected]
    for problem, (*_, hint) in zip(problems, expected, strict=True):
        assert hint in (problem.hint or "")
        assert problem.code in PROBLEMS


def test_tasks_by_id():
    document = {
        "id": "w",
        "timeout": 5,
        "steps": {
            "a": {"type": "any", "input": {"x": 1}, "y": 2, "depends_on": [], "id": "a"},
            "b": {"type": "any", "depends_on": ["a"], "max_retries": 3, "input": None},
        },
    }
    assert sound(document) == Workflow(
        name="w",
        timeout=5.0,
        tasks=(
            Task(id="a", type="any", fields={"x": 1, "y": 2}),
            Task(id="b", type="any", depends_on=("a",), retry=Retry(max_retries=3)),
        ),
    )


def entry(name, order=None, **config):
    place = {} if order is None else {"step_order": order}
    return {"name": name, "task_type": config.pop("type", "any"), "config": config, **place}


def needs(*entries):
    return {task.id: task.depends_on for task in sound({"steps": list(entries)}).tasks}


def test_tasks_in_order():
    document = {
        "name": "w",
        "metadata": {"owner": "me"},
        "steps": [entry("b", 7, x=1) | {"timeout_seconds": 60, "max_retries": 3}, entry("a", -1, type="process")],
    }
    given = Param(schema={"type": "object"}, default={}, description="What the tasks begin with.")
    assert sound(document) == Workflow(
        name="w",
        params={"input_data": given},
        tasks=(
            Task(id="b", type="any", depends_on=("a",), timeout=60.0, retry=Retry(max_retries=3), fields={"x": 1}),
            Task(id="a", type="process", fields={"onto": "${{ params.input_data }}"}),
        ),
    )


def test_tasks_of_one_order_are_side_by_side_behind_all_before_them():
    found = needs(entry("d", 2), entry("a", 0), entry("b", 1), entry("c", 1))
    assert found == {"a": (), "b": ("a",), "c": ("a",), "d": ("a", "b", "c")}
    assert needs(entry("a"), entry("b"), entry("c")) == {"a": (), "b": ("a",), "c": ("a", "b")}


def test_too_many_tasks_in_order_are_refused_before_they_fill_the_memory():
    document = {"steps": [entry(f"t{number}") for number in range(3000)]}
    workflow, (problem,) = loader.load(json.dumps(document).encode(), CATALOGUE, Limits())
    assert workflow is None
    assert (problem.code, problem.pointer) == ("too_many_tasks", "/steps")


def test_whose_data_is_said_gets_none_beside():
    entries = [entry("a", type="process", data=1), entry("b", type="log", data={}), entry("c", type="any")]
    workflow = sound({"steps": entries, "params": {"n": {"default": 1}}})
    assert [task.fields for task in workflow.tasks] == [{"data": 1}, {"data": {}, "onto": "${{ params }}"}, {}]


@pytest.mark.parametrize(
    "nodes",
    [
        {"nodes": [{"id": "a", "type": "any"}, {"id": "b", "type": "any", "dependencies": ["a"]}]},
        {"nodes": {"a": {"type": "any", "dependencies": []}, "b": {"type": "any", "depends_on": ["a"]}}},
        {"nodes": {"a": {"type": "any"}, "b": {"type": "any"}}, "dependencies": {"b": ["a"]}},
    ],
)
def test_nodes_with_dependencies(nodes):
    assert sound(nodes).tasks == (Task(id="a", type="any"), Task(id="b", type="any", depends_on=("a",)))


def test_a_graph():
    document = {
        "nodes": {"a": {"type": "any", "config": {"x": "${{ state.x }}"}, "dependencies": []}, "b": {"type": "any"}},
        "edges": [
            {"from": "a", "to": "b", "condition": "state.x > output.y", "description": "forth"},
            {"from": "b", "to": "a"},
        ],
        "entry": "a",
        "state": {"x": 1},
        "max_iterations": 7,
        "on_failure": [{"id": "c", "type": "any"}],
    }
    edges = (Edge(source="a", target="b", condition="state.x > output.y"), Edge(source="b", target="a"))
    assert sound(document) == Workflow(
        tasks=(Task(id="a", type="any", fields={"x": "${{ state.x }}"}), Task(id="b", type="any")),
        routing=Routing(entry="a", edges=edges, max_iterations=7, state={"x": 1}),
        on_failure=(Task(id="c", type="any"),),
    )


def test_nodes_become_a_graph_by_any_key_of_graphs():
    assert sound({"nodes": {"a": {"type": "any"}}, "entry": "a"}).routing == Routing(entry="a")


def test_a_document_inside_another_may_be_in_any_dialect():
    inner = {"nodes": [{"id": "b", "type": "any"}]}
    (task,) = sound({"steps": {"a": {"type": "workflow", "input": {"workflow": inner}}}}).tasks
    assert task.inner.workflow.tasks == (Task(id="b", type="any"),)


def test_a_document_is_left_as_it_was():
    for document in [
        {"steps": {"a": {"type": "any", "input": {"x": {"y": 1}}}}},
        {"steps": [entry("a", 1, x=1), entry("b", 0)]},
        {"nodes": {"a": {"type": "any"}, "b": {"type": "any"}}, "dependencies": {"b": ["a"]}},
        {"nodes": {"a": {"type": "any", "dependencies": []}}, "edges": [], "entry": "a"},
    ]:
        before = json.dumps(document)
        workflow, problems = loader.load_value(document, CATALOGUE, Limits())
        assert (problems, json.dumps(document)) == ((), before)
        assert workflow is not None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["a", "b", "any", "", "x y", "${{ state.x }}", "${{"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "id", "type", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "id",
            "name",
            "type",
            "task_type",
            "step_order",
            "depends_on",
            "dependencies",
            "config",
            "input",
            "inputs",
            "when",
        ),
        VALUES,
    ),
)
ENTRIES = (
    st.lists(ENTRY | VALUES, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x y"]), ENTRY | VALUES) | VALUES
)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("steps", "nodes", "tasks"), ENTRIES),
        "edges": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("from", "to", "condition"), VALUES)))
        | VALUES,
        **dict.fromkeys(
            ("id", "name", "entry", "state", "max_iterations", "dependencies", "input_data", "params"), VALUES
        ),
    },
)


@given(DOCUMENT)
def test_whatever_is_written_is_a_workflow_or_has_problems_with_places(document):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, Limits())
    assert (workflow is None) == bool(problems)
    assert all(problem.line == 1 and problem.column for problem in problems)
