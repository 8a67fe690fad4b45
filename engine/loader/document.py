"""Judge a workflow document, already read into JSON values, once and completely, and make the Workflow of it.

Knows nothing of text, lines or dialects: whatever a document was written in, this is the canonical object with `tasks`,
and problems get pointers into it. Called by `load`, with what a dialect made of its text.
"""

from collections.abc import Mapping
from typing import Any

from engine.limits import Limits
from engine.loader import links, references
from engine.loader.checks import Fault, RefusedError, checked, refuse, refuse_at
from engine.loader.declarations import declare
from engine.loader.keys import DEFAULT_KEYS, HOOKS, TASK_KEYS, UNROUTED_KEYS, WORKFLOW_KEYS
from engine.loader.references import Gathering
from engine.loader.spellings import SPELLINGS, respell
from engine.loader.tasks import Section, TaskReader, judge_pool
from engine.loader.terms import Terms
from engine.model import Param, Workflow
from engine.problems import Findings, escape, meant, quoted

_TOP_KEYS = (*WORKFLOW_KEYS, "params", "defaults", "tasks", *HOOKS)
# How tasks are written in other dialects, which are made into "tasks" before they come here.
_OTHERS = ("steps", "nodes")
_REQUEST_KEYS = ("workflow", "idempotency_key", "run_at")
_SMALLEST = 'The smallest document is {"tasks": [{"id": "a", "type": "print", "message": "hi"}]}.'


def judge(document: Any, terms: Terms, findings: Findings) -> Workflow | None:
    """Return the Workflow where nothing is wrong, else None; `findings` gets every problem.

    The document is taken over: its tasks' objects become the plugin fields of the Workflow.
    """
    before = findings.count
    if not isinstance(document, dict):
        findings.add("wrong_type", f"the document must be an object, not {quoted(document)}", "", _SMALLEST)
        return None
    settings = _settings(document, findings)
    params = _params(document.get("params", {}), findings)
    gathering = Gathering(terms.limits, findings)
    _gather(settings, gathering)
    is_routed = document.get("routing") is not None
    defaults = _defaults(document, terms, gathering, findings, is_routed=is_routed)
    phases: dict[str, Any] = {}
    sections = []
    for phase, entries in _phases(document, terms.limits, findings).items():
        section = Section(phase, terms.limits, findings, is_routed=is_routed and phase == "tasks")
        reader = TaskReader(section, terms, defaults, findings)
        phases[_FIELDS.get(phase, phase)] = tuple(reader.read(index, entry) for index, entry in enumerate(entries))
        sections.append(section)
    routing = settings.get("routing")
    links.check(sections, routing, gathering.references, params, findings, is_inside=terms.depth > 1)
    # There may be no tasks and no finding where a problem of the text has muted what is said of them.
    if findings.count > before or "tasks" not in phases:
        return None
    return Workflow(params=params, **phases, **settings)


# What a key is called in the model where Python has the word for itself.
_FIELDS = {"finally": "finally_"}


def _gather(settings: Mapping[str, Any], gathering: Gathering) -> None:
    """Take the expressions that are of the whole workflow."""
    if settings.get("outputs") is not None:
        gathering.scan(settings["outputs"], "/outputs", references.USUAL - references.NOT_KEPT)
    if settings.get("concurrency") is not None:
        gathering.scan(settings["concurrency"].key, "/concurrency/key", references.BEFORE)
    routing = settings.get("routing")
    if routing is None:
        return
    gathering.whole(routing.state, "/routing/state", "state", references.ABOVE - references.NOT_KEPT)
    for number, edge in enumerate(routing.edges):
        if edge.condition is not None:
            gathering.condition(edge.condition, f"/routing/edges/{number}/condition", references.EDGE)


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
    findings.add("unknown_key", f"a workflow has no key {quoted(key)}", at, lambda: _advice(key), at_key=True)


def _advice(key: str) -> str:
    if key in _REQUEST_KEYS:
        return "A request to run a workflow by its name is not a workflow; submit it, or drop it into the inbox."
    if key in DEFAULT_KEYS or key in SPELLINGS:
        return 'That is a key of tasks; what holds for all of them goes into "defaults".'
    if key in TASK_KEYS:
        return "That is a key of a task."
    return meant(key, (*_TOP_KEYS, *_OTHERS)) or f"It has {', '.join(_TOP_KEYS)}."


def _params(declarations: Any, findings: Findings) -> dict[str, Param]:
    try:
        return declare(declarations)
    except RefusedError as refused:
        refuse_at("/params", "params", refused, findings)
        # Expressions that use a parameter declared wrongly are not wrong for that.
        return {name: Param(schema={}) for name in declarations} if isinstance(declarations, dict) else {}


def _defaults(
    document: Mapping[str, Any], terms: Terms, gathering: Gathering, findings: Findings, *, is_routed: bool
) -> dict[str, Any]:
    value = document.get("defaults", {})
    try:
        found = _checked_defaults(value)
    except RefusedError as refused:
        refuse_at("/defaults", "defaults", refused, findings)
        return {}
    if found.get("pool") is not None:
        judge_pool(found["pool"], "/defaults/pool", value["pool"], terms.pools, findings)
    if found.get("cache") is not None and found["cache"].key is not None:
        gathering.scan(found["cache"].key, "/defaults/cache/key", references.ABOVE)
    for key in UNROUTED_KEYS & found.keys() if is_routed else ():
        message = f"the tasks of a graph have no {key}: the edges say what comes after what"
        findings.add("incompatible", message, f"/defaults/{key}", at_key=True)
    return found


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


def _phases(document: Mapping[str, Any], limits: Limits, findings: Findings) -> dict[str, list[Any]]:
    """Return the entries of `tasks` and of the hooks there are, if they are not too many together."""
    phases = {"tasks": _entries(document, findings)}
    for hook in HOOKS:
        entries = document.get(hook, [])
        if isinstance(entries, list):
            phases[hook] = entries
        else:
            findings.add("wrong_type", f"{hook} must be a list of tasks, not {quoted(entries)}", f"/{hook}")
    count = sum(map(len, phases.values()))
    if count <= limits.document_tasks:
        return {phase: entries for phase, entries in phases.items() if entries}
    message = f"the document has {count} tasks; the limit is {limits.document_tasks}"
    findings.add("too_many_tasks", message, "/tasks", "Split it, or raise the limit document_tasks.")
    return {}


def _entries(document: Mapping[str, Any], findings: Findings) -> list[Any]:
    entries = document.get("tasks")
    if "tasks" not in document:
        findings.add("missing_key", 'the document has no "tasks"', "", _SMALLEST)
    elif not isinstance(entries, list):
        findings.add("wrong_type", f"tasks must be a list, not {quoted(entries)}", "/tasks", _SMALLEST)
    elif not entries:
        findings.add("no_tasks", "the list of tasks is empty", "/tasks", _SMALLEST)
    else:
        return entries
    return []
