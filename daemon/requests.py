"""Requests to run a known workflow: from bytes to typed requests, or to every problem. Pure.

Tells a request from a workflow document, reads a file of requests one a line, and knows nothing of files and runs. A
workflow document is left to `engine.loader`. Called by the inbox for what was dropped, and by the API for bodies.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from engine import positions, strictjson
from engine.clock import epoch
from engine.errors import Problem
from engine.limits import Limits
from engine.problems import Findings, escape, meant, more_problems, nearest, quoted

_LONGEST_KEY = 512
_MOST_PRIORITY = 2**31 - 1
_DOCUMENT_KEYS = ("tasks", "steps", "nodes")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXAMPLE = '{"workflow": "nightly-report", "params": {}}'


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a run of a known workflow; `run_at` is wall seconds, `line` counts from 1 in a file of many."""

    workflow: str
    params: dict[str, Any] = {}
    idempotency_key: str | None = None
    priority: int | None = None
    run_at: float | None = None
    use_cache: bool = True
    line: int | None = None


Problems = tuple[Problem, ...]


def read(data: bytes, limits: Limits) -> tuple[Request | None, Problems]:
    """Read a document that may be a request.

    Returns the request, or every problem of what is meant as one, or neither where it is something for the loader.
    """
    # A request names a workflow; so most documents need not be read twice.
    if b'"tasks"' in data and b'"workflow"' not in data:
        return None, ()
    value, problems = strictjson.parse(data, limits)
    if not is_request(value):
        return None, ()
    return _judge(value, data, problems, limits)


def read_lines(data: bytes, limits: Limits) -> tuple[tuple[Request, ...], Problems]:
    """Read a file of requests, one a line; blank lines count as lines and ask for nothing.

    Returns all requests, or none and every problem, each with its line in the file.
    """
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    if not lines:
        message, hint = "the file holds no request", f"Write one a line, such as {_EXAMPLE}."
        return (), (Problem(code="no_requests", message=message, hint=hint),)
    if len(lines) > limits.document_tasks:
        message = f"the file has {len(lines)} requests; the limit is {limits.document_tasks}"
        hint = "Split it, or raise the limit document_tasks."
        return (), (Problem(code="too_many_requests", message=message, hint=hint),)
    requests: list[Request] = []
    problems: list[Problem] = []
    for number, line in lines:
        request, found = _read_line(line, limits)
        problems += (msgspec.structs.replace(problem, line=number) for problem in found)
        if request is not None:
            requests.append(msgspec.structs.replace(request, line=number))
    if problems:
        most = limits.document_problems
        return (), (*problems[:most], *more_problems(len(problems) - most))
    return tuple(requests), ()


def is_request(value: Any) -> bool:
    """Tell whether a document is meant as a request: it has no tasks, and a key like those of a request."""
    if not isinstance(value, dict) or any(key in value for key in _DOCUMENT_KEYS):
        return False
    own = ("workflow", "idempotency_key", "run_at")
    return any(key in value for key in own) or any(nearest(key, own) for key in list(value)[:20])


def _read_line(line: bytes, limits: Limits) -> tuple[Request | None, Problems]:
    value, problems = strictjson.parse(line, limits)
    if value is UNSET:
        return None, tuple(problems)
    if isinstance(value, dict) and any(key in value for key in _DOCUMENT_KEYS):
        message = "this line holds a workflow, and a file of requests takes requests only"
        hint = f"Drop it as a .json file of its own, or ask for a known workflow: {_EXAMPLE}."
        return None, (Problem(code="unsupported", message=message, column=1, hint=hint),)
    return _judge(value, line, problems, limits)


def _judge(value: Any, data: bytes, problems: list[Problem], limits: Limits) -> tuple[Request | None, Problems]:
    """Turn a JSON value into a request, or say everything that is wrong with it, in the order of the text."""
    findings = Findings(limits.document_problems)
    findings.mute(problem.pointer for problem in problems)
    settings: dict[str, Any] = {}
    if isinstance(value, dict):
        _read_keys(value, settings, findings)
    else:
        findings.add("wrong_type", f"a request must be an object, not {quoted(value)}", "", f"Write {_EXAMPLE}.")
    if not problems and not findings.count:
        return Request(**settings), ()
    placed = sorted([*problems, *_placed(data, findings)], key=lambda problem: (problem.line or 0, problem.column or 0))
    return None, (*placed, *more_problems(findings.count - len(findings.shown)))


def _read_keys(value: Mapping[str, Any], settings: dict[str, Any], findings: Findings) -> None:
    for key, item in value.items():
        check = _KEYS.get(key)
        if check is None:
            hint = meant(key, _KEYS) or f"It has {', '.join(_KEYS)}."
            findings.add("unknown_key", f"a request has no key {quoted(key)}", f"/{escape(key)}", hint, at_key=True)
            continue
        try:
            settings[key] = check(item)
        except _RefusedError as refused:
            findings.add(refused.code, f"{key} {refused}", f"/{key}", refused.hint)
    if "workflow" not in value:
        findings.add("missing_key", 'the request has no "workflow"', "", f"Write {_EXAMPLE}.")


def _placed(data: bytes, findings: Findings) -> list[Problem]:
    text = data.decode("utf-8-sig")
    wanted = {name for problem in findings.shown for name in positions.lineage(problem.pointer)}
    found = positions.spots(text, wanted)
    placed = []
    for problem in findings.shown:
        line, column = positions.place(text, found, problem.pointer, of_key=problem.pointer in findings.at_keys)
        placed.append(msgspec.structs.replace(problem, line=line, column=column))
    return placed


class _RefusedError(Exception):
    """The value of a key is not what it has to be."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


def _workflow(value: Any) -> str:
    if not isinstance(value, str):
        raise _RefusedError("wrong_type", f"must be the name of a known workflow, not {quoted(value)}")
    if not value.strip():
        raise _RefusedError("bad_value", "must not be empty")
    if "/" in value or value.endswith(".json"):
        # A path would let whoever may drop a file read others.
        hint = "Name one of the workflows folder, without folder and ending; `dropmill workflows` lists them."
        raise _RefusedError("bad_value", f"must be a name, not the path {quoted(value)}", hint)
    return value


def _params(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _RefusedError("wrong_type", f"must be an object, not {quoted(value)}", 'Write {"day": "monday"}.')
    return value


def _idempotency_key(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _RefusedError("wrong_type", f"must be a text, not {quoted(value)}")
    if not 0 < len(value) <= _LONGEST_KEY:
        raise _RefusedError("bad_value", f"must have 1 to {_LONGEST_KEY} characters")
    return value


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _RefusedError("wrong_type", f"must be an integer, not {quoted(value)}")
    if abs(value) > _MOST_PRIORITY:
        raise _RefusedError("bad_value", f"must be from {-_MOST_PRIORITY} to {_MOST_PRIORITY}, not {value}")
    return value


def _run_at(value: Any) -> float | None:
    if value is None:
        return None
    hint = "Write an instant with its offset, such as 2027-01-31T06:00:00Z or 2027-01-31T07:00:00+01:00."
    if not isinstance(value, str):
        raise _RefusedError("wrong_type", f"must be a text, not {quoted(value)}", hint)
    if not _INSTANT.fullmatch(value):
        raise _RefusedError("bad_time", f"is no instant: {quoted(value)}", hint)
    try:
        return epoch(value.upper())
    except (ValueError, OverflowError):
        raise _RefusedError("bad_time", f"does not exist: {quoted(value)}", hint) from None


def _use_cache(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _RefusedError("wrong_type", f"must be true or false, not {quoted(value)}")
    return value


_KEYS: dict[str, Callable[[Any], Any]] = {
    "workflow": _workflow,
    "params": _params,
    "idempotency_key": _idempotency_key,
    "priority": _priority,
    "run_at": _run_at,
    "use_cache": _use_cache,
}
