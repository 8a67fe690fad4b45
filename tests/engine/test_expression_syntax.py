"""The reading of expressions beside the library's own: the same names, whatever they stand in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions.program import _cel
from engine.expressions.syntax import DEEPEST, Names, TooNestedError, UnreadableError, read

VARIABLES = ["a", "b", "item", "params", "tasks"]
FIELDS = ["a", "size", "map", "in_", "x1"]


@st.composite
def texts(draw, depth=3):
    """Draw a valid expression, with names where names may be and texts that look like names."""
    space = draw(st.sampled_from(["", " ", "\n", " // a.b 'c'\n"]))
    deeper = texts(depth - 1) if depth else st.sampled_from(VARIABLES)
    name, field = draw(st.sampled_from(VARIABLES)), draw(st.sampled_from(FIELDS))
    one, two = draw(deeper), draw(deeper)
    forms = [
        name,
        draw(st.sampled_from(["1", "-1", "0x1F", "1.5e3", "7u", "true", "null", ".5"])),
        draw(st.sampled_from(["'a.b'", '"b[0]"', "r'\\d'", "'''a'b'''", '"""x"y"""', "'\\'a'", "b'x'", "''", '""'])),
        f"{name}.{field}{space}",
        f"{name}[{one}]",
        f"{name}['{field}'].a",
        f"({one})",
        f"[{one},{space}{two}]",
        f"{{'k': {one}, {two}: 1}}",
        f"{one} {draw(st.sampled_from(['+', '-', '==', '&&', '||', '<=', '%', 'in', '!=']))} {space}{two}",
        f"!({one})",
        f"({one}) ? ({two}) : {name}",
        f"size({one})",
        f"({one}).contains({two})",
        f"({one}).map({name}, {two})",
        f"{name}.filter({field}, {one} == {field})",
        f"{name}.map(x, {one}, {two})",
        f"has({name}.{field}.b)",
    ]
    return draw(st.sampled_from(forms))


def bound(row):
    """List the names that macros bind anywhere in a reading."""
    found = set()
    stack = [row]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            found |= {part.variable} if getattr(part, "variable", None) else set()
            stack.extend(part)
    return found


@given(texts())
def test_the_names_and_functions_are_those_the_library_sees(text):
    references = _cel().compile(text).references()
    row = read(text)
    names = Names(row)
    roots = {path[0] for path in names.paths}
    assert roots <= set(references["variables"]) <= roots | bound(row)
    assert names.functions - {"has"} <= set(references["functions"])


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.b.c", {("a", "b", "c")}),
        ("a.b[0]['c-d'][e.f].g", {("a", "b", 0, "c-d"), ("e", "f")}),
        ("a.f(b).c", {("a",), ("b",)}),
        ("a.map(x, x.b + a.c)", {("a",), ("a", "c")}),
        ("a.map(a, a.b)", {("a",)}),
        ("a.map(x, b.map(y, x + y + z))", {("a",), ("b",), ("z",)}),
        ("a.map(x, x) + x", {("a",), ("x",)}),
        ("a.map(x, x > y, z)", {("a",), ("y",), ("z",)}),
        ("'a.b' + \"c\" + '''d'''", set()),
        ("{a: b, 'c': d.e}", {("a",), ("b",), ("d", "e")}),
        ("x ? y : {z: 1}", {("x",), ("y",), ("z",)}),
        ("a // b.c\n.d", {("a", "d")}),
        ("a['b\\x41']", {("a",)}),
        ("a[r'b'].c", {("a",)}),
        ("a[1u]", {("a",)}),
        ("-a.b - !c", {("a", "b"), ("c",)}),
        ("a.all.b", {("a", "all", "b")}),
    ],
)
def test_paths_go_as_far_as_they_are_constant(text, paths):
    assert set(Names(read(text)).paths) == paths


def test_what_has_asks_for_is_known_to_be_asked_for():
    assert Names(read("has(a.b) && has(x.y.z) && c.d")).guarded == {("a", "b"), ("x", "y", "z")}


def test_nesting_is_bounded():
    assert read("(" * (DEEPEST - 1) + "1" + ")" * (DEEPEST - 1))
    for opening, closing in [("(", ")"), ("[", "]"), ("{1:", "}"), ("size(", ")"), ("a[", "]")]:
        with pytest.raises(TooNestedError):
            read(opening * DEEPEST + "1" + closing * DEEPEST)


def test_long_rows_need_no_depth():
    assert len(read("+".join(["1"] * 1000)).operands) == 1000
    assert Names(read("a" + ".b" * 1000)).paths.keys() == {("a", *["b"] * 1000)}


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        read(text)
    except UnreadableError:
        return
