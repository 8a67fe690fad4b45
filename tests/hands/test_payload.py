import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runner.payload import MAX_DEPTH, NotJsonError, encode

texts = st.text(st.characters(codec="utf-8"))
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    json_scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20
)


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Name(enum.StrEnum):
    FIRST = "a"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Row:
    name: str = "x"


class Struct(msgspec.Struct):
    name: str = "x"


class Agrees:
    """Claims to be equal to everything."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


class Raises(dict):  # noqa: PLW1641 -- dicts have no hash
    """Raises wherever it is asked."""

    def __eq__(self, other):
        raise KeyError(self)

    def items(self):
        raise KeyError(self)

    __iter__ = keys = values = __len__ = items


class LyingText(str):
    __slots__ = ()

    def __str__(self):
        raise KeyError

    def encode(self, *_):
        raise KeyError


NOT_JSON = [
    dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    dt.date(2020, 1, 1),
    dt.timedelta(1),
    decimal.Decimal("1.5"),
    uuid.UUID(int=7),
    b"bytes",
    bytearray(b"x"),
    memoryview(b"x"),
    {1, 2},
    frozenset(),
    collections.deque([1]),
    range(3),
    1j,
    float("nan"),
    float("inf"),
    float("-inf"),
    2**63,
    -(2**63) - 1,
    10**5000,
    "\ud800",
    "a\udfffb",
    {1: 2},
    {None: 1},
    {True: 1},
    {1.5: 1},
    {(1, 2): 3},
    {"a": 1, 2: 3},
    {"\ud800": 1},
    Colour.RED,
    Row(),
    Struct(),
    msgspec.UNSET,
    msgspec.Raw(b"{"),
    object(),
    Agrees(),
    len,
    Row,
    iter([1]),
]


@given(json_values)
def test_any_json_value_comes_back_equal(value):
    data = encode(value, "output")
    assert json.loads(data) == value
    assert msgspec.json.decode(data) == value
    assert repr(msgspec.json.decode(data)) == repr(value)  # 1 stays 1 and does not become True or 1.0


@given(json_values, st.sampled_from(NOT_JSON), st.data())
def test_whatever_is_not_json_is_refused_wherever_it_hides(value, odd, data):
    for _ in range(data.draw(st.integers(0, 3))):
        odd = data.draw(st.sampled_from([[value, odd], {"k": value, "odd": odd}, (odd,), [odd]]))
    with pytest.raises(NotJsonError, match=r"^output"):
        encode(odd, "output")


@given(st.recursive(st.none() | st.text() | st.integers() | st.binary() | st.floats() | st.complex_numbers()
    | st.datetimes() | st.decimals(), lambda inner: st.lists(inner) | st.tuples(inner, inner)
    | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.frozensets(st.integers()),
    max_leaves=10))  # fmt: skip
def test_a_value_is_either_kept_or_refused_with_a_sentence(value):
    said = data = None
    try:
        data = encode(value, "output")
    except NotJsonError as error:
        said = str(error)
    assert said is None or said.startswith("output")
    assert data is None or msgspec.json.encode(msgspec.json.decode(data)) == data


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {"rows": [0, 1, 2, {"when": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}]},
            "output.rows[3].when is a datetime; convert it to a string",
        ),
        ({"a b": {1: 2}}, "output['a b'] has the key 1 (int); keys are strings: use str(key)"),
        ([float("nan")], "output[0] is nan, which JSON does not have; use None or a string"),
        ({"n": 2**63}, "output.n is an integer beyond 64 bits; convert it to a string"),
        (["\ud83d"], "output[0] holds '\\ud83d', which is half a character; decode its bytes with errors='replace'"),
        ({1, 2}, "output is a set; convert it to a list"),
        (object(), "output is an object; convert it to a string, a number, a list or a dict"),
    ],
)
def test_the_sentence_says_where_and_what_to_do(value, sentence):
    with pytest.raises(NotJsonError) as caught:
        encode(value, "output")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ((1, (2, "x")), [1, [2, "x"]]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (Point(1, 2), [1, 2]),
        (Size.SMALL, 1),
        (Name.FIRST, "a"),
        ({Name.FIRST: (1,)}, {"a": [1]}),
        (LyingText("x"), "x"),
        ({LyingText("x"): LyingText("y")}, {"x": "y"}),
        (Raises(a=1), {"a": 1}),
        ([2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]),
        ("1234567890123456789012", "1234567890123456789012"),
    ],
    ids=lambda value: type(value).__name__,  # pytest would call the methods that must not be called
)
def test_what_differs_from_json_only_in_its_class_is_taken(value, same):
    assert json.loads(encode(value, "output")) == same


def nested(levels, leaf=None):
    for _ in range(levels):
        leaf = [leaf]
    return leaf


def looped():
    loop: dict[str, Any] = {}
    loop["again"] = [loop]
    return loop


def test_nesting_is_bounded_whatever_the_shape():
    assert json.loads(encode(nested(MAX_DEPTH), "output")) == nested(MAX_DEPTH)
    assert encode([[]] * (MAX_DEPTH * 3), "output")
    for deep in (nested(MAX_DEPTH + 1), nested(900), nested(100_000), looped(), nested(MAX_DEPTH, (1,))):
        with pytest.raises(NotJsonError, match="memo is nested deeper than 200 levels"):
            encode(deep, "memo")
