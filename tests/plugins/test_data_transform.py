"""Each transform by a table of what goes in and what comes out; test_transform_properties.py tries all at once."""

import copy

import pytest

from plugins import data_transform
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal

ROWS = [
    {"name": "Ann", "team": "red", "points": 3, "when": {"day": "2026-01-02"}},
    {"name": "Bob", "team": "blue", "points": 1, "when": {"day": "2026-01-01"}},
    {"name": "Cid", "team": "red", "points": None, "when": {"day": "2026-01-02"}},
]


class TestDataTransform(PluginContract):
    task_type = "data_transform"

    @pytest.fixture
    def good(self):
        return {"data": ROWS, "transforms": [{"type": "rename", "from": "name", "to": "who"}]}

    @pytest.fixture
    def bad(self):
        return [
            Bad({"data": ROWS, "transforms": [{"type": "renam"}]}, "renam"),
            Bad({"data": ROWS, "transforms": [{"type": "rename", "from": "name"}]}, "to"),
            Bad({"data": ROWS, "transforms": [{"type": "limit", "count": -1}]}, "count"),
            Bad({"data": ROWS, "transforms": [{"type": "limit", "count": 1, "max": 1}]}, "max"),
            Bad({"data": ROWS, "transforms": [{}]}, "type"),
            Bad({"transforms": []}, "there is no data"),
            Bad(
                {"data": ROWS, "transforms": [{"type": "cast", "field": "name", "to": "integer"}]},
                "transforms[0] (cast, 'name'), row 0: 'name': \"Ann\" is not a whole number",
            ),
        ]

    def test_transforms_follow_one_another(self, attempt):
        transforms = [
            {"type": "filter", "field": "points", "operator": "ne", "value": None},
            {"type": "sort", "by": "points"},
            {"type": "pick", "fields": ["name", "points"]},
            {"type": "uppercase", "field": "name"},
        ]
        output = attempt({"transforms": transforms}, inputs={"rows": ROWS}).output
        assert output == [{"name": "BOB", "points": 1}, {"name": "ANN", "points": 3}]

    def test_a_problem_with_one_transform_is_said_of_it_and_of_no_other(self, attempt):
        transforms = [{"type": "limit", "count": 1}, {"type": "sort", "descending": "yes"}]
        message = attempt({"data": [], "transforms": transforms}).message
        assert "transforms.1.descending" in message
        assert "transforms.0" not in message


def transform(data, *transforms):
    before = copy.deepcopy(data)
    output = call(data_transform, {"data": data, "transforms": list(transforms)})
    assert data == before, "the data it was handed was changed"
    return output


def failure(data, *transforms):
    return refusal(data_transform, {"data": data, "transforms": list(transforms)})


def test_no_transform_leaves_the_data_as_it_is():
    assert transform(ROWS) == ROWS


def test_an_object_is_transformed_like_a_row():
    assert transform({"a": 1}, {"type": "rename", "from": "a", "to": "b"}) == {"b": 1}


@pytest.mark.parametrize(
    ("row", "options", "result"),
    [
        ({"a": 1, "c": 2}, {"type": "rename", "from": "a", "to": "b"}, {"c": 2, "b": 1}),
        ({"a": {"x": 1}}, {"type": "rename", "from": "a.x", "to": "b.y"}, {"a": {}, "b": {"y": 1}}),
        ({"a": 1, "b": 2}, {"type": "pick", "fields": ["b", "nope"]}, {"b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"type": "pick", "fields": "a.x"}, {"a": {"x": 1}}),
        ({"a.b": 1, "c": 2}, {"type": "pick", "fields": "a.b"}, {"a.b": 1}),
        ({"a": 1, "b": 2}, {"type": "drop", "fields": ["b", "nope", "a.x"]}, {"a": 1}),
        ({"a": {"x": 1, "y": 2}}, {"type": "drop", "fields": "a.x"}, {"a": {"y": 2}}),
        ({"a": 1}, {"type": "set", "field": "b.c.d", "value": [1]}, {"a": 1, "b": {"c": {"d": [1]}}}),
        ({"a": [{"x": 1}, 5]}, {"type": "set", "field": "a.0.x", "value": 2}, {"a": [{"x": 2}, 5]}),
        ({"a": [1, 2]}, {"type": "set", "field": "a.1", "value": 9}, {"a": [1, 9]}),
        ({"a": None, "b": 0}, {"type": "default", "field": ["a", "b", "c"], "value": 7}, {"a": 7, "b": 0, "c": 7}),
        ({"a": " x "}, {"type": "trim", "field": "a"}, {"a": "x"}),
        ({"a": "straße"}, {"type": "uppercase", "field": "a"}, {"a": "STRASSE"}),
        ({"a": "ÄB", "b": "C"}, {"type": "lowercase", "field": ["a", "b"]}, {"a": "äb", "b": "c"}),
        ({"a": "ann lee"}, {"type": "title", "field": "a"}, {"a": "Ann Lee"}),
        ({"a": None}, {"type": "uppercase", "field": "a"}, {"a": None}),
        ({"a": "a.b.a"}, {"type": "replace", "field": "a", "old": "a", "new": ""}, {"a": ".b."}),
        ({"a": "a.b"}, {"type": "replace", "field": "a", "old": ".", "new": "-"}, {"a": "a-b"}),
        (
            {"a": "2026-01-02"},
            {"type": "replace", "field": "a", "old": r"(\d+)-(\d+)-(\d+)", "new": r"\3.\2.\1", "regex": True},
            {"a": "02.01.2026"},
        ),
        ({"a": "x,y,,z"}, {"type": "split", "field": "a", "separator": ","}, {"a": ["x", "y", "", "z"]}),
        ({"a": "x"}, {"type": "split", "field": "a", "separator": ",", "to": "b"}, {"a": "x", "b": ["x"]}),
        ({"a": ["x", 1, True, None]}, {"type": "join", "field": "a", "separator": "-"}, {"a": "x-1-true-null"}),
        ({"a": 1, "b": None, "c": "z"}, {"type": "concat", "fields": ["c", "b", "a"], "to": "d", "separator": "/"},
         {"a": 1, "b": None, "c": "z", "d": "z/1"}),
        ({"a": 2.5}, {"type": "round", "field": "a"}, {"a": 2}),
        ({"a": 2.345}, {"type": "round", "field": "a", "digits": 1}, {"a": 2.3}),
        ({"a": 1234}, {"type": "round", "field": "a", "digits": -2}, {"a": 1200}),
        ({"a": 1e300}, {"type": "round", "field": "a"}, {"a": 1e300}),
        ({"a": "de"}, {"type": "map_values", "field": "a", "mapping": {"de": "Germany"}}, {"a": "Germany"}),
        ({"a": 1}, {"type": "map_values", "field": "a", "mapping": {"1": True}}, {"a": True}),
        ({"a": "fr"}, {"type": "map_values", "field": "a", "mapping": {}}, {"a": "fr"}),
        ({"a": "fr"}, {"type": "map_values", "field": "a", "mapping": {}, "default": None}, {"a": None}),
        ({"a": {"b": 1, "c": {"d": 2}}, "e": {}}, {"type": "flatten"}, {"a.b": 1, "a.c.d": 2, "e": {}}),
        ({"a": {"b": 1}}, {"type": "flatten", "separator": "_"}, {"a_b": 1}),
        ({"a": [1, 2]}, {"type": "query", "expression": "{n: length(a), s: sum(a)}"}, {"n": 2, "s": 3}),
    ],
)  # fmt: skip
def test_a_row_is_changed_and_the_order_of_its_fields_kept(row, options, result):
    assert list(transform(row, options).items()) == list(result.items())


@pytest.mark.parametrize(
    ("to", "value", "result"),
    [
        ("integer", "12", 12),
        ("integer", " -7 ", -7),
        ("integer", "1.0", 1),
        ("integer", 3.0, 3),
        ("integer", True, 1),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("number", "1.5e3", 1500.0),
        ("number", "12", 12),
        ("number", False, 0),
        ("string", 1.0, "1.0"),
        ("string", True, "true"),
        ("string", {"a": [None]}, '{"a":[null]}'),
        ("string", "x", "x"),
        ("boolean", "Yes", True),
        ("boolean", "off", False),
        ("boolean", 0, False),
        ("boolean", 1.0, True),
        ("boolean", True, True),
        ("json", '{"a": [1]}', {"a": [1]}),
        ("json", 5, 5),
        ("integer", None, None),
    ],
)
def test_what_fits_is_cast(to, value, result):
    cast = transform({"a": value}, {"type": "cast", "field": "a", "to": to})["a"]
    assert (cast, type(cast)) == (result, type(result))


@pytest.mark.parametrize(
    ("to", "value"),
    [
        ("integer", "1.5"),
        ("integer", 1.5),
        ("integer", "1_000"),
        ("integer", "\uff11\uff12"),
        ("integer", ""),
        ("integer", "0x10"),
        ("integer", "9223372036854775808"),
        ("integer", 1e300),
        ("integer", "9" * 5000),
        ("integer", [1]),
        ("number", "1e999"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1,5"),
        ("number", {}),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("boolean", []),
        ("json", "{"),
        ("json", "[" * 100_000),
        ("json", '"\\ud800"'),
    ],
)
def test_what_does_not_fit_exactly_is_no_cast(to, value):
    message = failure([{"a": 1}, {"a": value}], {"type": "cast", "field": "a", "to": to})
    assert message.startswith("transforms[0] (cast, 'a'), row 1: 'a': ")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"type": "sort", "by": "points"}, "Bob Ann Cid"),
        ({"type": "sort", "by": "points", "descending": True}, "Ann Bob Cid"),
        ({"type": "sort", "by": "nowhere"}, "Ann Bob Cid"),
        ({"type": "sort", "by": ["when.day", "name"]}, "Bob Ann Cid"),
        ({"type": "sort", "by": ["team", "name"], "descending": True}, "Cid Ann Bob"),
        ({"type": "filter", "field": "team", "operator": "eq", "value": "red"}, "Ann Cid"),
        ({"type": "filter", "field": "when.day", "operator": "<", "value": "2026-01-02"}, "Bob"),
        ({"type": "filter", "field": "points", "operator": "is_empty"}, None),
        ({"type": "filter", "field": "nowhere", "operator": "exists"}, ""),
        ({"type": "limit", "count": 2}, "Ann Bob"),
        ({"type": "limit", "count": 0}, ""),
        ({"type": "limit", "count": 9, "offset": 1}, "Bob Cid"),
        ({"type": "unique", "field": "team"}, "Ann Bob"),
        ({"type": "unique", "field": ["team", "name"]}, "Ann Bob Cid"),
        ({"type": "query", "expression": "[?team=='red']"}, "Ann Cid"),
    ],
)
def test_a_list_is_filtered_and_ordered(options, names):
    if names is None:
        assert "can be empty" in failure(ROWS, options)
    else:
        assert " ".join(row["name"] for row in transform(ROWS, options)) == names


@pytest.mark.parametrize(
    ("data", "options", "result"),
    [
        ([3, 1, 2], {"type": "sort"}, [1, 2, 3]),
        (["b", None, "a"], {"type": "sort", "descending": True}, ["b", "a", None]),
        ([1, 1.0, True, "1", [1], [1.0]], {"type": "unique"}, [1, True, "1", [1]]),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], {"type": "unique"}, [{"a": 1, "b": 2}]),
        ([5, 15], {"type": "filter", "operator": "gt", "value": 10}, [15]),
        ([[1], [2, [3]], 4], {"type": "flatten"}, [1, 2, [3], 4]),
        ([{"a": {"b": 1}}, 2], {"type": "flatten"}, [{"a.b": 1}, 2]),
        ([], {"type": "flatten"}, []),
        (5, {"type": "query", "expression": "@"}, 5),
    ],
)
def test_a_list_need_not_hold_objects(data, options, result):
    assert repr(transform(data, options)) == repr(result)


def aggregate(rows, *metrics, **options):
    return transform(rows, {"type": "aggregate", "metrics": list(metrics), **options})


def test_figures_are_computed_group_by_group_in_the_order_the_groups_appear():
    metrics = [
        {"function": "count"},
        {"function": "count", "field": "points", "as": "scored"},
        {"function": "sum", "field": "points"},
        {"function": "avg", "field": "points"},
        {"function": "list", "field": "name", "as": "names"},
    ]
    assert aggregate(ROWS, *metrics, group_by="team") == [
        {"team": "red", "count": 2, "scored": 1, "sum_points": 3, "avg_points": 3.0, "names": ["Ann", "Cid"]},
        {"team": "blue", "count": 1, "scored": 1, "sum_points": 1, "avg_points": 1.0, "names": ["Bob"]},
    ]


def test_without_groups_the_figures_are_one_object():
    metrics = [{"function": name, "field": "points", "as": name} for name in ("min", "max", "first", "last")]
    assert aggregate(ROWS, *metrics) == {"min": 1, "max": 3, "first": 3, "last": None}
    assert aggregate([], {"function": "count"}, *metrics) == {
        "count": 0,
        "min": None,
        "max": None,
        "first": None,
        "last": None,
    }
    assert aggregate([], {"function": "sum", "field": "x"}, {"function": "avg", "field": "x"}) == {
        "sum_x": 0,
        "avg_x": None,
    }


def test_groups_are_told_apart_as_json_does_it():
    rows = [{"k": 1}, {"k": 1.0}, {"k": True}, {"k": None}, {}, {"k": [1]}]
    counted = aggregate(rows, {"function": "count"}, group_by=["k"])
    assert [row["count"] for row in counted] == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (5, {"type": "rename", "from": "a", "to": "b"}, "transforms[0] (rename, 'a'): it works on an object or a list"),
        ([5], {"type": "drop", "fields": "a"}, "row 0: it is a number, not an object: 5"),
        ({}, {"type": "rename", "from": "a", "to": "b"}, "there is no field 'a'"),
        ({"a": 1, "b": 2}, {"type": "rename", "from": "a", "to": "b"}, "there is already a field 'b'"),
        ({"a": [1]}, {"type": "rename", "from": "a.0", "to": "b"}, "lies in a list"),
        ({"a": 1}, {"type": "set", "field": "a.b", "value": 2}, "can be set in a number: 1"),
        ({"a": []}, {"type": "set", "field": "a.0", "value": 2}, "can be set in a list"),
        ({"a": 1}, {"type": "uppercase", "field": "a"}, "'a': 1 is a number, not text"),
        ({}, {"type": "uppercase", "field": "a"}, "there is no field 'a'"),
        ({"a": "x"}, {"type": "replace", "field": "a", "old": "(", "new": "", "regex": True}, "regular expression"),
        ({"a": "x"}, {"type": "replace", "field": "a", "old": "x", "new": r"\1", "regex": True}, "in place of"),
        ({"a": [[]]}, {"type": "join", "field": "a", "separator": ""}, "a list cannot be part of a text"),
        ({"a": "x"}, {"type": "join", "field": "a", "separator": ""}, "not a list"),
        ({"a": {}}, {"type": "concat", "fields": ["a"], "to": "b"}, "an object cannot be part of a text"),
        ({"a": "1"}, {"type": "round", "field": "a"}, "not a number"),
        ({"a": True}, {"type": "round", "field": "a"}, "not a number"),
        ({"a": 1.7e308}, {"type": "round", "field": "a", "digits": -308}, "too large"),
        ({"a.b": 1, "a": {"b": 2}}, {"type": "flatten"}, "two fields become 'a.b'"),
        ({}, {"type": "sort"}, "it works on a list; the data is an object: {}"),
        ([1, "a"], {"type": "sort"}, 'row 1: "a" has no order beside 1'),
        ([{"a": 1}, {"a": True}], {"type": "sort", "by": "a"}, "row 1: true has no order beside 1"),
        ([[1]], {"type": "sort"}, "row 0: [1] has no order"),
        ([{}], {"type": "filter", "field": "a", "operator": "eq", "value": 1}, "row 0: there is no field 'a'"),
        ([1, "a"], {"type": "filter", "operator": "gt", "value": 0}, "row 1: text and a number have no order"),
        ([{"a": "x"}], {"type": "aggregate", "metrics": [{"function": "sum", "field": "a"}]}, "sum of 'a'"),
        ([], {"type": "aggregate", "metrics": [{"function": "sum"}]}, "needs a `field`"),
        ([], {"type": "aggregate", "metrics": [{"function": "count"}, {"function": "count"}]}, "called 'count'"),
        (
            [{"a": 2**63}, {"a": 2**63}],
            {"type": "aggregate", "metrics": [{"function": "sum", "field": "a"}]},
            "does not fit 64 bits",
        ),
        (
            [{"a": 1.7e308}, {"a": 1.7e308}],
            {"type": "aggregate", "metrics": [{"function": "avg", "field": "a"}]},
            "too large",
        ),
        ({}, {"type": "query", "expression": "["}, "'[' failed: "),
        ({}, {"type": "query", "expression": "nope(@)"}, "failed: "),
        ([1, "a"], {"type": "query", "expression": "sort(@)"}, "failed: "),
        ({}, {"type": "query", "expression": "&a"}, "not JSON"),
        ({"a": "nan"}, {"type": "query", "expression": "to_number(a)"}, "too large for a number"),
        ({}, {"type": "nope"}, "there is no transform 'nope'"),
        ({}, {"type": "set", "field": "a"}, "it needs `value`"),
    ],
)
def test_a_failure_names_the_transform_the_field_and_the_row(data, options, words):
    assert words in failure(data, options)


def test_the_transform_that_failed_is_counted_from_nought():
    good = {"type": "limit", "count": 1}
    assert failure([1], good, good, {"type": "drop", "fields": "a"}).startswith("transforms[2] (drop, 'a'), row 0: ")


def test_data_that_is_nested_too_deeply_is_a_failure_and_no_crash():
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    assert "nested too deeply" in refusal(data_transform, {"data": [deep], "transforms": [{"type": "unique"}]})
