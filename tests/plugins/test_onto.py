"""The field `onto`: the data of a task is what is given, with all outputs before it laid over it."""

import pytest

from engine.registry import Registry
from plugins import conditional, data_transform, log, output, process
from tests.plugins.direct import call

GIVEN = {"order_id": "12345", "deep": {"a": 1, "b": 2}}
INPUTS = {"first": {"n": 1, "deep": {"a": 3}}, "line": "text", "rows": [1], "nothing": None, "last": {"n": 2}}
WHOLE = {"order_id": "12345", "deep": {"a": 3}, "n": 2, "line": "text", "rows": [1]}


@pytest.mark.parametrize(("plugin", "fields"), [(data_transform, {"transforms": []}), (process, {}), (output, {})])
def test_objects_are_laid_over_it_key_by_key_and_the_rest_by_name(plugin, fields):
    assert call(plugin, {"onto": GIVEN, **fields}, inputs=INPUTS) == WHOLE
    assert call(plugin, {"onto": GIVEN, **fields}) == GIVEN
    assert GIVEN == {"order_id": "12345", "deep": {"a": 1, "b": 2}}


def test_a_condition_is_judged_on_it():
    condition = {
        "all": [{"field": "order_id", "operator": "eq", "value": "12345"}, {"field": "n", "operator": "lt", "value": 3}]
    }
    assert call(conditional, {"onto": GIVEN, "condition": condition}, inputs=INPUTS)["result"] is True


def test_a_message_takes_from_it_what_is_nowhere_else_and_shows_no_more_of_it():
    assert call(log, {"message": "{order_id} {n} {line}", "onto": {**GIVEN, "n": 9}}, inputs=INPUTS) == "12345 2 text"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("data_transform", {"transforms": [], "data": {}}),
        ("conditional", {"condition": {"field": "a", "operator": "exists"}, "data": {}}),
        ("process", {"data": {}}),
        ("process", {"merge": "deep"}),
        ("output", {"merge": "list"}),
        ("log", {"message": "x", "onto": []}),
    ],
)
def test_data_comes_from_one_place(name, fields):
    registry = Registry()
    registry.load()
    (problem,) = registry.problems(name, {"onto": {}, **fields})
    assert "onto" in str(problem) or "merge" in str(problem)
