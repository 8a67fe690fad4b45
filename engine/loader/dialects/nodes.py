"""`nodes`, as a list or an object by id, each with the `dependencies` that end before it begins.

Dependencies may stand beside the nodes too, as an object of lists by id. Called by `judge_any`.
"""

from typing import Any

from engine.loader.dialects.draft import Draft, Words
from engine.loader.dialects.graph import GRAPH_KEYS
from engine.loader.dialects.translation import Dialect, Translation
from engine.problems import Findings, escape, meant, quoted

_OWN = ("nodes", "dependencies")
_WORDS = Words("config", {"dependencies": "depends_on"}, {"task_type": "type"})
_OTHERS = {"edge": "edges", "entry_point": "entry"}


def _recognise(document: dict[str, Any]) -> bool:
    is_other = "tasks" in document or "steps" in document or not document.keys().isdisjoint(GRAPH_KEYS)
    return "nodes" in document and not is_other


def _translate(document: dict[str, Any], findings: Findings) -> Translation | None:
    draft = Draft(document, findings)
    draft.take_keys(_OWN, _OTHERS)
    if not isinstance(document["nodes"], list | dict):
        found = quoted(document["nodes"])
        draft.note("wrong_type", f"nodes must be a list, or an object by id, not {found}", "/nodes")
        return None
    draft.take_tasks("nodes", _WORDS)
    _link(draft)
    return draft.done()


def _link(draft: Draft) -> None:
    """Give each node what is said of it under `dependencies`."""
    given = draft.written.get("dependencies", {})
    if not isinstance(given, dict):
        hint = 'Write {"b": ["a"]}: what each node depends on, by its id.'
        draft.note("wrong_type", f"dependencies must be an object, not {quoted(given)}", "/dependencies", hint)
        return
    numbers = {str(task.get("id")): number for number, task in enumerate(draft.tasks) if isinstance(task, dict)}
    for name, needs in given.items():
        at = f"/dependencies/{escape(name)}"
        if name not in numbers:
            near = meant(name, numbers)
            draft.note("unknown_dependency", f"no node has the id {quoted(name)}", at, near, at_key=True)
        elif "depends_on" in draft.tasks[numbers[name]]:
            message = f"the node {quoted(name)} has dependencies of its own too"
            draft.note("conflict", message, at, "Keep one of the two.", at_key=True)
        else:
            draft.tasks[numbers[name]]["depends_on"] = needs
            draft.came_from(f"/tasks/{numbers[name]}/depends_on", at)


NODES = Dialect("nodes with dependencies", _recognise, _translate)
