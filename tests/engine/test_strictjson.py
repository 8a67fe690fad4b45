"""Strict JSON: what is read, what is not, and what is said about it."""

import gc
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from engine.limits import Limits
from engine.problems import PROBLEMS
from engine.strictjson import parse
from tests.engine import documents

LIMITS = Limits()

VALID = [
    (b"{}", {}),
    (b"[]", []),
    (b" [ ] \r\n\t", []),
    (b"null", None),
    (b"0", 0),
    (b"-0", 0),
    (b"-0.0", -0.0),
    (b"1E+2", 100.0),
    (b"1e-999", 0.0),
    (b"123456789.123456789e-10", 0.0123456789123456789),
    (b"9223372036854775807", 2**63 - 1),
    (b"-9223372036854775808", -(2**63)),
    (b"1.7976931348623157e308", 1.7976931348623157e308),
    (b"1234567890123456789012345.0", 1234567890123456789012345.0),
    (b'""', ""),
    (b'"\\u0022\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    (b'"\\ud83d\\ude00"', "\U0001f600"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\\\\u0000"', "\\u0000"),
    ('"é\U0001f600\u2028\ufeff\x7f"'.encode(), "é\U0001f600\u2028\ufeff\x7f"),
    (b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
    (b'{"": {"": 0}}', {"": {"": 0}}),
    (b'{"a": "NaN", "b": "1e999", "c": "{{{[["}', {"a": "NaN", "b": "1e999", "c": "{{{[["}),
    (b'"[\\"[[\\\\"', '["[[\\'),
    (b"[" * 64 + b"]" * 64, None),
    (b'["' + b"[" * 100 + b'"]', ["[" * 100]),
]  # fmt: skip

# Text -> (code, pointer, line, column) of every problem, in order.
INVALID = [
    (b"", [("empty", "", None, None)]),
    (b" \n\t", [("empty", "", None, None)]),
    (b"\xef\xbb\xbf", [("empty", "", None, None)]),
    (b"\0\0\0\0\0\0\0\0", [("nul", "", 1, 1)]),
    (b'{"a":\n1}\0\0\0', [("nul", "", 2, 3)]),
    (b'["a\0b"]', [("nul", "", 1, 4)]),
    (b'{"a": "x\\u0000y"}', [("nul", "/a", 1, 7)]),
    ('{"a": 1}'.encode("utf-16"), [("encoding", "", 1, 1)]),
    ('{"a": 1}'.encode("utf-16-le"), [("encoding", "", 1, 1)]),
    ('{"a": 1}'.encode("utf-16-be"), [("encoding", "", 1, 1)]),
    ('{"a": 1}'.encode("utf-32"), [("encoding", "", 1, 1)]),
    ('{"a": 1}'.encode("utf-32-be"), [("encoding", "", 1, 1)]),
    (b'{"a":\n "\xff"}', [("encoding", "", 2, 3)]),
    (b'\xef\xbb\xbf{"a":\n "caf\xe9"}', [("encoding", "", 2, 6)]),
    (b'"\xed\xa0\x80"', [("encoding", "", 1, 2)]),
    (b'"\xc0\xaf"', [("encoding", "", 1, 2)]),
    (b"[" * 65 + b"]" * 65, [("too_deep", "/0" * 64, 1, 65)]),
    (b"[" * 100_000, [("too_deep", "/0" * 64, 1, 65)]),
    (b'{"a":' * 100_000, [("too_deep", "/a" * 64, 1, 64 * 5 + 1)]),
    (b'{"\\x": ' + b"[" * 65, [("too_deep", "", None, None)]),
    (b'{"a": 1, "a": 2}', [("duplicate_key", "/a", 1, 10)]),
    (b'{"a": 1,\n "b": {},\n "\\u0061": 3}', [("duplicate_key", "/a", 3, 2)]),
    (b'[{"x": {"": 1, "": 2, "": 3}}]', [("duplicate_key", "/0/x/", 1, 16), ("duplicate_key", "/0/x/", 1, 23)]),
    (b"NaN", [("not_a_number", "", 1, 1)]),
    (b'{"a": [Infinity,\n-Infinity]}', [("not_a_number", "/a/0", 1, 8), ("not_a_number", "/a/1", 2, 1)]),
    (b"[1e999, -1E400, 1e308]", [("not_a_number", "/0", 1, 2), ("not_a_number", "/1", 1, 9)]),
    (b"[" + b"9" * 400 + b".0]", [("not_a_number", "/0", 1, 2)]),
    (b"[9223372036854775808]", [("integer_range", "/0", 1, 2)]),
    (b"[0, -9223372036854775809]", [("integer_range", "/1", 1, 5)]),
    (b'{"n": ' + b"7" * 5_000 + b"}", [("integer_range", "/n", 1, 7)]),
    (b'["\\ud800"]', [("surrogate", "/0", 1, 2)]),
    (b'["\\uDC00\\ud800 x"]', [("surrogate", "/0", 1, 2)]),
    (b'{"a": {"\\ud83d": 1}}', [("surrogate", "/a/\\ud83d", 1, 8)]),
    (
        b'{"a": NaN, "b": "\\ud800",\n "a": 1e999,\n "c": 99999999999999999999}',
        [
            ("not_a_number", "/a", 1, 7),
            ("surrogate", "/b", 1, 17),
            ("duplicate_key", "/a", 2, 2),
            ("not_a_number", "/a", 2, 7),
            ("integer_range", "/c", 3, 7),
        ],
    ),
    (b"{} x", [("trailing_data", "", 1, 4)]),
    (b"{}\n{}", [("trailing_data", "", 2, 1)]),
    (b"{}]", [("trailing_data", "", 1, 3)]),
    (b'{"a": 1', [("truncated", "/a", 1, 8)]),
    (b'{"a": ', [("truncated", "/a", 1, 7)]),
    (b'{"tasks": [{"id": "a"}, {"id', [("truncated", "/tasks/1", 1, 26)]),
    (b'{"a": tru', [("truncated", "/a", 1, 7)]),
    (b"[1, -", [("truncated", "/1", 1, 5)]),
    (b"[", [("truncated", "/0", 1, 2)]),
    (b'"abc', [("truncated", "", 1, 1)]),
    (b"[1,]", [("syntax", "/0", 1, 3)]),
    (b'{"a": 1,\n}', [("syntax", "/a", 1, 8)]),
    (b"[,1]", [("syntax", "/0", 1, 2)]),
    (b"[1,,2]", [("syntax", "/1", 1, 4)]),
    (b"{'a': 1}", [("syntax", "", 1, 2)]),
    (b"{a: 1}", [("syntax", "", 1, 2)]),
    (b'{"a": 1, b: 2}', [("syntax", "", 1, 10)]),
    (b'{"a" 1}', [("syntax", "/a", 1, 6)]),
    (b'{"a"}', [("syntax", "/a", 1, 5)]),
    (b'{"a":}', [("syntax", "/a", 1, 6)]),
    (b'{"a": 1 "b": 2}', [("syntax", "/a", 1, 9)]),
    (b"[1 2]", [("syntax", "/0", 1, 4)]),
    (b"[01]", [("syntax", "/0", 1, 3)]),
    (b"[1.]", [("syntax", "/0", 1, 3)]),
    (b"[.5]", [("syntax", "/0", 1, 2)]),
    (b"[+1]", [("syntax", "/0", 1, 2)]),
    (b"[-]", [("syntax", "/0", 1, 2)]),
    (b"[0x10]", [("syntax", "/0", 1, 3)]),
    (b"[True]", [("syntax", "/0", 1, 2)]),
    (b"[nul]", [("syntax", "/0", 1, 2)]),
    (b'["a\nb"]', [("syntax", "/0", 1, 4)]),
    (b'["a\tb"]', [("syntax", "/0", 1, 4)]),
    (b'["\\x41"]', [("syntax", "/0", 1, 3)]),
    (b'["\\u12"]', [("syntax", "/0", 1, 3)]),
    (b'["C:\\dir"]', [("syntax", "/0", 1, 5)]),
    (b"[1 // one\n]", [("syntax", "/0", 1, 4)]),
    (b'["a\\\n"]', [("syntax", "/0", 1, 4)]),
    (b"# yaml\na: 1", [("syntax", "", 1, 1)]),
    (b"}", [("syntax", "", 1, 1)]),
    (b"[1}", [("syntax", "/0", 1, 3)]),
    (b"<html>", [("syntax", "", 1, 1)]),
    (b"\xef\xbb\xbf\xef\xbb\xbf{}", [("syntax", "", 1, 1)]),
    ("[\u00a01]".encode(), [("syntax", "/0", 1, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "value"), VALID)
def test_valid_json_is_read_as_the_standard_library_reads_it(data, value):
    found, problems = parse(data, LIMITS)
    assert problems == []
    assert found == (json.loads(data) if value is None else value)


def test_one_byte_order_mark_is_tolerated_and_not_counted():
    assert parse(b'\xef\xbb\xbf{"a": 1}', LIMITS) == ({"a": 1}, [])
    (problem,) = parse(b"\xef\xbb\xbf[x]", LIMITS)[1]
    assert (problem.line, problem.column) == (1, 2)


@pytest.mark.parametrize(("data", "expected"), INVALID)
def test_every_problem_has_its_code_and_place(data, expected):
    _, problems = parse(data, LIMITS)
    assert [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems] == expected
    assert all(problem.code in PROBLEMS and problem.message for problem in problems)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1,]", "Remove the comma"),
        (b"{'a': 1}", "double quotes"),
        (b"{a: 1}", 'Write "a"'),
        (b"[True]", "Write true"),
        (b"[None]", "Write null"),
        (b"[1 // x\n]", "JSON has none"),
        (b"[+1]", "Write them like"),
        (b"[01]", "Remove the zeros"),
        (b'["C:\\dir"]', "written \\\\"),
        (b'["a\nb"]', "line break"),
        (b"hello there", '"hello there" is not JSON Write a text in double quotes, as in "hello"'),
        (b"[yes]", 'as in "yes"'),
        (b"tasks:\n  - id: a", '"tasks:" is not JSON'),
        (b"<a/>", "A document is an object in JSON"),
        (b"{}{}", ".jsonl"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32"),
        (b"\0\0\0\0", "power cut"),
        (b"[NaN]", "NaN"),
        (b'{"a": 1, "a": 2}', '"a" stands twice'),
    ],
)
def test_a_problem_says_what_to_do(data, words):
    (problem,) = parse(data, LIMITS)[1]
    assert words in f"{problem.message} {problem.hint}"


def test_a_document_over_the_limit_is_not_read():
    value, problems = parse(b'{"a": 1}', Limits(document_bytes=7))
    assert value is UNSET
    assert [(problem.code, problem.pointer) for problem in problems] == [("too_large", "")]


def test_the_depth_limit_is_a_setting():
    assert parse(b'{"a": [1]}', Limits(document_depth=2))[1] == []
    (problem,) = parse(b'{"a": [{}]}', Limits(document_depth=2))[1]
    assert (problem.code, problem.pointer, problem.column) == ("too_deep", "/a/0", 8)


def test_where_only_values_are_wrong_the_rest_is_there_with_stand_ins():
    value, problems = parse(b'{"a": NaN, "b": 1, "b": 2, "c": 99999999999999999999, "d": "\\ud800x"}', LIMITS)
    assert [problem.code for problem in problems] == ["not_a_number", "duplicate_key", "integer_range", "surrogate"]
    assert value == {"a": 0.0, "b": 2, "c": 0, "d": "\\ud800x"}


def test_where_the_text_breaks_off_there_is_no_value():
    assert parse(b'{"a": 1', LIMITS)[0] is UNSET


def test_problems_beyond_the_limit_are_counted():
    _, problems = parse(b"[" + b",".join([b"NaN"] * 250) + b"]", Limits(document_problems=3))
    assert [problem.code for problem in problems] == ["not_a_number"] * 3 + ["more_problems"]
    assert "247 more" in problems[-1].message


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_left_as_it_was(was_on):
    try:
        (gc.enable if was_on else gc.disable)()
        parse(b'{"a": [1, 2]}', LIMITS)
        parse(b'{"a": [1, 2', LIMITS)
        assert gc.isenabled() == was_on
    finally:
        gc.enable()


@given(documents.texts())
def test_what_python_writes_is_read_back(drawn):
    value, text = drawn
    assert parse(text.encode(), LIMITS) == (value, [])


@given(st.binary(max_size=60))
@example(b'{"\xef\xbb\xbf": 1}')
def test_any_bytes_lead_to_a_value_or_to_problems(data):
    value, problems = parse(data, LIMITS)
    assert (value is UNSET) <= bool(problems)
    assert all(problem.code in PROBLEMS for problem in problems)


@given(st.text('{}[]":,0123456789.eE+-truefalsn \\u\n\t/', max_size=40).map(str.encode))
def test_what_is_accepted_is_what_the_standard_library_accepts_strictly(data):
    value, problems = parse(data, LIMITS)
    try:
        expected = json.loads(data)
    except ValueError:
        assert problems
        assert value is UNSET
    else:
        assert problems or value == expected


@given(documents.texts(), st.data())
def test_a_document_cut_short_is_never_taken_for_whole(drawn, data):
    _, text = drawn
    whole = ("[" + text + "]").encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    _, problems = parse(whole[:cut], LIMITS)
    assert len(problems) == 1
    assert problems[0].code in {"truncated", "empty", "encoding", "syntax"}


def test_half_a_character_in_a_key_is_the_same_text_in_every_pointer():
    value, problems = parse(b'{"a\\ud800": {"b": NaN}}', LIMITS)
    assert value == {"a\\ud800": {"b": 0.0}}
    assert [problem.pointer for problem in problems] == ["/a\\ud800", "/a\\ud800/b"]


def test_what_is_said_of_an_escape_before_a_line_break_stands_on_one_line():
    [problem] = parse(b'["a\\\n"]', LIMITS)[1]
    assert problem.message == "a backslash before a line break is not an escape that JSON knows"
