"""The scanner that finds the lines of keys, held to what tomllib reads."""

import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.places import locate

SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.datetimes() | st.dates() | st.times()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12
)
NAMES = st.lists(st.sampled_from(["a", "b", '"c d"', "'e'", '"\\n"']), min_size=1, max_size=3).map(" . ".join)
WRITTEN = st.recursive(
    st.sampled_from(
        ["1", "nan", "1979-05-27 07:32:00", '"\\"]"', "'#'", '"""x\n""""', "'''\n]''''", '""', "''", '"""\\"""""']
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: "[\n" + " , # ]\n".join(values) + "]")
        | st.lists(st.tuples(NAMES, inner), max_size=2).map(
            lambda pairs: "{" + ", ".join(f"{name} = {value}" for name, value in pairs) + "}"
        )
    ),
    max_leaves=6,
)
LINES = st.one_of(
    NAMES.map("[ {} ]".format),
    NAMES.map("[[{}]] # x".format),
    st.tuples(NAMES, WRITTEN).map(" = ".join),
    st.just("# ="),
)


def keys(value, key=()):
    """List the path of everything in a value."""
    found = [key] if key else []
    if isinstance(value, dict):
        found += [path for name, inner in value.items() for path in keys(inner, (*key, name))]
    elif isinstance(value, list):
        found += [path for number, inner in enumerate(value) for path in keys(inner, (*key, number))]
    return found


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
def test_every_key_that_tomllib_reads_has_a_place(document, multiline):
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert set(locate(text)) == set(keys(tomllib.loads(text)))


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_whatever_tomllib_accepts_is_scanned_alike(text):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a table or key that is there twice
        return
    assert set(locate(text)) == set(keys(document))


@pytest.mark.parametrize(
    ("text", "key", "place"),
    [
        ("a = 1", ("a",), (1, 1)),
        ("# x\n\n  a . b = 1", ("a", "b"), (3, 3)),
        ("[t]\na = 1", ("t", "a"), (2, 1)),
        ("[t]\na = 1", ("t",), (1, 1)),
        ("[[t]]\n[[t]]\na = 1", ("t", 1, "a"), (3, 1)),
        ("[[t]]\n[[t]]\na = 1", ("t", 1), (2, 1)),
        ("[[t]]\n[t.u]\na = 1\n[[t.v]]\nb = 2", ("t", 0, "v", 0, "b"), (5, 1)),
        ("a = [1,\n  2, # ]\n  3]", ("a", 2), (3, 3)),
        ("a = {b = 1, c = {d = 2}}", ("a", "c", "d"), (1, 18)),
        ('a = """\nb = 1\n"""\nc = 1', ("c",), (4, 1)),
        ("a = '''\n[b]\n'''\nc = 1", ("c",), (4, 1)),
        ('"ä\\n" = 1', ("ä\n",), (1, 1)),
    ],
)
def test_a_place_is_the_line_and_column_where_a_key_begins(text, key, place):
    tomllib.loads(text)
    assert locate(text)[key] == place


def test_text_that_is_not_toml_ends_in_an_error_and_never_in_a_loop():
    with pytest.raises((ValueError, IndexError)):
        locate("name[[schedules}")
