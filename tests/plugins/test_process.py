"""What `process` adds to data_transform: the merge of what came before, `transform`, `validate`, `at`."""

import copy

import pytest

from plugins import process
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal

ROWS = [{"name": "ann", "price": 2, "count": 3}, {"name": "bob", "price": 1.5, "count": 4}]


class TestProcess(PluginContract):
    task_type = "process"

    @pytest.fixture
    def good(self):
        return {
            "data": {"message": "hello"},
            "rules": [{"type": "transform", "field": "message", "operation": "uppercase"}],
        }

    @pytest.fixture
    def bad(self):
        return [
            Bad({}, "there is no data"),
            Bad({"data": {}, "merge": "deep"}, "merge"),
            Bad({"data": {}, "rules": [{"type": "transfrom"}]}, "rules.0.type"),
            Bad({"data": {}, "rules": [{"type": "transform", "field": "a"}]}, "operation"),
            Bad({"data": {}, "rules": [{"type": "transform", "field": "a", "operation": "upper"}]}, "upper"),
            Bad({"data": {}, "rules": [{"type": "transform", "operation": "add", "amount": 1}]}, "amount"),
            Bad({"data": {}, "rules": [{"type": "validate", "schema": {"type": "strin"}}]}, "rules.0.schema.type"),
            Bad(
                {"data": {}, "rules": [{"type": "limit", "count": 1}]},
                "rules[0] (limit): it works on a list; the data is an object",
            ),
            Bad(
                {"data": {"m": 1}, "rules": [{"type": "transform", "field": "m", "operation": "uppercase"}]},
                "rules[0] (transform uppercase, 'm'): 'm': 1 is a number, not text",
            ),
        ]

    def test_the_rules_of_the_third_design_work_on_what_came_before(self, attempt):
        rules = [{"type": "transform", "field": "message", "operation": "uppercase"}]
        assert attempt({"rules": rules}, inputs={"collect_data": {"message": "hello"}}).output == {"message": "HELLO"}

    def test_without_rules_it_hands_on_what_came_before(self, attempt):
        assert attempt({}, inputs={"a": {"value": 1}}).output == {"value": 1}


def ruled(data, *rules):
    before = copy.deepcopy(data)
    output = call(process, {"data": data, "rules": list(rules)})
    assert data == before, "the data it was handed was changed"
    return output


def merged(inputs, **fields):
    before = copy.deepcopy(inputs)
    output = call(process, fields, inputs=inputs)
    assert inputs == before, "what came before was changed"
    return output


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        ({"a": 5}, 5),
        ({"a": None}, None),
        ({"a": {"x": {"y": 1}, "l": [1]}, "b": {"x": {"z": 2}, "l": [2]}}, {"x": {"y": 1, "z": 2}, "l": [2]}),
        ({"a": {"x": 1}, "b": {"x": 2}}, {"x": 2}),
        ({"a": [1, 2], "b": [], "c": [3]}, [1, 2, 3]),
        ({"a": {"x": 1}, "b": [1]}, {"a": {"x": 1}, "b": [1]}),
        ({"a": "t", "b": None, "c": 1}, {"a": "t", "b": None, "c": 1}),
        ({"taken": {"x": 1}, "skipped": None}, {"x": 1}),
        ({"a": None, "b": None}, {"a": None, "b": None}),
    ],
)
def test_outputs_are_merged_by_what_they_are(inputs, output):
    assert merged(inputs) == output


@pytest.mark.parametrize(
    ("merge", "output"),
    [
        ("deep", {"x": {"y": 1, "z": 2}, "n": 2}),
        ("shallow", {"x": {"z": 2}, "n": 2}),
        ("by_id", {"a": {"x": {"y": 1}, "n": 1}, "b": {"x": {"z": 2}, "n": 2}, "c": None}),
        ("list", [{"x": {"y": 1}, "n": 1}, {"x": {"z": 2}, "n": 2}]),
    ],
)
def test_a_merge_can_be_chosen(merge, output):
    inputs = {"a": {"x": {"y": 1}, "n": 1}, "b": {"x": {"z": 2}, "n": 2}, "c": None}
    assert merged(inputs, merge=merge) == output


def test_by_id_holds_for_one_output_too():
    assert merged({"a": 1}, merge="by_id") == {"a": 1}


def test_a_conflict_is_won_by_the_last_the_first_or_nobody():
    inputs = {"a": {"x": {"y": 1, "same": 1}}, "b": {"x": {"y": True, "same": 1}}}
    assert merged(inputs)["x"]["y"] is True
    assert merged(inputs, on_conflict="first") == inputs["a"]
    message = refusal(process, {"on_conflict": "error"}, inputs=inputs)
    assert message == "the output of 'b' contradicts one before it: 'x.y' is 1 and true; set `on_conflict`"


def test_objects_and_other_things_are_not_merged_when_a_merge_of_objects_was_asked_for():
    assert "'b' is a list" in refusal(process, {"merge": "deep"}, inputs={"a": {}, "b": [1]})


@pytest.mark.parametrize(
    ("operation", "options", "before", "after"),
    [
        ("uppercase", {}, "ab", "AB"),
        ("lowercase", {}, "AB", "ab"),
        ("title", {}, "a b", "A B"),
        ("trim", {}, " a ", "a"),
        ("replace", {"old": "a", "new": "b"}, "aa", "bb"),
        ("split", {"separator": ","}, "a,b", ["a", "b"]),
        ("join", {"separator": "-"}, ["a", 1], "a-1"),
        ("round", {"digits": 1}, 1.25, 1.2),
        ("map_values", {"mapping": {"1": "one"}}, 1, "one"),
        ("to_number", {}, "1.5", 1.5),
        ("to_integer", {}, "15", 15),
        ("to_boolean", {}, "yes", True),
        ("to_text", {}, [1], "[1]"),
        ("to_json", {}, "[1]", [1]),
        ("add", {"value": 2}, 1, 3),
        ("subtract", {"value": 2}, 1, -1),
        ("multiply", {"value": 0.5}, 3, 1.5),
        ("divide", {"value": 3}, 6, 2),
        ("divide", {"value": 4}, 6, 1.5),
        ("modulo", {"value": 4}, 6, 2),
        ("absolute", {}, -1.5, 1.5),
        ("floor", {}, -1.5, -2),
        ("ceil", {}, 1.2, 2),
        ("date", {"output_format": "%d.%m.%Y"}, "2026-02-01", "01.02.2026"),
        ("date", {"input_format": "%d/%m/%y"}, "31/12/26", "2026-12-31T00:00:00"),
        ("date", {"timezone": "Europe/Berlin"}, "2026-07-01T10:00:00Z", "2026-07-01T12:00:00+02:00"),
        ("date", {"timezone": "Europe/Berlin"}, "2026-07-01T10:00:00", "2026-07-01T10:00:00+02:00"),
        ("date", {}, 0, "1970-01-01T00:00:00+00:00"),
        ("uppercase", {}, None, None),
    ],
)
def test_an_operation_changes_a_field_or_the_data_itself(operation, options, before, after):
    rule = {"type": "transform", "operation": operation, **options}
    assert ruled({"f": before, "g": 1}, {**rule, "field": "f"}) == {"f": after, "g": 1}
    assert ruled([{"f": before}, {"f": before}], {**rule, "field": "f"}) == [{"f": after}] * 2
    assert ruled(before, rule) == after


def test_an_operation_may_take_its_number_from_another_field_and_put_its_result_in_a_third():
    rule = {"type": "transform", "operation": "multiply", "field": "price", "other": "count", "to": "total"}
    assert [row["total"] for row in ruled(ROWS, rule)] == [6, 6.0]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"operation": "divide", "value": 0}, "6 cannot be divided by zero"),
        ({"operation": "add"}, "it needs either `value` or `other`"),
        ({"operation": "add", "other": "nope"}, "there is no field 'nope'"),
        ({"operation": "multiply", "value": 1e308}, "too large"),
        ({"operation": "trim"}, "6 is a number, not text"),
        ({"operation": "date", "timezone": "Mars"}, "there is no time zone 'Mars'"),
        ({"operation": "replace", "old": "a"}, "`new`"),
        ({"operation": "nothing"}, "there is no operation 'nothing'"),
    ],
)
def test_what_an_operation_cannot_do_is_said_with_the_rule_the_field_and_the_row(rule, words):
    rows = [{"n": 6, "c": 1}]
    asked = [{"type": "set", "field": "x", "value": 1}, {"type": "transform", "field": "n", **rule}]
    message = refusal(process, {"data": rows * 2, "rules": asked})
    assert message.startswith(f"rules[1] (transform {rule['operation']}, 'n')")
    assert words in message


def test_remove_and_select_are_drop_and_pick():
    assert ruled(ROWS, {"type": "remove", "fields": ["price", "count"]}) == [{"name": "ann"}, {"name": "bob"}]
    assert ruled(ROWS, {"type": "select", "fields": "name"}) == [{"name": "ann"}, {"name": "bob"}]


def test_a_rule_can_work_on_one_place_in_the_data():
    data = {"meta": {"rows": ROWS}, "n": 1}
    rule = {"type": "aggregate", "metrics": [{"function": "count"}], "at": "meta.rows"}
    assert ruled(data, rule) == {"meta": {"rows": {"count": 2}}, "n": 1}
    assert "rules[0] (limit, at 'x'): there is no field 'x'" in refusal(
        process, {"data": data, "rules": [{"type": "limit", "count": 1, "at": "x"}]}
    )


def test_validate_lets_good_data_through_and_lists_all_that_is_bad():
    schema = {"type": "array", "items": {"properties": {"price": {"minimum": 2}, "name": {"const": "ann"}}}}
    assert ruled(ROWS[:1], {"type": "validate", "schema": schema}) == ROWS[:1]
    message = refusal(process, {"data": ROWS, "rules": [{"type": "validate", "schema": schema}]})
    assert message.startswith("rules[0] (validate): 2 violations of the schema: ")
    assert "/1/price: 1.5 is less than the minimum of 2" in message
    assert "/1/name: " in message


def test_validate_compares_the_data_or_each_item_of_a_list():
    rule = {"type": "validate", "field": "price", "operator": ">=", "value": 2}
    assert ruled(ROWS[0], rule) == ROWS[0]
    assert ruled(ROWS[:1], rule) == ROWS[:1]
    message = refusal(process, {"data": ROWS, "rules": [rule]})
    assert message.startswith("rules[0] (validate, 'price'), row 1: >= 2 does not hold for ")
    assert "either `schema` or `operator`" in refusal(process, {"data": ROWS, "rules": [{"type": "validate"}]})
