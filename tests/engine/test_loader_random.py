"""The judge of documents against random ones: sound ones come back as they were, nothing makes it raise."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine import loader
from engine.limits import Limits
from engine.loader.keys import TASK_KEYS
from engine.problems import PROBLEMS
from engine.task import HANDED_FIELDS, Catalogue, TaskType
from tests.engine import documents

CATALOGUE = Catalogue(
    {
        "any": TaskType(type="any"),
        "strict": TaskType(type="strict", param_schema={"type": "object", "additionalProperties": {"type": "integer"}}),
    }
)
LIMITS = Limits()
ids = st.from_regex(r"[A-Za-z0-9_.\-]{1,12}", fullmatch=True)
fields = st.dictionaries(
    st.sampled_from(["url", "argv", "env", "body", "é/~"]),
    documents.values.filter(lambda value: "${{" not in str(value)),
)
settings = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.one_of(st.floats(0.001, 1e6), st.sampled_from(["5s", "1h30m", "250ms"])),
        "priority": st.integers(-5, 5),
        "continue_on_failure": st.booleans(),
        "isolation": st.sampled_from(["worker", "process"]),
        "trigger_rule": st.sampled_from(["all_done", "always"]),
        "retry": st.fixed_dictionaries({}, optional={"max_retries": st.integers(0, 9), "delay": st.just("2s")}),
    },
)


@st.composite
def workflows(draw):
    """Draw a sound document whose tasks depend on and refer to tasks before them in a hidden order."""
    names = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    tasks = []
    for number, name in enumerate(names):
        before = names[:number]
        needs = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        task = {"id": name, "type": "any", **draw(fields), **draw(settings)}
        if needs:
            task["depends_on"] = needs
            task["note"] = f"got ${{{{ tasks['{needs[0]}'].output }}}}"
        tasks.append(task)
    document = {"tasks": draw(st.permutations(tasks))}
    if draw(st.booleans()):
        document["defaults"] = draw(settings)
    return document


@given(workflows())
def test_a_sound_document_comes_back_as_it_was(document):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, LIMITS)
    assert problems == ()
    assert [task.id for task in workflow.tasks] == [task["id"] for task in document["tasks"]]
    for found, written in zip(workflow.tasks, document["tasks"], strict=True):
        assert found.depends_on == tuple(written.get("depends_on", ()))
        assert found.fields == {key: value for key, value in written.items() if key not in TASK_KEYS}
        for key in ("priority", "continue_on_failure", "isolation", "trigger_rule"):
            if key in written or key in document.get("defaults", {}):
                assert getattr(found, key) == written.get(key, document.get("defaults", {}).get(key))
        both = {**document.get("defaults", {}).get("retry", {}), **written.get("retry", {})}
        assert found.retry.max_retries == both.get("max_retries", 0)


@given(workflows(), st.data())
def test_a_damaged_document_never_makes_it_raise(document, data):
    text = bytearray(json.dumps(document).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 5))
        text[at : at + length] = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"{", b"]", b'"', b"1", b"${{"]))
        )
    workflow, problems = loader.load(bytes(text), CATALOGUE, LIMITS)
    assert (workflow is None) == bool(problems)
    for problem in problems:
        assert problem.code in PROBLEMS
        assert problem.message
        str(problem).encode()
        problem.pointer.encode()


keys = st.sampled_from(
    [*TASK_KEYS, *HANDED_FIELDS, "tasks", "name", "params", "defaults", "max_parallel", "fail_fast", "steps", "url",
     "max_retries", "retry_count", "timeout_seconds", "depend_on", "timout", "delay", "on", "exit_codes", "default"]
)  # fmt: skip
words = st.sampled_from(
    [
        "a",
        "b",
        "any",
        "strict",
        "5s",
        "${{ params.a }}",
        "${{ tasks.a.output }}",
        "${{",
        "true",
        "all_done",
        "",
        "\ud800",
    ]
)
shapes = st.recursive(
    st.one_of(words, st.integers(), st.booleans(), st.none(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=15,
)
tasks = st.dictionaries(keys, shapes, max_size=6).flatmap(
    lambda task: st.sampled_from([{}, {"id": "a", "type": "any"}, {"id": "b", "type": "strict"}]).map(
        lambda given: {**task, **given}
    )
)


@given(st.dictionaries(keys, shapes, max_size=5), st.lists(st.one_of(tasks, shapes), max_size=4))
def test_any_shape_is_a_workflow_or_has_problems(rest, entries):
    document = {**rest, "tasks": entries}
    workflow, problems = loader.load_value(document, CATALOGUE, LIMITS)
    assert (workflow is None) == bool(problems)
    assert {problem.code for problem in problems} <= PROBLEMS.keys()
    assert all(problem.line is None for problem in problems)


@given(documents.values)
def test_any_json_is_a_workflow_or_has_problems(value):
    workflow, problems = loader.load_value(value, CATALOGUE, LIMITS)
    assert workflow is None
    assert problems
