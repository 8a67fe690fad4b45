"""What the command line writes is safe to show, and times, fields and tails read well."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import fields, moments, text
from daemon.cli.tailing import Tail, last_lines
from engine import natives
from engine.clock import epoch
from engine.limits import Limits
from engine.loader import load_value
from engine.registry import Registry

NOW = epoch("2027-03-05T12:00:00Z")


@given(st.text(alphabet=st.characters()))
def test_no_escaped_text_holds_a_character_that_a_terminal_acts_on(given_text):
    shown = text.escaped(given_text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert not set(shown) & set("\u202e\u2066\u200b\ufeff\u2028")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff", "\\udcff"),
        ("größe 漢字 👍", "größe 漢字 👍"),
    ],
)
def test_what_is_escaped_stays_readable(raw, shown):
    assert text.escaped(raw) == shown


def test_lines_keep_their_ends_and_lose_everything_else_that_moves_the_cursor():
    assert text.escaped_lines("a\tb\r\nc\x1b[0m\n") == ["a       b", "c\\x1b[0m"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_says_the_same_whatever_was_escaped(value):
    written = text.encoded(value)
    assert json.loads(written) == value
    assert not any(0x7F <= ord(character) < 0xA0 for character in written)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (3.42, "3.4 s"),
        (59.97, "1:00 min"),
        (65, "1:05 min"),
        (3600 * 2 + 180, "2 h 03 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
        (-1, "0 ms"),
    ],
)
def test_a_duration_is_short(seconds, shown):
    assert moments.took(seconds) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(NOW, "just now"), (NOW - 300, "5 min ago"), (NOW - 86400 * 2, "2 d ago"), (NOW + 7200, "in 2 h")],
)
def test_a_distance_in_time_names_its_largest_unit(moment, shown):
    assert moments.ago(moment, NOW) == shown


@pytest.fixture
def berlin(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_moments_are_local_and_name_the_day_only_where_it_is_another():
    assert moments.local(epoch("2027-03-05T07:30:01Z"), NOW) == "08:30:01"
    assert moments.local(epoch("2027-03-04T07:30:01Z"), NOW) == "2027-03-04 08:30"
    assert moments.stamp(epoch("2027-03-05T07:30:01.25Z")) == "08:30:01.250"


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", "2027-03-05T11:58:30Z"),
        ("1h30m", "2027-03-05T10:30:00Z"),
        ("today", "2027-03-04T23:00:00Z"),
        ("yesterday", "2027-03-03T23:00:00Z"),
        ("2027-03-01", "2027-02-28T23:00:00Z"),
        ("2027-03-01T12:00", "2027-03-01T11:00:00Z"),
        ("2027-03-01T12:00:00+00:00", "2027-03-01T12:00:00Z"),
    ],
)
def test_since_takes_a_duration_a_day_and_a_moment(written, meant):
    assert moments.since(written, NOW) == epoch(meant)


def test_since_says_what_can_be_written():
    with pytest.raises(ValueError, match="'soon' is no time: write for example 1h"):
        moments.since("soon", NOW)


SCHEMA = {
    "type": "object",
    "required": ["path"],
    "properties": {
        "width": {"type": "integer", "minimum": 1, "default": 800, "description": "Pixels."},
        "path": {"type": "string", "examples": ["a.png"]},
        "mode": {"enum": ["fit", "fill"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "size": {"$ref": "#/$defs/size"},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "$defs": {"size": {"type": "number", "exclusiveMinimum": 0}},
}


def test_fields_are_described_from_the_schema_required_ones_first():
    described = {field.name: field for field in fields.describe(SCHEMA, ["path"])}
    assert list(described) == ["path", "width", "mode", "tags", "size", "either"]
    assert described["path"].is_required
    assert described["width"] == ("width", "integer, at least 1", False, "800", "Pixels.")
    assert described["mode"].takes == "one of fit, fill"
    assert described["tags"].takes == "array of string"
    assert described["size"].takes == "number, more than 0"
    assert described["either"].takes == "string or null"


def test_a_sample_task_is_the_first_example_or_has_the_required_fields_and_no_other():
    assert fields.sample("img/resize", SCHEMA, ["path"]) == {"id": "resize", "type": "img/resize", "path": "a.png"}
    assert fields.sample("a", {**SCHEMA, "examples": [{"path": "b"}, {}]}, []) == {"id": "a", "type": "a", "path": "b"}
    assert fields.sample("a", None, ["message"]) == {"id": "a", "type": "a", "message": "..."}


def test_a_tail_hands_out_whole_lines_as_they_come_and_the_rest_at_the_end(tmp_path):
    path = tmp_path / "a.log"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_bytes(b"eins\nzw" + "ö".encode()[:1])
    assert tail.lines() == ["eins"]
    assert tail.lines() == []
    with path.open("ab") as file:
        file.write("ö".encode()[1:] + b"lf\nrest")
    assert tail.lines() == ["zwölf"]
    assert tail.lines(is_over=True) == ["rest"]


def test_the_last_lines_of_a_long_file_are_found_without_reading_it_all(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {number} {'x' * 100}\n" for number in range(10_000)))
    assert [line.split()[1] for line in last_lines(path, 3)] == ["9997", "9998", "9999"]
    assert last_lines(tmp_path / "none.log", 3) == []


def test_a_last_line_longer_than_what_is_read_is_shown_in_part(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x" * 100_000)
    assert last_lines(path, 1) == ["x" * 4096]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.integers(10, 100))
def test_a_value_laid_out_is_still_that_value(value, width):
    assert json.loads("\n".join(text.laid_out(value, width))) == value


def test_a_value_is_opened_up_only_where_it_does_not_fit():
    value = {"best": "Berlin", "cities": [{"city": "Berlin", "total": 150.75}, {"city": "Paris", "total": 80}], "n": []}
    assert text.laid_out(value, 48) == [
        "{",
        '  "best": "Berlin",',
        '  "cities": [',
        '    {"city": "Berlin", "total": 150.75},',
        '    {"city": "Paris", "total": 80}',
        "  ],",
        '  "n": []',
        "}",
    ]
    assert len(text.laid_out(value, 200)) == 1


def test_the_sample_of_every_built_in_task_type_can_be_run():
    registry = Registry()
    types = natives.beside(registry.load()).types
    samples = {name: fields.sample(name, each.param_schema, each.required_fields) for name, each in types.items()}
    own = {name: {key: task[key] for key in task if key not in ("id", "type")} for name, task in samples.items()}
    assert {name: found for name in registry.list() if (found := registry.problems(name, own[name]))} == {}
    assert load_value({"tasks": [samples["workflow"], samples["approval"]]}, None, Limits())[1] == ()
