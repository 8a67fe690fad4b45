"""The judge of documents: what it makes of sound ones, and every problem of the others at its exact place."""

import ast
import json
from pathlib import Path

import pytest

from engine import loader
from engine.errors import Problem
from engine.limits import Limits
from engine.model import Param, Retry, Task, Workflow
from engine.problems import PROBLEMS
from engine.states import Reason
from engine.task import RESERVED_FIELDS, BrokenPlugin, Catalogue, TaskType
from tests.engine import bad_control_flow, test_params, test_strictjson
from tests.engine.bad_documents import BAD

RESIZE = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "width": {"type": "integer", "minimum": 1},
        "mode": {"enum": ["fit", "fill"]},
        "box": {"type": "object", "properties": {"x": {"type": "integer"}}, "additionalProperties": False},
    },
    "required": ["path"],
    "additionalProperties": False,
}
CATALOGUE = Catalogue(
    {
        "print": TaskType(type="print", required_fields=("message",), fields=("message",)),
        "any": TaskType(type="any"),
        "resize": TaskType(
            type="resize", required_fields=("path",), fields=("path", "width", "mode", "box"), param_schema=RESIZE
        ),
        "timer": TaskType(type="timer", fields=("timout", "max_retries", "needs")),
        "broken": TaskType(type="broken", param_schema={"type": "nonsense"}, source="plugins/broken.py"),
    }
)
LIMITS = Limits()


def load(document, limits=LIMITS, catalogue=CATALOGUE):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return loader.load(data, catalogue, limits)


def sound(document, limits=LIMITS):
    workflow, problems = load(document, limits)
    assert problems == ()
    return workflow


def task(**keys):
    return {"tasks": [{"id": "a", "type": "any", **keys}]}


def first(**keys):
    (found,) = sound(task(**keys)).tasks
    return found


def test_the_smallest_document():
    assert sound({"tasks": [{"id": "a", "type": "print", "message": "hi"}]}) == Workflow(
        tasks=(Task(id="a", type="print", fields={"message": "hi"}),)
    )


def test_the_example_of_the_design():
    workflow = sound(
        {
            "name": "nightly-report",
            "description": "All of it.",
            "params": {"day": {"type": "string", "default": "yesterday", "description": "Which."}},
            "timeout": "1h",
            "max_parallel": 8,
            "fail_fast": True,
            "priority": -3,
            "defaults": {"timeout": "60s", "retry": {"max_retries": 2, "jitter": 0.5}},
            "tasks": [
                {
                    "id": "fetch",
                    "type": "any",
                    "url": "http://x/${{ params.day }}",
                    "retry": {"max_retries": 3, "delay": "1s", "backoff": 2, "max_delay": "1m", "jitter": 0.1},
                },
                {
                    "id": "clean",
                    "type": "any",
                    "depends_on": ["fetch"],
                    "argv": ["./clean.sh"],
                    "env": {"ROWS": "${{ tasks.fetch.output.rows }}"},
                    "timeout": "5m",
                },
                {"id": "alert", "type": "any", "depends_on": ["clean"], "when": "tasks.clean.output.bad > 0", "x": 1},
            ],
        }
    )
    assert workflow == Workflow(
        name="nightly-report",
        description="All of it.",
        params={"day": Param(schema={"type": "string"}, default="yesterday", description="Which.")},
        timeout=3600.0,
        max_parallel=8,
        fail_fast=True,
        priority=-3,
        tasks=(
            Task(
                id="fetch",
                type="any",
                timeout=60.0,
                retry=Retry(max_retries=3, delay=1.0, backoff=2.0, max_delay=60.0, jitter=0.1),
                fields={"url": "http://x/${{ params.day }}"},
            ),
            Task(
                id="clean",
                type="any",
                depends_on=("fetch",),
                timeout=300.0,
                retry=Retry(max_retries=2, jitter=0.5),
                fields={"argv": ["./clean.sh"], "env": {"ROWS": "${{ tasks.fetch.output.rows }}"}},
            ),
            Task(
                id="alert",
                type="any",
                depends_on=("clean",),
                when="tasks.clean.output.bad > 0",
                timeout=60.0,
                retry=Retry(max_retries=2, jitter=0.5),
                fields={"x": 1},
            ),
        ),
    )


def test_every_key_of_a_task_reaches_the_model():
    found = first(
        description="d",
        when="true",
        trigger_rule="all_done",
        timeout=1.5,
        retry={"on": ["timeout", "exit_code"], "exit_codes": [1, 2]},
        priority=-1,
        continue_on_failure=True,
        isolation="process",
        memory_limit=1_000_000,
        cpu_limit="2m",
    )
    assert found == Task(
        id="a",
        type="any",
        description="d",
        when="true",
        trigger_rule="all_done",
        timeout=1.5,
        retry=Retry(on=(Reason.TIMEOUT, Reason.EXIT_CODE), exit_codes=(1, 2)),
        priority=-1,
        continue_on_failure=True,
        isolation="process",
        memory_limit=1_000_000,
        cpu_limit=120.0,
    )


def test_every_reserved_key_has_its_row():
    assert set(loader.keys.TASK_KEYS) == RESERVED_FIELDS


@pytest.mark.parametrize("key", ["when", "timeout", "memory_limit", "cpu_limit"])
def test_null_says_that_there_is_none_also_against_a_default(key):
    defaults = {"defaults": {"timeout": "5s", "memory_limit": 5, "cpu_limit": 5}}
    (found,) = sound({**defaults, **task(**{key: None})}).tasks
    assert getattr(found, key) is None


def test_defaults_fill_in_what_a_task_does_not_say():
    workflow = sound(
        {
            "defaults": {"priority": 5, "retry": {"max_retries": 2, "delay": "3s"}, "isolation": "process"},
            "tasks": [
                {"id": "a", "type": "any"},
                {"id": "b", "type": "any", "priority": 1, "retry": {"max_retries": 0}},
            ],
        }
    )
    a, b = workflow.tasks
    assert (a.priority, a.isolation, a.retry) == (5, "process", Retry(max_retries=2, delay=3.0))
    assert (b.priority, b.isolation, b.retry) == (1, "process", Retry(max_retries=0, delay=3.0))


@pytest.mark.parametrize("spelling", ["max_retries", "retry_count"])
def test_spellings_from_elsewhere_are_accepted(spelling):
    found = first(**{spelling: 4, "timeout_seconds": 2.5, "retry": {"delay": "7s"}})
    assert found == Task(id="a", type="any", timeout=2.5, retry=Retry(max_retries=4, delay=7.0))
    (by_default,) = sound({"defaults": {spelling: 4, "timeout_seconds": 9, "retry": {"delay": 7}}, **task()}).tasks
    assert by_default == Task(id="a", type="any", timeout=9.0, retry=Retry(max_retries=4, delay=7.0))


def test_a_spelling_keeps_the_rest_of_the_default_retry():
    document = {"defaults": {"retry": {"delay": "9s", "max_retries": 1}}, **task(max_retries=5)}
    assert sound(document).tasks[0].retry == Retry(max_retries=5, delay=9.0)


def test_a_field_that_the_plugin_declares_is_the_plugins_however_it_looks():
    fields = {"timout": 1, "max_retries": 2, "needs": 3}
    assert sound({"tasks": [{"id": "a", "type": "timer", **fields}]}).tasks[0].fields == fields


def test_a_field_with_an_expression_is_not_judged_by_its_type():
    fields = {"path": "${{ params.p }}", "width": "${{ 1 + 1 }}", "mode": "f${{ params.p }}", "box": {"x": "${{ 1 }}"}}
    document = {"params": {"p": {}}, "tasks": [{"id": "a", "type": "resize", **fields}]}
    assert sound(document).tasks[0].fields == fields


def test_an_expression_may_refer_to_any_ancestor():
    chain = [{"id": f"t{n}", "type": "any", "depends_on": [f"t{n - 1}"] if n else []} for n in range(5)]
    chain[-1]["x"] = "${{ tasks.t0.output }} ${{ tasks.t3.reason }}"
    assert len(sound({"tasks": chain}).tasks) == 5


def test_a_document_may_have_as_many_tasks_as_the_limit_allows():
    tasks = [{"id": f"t{number}", "type": "any"} for number in range(3)]
    assert len(sound({"tasks": tasks}, Limits(document_tasks=3)).tasks) == 3
    assert [problem.code for problem in load({"tasks": tasks}, Limits(document_tasks=2))[1]] == ["too_many_tasks"]


@pytest.mark.parametrize(("data", "expected"), BAD)
def test_every_problem_of_a_document_is_told_at_its_place(data, expected):
    workflow, problems = load(data)
    assert workflow is None
    assert [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems] == expected
    assert all(problem.message for problem in problems)


def test_a_misspelt_key_of_a_task_type_that_knows_its_fields_is_told_once():
    _, problems = load(json.dumps({"tasks": [{"id": "a", "type": "resize", "path": "x", "timout": 5}]}).encode())
    assert [(problem.code, problem.pointer) for problem in problems] == [("near_miss", "/tasks/0/timout")]


def test_a_loop_without_a_bound_is_told_what_to_write():
    _, problems = load(json.dumps(task(loop={"until": "true"})).encode())
    assert [problem.hint for problem in problems] == [
        'The bound is required: write "max_iterations": 100, for example.'
    ]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"tasks": [{"id": "a", "type": "prnt"}]}, 'Did you mean "print"?'),
        ({"tasks": [{"id": "a", "type": "zzz"}]}, "dropmill plugins"),
        (task(depend_on=["b"]), 'Did you mean "depends_on"?'),
        (task(timout=5), 'Did you mean "timeout"?'),
        (task(max_retires=5), 'Did you mean "max_retries"?'),
        (task(trigger_rule="all_succes"), 'Did you mean "all_success"?'),
        (task(isolation="container"), "There are worker, process."),
        (task(retry=3), '{"max_retries": 3}'),
        (task(depends_on="b"), '["b"]'),
        (task(timeout="soon"), "1h30m"),
        (task(depends_on=["fetsh"]) | {"tasks": [*task(depends_on=["fetsh"])["tasks"], {"id": "fetch", "type": "any"}]},
         'Did you mean "fetch"?'),
        ({"tasks": [{"id": "a", "type": "any"}, {"id": "b", "type": "any", "x": "${{ tasks.a.output }}"}]},
         'Add "a" to depends_on.'),
        (task(x="${{ tasks.a.output }}"), "refers to itself"),
        (task(x="${{ params.day }}"), "Declare it under params."),
        (task(x="${{ item }}"), "foreach"),
        (task(when="${{ true }}"), "leave out the ${{ }}"),
        ({"tasks": [{"id": "a", "type": "resize", "path": "x", "widht": 1}]}, 'Did you mean "width"?'),
        ({"param": {}, **task()}, 'Did you mean "params"?'),
        ({"timeout_seconds": 5, **task()}, '"defaults"'),
        ({"retry": {}, **task()}, '"defaults"'),
        ({"workflow": "nightly"}, "request"),
        ({"params": {"p": {"type": "interger"}}, **task()}, 'Did you mean "integer"?'),
        ({"params": {"p": {"required": True}}, **task()}, 'without "default" is required'),
        ({"tasks": [{"id": "a", "type": "any", "depends_on": ["b"]}, {"id": "b", "type": "any", "depends_on": ["a"]}]},
         "a -> b -> a"),
    ],
)  # fmt: skip
def test_a_problem_says_what_to_do(document, words):
    assert words in " ".join(map(str, load(document)[1]))


def test_a_long_circle_is_shown_by_its_ends():
    count = 50
    tasks = [{"id": f"t{n}", "type": "any", "depends_on": [f"t{(n + 1) % count}"]} for n in range(count)]
    (problem,) = load({"tasks": tasks})[1]
    assert problem.message.startswith("50 tasks")
    assert problem.message.endswith("t7 -> ... -> t0")


def test_an_unknown_type_may_be_one_of_a_broken_plugin():
    catalogue = Catalogue({}, (BrokenPlugin(source="p.py", code="x", message="y"),))
    (problem,) = load(task(), catalogue=catalogue)[1]
    assert "cannot be used: 1" in problem.hint


def test_problems_beyond_the_limit_are_counted():
    document = {"tasks": [{"id": f"t{number}", "type": "nope"} for number in range(250)]}
    problems = load(document, Limits(document_problems=7))[1]
    assert [problem.code for problem in problems] == ["unknown_type"] * 7 + ["more_problems"]
    assert "243 more problems" in problems[-1].message
    assert load(document, Limits(document_problems=250))[1][-1].code == "unknown_type"


def test_problems_of_the_text_count_too():
    problems = load(b'{"tasks": [NaN, NaN, NaN]}', Limits(document_problems=2))[1]
    assert [problem.code for problem in problems] == ["not_a_number", "not_a_number", "more_problems"]


def test_lines_are_those_of_the_text_however_it_is_laid_out():
    document = {"tasks": [{"id": "a", "type": "any", "timeout": "x"}, {"id": "é", "type": "any"}]}
    data = b"\xef\xbb\xbf" + json.dumps(document, indent=2, ensure_ascii=False).replace("\n", "\r\n").encode()
    assert [(problem.line, problem.column) for problem in load(data)[1]] == [(6, 18), (9, 13)]


def test_a_python_value_is_judged_by_the_same_rules_without_lines():
    document = {"tasks": ({"id": "a", "type": "any", "x": (1, 2)},)}
    workflow, problems = loader.load_value(document, CATALOGUE, LIMITS)
    assert problems == ()
    assert workflow.tasks[0].fields == {"x": [1, 2]}
    assert document == {"tasks": ({"id": "a", "type": "any", "x": (1, 2)},)}
    wrong = {"tasks": [{"id": "a", "type": "any", "timeout": float("nan"), "priority": 2**70}]}
    assert [(p.code, p.pointer, p.line) for p in loader.load_value(wrong, CATALOGUE, LIMITS)[1]] == [
        ("not_a_number", "/tasks/0/timeout", None),
        ("integer_range", "/tasks/0/priority", None),
    ]


def endless():
    items = []
    items.append(items)
    return {"tasks": items}


PYTHON_ONLY = [
    ({"tasks": [{"id": "a", "type": "any", "x": {1, 2}}]}, "/tasks/0/x"),
    ({"tasks": [{"id": "a", "type": "any", "x": [b"abc"]}]}, "/tasks/0/x/0"),
    ({"tasks": [], ("a", "b"): 1}, ""),
    (endless(), ""),
    (object(), ""),
]


@pytest.mark.parametrize(("value", "pointer"), PYTHON_ONLY)
def test_a_python_value_that_is_no_json_is_a_problem(value, pointer):
    workflow, problems = loader.load_value(value, CATALOGUE, LIMITS)
    assert workflow is None
    assert [(problem.code, problem.pointer) for problem in problems] == [("not_json", pointer)]


def test_a_problem_reads_on_one_line():
    (problem,) = load(task(timeout="x"))[1]
    assert isinstance(problem, Problem)
    assert str(problem).startswith("line 1, column 50: timeout must be a number of seconds")


def test_every_code_that_the_engine_gives_has_a_case():
    tried = {code for _, expected in BAD for code, *_ in expected}
    tried |= {code for _, expected in bad_control_flow.BAD for code, *_ in expected}
    tried |= {code for _, expected in test_strictjson.INVALID for code, *_ in expected}
    tried |= {code for _, expected in test_params.WRONG for code, _ in expected}
    tried |= {"too_large", "more_problems", "too_many_tasks", "not_json", "unknown_pool"}  # each has a test of its own
    folder = Path(loader.__file__).parents[1]
    sources = [*folder.glob("loader/**/*.py"), *folder.glob("expressions/*.py")]
    sources += [folder / name for name in ("strictjson.py", "schemas.py", "params.py", "errors.py")]
    written = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert tried == (written & PROBLEMS.keys()) | {"more_problems"}
