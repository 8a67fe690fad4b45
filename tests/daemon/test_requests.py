"""Requests: read strictly, told from documents, and every problem with its place."""

import pytest

from daemon.requests import Request, read, read_lines
from engine.limits import Limits

LIMITS = Limits()


def found(data: bytes) -> list[tuple[str, str, int | None, int | None]]:
    request, problems = read(data, LIMITS)
    assert request is None
    return [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems]


def test_a_request_is_read_with_all_its_keys():
    data = b"""{"workflow": "nightly", "params": {"day": "monday"}, "idempotency_key": "k", "priority": 5,
                "run_at": "2027-01-31T07:00:00+01:00", "use_cache": false}"""
    request, problems = read(data, LIMITS)
    assert problems == ()
    assert request == Request(
        workflow="nightly",
        params={"day": "monday"},
        idempotency_key="k",
        priority=5,
        run_at=1801375200.0,
        use_cache=False,
    )


def test_the_smallest_request_names_a_workflow():
    assert read(b'{"workflow": "nightly"}', LIMITS) == (Request(workflow="nightly"), ())


@pytest.mark.parametrize(
    "data",
    [
        b'{"tasks": []}',
        b'{"tasks": [{"workflow": 1}], "workflow": "x"}',
        b'{"steps": {}, "workflow": "x"}',
        b"[]",
        b"{",
        b"",
        b"{}",
        b'{"name": "x"}',
    ],
)
def test_what_is_no_request_is_left_to_the_loader(data):
    assert read(data, LIMITS) == (None, ())


def test_a_misspelt_key_is_told_with_what_was_meant():
    request, [missing, misspelt] = read(b'{\n "workflw": "x"}', LIMITS)
    assert request is None
    assert (missing.code, misspelt.code, misspelt.line, misspelt.column) == ("missing_key", "unknown_key", 2, 2)
    assert "workflow" in (misspelt.hint or "")


@pytest.mark.parametrize("value", [b"0", b'"no"', b"null"])
def test_whether_the_cache_is_used_is_true_or_false(value):
    assert found(b'{"workflow": "x", "use_cache": ' + value + b"}") == [("wrong_type", "/use_cache", 1, 32)]


def test_every_problem_is_told_in_the_order_of_the_text():
    data = b'{"run_at": "tomorrow",\n "workflow": 7, "params": [],\n "priority": true, "idempotency_key": ""}'
    assert found(data) == [
        ("bad_time", "/run_at", 1, 12),
        ("wrong_type", "/workflow", 2, 14),
        ("wrong_type", "/params", 2, 27),
        ("wrong_type", "/priority", 3, 14),
        ("bad_value", "/idempotency_key", 3, 39),
    ]


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/x.json", "x.json", "a/b"])
def test_a_path_is_no_name_of_a_workflow(name):
    assert [code for code, *_ in found(f'{{"workflow": "{name}"}}'.encode())] == ["bad_value"]


@pytest.mark.parametrize(
    "instant", ["2027-02-30T00:00:00Z", "2027-01-01T00:00:00", "2027-01-01", "20270101T000000Z", "2027-01-01T25:00:00Z"]
)
def test_an_instant_that_does_not_exist_or_has_no_offset_is_refused(instant):
    assert [code for code, *_ in found(f'{{"workflow": "x", "run_at": "{instant}"}}'.encode())] == ["bad_time"]


def test_a_key_that_stands_twice_is_refused():
    assert [code for code, *_ in found(b'{"workflow": "x", "workflow": "y"}')] == ["duplicate_key"]


def test_lines_are_requests_with_their_numbers():
    requests, problems = read_lines(b'\xef\xbb\xbf{"workflow": "a"}\r\n\n  \n{"workflow": "b"}', LIMITS)
    assert problems == ()
    assert [(request.workflow, request.line) for request in requests] == [("a", 1), ("b", 4)]


def test_the_problems_of_all_lines_are_told_and_no_request_is_returned():
    data = b'{"workflow": "a"}\n{"tasks": []}\nnope\n[1]\n{"workflow": ""}\n'
    requests, problems = read_lines(data, LIMITS)
    assert requests == ()
    assert [(problem.line, problem.code) for problem in problems] == [
        (2, "unsupported"),
        (3, "syntax"),
        (4, "wrong_type"),
        (5, "bad_value"),
    ]


def test_no_line_and_too_many_lines_are_problems():
    assert read_lines(b"\n \n", LIMITS)[1][0].code == "no_requests"
    assert read_lines(b'{"workflow": "a"}\n' * 3, Limits(document_tasks=2))[1][0].code == "too_many_requests"


def test_more_problems_than_the_limit_are_counted():
    _, problems = read_lines(b"x\n" * 5, Limits(document_problems=2))
    assert [problem.code for problem in problems] == ["syntax", "syntax", "more_problems"]
    assert "3 more problems" in problems[-1].message
