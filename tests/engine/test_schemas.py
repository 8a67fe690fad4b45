"""JSON Schemas: what fits, what is said where something does not, and what a document may not send."""

import pytest

from engine import schemas
from engine.schemas import Schema, Violation

FIELDS = Schema(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 3},
            "mode": {"enum": ["a", "b"]},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "list": {"items": {"type": "string"}, "minItems": 1},
            "alone": {},
        },
        "dependentSchemas": {"alone": {"properties": {"mode": False}}},
        "required": ["n"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("value", "violation"),
    [
        ({}, Violation((), 'lacks "n"', "required", "n")),
        ({"n": "x"}, Violation(("n",), 'must be of type integer, not "x"', "type")),
        ({"n": True}, Violation(("n",), "must be of type integer, not true", "type")),
        ({"n": 1}, Violation(("n",), "1 is less than the minimum of 3", "minimum")),
        ({"n": 3, "mode": "c"}, Violation(("mode",), 'must be one of "a", "b", not "c"', "enum")),
        ({"n": 3, "list": ["a", 1]}, Violation(("list", 1), "must be of type string, not 1", "type")),
        (
            {"n": 3, "alone": 1, "mode": "a"},
            Violation(("mode",), "is not allowed here, beside the other fields", "falseSchema"),
        ),
        (
            {"n": 3, "more": 1},
            Violation(("more",), "is not one of the fields there are", "additionalProperties", "more"),
        ),
    ],
)
def test_a_violation_says_where_and_what(value, violation):
    assert not FIELDS.fits(value)
    assert list(FIELDS.violations(value)) == [violation]


def test_alternatives_are_all_named():
    (found,) = FIELDS.violations({"n": 3, "either": 5})
    assert found.message == 'fits none of what is allowed: 5 is not of type "string"; 5 is not of type "null"'


def test_a_value_that_is_open_is_judged_by_its_keys_alone():
    def is_open(value):
        return "?" in str(value)

    assert list(FIELDS.violations({"n": "?", "mode": "?", "either": ["?"]}, is_open)) == []
    kinds = [found.keyword for found in FIELDS.violations({"mode": "?", "q": "?", "list": [], "alone": 1}, is_open)]
    assert sorted(kinds) == ["additionalProperties", "falseSchema", "minItems", "required"]


@pytest.mark.parametrize("value", [{1: 2}, {"n": b"x"}, {"n": object()}, {"n": "\ud800"}])
def test_what_is_no_json_does_not_fit(value):
    assert not FIELDS.fits(value)
    assert [found.keyword for found in FIELDS.violations(value)] == ["type"]


def test_a_long_value_is_not_quoted_in_full():
    (found,) = FIELDS.violations({"n": "x" * 10_000})
    assert len(found.message) < 200


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "interger"}, 'Did you mean "integer"'),
        ({"type": "zzz"}, "the types are string"),
        ({"minimum": "x"}, "minimum"),
        ({"pattern": "("}, "pattern"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "disabled"),
        ({"$ref": "file:///etc/hostname"}, "disabled"),
        (5, "object"),
    ],
)
def test_what_is_no_schema_is_refused_and_nothing_is_fetched(schema, words):
    with pytest.raises(ValueError, match=words):
        Schema(schema)


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"items": {"$dynamicRef": "#x"}}, {"anyOf": [{"$recursiveRef": "#"}]}, {"type": "zzz"}]
)
def test_a_declaration_from_a_document_holds_no_references(schema):
    with pytest.raises(ValueError, match="not"):
        schemas.declared(schema)


def test_a_declaration_is_a_schema():
    assert schemas.declared({"type": "string", "maxLength": 2}).fits("ab")
    assert not schemas.declared({"type": "string", "maxLength": 2}).fits("abc")


def test_regular_expressions_are_counted_wherever_they_stand():
    assert schemas.patterns({"a": {"pattern": "x"}, "b": {"patternProperties": {"x": {}, "y": {"pattern": "z"}}}}) == 4
