"""The one judge of workflow documents: bytes in, a Workflow or every problem out. Pure.

`validate`, the reject file and the HTTP answer all show what it says. Here text becomes a value (`strictjson`) and
problems get their lines; `dialects` makes a canonical object of whatever was written, and `document` judges that.
"""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, structs

from engine import collector, positions, strictjson
from engine.errors import Problem
from engine.limits import Limits
from engine.loader.dialects import judge_any
from engine.model import Workflow
from engine.problems import Findings, more_problems, pointer
from engine.task import Catalogue

__all__ = ["load", "load_value"]


def load(
    data: bytes, catalogue: Catalogue | None, limits: Limits, *, pools: Mapping[str, int] | None = None
) -> tuple[Workflow | None, tuple[Problem, ...]]:
    """Read and judge a workflow document.

    Without a catalogue, task types and the fields of plugins are not judged: for what was accepted once. `pools` holds
    the sizes of the pools there are, where they are known.
    Returns the Workflow and no problem, or None and every problem in the order of the text, with pointer, line and
    column: as many as `limits.document_problems`, then one that says how many more there are. Never raises.
    """
    with collector.paused():
        value, problems = strictjson.parse(data, limits)
        if value is UNSET or len(problems) > limits.document_problems:
            return None, tuple(problems)
        findings = Findings(limits.document_problems - len(problems))
        findings.mute(problem.pointer for problem in problems)
        workflow = judge_any(value, catalogue, limits, findings, pools=pools)
    if workflow is not None and not problems:
        return workflow, ()
    placed = sorted([*problems, *_placed(data, findings)], key=lambda problem: (problem.line or 0, problem.column or 0))
    return None, (*placed, *more_problems(findings.count - len(findings.shown)))


def load_value(
    value: Any, catalogue: Catalogue | None, limits: Limits, *, pools: Mapping[str, int] | None = None
) -> tuple[Workflow | None, tuple[Problem, ...]]:
    """Judge a document that is a Python value already, by the same rules; its problems have pointers and no lines."""
    try:
        data = json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        return None, (_not_json(value),)
    workflow, problems = load(data, catalogue, limits, pools=pools)
    return workflow, tuple(structs.replace(problem, line=None, column=None) for problem in problems)


def _placed(data: bytes, findings: Findings) -> list[Problem]:
    """Look up lines and columns of problems, in one pass over the text."""
    if not findings.shown:
        return []
    text = data.decode("utf-8-sig")
    wanted = {name for problem in findings.shown for name in positions.lineage(problem.pointer)}
    spots = positions.spots(text, wanted)
    placed = []
    for problem in findings.shown:
        is_key = problem.pointer in findings.at_keys
        line, column = positions.place(text, spots, problem.pointer, of_key=is_key)
        placed.append(structs.replace(problem, line=line, column=column))
    return placed


def _not_json(value: Any) -> Problem:
    """Find the first part of a Python value that JSON cannot hold."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    seen: set[int] = set()
    for path, item in todo:
        if id(item) in seen or item is None or isinstance(item, str | int | float | bool):
            continue
        seen.add(id(item))
        what = None
        if not isinstance(item, dict | list | tuple):
            what = f"a value of the Python type {type(item).__name__}"
        elif isinstance(item, dict) and not all(isinstance(key, str | int | float | bool | None) for key in item):
            what = "a dict with keys that are not texts"
        if what is not None:
            message = f"{what} cannot be written as JSON"
            return Problem(code="not_json", message=message, pointer=pointer(path))
        inner = item.items() if isinstance(item, dict) else enumerate(item)
        todo.extend(((*path, key), part) for key, part in inner)
    message = "a list or dict that holds itself, or is nested too deep, cannot be written as JSON"
    return Problem(code="not_json", message=message)
