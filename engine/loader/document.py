"""Judge a workflow document, already read into JSON values, once and completely, and make the Workflow of it.

Knows nothing of text, lines or dialects: whatever a document was written in, this is the canonical object with `tasks`,
and problems get pointers into it. Called by `load`, with what a dialect made of its text.
"""

from collections.abc import Mapping
from typing import Any

from engine.limits import Limits
from engine.loader import links
from engine.loader.declarations import declare
from engine.loader.keys import DEFAULT_KEYS, TASK_KEYS, WORKFLOW_KEYS, Fault, RefusedError, checked, refuse, refuse_at
from engine.loader.spellings import SPELLINGS, respell
from engine.loader.tasks import TaskReader
from engine.model import Param, Workflow
from engine.problems import Findings, escape, meant, quoted
from engine.task import Catalogue

_TOP_KEYS = (*WORKFLOW_KEYS, "params", "defaults", "tasks")
_DIALECTS = ("steps", "nodes", "edges")
_REQUEST_KEYS = ("workflow", "idempotency_key", "run_at")
_SMALLEST = 'The smallest document is {"tasks": [{"id": "a", "type": "print", "message": "hi"}]}.'


def judge(document: Any, catalogue: Catalogue, limits: Limits, findings: Findings) -> Workflow | None:
    """Return the Workflow where nothing is wrong, else None; `findings` gets every problem.

    The document is taken over: its tasks' objects become the plugin fields of the Workflow.
    """
    before = findings.count
    if not isinstance(document, dict):
        findings.add("wrong_type", f"the document must be an object, not {quoted(document)}", "", _SMALLEST)
        return None
    settings = _settings(document, findings)
    params = _params(document.get("params", {}), findings)
    defaults = _defaults(document.get("defaults", {}), findings)
    entries = _entries(document, limits, findings)
    reader = TaskReader(catalogue, defaults, limits, findings)
    tasks = [reader.read(index, entry) for index, entry in enumerate(entries)]
    links.check(reader, params, findings)
    if findings.count > before:
        return None
    return Workflow(params=params, tasks=tuple(task for task in tasks if task is not None), **settings)


def _settings(document: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    settings = {}
    for key, value in document.items():
        check = WORKFLOW_KEYS.get(key)
        if check is not None:
            try:
                settings[key] = check(value)
            except RefusedError as refused:
                refuse_at(f"/{key}", key, refused, findings)
        elif key not in _TOP_KEYS:
            _unknown(key, findings)
    return settings


def _unknown(key: str, findings: Findings) -> None:
    at = f"/{escape(key)}"
    if key in _DIALECTS:
        message = "documents made of steps, or of nodes and edges, are not read by this version"
        findings.add("unsupported", message, at, 'Write a list of "tasks".', at_key=True)
        return
    findings.add("unknown_key", f"a workflow has no key {quoted(key)}", at, lambda: _advice(key), at_key=True)


def _advice(key: str) -> str:
    if key in _REQUEST_KEYS:
        return "A request to run a workflow by its name is not a workflow; submit it, or drop it into the inbox."
    if key in DEFAULT_KEYS or key in SPELLINGS:
        return 'That is a key of tasks; what holds for all of them goes into "defaults".'
    if key in TASK_KEYS:
        return "That is a key of a task."
    return meant(key, _TOP_KEYS) or f"It has {', '.join(_TOP_KEYS)}."


def _params(declarations: Any, findings: Findings) -> dict[str, Param]:
    try:
        return declare(declarations)
    except RefusedError as refused:
        refuse_at("/params", "params", refused, findings)
        # Expressions that use a parameter declared wrongly are not wrong for that.
        return {name: Param(schema={}) for name in declarations} if isinstance(declarations, dict) else {}


def _defaults(value: Any, findings: Findings) -> dict[str, Any]:
    try:
        return _checked_defaults(value)
    except RefusedError as refused:
        refuse_at("/defaults", "defaults", refused, findings)
        return {}


def _checked_defaults(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse("wrong_type", f"must be an object, not {quoted(value)}")
    own: dict[str, Any] = {}
    faults: list[Fault] = []
    try:
        own = checked({key: item for key, item in value.items() if key not in SPELLINGS}, DEFAULT_KEYS, "defaults")
    except RefusedError as refused:
        faults += refused.faults
    settings, misspelt = respell({key: item for key, item in value.items() if key in SPELLINGS}, own)
    if faults or misspelt:
        raise RefusedError(*faults, *misspelt)
    return {**own, **settings}


def _entries(document: Mapping[str, Any], limits: Limits, findings: Findings) -> list[Any]:
    entries = document.get("tasks")
    if "tasks" not in document:
        if not any(key in document for key in _DIALECTS):
            findings.add("missing_key", 'the document has no "tasks"', "", _SMALLEST)
    elif not isinstance(entries, list):
        findings.add("wrong_type", f"tasks must be a list, not {quoted(entries)}", "/tasks", _SMALLEST)
    elif not entries:
        findings.add("no_tasks", "the list of tasks is empty", "/tasks", _SMALLEST)
    elif len(entries) > limits.document_tasks:
        message = f"the document has {len(entries)} tasks; the limit is {limits.document_tasks}"
        findings.add("too_many_tasks", message, "/tasks", "Split it, or raise the limit document_tasks.")
    else:
        return entries
    return []
