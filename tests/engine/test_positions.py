"""Where keys and values stand in a text."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from engine.positions import Walk, line_column, locate, pointer_before, spots
from engine.problems import pointer
from tests.engine import documents

TEXT = b"""{
  "tasks": [
    {"id": "a", "a/b": {"~": null}},
    {"id": "\\u00e9", "list": [1, [2, "x]"]]}
  ]
}"""


def members(value, path=()):
    """List every value below a JSON value with its path."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from members(item, (*path, key))


def test_a_pointer_leads_to_its_value_or_to_its_key():
    assert locate(TEXT, "") == (1, 1)
    assert locate(TEXT, "/tasks") == (2, 12)
    assert locate(TEXT, "/tasks", of_key=True) == (2, 3)
    assert locate(TEXT, "/tasks/0/a~1b/~0") == (3, 30)
    assert locate(TEXT, "/tasks/1/id", of_key=True) == (4, 6)
    assert locate(TEXT, "/tasks/1/list/1/1") == (4, 38)


def test_a_pointer_that_leads_nowhere_stands_where_its_parent_stands():
    assert locate(TEXT, "/tasks/1/missing") == (4, 5)
    assert locate(TEXT, "/tasks/1/list/1/7/x", of_key=True) == (4, 34)
    assert locate(TEXT, "/nothing/at/all") == (1, 1)


def test_of_a_key_written_twice_the_last_counts():
    assert locate(b'{"a": 1,\n"a": 2}', "/a") == (2, 6)


def test_a_byte_order_mark_is_no_column():
    assert locate(b'\xef\xbb\xbf{"a": 1}', "/a", of_key=True) == (1, 2)


def test_lines_and_columns_count_characters_from_one():
    assert line_column("é\n\nab", 4) == (3, 2)
    assert line_column("", 0) == (1, 1)


def test_the_place_where_a_text_stops_being_json_has_a_pointer():
    text = '{"a": [1, {"b": x'
    assert pointer_before(text, text.index("x")) == "/a/1/b"
    assert pointer_before('{"a": 1, x', 9) == ""
    assert pointer_before("[1, 2 3]", 6) == "/1"


@given(documents.texts())
def test_every_pointer_of_a_document_leads_to_its_value(drawn):
    value, text = drawn
    wanted = {pointer(path): inner for path, inner in members(value)}
    found = spots(text, wanted)
    assert found.keys() == wanted.keys()
    for name, spot in found.items():
        assert json.JSONDecoder(strict=False).raw_decode(text, spot.value)[0] == wanted[name]
        if spot.key is not None:
            key = json.JSONDecoder(strict=False).raw_decode(text, spot.key)[0]
            assert pointer([key]) == name[name.rindex("/") :]


@given(documents.texts(), st.data())
def test_a_few_pointers_are_found_without_the_others(drawn, data):
    value, text = drawn
    everything = {pointer(path) for path, _ in members(value)}
    some = data.draw(st.sets(st.sampled_from(sorted(everything)), max_size=3))
    whole = spots(text, everything)
    assert spots(text, some) == {name: whole[name] for name in some}


@given(st.text('{}[]":,01 x\\', max_size=30))
@example('{"\\0"')
def test_walking_any_text_comes_to_an_end_within_it(text):
    walk = Walk(text)
    offsets = [spot.value for spot, _ in walk]
    assert offsets == sorted(set(offsets))
    assert walk.end <= len(text)
