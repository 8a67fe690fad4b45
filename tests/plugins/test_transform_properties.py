"""What holds for every transform on any data: a clear failure at worst, JSON at best, nothing changed in place."""

import copy
import json

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

from engine.task import FailedError
from plugins import data_transform
from plugins._parts.operation import Operation
from tests.plugins.direct import call

KEYS = ["a", "b", "c", "a.b", "ä", "0", ""]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", " x ", "1", "1.5", "true", "2026-01-02", "[1]", "a,b", "\u017f"])
    | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
rows = st.lists(st.dictionaries(st.sampled_from(KEYS), scalars, max_size=4), max_size=6)
data = values | rows
paths = st.sampled_from(["a", "b", "c", "a.b", "a.0", "0", "a..b", "nope", "."])
expressions = st.sampled_from(
    [
        "@",
        "[]",
        "[?a>`1`]",
        "sort_by(@, &a)",
        "sum(@)",
        "avg([].a)",
        "max_by(@, &b)",
        "a.b",
        "&a",
        "to_number(a)",
        "[",
        "*",
    ]
)


def from_schema(schema):
    """Draw what a schema of an option allows; of texts, mostly ones that mean something."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([from_schema(one) for one in schema["anyOf"]])
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -20), schema.get("maximum", 20))
        case "number":
            return st.integers(-20, 20) | st.floats(allow_nan=False, allow_infinity=False)
        case "array":
            return st.lists(from_schema(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
        case "object" if "properties" in schema:
            properties = {name: from_schema(inner) for name, inner in schema["properties"].items()}
            required = {name: inner for name, inner in properties.items() if name in schema["required"]}
            optional = {name: inner for name, inner in properties.items() if name not in schema["required"]}
            return st.fixed_dictionaries(required, optional=optional)
        case "object":
            return st.dictionaries(st.sampled_from(["1", "true", "x"]), scalars, max_size=2)
        case "string":
            return (
                paths if schema.get("maxLength") == 256 else st.sampled_from([",", ".", "x", "(", r"\1", "a*", "(.)"])
            )
        case _:
            return values


def options_of(name: str, operation: Operation):
    options = {option: from_schema(schema) for option, schema in operation.options.items()}
    if name == "query":
        options = {"expression": expressions}
    required = {option: options[option] for option in operation.required}
    optional = {option: options[option] for option in operation.optional}
    return st.fixed_dictionaries({"type": st.just(name), **required}, optional=optional)


transforms = st.lists(
    st.one_of([options_of(name, operation) for name, operation in data_transform.OPERATIONS.items()]),
    min_size=1,
    max_size=4,
)
validator = jsonschema_rs.validator_for(data_transform.PARAM_SCHEMA)


@given(data, transforms)
def test_whatever_it_is_handed_it_gives_json_or_a_clear_failure_and_changes_nothing(given_data, given_transforms):
    fields = {"data": given_data, "transforms": given_transforms}
    assert validator.is_valid(fields)
    before = copy.deepcopy(given_data)
    try:
        output = call(data_transform, fields)
    except FailedError as error:
        assert error.message.startswith("transforms[")  # noqa: PT017 -- success is right as well
    else:
        assert json.loads(json.dumps(output, allow_nan=False)) == output
    assert repr(given_data) == repr(before)


@given(st.lists(st.tuples(st.integers(0, 3) | st.none(), st.text("xyz", max_size=1))), st.booleans())
def test_a_sort_keeps_the_order_of_ties_and_puts_what_has_no_value_last(pairs, is_descending):
    given_rows = [{"k": value, "s": word, "at": at} for at, (value, word) in enumerate(pairs)]
    options = {"type": "sort", "by": ["k", "s"], "descending": is_descending}
    output = call(data_transform, {"data": given_rows, "transforms": [options]})
    sign = -1 if is_descending else 1
    assert output == sorted(
        given_rows,
        key=lambda row: (row["k"] is None, sign * (row["k"] or 0), sign * ord(row["s"] or " "), row["at"]),
    )


@given(rows, st.sampled_from(["a", "b", "c"]))
def test_what_a_filter_keeps_and_what_its_opposite_keeps_make_the_whole(given_rows, field):
    kept, left = (
        call(data_transform, {"data": given_rows, "transforms": [{"type": "filter", "field": field, "operator": name}]})
        for name in ("exists", "not_exists")
    )
    assert len(kept) + len(left) == len(given_rows)
    assert [row for row in given_rows if field in row] == kept


@given(rows, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True))
def test_the_counts_of_all_groups_make_the_whole(given_rows, fields):
    options = {"type": "aggregate", "group_by": fields, "metrics": [{"function": "count", "as": "n"}]}
    groups = call(data_transform, {"data": given_rows, "transforms": [options]})
    unique = call(data_transform, {"data": given_rows, "transforms": [{"type": "unique", "field": fields}]})
    assert sum(group["n"] for group in groups) == len(given_rows)
    assert len(groups) == len(unique)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), values, max_size=4))
def test_a_value_written_as_text_and_read_as_json_is_the_same(row):
    fields = list(row) or ["zz"]
    casts = [{"type": "default", "field": fields, "value": [1]}, {"type": "set", "field": "keep", "value": row}]
    casts += [{"type": "cast", "field": "keep", "to": to} for to in ("string", "json")]
    assert call(data_transform, {"data": row, "transforms": casts})["keep"] == row
