"""The judge of control flow: what it makes of sound documents, and every problem of the others."""

import json

import pytest

from engine import loader
from engine.limits import Limits
from engine.model import (
    Cache,
    Concurrency,
    Deadline,
    Edge,
    Foreach,
    Inner,
    Loop,
    Pool,
    Retry,
    Routing,
    Task,
)
from engine.plan import make_plan
from engine.problems import PROBLEMS
from engine.states import Reason
from engine.task import Catalogue, TaskType
from tests.engine.bad_control_flow import BAD, approval, call, graph, one, two, whole

CATALOGUE = Catalogue({"any": TaskType(type="any")})
LIMITS = Limits(workflow_depth=3, foreach_items=5)


def sound(document, limits=LIMITS, pools=None):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, limits, pools=pools)
    assert problems == ()
    make_plan(workflow, limits)
    return workflow


def last(document):
    return sound(document).tasks[-1]


def found(document, limits=LIMITS, pools=None):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, limits, pools=pools)
    assert workflow is None
    assert all(problem.message and problem.line for problem in problems)
    return problems


@pytest.mark.parametrize(("document", "expected"), BAD)
def test_every_problem_of_control_flow_is_told_at_its_place(document, expected):
    assert [(problem.code, problem.pointer) for problem in found(document)] == expected
    assert {code for code, _ in expected} <= PROBLEMS.keys()


def test_conditions_on_dependencies_reach_the_model():
    assert last(two({"depends_on": [{"task": "a", "when": "tasks.a.output > params.p"}]}, params={"p": {}})) == Task(
        id="b", type="any", depends_on=("a",), conditions={"a": "tasks.a.output > params.p"}
    )
    mixed = last({"tasks": [*one()["tasks"], {"id": "b", "type": "any"}, {"id": "c", "type": "any", "depends_on":
                  ["b", {"task": "a", "when": "tasks.b.state == 'FAILED'"}]}]})  # fmt: skip
    assert (mixed.depends_on, mixed.conditions) == (("b", "a"), {"a": "tasks.b.state == 'FAILED'"})


@pytest.mark.parametrize("dependency", [{"task": "a"}, {"task": "a", "when": None}])
def test_a_dependency_without_a_condition_is_as_its_id(dependency):
    assert last(two({"depends_on": [dependency]})) == Task(id="b", type="any", depends_on=("a",))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, None),
        ([], Foreach(items=[])),
        ([1, "${{ params.p }}", {"x": None}], Foreach(items=[1, "${{ params.p }}", {"x": None}])),
        ("${{ tasks.a.output }}", Foreach(items="${{ tasks.a.output }}")),
        ({"items": {"k": 1}}, Foreach(items={"k": 1})),
        (
            {"items": "${{ params.p }}", "key": "item.id + string(index)", "max_parallel": 2, "require": "80%"},
            Foreach(items="${{ params.p }}", key="item.id + string(index)", max_parallel=2, require=0.8),
        ),
        ({"items": [], "key": None, "max_parallel": None, "require": "all"}, Foreach(items=[])),
        ({"items": [], "require": "any"}, Foreach(items=[], require="any")),
        ({"items": [], "require": 0.25}, Foreach(items=[], require=0.25)),
        ({"items": [], "require": "12.5%"}, Foreach(items=[], require=0.125)),
        ({"items": [], "require": 1}, Foreach(items=[], require=1.0)),
    ],
)
def test_foreach_in_all_its_forms(written, expected):
    assert last(two({"foreach": written}, params={"p": {"default": []}})) == Task(
        id="b", type="any", depends_on=("a",), foreach=expected
    )


def test_item_and_index_are_known_in_the_fields_of_a_task_with_foreach():
    task = last(two({"foreach": [1], "x": "${{ item.a }} ${{ index }}", "cache": {"key": "${{ item }}"}}))
    assert task.fields == {"x": "${{ item.a }} ${{ index }}"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, None),
        ({"until": "output.done", "max_iterations": 3}, Loop(until="output.done", max_iterations=3)),
        (
            {"while": "iteration < 5 && tasks.a.output", "until": None, "max_iterations": 9, "delay": "1m",
             "backoff": 2, "max_delay": 600, "at_limit": "complete"},
            Loop(while_="iteration < 5 && tasks.a.output", max_iterations=9, delay=60.0, backoff=2.0, max_delay=600.0,
                 at_limit="complete"),
        ),
    ],
)  # fmt: skip
def test_loop_in_all_its_forms(written, expected):
    task = last(two({"loop": written, "x": "${{ iteration }} ${{ output }}" if written else "1"}))
    assert task.loop == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"pool": "db"}, {"pool": Pool(name="db")}),
        ({"pool": {"name": "db", "weight": 3}}, {"pool": Pool(name="db", weight=3)}),
        ({"pool": None, "cache": None, "deadline": None}, {}),
        ({"cache": True}, {"cache": Cache()}),
        ({"cache": False}, {}),
        ({"cache": {}}, {"cache": Cache()}),
        ({"cache": {"key": "v1", "ttl": "1h"}}, {"cache": Cache(key="v1", ttl=3600.0)}),
        ({"deadline": "5m"}, {"deadline": Deadline(within=300.0)}),
        ({"deadline": {"within": 5, "on_miss": "fail"}}, {"deadline": Deadline(within=5.0, on_miss="fail")}),
        ({"retry": {"on": ["child_failed", "circuit_open"]}},
         {"retry": Retry(on=(Reason.CHILD_FAILED, Reason.CIRCUIT_OPEN))}),
    ],
)  # fmt: skip
def test_pool_cache_and_deadline_in_all_their_forms(keys, expected):
    assert sound(one(**keys)).tasks == (Task(id="a", type="any", **expected),)
    assert sound(whole(defaults=keys)).tasks == (Task(id="a", type="any", **expected),)


def test_a_task_can_say_no_to_the_cache_of_the_defaults():
    assert last({**one(cache=False), "defaults": {"cache": True}}).cache is None


def test_every_key_of_a_workflow_reaches_the_model():
    workflow = sound(
        {
            "tasks": [{"id": "a", "type": "any"}],
            "params": {"customer": {"type": "string"}},
            "deadline": {"within": "1h", "on_miss": "fail"},
            "concurrency": {"key": "${{ params.customer }}-${{ run.workflow }}", "limit": 2, "policy": "replace"},
            "outputs": {"rows": "${{ tasks.a.output.rows }}", "fixed": [1]},
            "on_success": [{"id": "s", "type": "any"}],
            "on_failure": [
                {"id": "f", "type": "any", "x": "${{ run.state }} ${{ run.failed }} ${{ tasks.a.reason }}"},
                {"id": "g", "type": "any", "depends_on": ["f"], "when": "run.reason == tasks.f.output", "foreach": [1]},
            ],
            "on_cancel": [{"id": "c", "type": "any"}],
            "finally": [{"id": "z", "type": "any", "loop": {"until": "run.message != ''", "max_iterations": 2}}],
        }
    )
    assert workflow.deadline == Deadline(within=3600.0, on_miss="fail")
    assert workflow.concurrency == Concurrency(
        key="${{ params.customer }}-${{ run.workflow }}", limit=2, policy="replace"
    )
    assert workflow.outputs == {"rows": "${{ tasks.a.output.rows }}", "fixed": [1]}
    assert {phase: [task.id for task in tasks] for phase, tasks in workflow.phases().items()} == {
        "tasks": ["a"], "on_success": ["s"], "on_failure": ["f", "g"], "on_cancel": ["c"], "finally": ["z"],
    }  # fmt: skip
    assert workflow.on_failure[1] == Task(
        id="g", type="any", depends_on=("f",), when="run.reason == tasks.f.output", foreach=Foreach(items=[1])
    )


def test_keys_of_a_workflow_that_are_null_or_empty_are_as_if_left_out():
    nothing = dict.fromkeys(["outputs", "deadline", "concurrency", "routing"])
    assert sound(whole(**nothing, on_success=[], **{"finally": []})) == sound(whole())
    assert sound(whole(concurrency={})).concurrency == Concurrency()


def test_a_graph_reaches_the_model():
    edges = [
        {"from": "a", "to": "b"},
        {"from": "b", "to": "a", "condition": "state.n < 3 && output.x && iteration < 9"},
    ]
    document = graph(
        {"entry": "a", "edges": edges, "max_iterations": 7, "state": {"n": "${{ params.n }}"}},
        x="${{ state.n }} ${{ iteration }}",
    )
    workflow = sound({**document, "params": {"n": {"default": 0}}, "outputs": {"n": "${{ tasks.b.output }}"}})
    assert workflow.routing == Routing(
        entry="a",
        edges=(
            Edge(source="a", target="b"),
            Edge(source="b", target="a", condition="state.n < 3 && output.x && iteration < 9"),
        ),
        max_iterations=7,
        state={"n": "${{ params.n }}"},
    )
    assert sound(graph({"entry": "a", "state": "${{ trigger }}"})).routing == Routing(entry="a", state="${{ trigger }}")


@pytest.mark.parametrize(
    "fields",
    [
        {"workflow": "nightly"},
        {"workflow": "${{ params.name }}", "params": "${{ params.given }}", "wait": "${{ true }}"},
        {"workflow": "w", "params": {"x": "${{ params.name }}"}, "wait": False},
    ],
)
def test_a_task_that_runs_another_workflow(fields):
    document = {**call(**fields, timeout=5, max_retries=2, when="true"), "params": {"name": {}, "given": {}}}
    assert last(document) == Task(
        id="c", type="workflow", timeout=5.0, retry=Retry(max_retries=2), when="true", fields=fields
    )


def test_a_document_inside_a_task_is_a_workflow_of_its_own():
    inside = {
        "name": "in\u00e9",
        "params": {"p": {"type": "integer"}, "q": {"default": 1}},
        "tasks": [{"id": "c", "type": "any", "x": "${{ params.p }} ${{ tasks.d.output }}", "depends_on": ["d"]},
                  {"id": "d", "type": "any", "foreach": "${{ params.q }}", "y": "${{ item }}"}],
        "on_failure": [{"id": "h", "type": "any", "x": "${{ run.failed }}"}],
        "outputs": {"x": "${{ tasks.c.output }}"},
    }  # fmt: skip
    task = last(call(workflow=inside, params={"p": "${{ item }}"}, foreach=[1]))
    assert task == Task(
        id="c",
        type="workflow",
        foreach=Foreach(items=[1]),
        fields={"params": {"p": "${{ item }}"}},
        inner=Inner(sound(inside), json.dumps(inside, ensure_ascii=False, separators=(",", ":")).encode()),
    )
    assert make_plan(sound(call(workflow=inside, params={"p": 1})), LIMITS).tasks["c"].control.inner is not None


def test_the_bytes_of_a_document_inside_load_into_the_same_workflow():
    inside = call(workflow={"tasks": [{"id": "x", "type": "any", "fields": [1.5, "é", 2**62]}]})
    inner = last(call(workflow=inside)).inner
    assert loader.load(inner.document, CATALOGUE, LIMITS) == (inner.workflow, ())


def test_half_a_character_in_a_document_inside_is_a_problem_of_the_text():
    inside = call(workflow=one(x="\ud800"))
    _, problems = loader.load(json.dumps(inside).encode(), CATALOGUE, LIMITS)
    assert [problem.code for problem in problems] == ["surrogate"]


def test_an_approval_reaches_the_model():
    form = {"type": "object", "properties": {"n": {"type": "integer"}}}
    fields = {"message": "Go ${{ params.p }}?", "form": form, "within": "1h", "on_timeout": "approve", "data": {"n": 1}}
    document = {**approval(**fields, timeout=9), "params": {"p": {}}}
    assert last(document) == Task(id="p", type="approval", timeout=9.0, fields=fields)
    unknown = {"message": "m", "form": "${{ params.p }}", "within": "${{ params.p }}", "data": {"n": "${{ params.p }}"}}
    assert last({**approval(**unknown), "params": {"p": {}}}).fields == unknown


def test_defaults_that_mean_nothing_for_the_engines_own_types_are_not_theirs():
    defaults = {"pool": "p", "cache": True, "isolation": "process", "memory_limit": 5, "cpu_limit": 5, "priority": 3}
    assert last({**approval(message="m"), "defaults": defaults}) == Task(
        id="p", type="approval", priority=3, fields={"message": "m"}
    )


def test_no_catalogue_can_change_what_the_engines_own_types_are():
    catalogue = Catalogue({"approval": TaskType(type="approval")})
    _, problems = loader.load_value(approval(mesage="x"), catalogue, LIMITS)
    assert [problem.code for problem in problems] == ["missing_field", "invalid_field"]


def test_without_a_catalogue_every_type_is_taken_with_any_field():
    inside = {"tasks": [{"id": "i", "type": "gone", "x": 1}]}
    document = {**one(type="lost", x="${{ params.p }}"), "params": {"p": {}}, "finally": call(workflow=inside)["tasks"]}
    workflow, problems = loader.load_value(document, None, LIMITS)
    assert problems == ()
    assert (workflow.tasks[0].type, workflow.finally_[0].inner.workflow.tasks[0].type) == ("lost", "gone")
    assert [problem.code for problem in loader.load_value(one(type="lost", when="1 +"), None, LIMITS)[1]] == [
        "expression_syntax"
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (one(pool="dv"), [("unknown_pool", "/tasks/0/pool")]),
        (one(pool={"name": "x"}), [("unknown_pool", "/tasks/0/pool/name")]),
        (one(pool={"name": "db", "weight": 4}), [("bad_value", "/tasks/0/pool/weight")]),
        (whole(defaults={"pool": "dv"}), [("unknown_pool", "/defaults/pool")]),
        (call(workflow=one(pool="dv")), [("unknown_pool", "/tasks/0/workflow/tasks/0/pool")]),
    ],
)
def test_pools_are_judged_where_they_are_known(document, expected):
    assert [(problem.code, problem.pointer) for problem in found(document, pools={"db": 3})] == expected
    sound(document)
    sound(one(pool={"name": "db", "weight": 3}), pools={"db": 3})


def test_a_list_written_out_has_no_more_items_than_the_limit_allows():
    sound(one(foreach=[1] * 5))
    assert [(problem.code, problem.pointer) for problem in found(one(foreach={"items": [1] * 6}))] == [
        ("bad_value", "/tasks/0/foreach/items")
    ]


def test_hooks_count_for_the_limit_on_tasks():
    document = whole(on_success=[{"id": "h", "type": "any"}])
    sound(document, Limits(document_tasks=2))
    assert [problem.code for problem in found(document, Limits(document_tasks=1))] == ["too_many_tasks"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (one(foreach="params.list"), 'Write "${{ params.list }}".'),
        (one(foreach={"a": 1}), '{"items": {...}}'),
        (one(foreach=[1], loop={"until": "true", "max_iterations": 1}), "type workflow"),
        (one(for_each=[1]), 'Did you mean "foreach"?'),
        (one(**{"if": "true"}), 'Did you mean "when"?'),
        (one(on_failure=[]), "beside tasks"),
        (one(loop={"untill": "x", "max_iterations": 1}), 'Did you mean "until"?'),
        (one(when="item == 1"), "task with foreach"),
        (one(x="${{ iteration }}"), "task with loop"),
        (call(workflow=one(x="${{ item }}"), foreach=[1]), "as a parameter"),
        (one(x="${{ run.failed }}"), "on_failure"),
        (whole(finaly=[]), 'Did you mean "finally"?'),
        (whole(on_fail=[]), 'Did you mean "on_failure"?'),
        (whole(outputs="${{ 1 }}"), '{"result":'),
        (whole(on_failure=[{"id": "h", "type": "any", "depends_on": ["a"]}]), "remove it"),
        (graph({"entry": "a"}, x="${{ tasks.a.output }}"), "`state`"),
        (graph({"entry": "B"}), 'Did you mean "b"?'),
        (call(workflow={"params": {"day": {}}, "tasks": one()["tasks"]}, params={"dya": 1}), 'Did you mean "day"?'),
        (call(workflow="x", parms={}), 'Did you mean "params"?'),
        ({"tasks": [{"id": "a", "type": "aproval", "message": "m"}]}, 'Did you mean "approval"?'),
    ],
)
def test_a_problem_of_control_flow_says_what_to_do(document, words):
    assert words in " ".join(map(str, found(document)))


@pytest.mark.parametrize(
    "keys", [{"foreach": 5, "x": "${{ item }}"}, {"loop": {"until": "iteration > 2"}, "x": "${{ iteration }}"}]
)
def test_what_uses_the_names_of_a_refused_foreach_or_loop_is_not_wrong_for_that(keys):
    _, problems = loader.load(json.dumps({"tasks": [{"id": "a", "type": "any", **keys}]}).encode(), CATALOGUE, LIMITS)
    assert len(problems) == 1
    assert problems[0].pointer.startswith(("/tasks/0/foreach", "/tasks/0/loop"))
