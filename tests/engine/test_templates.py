"""Expressions in the fields of a task."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions import ExpressionError, find, holds, scan
from engine.limits import Limits
from tests.engine import documents

SCOPE = {
    "params": {"n": 3, "s": "abc", "o": {"é": [1, None]}, "f": 1.0, "none": None, "t": True, "evil": "${{ params.n }}"}
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("${{ params.n }}", 3),
        ("${{params.n}}", 3),
        ("${{ params.o }}", {"é": [1, None]}),
        ("${{ params.none }}", None),
        (" ${{ params.n }}", " 3"),
        ("n=${{ params.n }}, s=${{ params.s }}.", "n=3, s=abc."),
        ("${{ params.s }}${{ params.s }}", "abcabc"),
        ("${{ params.o }}!", '{"é":[1,null]}!'),
        ("${{ params.none }} ${{ params.t }} ${{ params.f }}", "null true 1.0"),
        ("$${{ params.n }}", "${{ params.n }}"),
        ("$${{ a }} ${{ params.n }}", "${{ a }} 3"),
        ("$$${{ a", "$${{ a"),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ '}}' + params.s }}", "}}abc"),
        ("${{ \"'}}\" + '\\'}}' }}", "'}}'}}"),
        ("${{ '''}}''' }}", "}}"),
        ("${{ params.evil }}", "${{ params.n }}"),
        ("x ${{ params.evil }} ${{ '${{ params.n }}' }}", "x ${{ params.n }} ${{ params.n }}"),
        ("${{ params.n }}}}", "3}}"),
        (["${{ params.n }}", 1, {"a": "${{ params.s }}"}], [3, 1, {"a": "abc"}]),
        ({"a": {"b": ["x${{ params.n }}"]}, "c": 1}, {"a": {"b": ["x3"]}, "c": 1}),
    ],
)
def test_a_field_is_filled_in(field, value):
    found = find(field).render(SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [None, 1, 1.5, True, "", "plain", "$ { {", "}}", "${ { x } }", [], {}, {"a": ["b"]}])
def test_a_value_without_expressions_is_no_template(value):
    assert find(value) is None
    assert not holds(value)


def test_a_template_tells_what_it_names_and_where():
    template = find({"a/b": ["${{ tasks.x.output }} ${{ params.p }}"], "c": "${{ tasks.y.state }}"})
    assert template.roots == {"tasks", "params"}
    assert template.tasks == {"x", "y"}
    assert [at for at, _ in template.expressions] == ["/a~1b/0", "/a~1b/0", "/c"]


def test_what_holds_no_expression_is_kept_as_the_object_it_is():
    field = {"fixed": {"large": [1, 2]}, "open": "${{ params.n }}", "list": [[1], "${{ params.n }}"]}
    filled = find(field).render(SCOPE)
    assert filled["fixed"] is field["fixed"]
    assert filled["list"][0] is field["list"][0]
    assert field["open"] == "${{ params.n }}"


def test_an_error_names_the_field_the_expression_and_what_is_missing():
    with pytest.raises(ExpressionError) as caught:
        find({"url": ["x", {"a/b": "${{ params.n }}/${{ params.day }}"}]}).render(SCOPE)
    assert caught.value.pointer == "/url/1/a~1b"
    assert caught.value.name == "params.day"
    assert str(caught.value) == '/url/1/a~1b: params has no field "day" (in params.day)'


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("${{ params.n", "expression_syntax"),
        ("${{ params.n }", "expression_syntax"),
        ("a ${{ b ${{ c", "expression_syntax"),
        ("${{}}", "expression_syntax"),
        ("${{ 'x }} }}", "expression_syntax"),
        ("${{ params.n } }}", "expression_syntax"),
        ({"${{ params.s }}": 1}, "expression_syntax"),
        ("${{ nope }}", "expression_name"),
    ],
)
def test_what_cannot_be_used_is_refused_when_found(field, code):
    with pytest.raises(ExpressionError) as caught:
        find(field)
    assert caught.value.problem == code


def test_every_wrong_expression_is_told_not_only_the_first():
    template, errors = scan({"a": "${{ 1 + }} ${{ nope }} ${{ params.n }}", "b": "${{", "${{ k }}": 1})
    assert [(error.pointer, error.problem) for error in errors] == [
        ("/${{ k }}", "expression_syntax"),
        ("/a", "expression_syntax"),
        ("/a", "expression_name"),
        ("/b", "expression_syntax"),
    ]
    assert [expression.source for _, expression in template.expressions] == ["params.n"]


def test_text_that_grows_beyond_the_limit_is_refused():
    template = find("${{ params.s }}" * 100, Limits(output_bytes=250))
    with pytest.raises(ExpressionError, match="output_bytes"):
        template.render(SCOPE)


@given(documents.values)
def test_a_value_is_filled_in_as_itself_and_into_text_as_json(value):
    scope = {"params": {"v": value}}
    assert find("${{ params.v }}").render(scope) is value
    written = find("<${{ params.v }}>").render(scope)[1:-1]
    assert written == value if isinstance(value, str) else json.loads(written) == value


@given(st.lists(st.sampled_from(["a", "$", "${{", "$${{", "}}", "{", "}", "'", '"', " ", "params.n"]), max_size=9))
def test_any_text_is_a_template_or_an_error_and_escapes_come_back(pieces):
    text = "".join(pieces)
    try:
        template = find(text)
    except ExpressionError:
        return
    assert (template is None) == ("${{" not in text)
    escaped = find(text.replace("${{", "$${{"))
    assert escaped is None or escaped.render({}) == text
