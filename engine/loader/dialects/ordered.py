"""A list of `steps`, each with `name`, `task_type` and `config`, that run in the order of their `step_order`.

Those of one order run side by side. The data of a task is what the run was given and the outputs of all tasks before
it: each depends on all of them. What the run is given is the parameter `input_data`, or the params that are declared.
Called by `judge_any`.
"""

from collections import defaultdict
from typing import Any

from engine.loader.dialects.draft import Draft, Words
from engine.loader.dialects.translation import Dialect, Translation
from engine.model import APPROVAL_TYPE
from engine.problems import Findings, quoted

_OWN = ("steps", "input_data", "metadata")
_ORDER = "step_order"
_WORDS = Words(
    "config",
    {"name": "id", "task_type": "type", _ORDER: _ORDER},
    {"id": "name", "type": "task_type", "order": _ORDER, "input": "config"},
)
_BY_ID = 'Write "steps" as an object by id to use it.'
# Each task depends on all before it: 100,000 dependencies are those of 447 tasks one after the other.
_MOST_DEPENDENCIES = 100_000
# Task types whose field `onto` takes what the run was given, and the fields that say where else data comes from.
_TAKING = {"log": frozenset[str]()} | dict.fromkeys(
    ("data_transform", "conditional", "process", "output"), frozenset({"data", "merge"})
)


def _recognise(document: dict[str, Any]) -> bool:
    return isinstance(document.get("steps"), list) and "tasks" not in document and "nodes" not in document


def _translate(document: dict[str, Any], findings: Findings) -> Translation | None:
    draft = Draft(document, findings)
    draft.take_keys(_OWN, {"max_retries": "defaults", "input": "input_data"})
    onto = _given(draft)
    draft.came_from("/tasks", "/steps")
    has_order = any(isinstance(entry, dict) and _ORDER in entry for entry in document["steps"])
    places: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for index, entry in enumerate(document["steps"]):
        task = _task(draft, index, entry)
        if task:
            places[_place(draft, index, task, has_order=has_order)].append(task)
            if not _TAKING.get(str(task["type"]), task.keys()) & task.keys():
                task.setdefault("onto", onto)
    return draft.done() if _link(draft, [places[place] for place in sorted(places)]) else None


def _given(draft: Draft) -> str:
    """Declare what a run is given, and return the expression for it."""
    written = draft.written
    if "metadata" in written and not isinstance(written["metadata"], dict):
        draft.note("wrong_type", f"metadata must be an object, not {quoted(written['metadata'])}", "/metadata")
    if "params" in written:
        if "input_data" in written:
            hint = "Give them defaults, or leave params out."
            draft.note("conflict", "params say what input_data says", "/input_data", hint, at_key=True)
        return "${{ params }}"
    description = "What the tasks begin with."
    default = written.get("input_data", {})
    draft.document["params"] = {"input_data": {"type": "object", "description": description, "default": default}}
    draft.came_from("/params/input_data/default", "/input_data")
    draft.came_from("/params", "/input_data")
    return "${{ params.input_data }}"


def _task(draft: Draft, index: int, entry: Any) -> dict[str, Any]:
    """Take over an entry; what it has to have and has not is put in its place, so that the rest can be judged."""
    at = f"/steps/{index}"
    if isinstance(entry, dict) and "depends_on" in entry:
        message = "depends_on and step_order both say what comes after what"
        draft.note("incompatible", message, f"{at}/depends_on", _BY_ID, at_key=True)
        entry = {key: value for key, value in entry.items() if key != "depends_on"}
    task = draft.add(entry, at, _WORDS)
    if not isinstance(entry, dict):
        return task
    if "id" not in task:
        draft.note("missing_key", 'the task has no "name"', at)
        task["id"] = f"{index}.nameless"
    if "type" not in task:
        draft.note("missing_key", 'the task has no "task_type"', at)
        place = {_ORDER: task[_ORDER]} if _ORDER in task else {}
        stand_in = {"id": task["id"], "type": APPROVAL_TYPE, "message": "-", **place}
        task.clear()
        task.update(stand_in)
    return task


def _place(draft: Draft, index: int, task: dict[str, Any], *, has_order: bool) -> int:
    """Take the order out of a task; without any in the document, the list is in order."""
    at = f"/steps/{index}"
    place = task.pop(_ORDER, None)
    if place is None and has_order:
        draft.note("missing_key", f'the task has no "{_ORDER}"', at, "Either all tasks have one, or none.")
    elif place is not None and (isinstance(place, bool) or not isinstance(place, int)):
        message = f"{_ORDER} must be an integer, not {quoted(place)}"
        # A slip of the key was taken for it, and has been told.
        draft.note("wrong_type", message, f"{at}/{_ORDER}" if _ORDER in draft.written["steps"][index] else at)
    else:
        return index if place is None else place
    return index


def _link(draft: Draft, groups: list[list[dict[str, Any]]]) -> bool:
    """Let each task depend on all of the groups before its own; tell whether they are few enough for that."""
    before: dict[str, None] = {}
    count = 0
    for group in groups:
        count += len(before) * len(group)
        if count > _MOST_DEPENDENCIES:
            message = "these are too many tasks one after the other, since each gets the outputs of all before it"
            hint = 'Write "tasks" with "depends_on" instead.'
            draft.note("too_many_tasks", message, "/steps", hint)
            return False
        for task in group:
            needs = [name for name in before if name != task["id"]]
            if needs:
                task["depends_on"] = needs
        before |= dict.fromkeys(task["id"] for task in group if isinstance(task["id"], str))
    return True


ORDERED = Dialect("steps in order", _recognise, _translate)
