"""`nodes` and `edges`: a graph with an `entry`, conditions on edges, and cycles, walked over a shared `state`.

Its walk is the `routing` of the canonical document. Called by `judge_any`.
"""

from typing import Any

from engine.loader.dialects.draft import Draft, Words
from engine.loader.dialects.translation import Dialect, Translation
from engine.problems import Findings, pointer, quoted

GRAPH_KEYS = ("edges", "entry", "state", "max_iterations")
_OWN = ("nodes", *GRAPH_KEYS)
_WORDS = Words("config", {}, {"task_type": "type"})
_OTHERS = {"entry_point": "entry", "start": "entry", "initial_state": "state", "dependencies": "edges"}
_DEPENDENCIES = ("dependencies", "depends_on")


def _recognise(document: dict[str, Any]) -> bool:
    is_graph = "nodes" in document and not document.keys().isdisjoint(GRAPH_KEYS)
    return is_graph and "tasks" not in document and "steps" not in document


def _translate(document: dict[str, Any], findings: Findings) -> Translation | None:
    draft = Draft(document, findings)
    draft.take_keys(_OWN, _OTHERS)
    nodes = document["nodes"]
    if not isinstance(nodes, list | dict):
        draft.note("wrong_type", f"nodes must be a list, or an object by id, not {quoted(nodes)}", "/nodes")
        return None
    if _mixes(draft, nodes):
        return None
    draft.take_tasks("nodes", _WORDS)
    for task in draft.tasks:
        for key in _DEPENDENCIES if isinstance(task, dict) else ():
            task.pop(key, None)  # it is empty
    routing = {key: document[key] for key in GRAPH_KEYS if key in document}
    for key in routing:
        draft.came_from(f"/routing/{key}", f"/{key}")
    draft.came_from("/routing", "")
    if "edges" in routing:
        routing["edges"] = _edges(draft, routing["edges"])
    if "entry" not in routing and document.keys().isdisjoint(_OTHERS):
        hint = "Write the id of the node that is visited first."
        draft.note("missing_key", 'the graph has no "entry"', "", hint)
    # So that the rest can be judged; without any node to enter there is no rest.
    first = next((task["id"] for task in draft.tasks if isinstance(task, dict) and _has_name(task)), None)
    if first is not None:
        routing.setdefault("entry", first)
    if draft.tasks and "entry" in routing:
        draft.document["routing"] = routing
    return draft.done()


def _has_name(task: dict[str, Any]) -> bool:
    return isinstance(task.get("id"), str)


def _mixes(draft: Draft, nodes: list[Any] | dict[str, Any]) -> bool:
    """Note the first node that says what comes before it, where the edges say that."""
    for place, node in enumerate(nodes) if isinstance(nodes, list) else nodes.items():
        for key in _DEPENDENCIES:
            if isinstance(node, dict) and node.get(key):
                draft.note(
                    "incompatible",
                    f"nodes have {key}, or the document has edges and an entry, not both",
                    pointer(("nodes", place, key)),
                    "Keep one of the two: edges are walked over a shared state, dependencies are waited for.",
                )
                return True
    return False


def _edges(draft: Draft, edges: Any) -> Any:
    """Leave out what edges say to people."""
    if not isinstance(edges, list):
        return edges
    for number, edge in enumerate(edges):
        if isinstance(edge, dict) and not isinstance(edge.get("description", ""), str):
            message = f"description must be a text, not {quoted(edge['description'])}"
            draft.note("wrong_type", message, f"/edges/{number}/description")
    return [
        {key: value for key, value in edge.items() if key != "description"} if isinstance(edge, dict) else edge
        for edge in edges
    ]


GRAPH = Dialect("nodes and edges", _recognise, _translate)
