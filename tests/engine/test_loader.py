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
from tests.engine import test_params, test_strictjson

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


# A text, and (code, pointer, line, column) of every problem in it, in order.
BAD = [
    (b"[]", [("wrong_type", "", 1, 1)]),
    (b'"tasks"', [("wrong_type", "", 1, 1)]),
    (b"\n {}", [("missing_key", "", 2, 2)]),
    (b'{"tasks": {}}', [("wrong_type", "/tasks", 1, 11)]),
    (b'{"tasks": []}', [("no_tasks", "/tasks", 1, 11)]),
    (b'{"tasks":\n[5, "a"]}', [("wrong_type", "/tasks/0", 2, 2), ("wrong_type", "/tasks/1", 2, 5)]),
    (b'{"steps": {}}', [("unsupported", "/steps", 1, 2)]),
    (b'{"nodes": [], "edges": []}', [("unsupported", "/nodes", 1, 2), ("unsupported", "/edges", 1, 15)]),
    (b'{"tasks": [{}]}', [("missing_key", "/tasks/0", 1, 12), ("missing_key", "/tasks/0", 1, 12)]),
    (b'{"tasks": [{"id": "a"}]}', [("missing_key", "/tasks/0", 1, 12)]),
    (b'{"tasks": [{"type": "any"}]}', [("missing_key", "/tasks/0", 1, 12)]),
    (
        (b'{"task": 1,\n "timeout": "0s",\n "name": "",\n "retry": {},\n "workflow": "x",\n'
        b' "tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("unknown_key", "/task", 1, 2),
            ("bad_duration", "/timeout", 2, 13),
            ("bad_value", "/name", 3, 10),
            ("unknown_key", "/retry", 4, 2),
            ("unknown_key", "/workflow", 5, 2),
        ],
    ),
    (
        (b'{"fail_fast": 1, "priority": 1.5, "max_parallel": 0, "description": 5, "name": "a\\nb", "timeout": -1,\n'
        b'"params": [], "defaults": 5, "tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("wrong_type", "/fail_fast", 1, 15),
            ("wrong_type", "/priority", 1, 30),
            ("bad_value", "/max_parallel", 1, 51),
            ("wrong_type", "/description", 1, 69),
            ("bad_value", "/name", 1, 80),
            ("bad_duration", "/timeout", 1, 99),
            ("wrong_type", "/params", 2, 11),
            ("wrong_type", "/defaults", 2, 27),
        ],
    ),
    (
        b'{"tasks": [{"id": "a b", "type": "any"},\n{"id": "", "type": ""},\n{"id": 5, "type": []},\n'
        b'{"id": "' + b"x" * 129 + b'", "type": "any"},\n{"id": "a", "type": "any"}, {"id": "a", "type": "any"}]}',
        [
            ("bad_id", "/tasks/0/id", 1, 19),
            ("bad_id", "/tasks/1/id", 2, 8),
            ("bad_value", "/tasks/1/type", 2, 20),
            ("wrong_type", "/tasks/2/id", 3, 8),
            ("wrong_type", "/tasks/2/type", 3, 19),
            ("bad_id", "/tasks/3/id", 4, 8),
            ("duplicate_id", "/tasks/5/id", 5, 36),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "when": 5, "trigger_rule": "all", "timeout": "5 minutes",\n'
        b'"retry": 3, "priority": true, "continue_on_failure": "yes", "isolation": "proces", "memory_limit": 0,\n'
        b'"cpu_limit": null, "description": null, "depends_on": "b"}]}'),
        [
            ("wrong_type", "/tasks/0/when", 1, 47),
            ("bad_value", "/tasks/0/trigger_rule", 1, 66),
            ("bad_duration", "/tasks/0/timeout", 1, 84),
            ("wrong_type", "/tasks/0/retry", 2, 10),
            ("wrong_type", "/tasks/0/priority", 2, 25),
            ("wrong_type", "/tasks/0/continue_on_failure", 2, 54),
            ("bad_value", "/tasks/0/isolation", 2, 74),
            ("bad_value", "/tasks/0/memory_limit", 2, 100),
            ("wrong_type", "/tasks/0/description", 3, 35),
            ("wrong_type", "/tasks/0/depends_on", 3, 55),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "retry": {"max_retires": 1, "delay": "x", "backoff": 0.5,\n'
        b'"jitter": 2, "on": ["timeot", "user"], "exit_codes": [300, "1", true], "max_retries": -1}}]}'),
        [
            ("unknown_key", "/tasks/0/retry/max_retires", 1, 49),
            ("bad_duration", "/tasks/0/retry/delay", 1, 76),
            ("bad_value", "/tasks/0/retry/backoff", 1, 92),
            ("bad_value", "/tasks/0/retry/jitter", 2, 11),
            ("bad_value", "/tasks/0/retry/on/0", 2, 21),
            ("bad_value", "/tasks/0/retry/on/1", 2, 31),
            ("bad_value", "/tasks/0/retry/exit_codes/0", 2, 55),
            ("wrong_type", "/tasks/0/retry/exit_codes/1", 2, 60),
            ("wrong_type", "/tasks/0/retry/exit_codes/2", 2, 65),
            ("bad_value", "/tasks/0/retry/max_retries", 2, 87),
        ],
    ),
    (
        (b'{"defaults": {"timout": 1, "id": "x", "timeout": "x", "timeout_seconds": "5s", "retry_count": -1},\n'
        b'"tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("unknown_key", "/defaults/timout", 1, 15),
            ("unknown_key", "/defaults/id", 1, 28),
            ("bad_duration", "/defaults/timeout", 1, 50),
            ("wrong_type", "/defaults/timeout_seconds", 1, 74),
            ("bad_value", "/defaults/retry_count", 1, 95),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "foreach": [1], "loop": {}, "pool": "p", "cache": true}],\n'
        b'"defaults": {"pool": "p"}}'),
        [
            ("unsupported", "/tasks/0/foreach", 1, 39),
            ("unsupported", "/tasks/0/loop", 1, 55),
            ("unsupported", "/tasks/0/pool", 1, 67),
            ("unsupported", "/tasks/0/cache", 1, 80),
            ("unsupported", "/defaults/pool", 2, 14),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "depend_on": [], "timout": 5, "max_retires": 1, "dependsOn": [],\n'
        b'"needs": [], "output": 1, "inputs": 1, "tool": 1}]}'),
        [
            ("near_miss", "/tasks/0/depend_on", 1, 39),
            ("near_miss", "/tasks/0/timout", 1, 56),
            ("near_miss", "/tasks/0/max_retires", 1, 69),
            ("near_miss", "/tasks/0/dependsOn", 1, 87),
            ("near_miss", "/tasks/0/needs", 2, 1),
            ("hidden_field", "/tasks/0/output", 2, 14),
            ("hidden_field", "/tasks/0/inputs", 2, 27),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "timeout": 5, "timeout_seconds": 5,\n'
        b'"max_retries": 1, "retry_count": 1, "retry": {}},\n'
        b'{"id": "b", "type": "any", "retry": {"max_retries": 1}, "max_retries": 1}]}'),
        [
            ("conflict", "/tasks/0/timeout_seconds", 1, 53),
            ("conflict", "/tasks/0/retry_count", 2, 19),
            ("conflict", "/tasks/1/max_retries", 3, 57),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "prnt"},\n{"id": "b", "type": "print"},\n{"id": "c", "type": "broken"}]}',
        [
            ("unknown_type", "/tasks/0/type", 1, 32),
            ("missing_field", "/tasks/1", 2, 1),
            ("invalid_field", "/tasks/2/type", 3, 21),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "resize", "path": 5, "width": 0, "mode": "fil", "colour": "red",\n'
        b'"box": {"x": "1", "z": 1}}, {"id": "b", "type": "resize", "width": "${{ 1 }}", "box": {"y": "${{ 1 }}"}}]}'),
        [
            ("invalid_field", "/tasks/0/path", 1, 50),
            ("invalid_field", "/tasks/0/width", 1, 62),
            ("invalid_field", "/tasks/0/mode", 1, 73),
            ("invalid_field", "/tasks/0/colour", 1, 80),
            ("invalid_field", "/tasks/0/box/x", 2, 14),
            ("invalid_field", "/tasks/0/box/z", 2, 19),
            ("missing_field", "/tasks/1", 2, 29),
            ("invalid_field", "/tasks/1/box/y", 2, 88),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["a", "bb", "b", "b", 5]},\n{"id": "b", "type": "any"}]}',
        [
            ("self_dependency", "/tasks/0/depends_on/0", 1, 54),
            ("unknown_dependency", "/tasks/0/depends_on/1", 1, 59),
            ("wrong_type", "/tasks/0/depends_on/4", 1, 75),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["a"]}]}',
        [("self_dependency", "/tasks/0/depends_on/0", 1, 54)],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any"},\n{"id": "b", "type": "any", "depends_on": ["a", "a"]}]}',
        [("duplicate_dependency", "/tasks/1/depends_on/1", 2, 48)],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["e", "c"]}, {"id": "b", "type": "any", "depends_on": '
        b'["a"]},\n{"id": "c", "type": "any", "depends_on": ["b"]}, {"id": "x", "type": "any", "depends_on": ["y"]},\n'
        b'{"id": "y", "type": "any", "depends_on": ["x"]}, {"id": "e", "type": "any"}]}'),
        [("cycle", "/tasks/0/depends_on/1", 1, 59), ("cycle", "/tasks/3/depends_on/0", 2, 92)],
    ),
    (
        b'{"params": {"p": {}}, "tasks": [{"id": "a", "type": "any"},\n'
        b'{"id": "b", "type": "any", "x": "${{ tasks.a.output }}", "y": ["${{ params.q }}", {"z": "${{ 1 + }}"}]},\n'
        b'{"id": "c", "type": "any", "depends_on": ["a"], "w": "${{ tasks.q.output }} ${{ tasks.c.state }}",\n'
        b'"v": "${{ tasks.a.outputs }}", "u": "${{ item }} ${{ foo }}", "t": "${{ tasks[params.p] }}", "s": "${{"},\n'
        b'{"id": "d", "type": "any", "when": "tasks.c.output > 0",\n"r": "${{ ' + b"[" * 40 + b"]" * 40 + b' }}"}]}',
        [
            ("expression_reference", "/tasks/1/x", 2, 33),
            ("expression_param", "/tasks/1/y/0", 2, 64),
            ("expression_syntax", "/tasks/1/y/1/z", 2, 89),
            ("expression_reference", "/tasks/2/w", 3, 54),
            ("expression_reference", "/tasks/2/w", 3, 54),
            ("expression_name", "/tasks/2/v", 4, 6),
            ("expression_name", "/tasks/2/u", 4, 37),
            ("expression_name", "/tasks/2/u", 4, 37),
            ("expression_reference", "/tasks/2/t", 4, 68),
            ("expression_syntax", "/tasks/2/s", 4, 99),
            ("expression_reference", "/tasks/3/when", 5, 36),
            ("expression_limit", "/tasks/3/r", 6, 6),
        ],
    ),
    (
        (b'{"params": {"a b": {}, "c": 5, "d": {"type": "str"}, "e": {"typ": "string"},\n'
        b'"f": {"type": "integer", "default": "x"}, "g": {"required": true}, "h": {"items": {"$ref": "#"}},\n'
        b'"i": {"description": 5}, "j": {"items": {"type": "string"}, "default": ["a", 1]}},\n'
        b'"tasks": [{"id": "a", "type": "any", "x": "${{ params.d }} ${{ params.f }}"}]}'),
        [
            ("bad_value", "/params/a b", 1, 13),
            ("wrong_type", "/params/c", 1, 29),
            ("param_schema", "/params/d", 1, 37),
            ("unknown_key", "/params/e/typ", 1, 60),
            ("param_default", "/params/f/default", 2, 37),
            ("param_schema", "/params/g", 2, 48),
            ("param_schema", "/params/h", 2, 73),
            ("wrong_type", "/params/i/description", 3, 22),
            ("param_default", "/params/j/default/1", 3, 78),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "x": NaN, "timeout": 1e999, "y": 1, "y": 2, "timout": "\\ud800"}]}',
        [
            ("not_a_number", "/tasks/0/x", 1, 44),
            ("not_a_number", "/tasks/0/timeout", 1, 60),
            ("duplicate_key", "/tasks/0/y", 1, 75),
            ("surrogate", "/tasks/0/timout", 1, 93),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), BAD)
def test_every_problem_of_a_document_is_told_at_its_place(data, expected):
    workflow, problems = load(data)
    assert workflow is None
    assert [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems] == expected
    assert all(problem.message for problem in problems)


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
        (task(foreach=[1]), "not part of this version"),
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
    tried |= {code for _, expected in test_strictjson.INVALID for code, *_ in expected}
    tried |= {code for _, expected in test_params.WRONG for code, _ in expected}
    tried |= {"too_large", "more_problems", "too_many_tasks", "not_json"}  # each has a test of its own
    folder = Path(loader.__file__).parents[1]
    sources = [*folder.glob("loader/*.py"), *folder.glob("expressions/*.py")]
    sources += [folder / name for name in ("strictjson.py", "schemas.py", "params.py", "errors.py")]
    written = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert tried == (written & PROBLEMS.keys()) | {"more_problems"}
