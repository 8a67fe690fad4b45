"""What expressions may name: the scope of a run, its tasks as far as they have come, and the names of an instance.

Pure. Builds for each expression what it names and nothing else: the library converts all that it is handed.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.expressions import Expression, Template, evaluate, evaluate_condition
from engine.run.node import Node
from engine.run.nodes import Nodes
from engine.states import Reason

# How a success came about changes no decision: a run that repeats another decides as that one did.
_AS_IF_RUN = (None, Reason.REUSED, Reason.CACHED)


class Names:
    """Evaluate the expressions of one run.

    Every method raises ExpressionError, and StoreCorruptError where an output can no longer be read.
    """

    def __init__(self, scope: Mapping[str, Any], nodes: Nodes) -> None:
        """Take the names that hold for the whole run (`params`, `run`, `trigger`, `env`, `secrets`)."""
        self._scope: dict[str, Any] = dict(scope)
        self._nodes = nodes
        # For as long as one fact is dealt with: a thousand conditions may look at the same output.
        self._decoded: dict[str, Any] = {}

    def forget(self) -> None:
        """Let go of what was decoded for the fact at hand."""
        self._decoded.clear()

    def tell(self, **outcome: Any) -> None:
        """Add to what `run` says."""
        self._scope["run"] = {**self._scope.get("run", {}), **outcome}

    def render(self, template: Template, own: Mapping[str, Any] | None = None) -> Any:
        """Fill in a value; `own` are names beside those of the run."""
        return template.render(self._of(template.roots, template.tasks, own))

    def holds(self, condition: Expression, own: Mapping[str, Any] | None = None) -> bool:
        """Judge a condition."""
        return evaluate_condition(condition, self._of(condition.roots, condition.tasks, own))

    def value(self, expression: Expression, own: Mapping[str, Any] | None = None) -> Any:
        """Evaluate an expression."""
        return evaluate(expression, self._of(expression.roots, expression.tasks, own))

    def output(self, key: str) -> Any:
        """Return the output of a node, decoded; null where it has none."""
        if key not in self._decoded:
            self._decoded[key] = msgspec.json.decode(self._nodes.outputs.get(key, b"null"))
        return self._decoded[key]

    def _of(self, roots: frozenset[str], tasks: frozenset[str], own: Mapping[str, Any] | None) -> dict[str, Any]:
        names = {root: self._scope[root] for root in roots if root in self._scope}
        if own:
            names.update({root: own[root] for root in roots if root in own})
        if "tasks" in roots:
            by_key = self._nodes.by_key
            names["tasks"] = {task: self._view(by_key[task]) for task in tasks if task in by_key}
        return names

    def _view(self, node: Node) -> dict[str, Any]:
        return {
            "output": self.output(node.key),
            "state": str(node.state),
            "reason": None if node.reason in _AS_IF_RUN else str(node.reason),
            "attempts": node.attempt,
        }
