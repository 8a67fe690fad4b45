import stat

import pytest

from plugins import output
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal


class TestOutput(PluginContract):
    task_type = "output"

    @pytest.fixture
    def good(self):
        return {"data": {"a": 1}}

    @pytest.fixture
    def bad(self, web, tmp_path):
        return [
            Bad({}, "stdout: there is no data"),
            Bad({"data": 1, "to": "printer"}, "to"),
            Bad({"data": 1, "to": "file"}, "path"),
            Bad({"data": 1, "to": "folder"}, "folder"),
            Bad({"data": 1, "to": "http"}, "url"),
            Bad({"data": 1, "path": "x"}, "path"),
            Bad({"data": 1, "to": "http", "url": "x", "mode": "0600"}, "mode"),
            Bad({"data": 1, "merge": "deep"}, "merge"),
            Bad({"data": [1], "format": "csv"}, "stdout: CSV is made of objects"),
            Bad({"data": 1, "to": "file", "path": f"{tmp_path}/no/x"}, "file: "),
            Bad({"data": 1, "to": "folder", "folder": str(tmp_path), "name": "a/b"}, "name"),
            Bad({"data": 1, "to": "http", "url": web.url("/status/503")}, "answered 503"),
            Bad({"data": 1, "to": "http", "url": web.url("/echo"), "verify": False}, "allow_unverified"),
        ]

    def test_without_words_it_prints_what_came_before_and_hands_it_on(self, attempt, capfd):
        tried = attempt({}, inputs={"ai_analysis": {"answer": "yes"}})
        assert tried.output == {"answer": "yes"}
        assert capfd.readouterr().out.splitlines()[-3:] == ["{", '  "answer": "yes"', "}"]

    def test_the_settings_of_the_operator_hold(self, attempt, web):
        fields = {"data": 1, "to": "http", "url": web.url("/echo")}
        assert "127.0.0.1 is not a public address" in attempt(fields, settings={"deny_private": True}).message
        assert web.seen == []


def delivered(**fields):
    return call(output, fields)


@pytest.mark.parametrize(
    ("data", "fields", "printed"),
    [
        ("text", {}, "text\n"),
        ("line\n", {}, "line\n"),
        ("", {}, ""),
        ([{"a": 1}], {"format": "jsonl"}, '{"a":1}\n'),
        ([{"a": 1, "b": "x"}], {"format": "csv", "delimiter": ";"}, "a;b\n1;x\n"),
        ({"a": 1}, {"format": "text"}, '{"a":1}\n'),
    ],
)
def test_it_prints_in_the_format_that_was_asked_for(capsys, data, fields, printed):
    assert delivered(data=data, **fields) == data
    assert capsys.readouterr().out == printed


def test_several_outputs_are_merged_and_delivered(capsys):
    assert call(output, {}, inputs={"a": [1], "b": [2]}) == [1, 2]
    assert call(output, {"merge": "by_id", "format": "text"}, inputs={"a": [1], "b": [2]}) == {"a": [1], "b": [2]}
    assert capsys.readouterr().out.endswith('{"a":[1],"b":[2]}\n')


@pytest.mark.parametrize(
    ("name", "data", "content"),
    [("a.json", {"a": 1}, '{\n  "a": 1\n}\n'), ("a.csv", [{"a": 1}], "a\n1\n"), ("a", "x", "x"), ("a", 1, "1\n")],
)
def test_a_file_is_written_in_the_format_of_its_ending(tmp_path, name, data, content):
    path = str(tmp_path / name)
    assert delivered(data=data, to="file", path=path) == {"to": "file", "path": path, "bytes": len(content)}
    assert (tmp_path / name).read_text() == content


def test_a_file_is_replaced_unless_it_must_not_be(tmp_path):
    path = str(tmp_path / "sub" / "x")
    delivered(data="1", to="file", path=path, parents=True, mode="0600")
    delivered(data="2", to="file", path=path)
    assert "it exists already" in refusal(output, {"data": "3", "to": "file", "path": path, "overwrite": False})
    assert (tmp_path / "sub" / "x").read_text() == "2"
    delivered(data="4", to="file", path=path, mode="0600")
    assert stat.S_IMODE((tmp_path / "sub" / "x").stat().st_mode) == 0o600


def test_a_file_dropped_into_a_folder_has_a_name_of_its_own(tmp_path):
    found = delivered(data={"tasks": []}, to="folder", folder=str(tmp_path))
    assert [str(path) for path in tmp_path.iterdir()] == [found["path"]] == [f"{tmp_path}/r1-tried.json"]


def test_a_file_that_was_dropped_before_is_not_dropped_again_and_another_is_never_replaced(tmp_path):
    fields = {"to": "folder", "folder": str(tmp_path), "name": "x.txt"}
    first = delivered(data="same", **fields)
    before = (tmp_path / "x.txt").stat().st_ino
    assert delivered(data="same", **fields) == first
    assert (tmp_path / "x.txt").stat().st_ino == before
    assert "it exists already" in refusal(output, {"data": "else", **fields})
    delivered(data="else", overwrite=True, **fields)
    assert (tmp_path / "x.txt").read_text() == "else"


@pytest.mark.parametrize(
    ("fields", "method", "kind", "body"),
    [
        ({"data": {"a": "ä"}}, "POST", "application/json", '{\n  "a": "ä"\n}\n'),
        ({"data": [1], "format": "jsonl", "method": "PUT"}, "PUT", "application/x-ndjson", "1\n"),
        ({"data": "x", "headers": {"content-type": "text/x", "X-N": 1}}, "POST", "text/x", "x"),
    ],
)
def test_a_request_carries_the_data_its_type_and_a_key(web, fields, method, kind, body):
    auth = {"username": "u", "password": "p"}
    found = delivered(to="http", url=web.url("/echo"), auth=auth, expect_status=[200, 201], **fields)
    seen = web.seen[-1]
    assert (found["to"], found["status"], found["bytes"]) == ("http", 200, len(body.encode()))
    assert (seen.method, seen.headers["content-type"], seen.body.decode()) == (method, kind, body)
    assert seen.headers["idempotency-key"] == "r1/tried"
    assert seen.headers["authorization"].startswith("Basic ")
