"""What must hold for every document and request, however damaged: it is accepted, or its problems are told well.

A law raises AssertionError where it is broken; whatever else comes out is a breach too. Called by `damaged`.
"""

import json
from functools import cache
from typing import Any

from daemon import requests
from engine import loader
from engine.errors import Problem
from engine.limits import Limits
from engine.plan import make_plan
from engine.problems import PROBLEMS
from engine.registry import Registry
from engine.task import Catalogue, TaskType

LIMITS = Limits(document_problems=50, document_depth=32, document_bytes=1024 * 1024)
POOLS = {"db": 3}
# What is said of the text as a whole, or of more than can be shown.
_PLACELESS = {"too_large", "empty", "more_problems", "too_deep", "no_requests", "too_many_requests"}
# Problems of the text: the document could not be read, so what stands before them is all that a pointer can tell.
_HINTED = {"near_miss", "encoding", "duplicate_key", "nul", "surrogate", "integer_range", "not_a_number", "too_deep"}


@cache
def catalogue() -> Catalogue:
    """Return the built-in task types, and one that takes any field."""
    found = dict(Registry().load().types)
    return Catalogue({**found, "any": TaskType(type="any")})


def check_document(data: bytes) -> str:
    """Judge a workflow document; return `accepted` or `refused`."""
    workflow, problems = loader.load(data, catalogue(), LIMITS, pools=POOLS)
    assert (workflow is None) == bool(problems), "neither accepted nor refused, or both"
    again = loader.load(data, catalogue(), LIMITS, pools=POOLS)
    assert again == (workflow, problems), "judged otherwise the second time"
    if workflow is None:
        check_problems(data, problems)
        return "refused"
    make_plan(workflow, LIMITS)
    assert loader.load(data, None, LIMITS) == (workflow, ()), "what was accepted is another one without a catalogue"
    found = json.loads(data.decode("utf-8-sig"))
    assert loader.load_value(found, catalogue(), LIMITS, pools=POOLS) == (workflow, ()), "another one as a value"
    return "accepted"


def check_request(data: bytes) -> str:
    """Judge what may be a request, and a file of requests; return what the first came to."""
    request, problems = requests.read(data, LIMITS)
    assert requests.read(data, LIMITS) == (request, problems), "judged otherwise the second time"
    assert request is None or not problems, "accepted and refused"
    check_problems(data, problems)
    many, all_problems = requests.read_lines(data, LIMITS)
    assert bool(many) != bool(all_problems), "neither accepted nor refused, or both"
    lines = data.count(b"\n") + 1
    for problem in all_problems:
        check_words(problem)
        assert problem.line is None or 1 <= problem.line <= lines, problem
    return "accepted" if request else "refused" if problems else "left to the loader"


def check_problems(data: bytes, problems: tuple[Problem, ...]) -> None:
    """Check that every problem says what, and where in the text, and points at something that is there."""
    lines = data.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    value = _read(data)
    assert len(problems) <= LIMITS.document_problems + 2, len(problems)
    for problem in problems:
        check_words(problem)
        if problem.line is None:
            assert problem.code in _PLACELESS, problem
        else:
            assert 1 <= problem.line <= len(lines), problem
            assert problem.column is not None, problem
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        if value is not None and "\\u" not in problem.pointer:
            assert _exists(value[0], problem.pointer), problem


def check_words(problem: Problem) -> None:
    """Check that a problem of a document has a known code, and a hint where its kind always has one."""
    assert problem.code in PROBLEMS, problem
    assert problem.hint or problem.code not in _HINTED, problem
    check_line(problem)


def check_line(problem: Problem) -> None:
    """Check that a problem is a sentence that stands on one line and can be written."""
    assert problem.message, problem
    assert problem.hint != "", problem
    line = str(problem)
    line.encode()
    assert not any(sign in line for sign in "\n\r\x1b\0\x7f"), repr(line)


def _read(data: bytes) -> tuple[Any] | None:
    try:
        return (json.loads(data.decode("utf-8-sig"), parse_int=float),)
    except (ValueError, RecursionError):
        return None


def _exists(value: Any, pointer: str) -> bool:
    if pointer and not pointer.startswith("/"):
        return False
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False
    return True
