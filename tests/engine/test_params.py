"""The parameters of a submission."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import params
from engine.errors import ParamsInvalidError
from engine.model import Param, Task, Workflow
from tests.engine import documents

WORKFLOW = Workflow(
    name="report",
    tasks=(Task(id="a", type="print"),),
    params={
        "day": Param(schema={"type": "string", "minLength": 2}, description="Which day."),
        "count": Param(schema={"type": "integer", "minimum": 1}, default=3),
        "ratio": Param(schema={"type": "number"}, default=0.5),
        "dry": Param(schema={"type": "boolean"}, default=False),
        "mode": Param(schema={"enum": ["fast", "slow", 1]}, default="fast"),
        "tags": Param(schema={"type": "array", "items": {"type": "string"}}, default=[]),
        "extra": Param(schema={}, default=None),
        "maybe": Param(schema={"type": ["integer", "null"]}, default=None),
        "word": Param(schema={"type": ["string", "null"]}, default=None),
    },
)
DEFAULTS = {
    "count": 3,
    "ratio": 0.5,
    "dry": False,
    "mode": "fast",
    "tags": [],
    "extra": None,
    "maybe": None,
    "word": None,
}


def test_what_is_not_given_has_its_default():
    assert params.resolve(WORKFLOW, {"day": "mon"}) == {"day": "mon", **DEFAULTS}


def test_what_is_given_replaces_the_default_also_null():
    given = {"day": "mon", "count": 1, "tags": ["a"], "extra": {"x": [None]}, "maybe": 5}
    assert params.resolve(WORKFLOW, given) == {"day": "mon", **DEFAULTS, **given}
    assert params.resolve(WORKFLOW, {"day": "mon", "extra": None})["extra"] is None


# What is given -> (code, pointer) of every problem.
WRONG = [
    ({}, [("param_missing", "")]),
    ({"day": "mon", "dya": 1}, [("param_unknown", "/dya")]),
    ({"day": 5}, [("param_invalid", "/day")]),
    ({"day": "m"}, [("param_invalid", "/day")]),
    ({"day": "mon", "count": 0}, [("param_invalid", "/count")]),
    ({"day": "mon", "count": True}, [("param_invalid", "/count")]),
    ({"day": "mon", "count": "3"}, [("param_invalid", "/count")]),
    ({"day": "mon", "mode": "warp"}, [("param_invalid", "/mode")]),
    ({"day": "mon", "tags": ["a", 1, None]}, [("param_invalid", "/tags/1"), ("param_invalid", "/tags/2")]),
    ({"day": "mon", "extra": math.nan}, [("param_invalid", "/extra")]),
    ({"day": "mon", "extra": 2**64}, [("param_invalid", "/extra")]),
    ({"day": "mon", "extra": "\ud800"}, [("param_invalid", "/extra")]),
    ({"day": "mon", "extra": {"a": {1, 2}}}, [("param_invalid", "/extra")]),
    ({"day": "mon", "extra": b"x"}, [("param_invalid", "/extra")]),
    (
        {"x/y": 1, "count": 0, "dry": "no"},
        [("param_unknown", "/x~1y"), ("param_missing", ""), ("param_invalid", "/count"), ("param_invalid", "/dry")],
    ),
]


@pytest.mark.parametrize(("given", "expected"), WRONG)
def test_everything_that_is_wrong_is_told_at_once(given, expected):
    with pytest.raises(ParamsInvalidError) as caught:
        params.resolve(WORKFLOW, given)
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"day": "mon", "dya": 1}, 'Did you mean "day"?'),
        ({"day": "mon", "zzz": 1}, "It has day, count"),
        ({}, "Which day."),
        ({"day": "mon", "count": "x"}, "must be of type integer"),
    ],
)
def test_a_problem_says_what_to_do(given, words):
    with pytest.raises(ParamsInvalidError) as caught:
        params.resolve(WORKFLOW, given)
    assert words in str(caught.value)
    assert "report" in str(caught.value)


def test_a_workflow_without_parameters_says_so():
    bare = Workflow(tasks=WORKFLOW.tasks)
    assert params.resolve(bare, {}) == {}
    with pytest.raises(ParamsInvalidError, match="declares none"):
        params.resolve(bare, {"a": 1})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("day", "5", "5"),
        ("day", "null", "null"),
        ("day", '"mon"', '"mon"'),
        ("count", "7", 7),
        ("count", "-7", -7),
        ("count", "seven", "seven"),
        ("ratio", "1.5", 1.5),
        ("ratio", "NaN", "NaN"),
        ("dry", "true", True),
        ("dry", "yes", "yes"),
        ("mode", "slow", "slow"),
        ("mode", "1", 1),
        ("tags", '["a", "b"]', ["a", "b"]),
        ("tags", "[a]", "[a]"),
        ("extra", "plain", "plain"),
        ("extra", "5", "5"),
        ("word", "null", "null"),
        ("word", "[1]", "[1]"),
        ("maybe", "null", None),
        ("maybe", "5", 5),
        ("unknown", "5", "5"),
    ],
)
def test_a_text_is_read_as_its_declaration_asks(name, text, value):
    found = params.from_text(WORKFLOW, {name: text})[name]
    assert found == value
    assert type(found) is type(value)


def test_a_text_that_cannot_be_read_is_a_problem_of_its_parameter():
    given = params.from_text(WORKFLOW, {"day": "mon", "count": "seven", "tags": "[a]", "nope": "1"})
    with pytest.raises(ParamsInvalidError) as caught:
        params.resolve(WORKFLOW, given)
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [
        ("param_unknown", "/nope"),
        ("param_invalid", "/count"),
        ("param_invalid", "/tags"),
    ]


def test_what_is_wrong_with_parameters_is_said_in_the_plural():
    with pytest.raises(ParamsInvalidError, match=r"^the parameters of \S+ have 1 problem: "):
        params.resolve(WORKFLOW, {"day": "mon", "nope": 1})


@given(st.dictionaries(st.sampled_from([*WORKFLOW.params, "other"]), documents.values))
def test_whatever_is_given_is_resolved_whole_or_refused(given):
    try:
        resolved = params.resolve(WORKFLOW, given)
    except ParamsInvalidError as error:
        assert error.problems  # noqa: PT017 -- either way is right, and this is what it says
    else:
        assert resolved.keys() == WORKFLOW.params.keys()
        assert {**resolved, **given} == resolved


@given(st.sampled_from(sorted(WORKFLOW.params)), st.text(max_size=10))
def test_any_text_is_read_as_something(name, text):
    assert params.from_text(WORKFLOW, {name: text}).keys() == {name}
