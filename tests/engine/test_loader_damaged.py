"""Damaged documents that were once told wrongly, each found by damaging sound ones (`tests/torture/damaged.py`)."""

import pytest

from engine import loader
from engine.errors import Problem
from engine.limits import Limits
from engine.task import Catalogue, TaskType

CATALOGUE = Catalogue({"any": TaskType(type="any")})
INNER = '{"params": {"p": {}}, "tasks": [{"id": "i", "type": "any"}]}'

# A text, and (code, pointer) of every problem in it.
DAMAGED = {
    "half a character where the tasks should be": (r'{"tasks": "\ud800"}', [("surrogate", "/tasks")]),
    "half a character in a key that is unknown": (
        r'{"a\ud800": 1, "tasks": [{"id": "a", "type": "any"}]}',
        [("surrogate", "/a\\ud800")],
    ),
    "a document inside that is given no params at all": (
        f'{{"tasks": [{{"id": "c", "type": "workflow", "workflow": {INNER}}}]}}',
        [("param_missing", "/tasks/0")],
    ),
    "a graph without an entry whose first id is no text": (
        '{"nodes": [{"id": ["a"], "type": "any"}, {"id": "b", "type": "any"}], "edges": []}',
        [("missing_key", ""), ("wrong_type", "/nodes/0/id")],
    ),
    "a graph without an entry and without any id": (
        '{"nodes": [{"type": "any"}], "edges": []}',
        [("missing_key", ""), ("missing_key", "/nodes/0")],
    ),
    "a graph whose entry is null": (
        '{"nodes": [{"id": "a", "type": "any"}], "entry": null}',
        [("wrong_type", "/entry")],
    ),
    "a misspelt order that is none": (
        '{"steps": [{"name": "a", "task_type": "any", "step_orders": "x"}, {"name": "b", "step_order": 1}]}',
        [("wrong_type", "/steps/0"), ("near_miss", "/steps/0/step_orders"), ("missing_key", "/steps/1")],
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_every_problem_is_told_at_a_place_that_is_there(name):
    text, expected = DAMAGED[name]
    workflow, problems = loader.load(text.encode(), CATALOGUE, Limits())
    assert workflow is None
    assert [(problem.code, problem.pointer) for problem in problems] == expected


def test_a_problem_is_one_line_without_control_characters_whatever_the_keys_are():
    line = str(Problem(code="unknown_key", message="no", pointer="/a\n\x1b[31m\0/b"))
    assert line == r"no (at /a\n\x1b[31m\x00/b)"
