import pytest

from plugins import conditional
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal

ORDER = {
    "total": 120.5,
    "count": 3,
    "status": "paid",
    "is_new": True,
    "note": None,
    "tags": ["a", "b", 1],
    "customer": {"name": "Ann", "address": {"city": "Berlin"}},
    "lines": [{"sku": "x-1"}, {"sku": "y-2"}],
    "dotted.key": 1,
    "empty": "",
}


class TestConditional(PluginContract):
    task_type = "conditional"

    @pytest.fixture
    def good(self):
        return {
            "condition": {"field": "x", "operator": "eq", "value": "y"},
            "data": {"x": "y"},
            "then": "go",
            "else": "no",
        }

    @pytest.fixture
    def bad(self):
        data = {"x": "5"}
        return [
            Bad({"condition": {"field": "x", "operator": "gt", "value": 4}, "data": data}, "have no order"),
            Bad({"condition": {"field": "y", "operator": "eq", "value": 4}, "data": data}, "there is no field 'y'"),
            Bad({"condition": {"field": "x", "operator": "eq"}, "data": data}, "value"),
            Bad({"condition": {"field": "x", "operator": "is", "value": 1}, "data": data}, "is"),
            Bad({"condition": {"field": "x"}, "data": data}, "operator"),
            Bad({"condition": {}, "data": data}, "condition"),
            Bad({"condition": {"all": [], "any": []}, "data": data}, "condition"),
            Bad({"condition": {"field": "x", "operator": "is_true"}}, "there is no data"),
        ]

    def test_the_output_names_the_branch(self, attempt):
        condition = {"field": "total", "operator": ">", "value": 100}
        assert attempt({"condition": condition}, inputs={"order": ORDER}).output == {"result": True, "branch": "true"}
        branches = {"then": {"big": 1}, "else": "small"}
        assert attempt({"condition": condition, **branches}, inputs={"order": ORDER}).output["branch"] == {"big": 1}
        assert attempt({"condition": {"not": condition}, **branches}, inputs={"order": ORDER}).output == {
            "result": False,
            "branch": "small",
        }


def decide(condition, data=ORDER):
    return call(conditional, {"condition": condition, "data": data})["result"]


@pytest.mark.parametrize(
    ("field", "operator", "value", "result"),
    [
        ("status", "eq", "paid", True),
        ("status", "==", "open", False),
        ("status", "ne", "open", True),
        ("status", "!=", "paid", False),
        ("count", "eq", 3.0, True),
        ("note", "eq", None, True),
        ("status", "eq", None, False),
        ("note", "ne", "x", True),
        ("tags", "eq", ["a", "b", 1.0], True),
        ("tags", "eq", ["a", "b", True], False),
        ("total", "gt", 120, True),
        ("total", ">", 120.5, False),
        ("total", "gte", 120.5, True),
        ("total", ">=", 121, False),
        ("total", "lt", 121, True),
        ("total", "<", 120, False),
        ("total", "lte", 120.5, True),
        ("total", "<=", 120, False),
        ("status", "lt", "quit", True),
        ("status", "in", ["open", "paid"], True),
        ("count", "in", ["3", True], False),
        ("status", "not_in", ["open"], True),
        ("tags", "contains", "a", True),
        ("tags", "contains", True, False),
        ("status", "contains", "ai", True),
        ("customer", "contains", "name", True),
        ("tags", "not_contains", "z", True),
        ("status", "starts_with", "pa", True),
        ("status", "ends_with", "pa", False),
        ("status", "matches", "^p.*d$", True),
        ("status", "matches", "^a", False),
        ("customer.address.city", "eq", "Berlin", True),
        ("lines.1.sku", "eq", "y-2", True),
        ("dotted.key", "eq", 1, True),
    ],
)
def test_each_comparison_says_what_it_says(field, operator, value, result):
    assert decide({"field": field, "operator": operator, "value": value}) is result


@pytest.mark.parametrize(
    ("field", "operator", "result"),
    [
        ("note", "exists", True),
        ("nowhere", "exists", False),
        ("customer.nowhere", "not_exists", True),
        ("lines.2", "not_exists", True),
        ("lines.-1", "exists", False),
        ("status.length", "exists", False),
        ("is_new", "is_true", True),
        ("is_new", "is_false", False),
        ("empty", "is_empty", True),
        ("note", "is_empty", True),
        ("tags", "is_empty", False),
    ],
)
def test_each_question_needs_no_value(field, operator, result):
    assert decide({"field": field, "operator": operator}) is result


YES = {"field": "count", "operator": "eq", "value": 3}
NO = {"not": YES}
BROKEN = {"field": "nowhere", "operator": "eq", "value": 3}


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ({"all": [YES, YES]}, True),
        ({"all": [YES, NO]}, False),
        ({"any": [NO, YES]}, True),
        ({"any": [NO, NO]}, False),
        ({"not": {"not": YES}}, True),
        ({"all": [{"any": [NO, YES]}, {"not": NO}]}, True),
        ({"all": [NO, BROKEN]}, False),
        ({"any": [YES, BROKEN]}, True),
    ],
)
def test_conditions_combine_and_stop_where_the_answer_is_known(condition, result):
    assert decide(condition) is result


def test_without_a_field_the_data_itself_is_compared():
    assert decide({"operator": "gt", "value": 4}, data=5) is True


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "count", "operator": "eq", "value": "3"}, 'a number cannot be compared with text: 3 and "3"'),
        ({"field": "count", "operator": "eq", "value": True}, "a number cannot be compared with a boolean"),
        ({"field": "status", "operator": "gt", "value": 3}, "text and a number have no order"),
        ({"field": "note", "operator": "lt", "value": 3}, "null and a number have no order"),
        ({"field": "is_new", "operator": "gt", "value": False}, "have no order"),
        ({"field": "status", "operator": "in", "value": "paid"}, "`value` must be a list"),
        ({"field": "count", "operator": "contains", "value": 3}, "a number cannot contain a number"),
        ({"field": "status", "operator": "contains", "value": 3}, "text cannot contain a number"),
        ({"field": "count", "operator": "starts_with", "value": "3"}, "both sides must be text"),
        ({"field": "status", "operator": "is_true"}, '"paid" is text, not true or false'),
        ({"field": "count", "operator": "is_empty"}, "can be empty"),
        ({"field": "status", "operator": "matches", "value": "(" * 10}, "is not a regular expression"),
        ({"field": "status", "operator": "matches", "value": "a" * 513}, "512"),
        ({"field": "nowhere", "operator": "is_empty"}, "there is no field 'nowhere'"),
        ({"field": "status", "operator": "eq"}, "needs a `value`"),
        ({"field": "status", "operator": "is", "value": 1}, "there is no operator 'is'"),
    ],
)
def test_what_cannot_be_decided_fails_with_the_reason(condition, words):
    assert words in refusal(conditional, {"condition": condition, "data": ORDER})


def test_a_text_that_is_too_long_for_a_regular_expression_is_refused():
    condition = {"operator": "matches", "value": "^a"}
    assert "65536" in refusal(conditional, {"condition": condition, "data": "a" * 65_537})


def test_without_data_the_only_dependency_is_taken_or_all_of_them_by_id():
    condition = {"field": "a.x", "operator": "exists"}
    assert call(conditional, {"condition": condition}, inputs={"a": {"x": 1}})["result"] is False
    assert call(conditional, {"condition": condition}, inputs={"a": {"x": 1}, "b": 2})["result"] is True
