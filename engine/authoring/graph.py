"""A graph written in Python: functions over a shared state as nodes, edges with conditions between them, and cycles."""

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from engine import library
from engine.authoring.functions import Function, Functions
from engine.registry import Registry
from engine.registry.signature import synchronous
from engine.views import RunView

Condition = str | Callable[[dict[str, Any]], bool]

# Where a node leaves what the functions on its edges say of the state; their conditions in the document ask for it.
_EDGES = "_edges"


class Graph:
    """Gather nodes and edges into a document that is walked from its entry: see `routing` in the reference.

    A node is a function that takes the state (a dict) and returns what changes of it (a dict, or None), or a task type
    by name with its fields. A condition is CEL over `state` and `output`, or a function of the state.
    """

    def __init__(
        self, name: str, *, max_iterations: int = 1000, registry: Registry | None = None, **settings: Any
    ) -> None:
        """Start without nodes; functions become task types of `registry`, or of one of its own."""
        self._routing: dict[str, Any] = {"edges": [], "max_iterations": max_iterations, "state": {}}
        self._document: dict[str, Any] = {"name": name, **settings, "tasks": [], "routing": self._routing}
        self._functions = Functions(registry)
        self._judges: dict[str, dict[str, Callable[[dict[str, Any]], bool]]] = {}

    @property
    def registry(self) -> Registry:
        """The task types that its functions are."""
        return self._functions.registry

    @property
    def document(self) -> dict[str, Any]:
        """The document as it is now, a copy."""
        return copy.deepcopy(self._document)

    def add_node(self, id: str, type: str | Function, **keys: Any) -> Self:  # noqa: A002 -- the words of the document
        """Add a node; the first is the entry until `set_entry` says otherwise."""
        if not isinstance(type, str):
            type = self._functions.type_of(type, self._node(synchronous(type)))  # noqa: A001 -- likewise
        self._document["tasks"].append({"id": id, "type": type, **keys})
        self._routing.setdefault("entry", id)
        return self

    def add_edge(self, source: str, target: str, *, when: Condition | None = None) -> Self:
        """Lead from one node to another: always, or when the condition holds."""
        edge = {"from": source, "to": target}
        if isinstance(when, str):
            edge["condition"] = when
        elif when is not None:
            self._judges.setdefault(source, {})[target] = when
            edge["condition"] = f'state.{_EDGES}["{target}"]'
        self._routing["edges"].append(edge)
        return self

    def set_entry(self, id: str) -> Self:  # noqa: A002 -- the word of the document
        """Say which node is visited first."""
        self._routing["entry"] = id
        return self

    def to_json(self) -> str:
        """Return the document as JSON text, for a file; the functions are task types by name there."""
        return json.dumps(self._document, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, registry: Registry | None = None) -> Self:
        """Make it again out of such a text; `registry` has the functions."""
        document = json.loads(text)
        graph = cls(document.get("name", "unnamed"), registry=registry)
        graph._document, graph._routing = document, document["routing"]
        return graph

    def run(self, state: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
        """Walk it to its end from this state; the other arguments and errors of `engine.run`.

        The final state is the `output` of the run.
        """
        document = self.document
        document["routing"]["state"] = dict(state or {})
        return library.run(document, registry=self.registry, **choices)

    async def execute(self, state: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
        """Walk it without blocking the event loop."""
        return await asyncio.to_thread(self.run, state, **choices)

    def __eq__(self, other: object) -> bool:
        """Compare documents."""
        return isinstance(other, Graph) and self._document == other._document

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _node(self, function: Function) -> Function:
        def visit(task: dict[str, Any]) -> bool:
            state = task["inputs"]["state"]
            changes = function(copy.deepcopy(state))
            judges = self._judges.get(task["id"].partition("[")[0])
            if judges:
                changes = dict(changes or {})
                after = {**state, **changes}
                changes[_EDGES] = {target: bool(judge(after)) for target, judge in judges.items()}
            task["output"] = changes
            return True

        return visit
