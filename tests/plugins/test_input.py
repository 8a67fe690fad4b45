import os

import pytest

from plugins import input as plugin
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal

PERSON = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}, "mail": {"type": "string", "format": "email"}},
    "required": ["age"],
    "additionalProperties": False,
}


class TestInput(PluginContract):
    task_type = "input"

    @pytest.fixture
    def good(self):
        return {"data": {"age": 3}, "defaults": {"mail": "a@example.org"}, "schema": PERSON}

    @pytest.fixture
    def bad(self, tmp_path):
        (tmp_path / "bad.json").write_text('{"a": ')
        return [
            Bad({}, "there is no data: give `data`, `file` or `defaults`"),
            Bad({"data": 1, "file": "x"}, "file"),
            Bad({"data": 1, "format": "csv"}, "file"),
            Bad({"file": "x", "delimiter": '"'}, "delimiter"),
            Bad({"data": 1, "schema": {"type": "strin"}}, "schema.type"),
            Bad({"data": 1, "schema": {"$ref": "https://example.org/schema"}}, "the schema is none"),
            Bad({"data": 1, "defaults": {"a": 1}}, "the data is a number"),
            Bad({"file": str(tmp_path / "none.json")}, "none.json: No such file or directory"),
            Bad({"file": str(tmp_path)}, "it is a folder, not a file"),
            Bad({"file": str(tmp_path / "bad.json")}, "bad.json: it is not JSON"),
            Bad({"file": "a\0b"}, "is no file name"),
        ]

    def test_the_data_of_the_third_design_comes_out_as_it_is(self, attempt):
        assert attempt({"data": {"message": "hello"}}).output == {"message": "hello"}

    def test_a_schema_that_is_none_is_found_before_a_run(self, attempt):
        assert attempt({"data": 1, "schema": {"required": "a"}}).done.reason == "invalid"


def collected(**fields):
    return call(plugin, fields)


def test_every_violation_is_reported_with_its_pointer():
    data = [{"age": "old"}, {"mail": "nobody", "age": -1}, {"a/b": 1, "age": 1}, {}]
    message = refusal(plugin, {"data": data, "schema": {"items": PERSON}})
    assert message.startswith("5 violations of the schema: ")
    for words in (
        '/0/age: must be of type integer, not "old"',
        '/1/mail: "nobody" is not a "email"',
        "/1/age: -1 is less than the minimum of 0",
        "/2: Additional properties are not allowed ('a/b' was unexpected)",
        '/3: "age" is a required property',
    ):
        assert words in message


def test_a_pointer_escapes_what_has_a_meaning_in_it():
    message = refusal(plugin, {"data": {"a/b~": 1}, "schema": {"additionalProperties": {"type": "string"}}})
    assert "/a~1b~0: must be of type string" in message


def test_a_thousand_violations_are_counted_and_the_first_are_shown():
    message = refusal(plugin, {"data": ["x" * 10_000] * 1000, "schema": {"items": {"pattern": "^y"}}})
    assert "1000 violations" in message
    assert "and 980 more" in message
    assert len(message) < 10_000


def test_a_schema_may_refer_to_its_own_parts():
    schema = {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}
    assert collected(data=[1], schema=schema) == [1]
    assert "/0: must be of type integer" in refusal(plugin, {"data": ["a"], "schema": schema})


def test_an_older_draft_is_taken_where_the_schema_says_so():
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert collected(data=[1, "a"], schema=schema) == [1, "a"]


def test_defaults_fill_in_what_is_missing_also_deeper_and_in_lists():
    defaults = {"a": 1, "o": {"x": 1, "y": 2}}
    assert collected(data={"o": {"x": 5}}, defaults=defaults) == {"a": 1, "o": {"x": 5, "y": 2}}
    assert collected(data=[{"a": None}], defaults=defaults) == [{"a": None, "o": {"x": 1, "y": 2}}]
    assert collected(defaults=defaults) == defaults


def test_what_came_before_is_taken_where_there_is_no_data_of_its_own():
    assert call(plugin, {}, inputs={"a": {"x": 1}, "b": {"y": 2}}) == {"x": 1, "y": 2}
    assert call(plugin, {"data": 1}, inputs={"a": {"x": 1}}) == 1


@pytest.mark.parametrize(
    ("name", "fields", "content", "data"),
    [
        ("a.json", {}, b'\xef\xbb\xbf{"a": [1]}', {"a": [1]}),
        ("a.jsonl", {}, b'{"a": 1}\n\n[2]\n', [{"a": 1}, [2]]),
        ("a.csv", {}, b'name,n\r\n"a, b",1\r\n', [{"name": "a, b", "n": "1"}]),
        ("a.csv", {"delimiter": ";"}, b"name;n\na;1\n", [{"name": "a", "n": "1"}]),
        ("a.csv", {}, b"", []),
        ("a.txt", {}, "ä\r\n".encode(), "ä\r\n"),
        ("a", {"encoding": "latin-1"}, b"\xe4", "ä"),
        ("a.json", {"format": "text"}, b"{}", "{}"),
        ("a.bin", {"format": "base64"}, b"\x00\xff", "AP8="),
    ],
)
def test_a_file_is_read_by_its_ending_or_as_it_is_said(tmp_path, name, fields, content, data):
    (tmp_path / name).write_bytes(content)
    assert collected(file=str(tmp_path / name), **fields) == data


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"a,b\n1\n", "line 2 has 1 cells, the header 2"),
        ("a.csv", b"a,a\n1,2\n", "two columns have the same name"),
        ("a.csv", b'a\n"x', "it is not CSV"),
        ("a.jsonl", b"1\n{\n", "line 2 is not JSON"),
        ("a.txt", b"\xff", "byte 0 does not fit"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_with_the_place(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    message = refusal(plugin, {"file": str(tmp_path / name)})
    assert message.startswith(f"{tmp_path / name}: ")
    assert words in message


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    (tmp_path / "a.txt").write_text("12345")
    assert collected(file=str(tmp_path / "a.txt"), max_bytes=5) == "12345"
    assert "larger than 4 bytes" in refusal(plugin, {"file": str(tmp_path / "a.txt"), "max_bytes": 4})


def test_cells_become_what_the_schema_says_of_their_column(tmp_path):
    (tmp_path / "a.csv").write_text("n,x,ok,t\n1,1.5,yes,7\n,,,\n")
    columns = {"n": ["integer", "null"], "x": "number", "ok": "boolean", "t": ["string", "integer"]}
    schema = {"items": {"properties": {name: {"type": word} for name, word in columns.items()}}}
    rows = collected(file=str(tmp_path / "a.csv"), schema=schema)
    assert rows == [{"n": 1, "x": 1.5, "ok": True, "t": "7"}, {"t": ""}]
    (tmp_path / "a.csv").write_text("n\nmany\n")
    assert '/0/n: must be of type null or integer, not "many"' in refusal(
        plugin, {"file": str(tmp_path / "a.csv"), "schema": schema}
    )


def test_a_pipe_nobody_writes_to_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe, socket or device" in refusal(plugin, {"file": str(tmp_path / "pipe")})
