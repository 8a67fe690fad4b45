"""A graph that is walked: one visit of a node after the other, over a shared state, cycles and all. Pure.

Visit number n of the whole walk is the instance `id[n]` of its node; its recorded output is the state after it. What is
still to be visited is kept as the memo of the node visited last, so that a restart goes on from there.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError, Template
from engine.expressions.paths import kind
from engine.facts import Spread
from engine.model import Routing
from engine.plan import id_of
from engine.run.names import Names
from engine.run.node import Doom, Node, Snapshot
from engine.run.nodes import Nodes
from engine.states import ENDED, Reason, State, move


class Routes:
    """Walk the graph of one run; `state` is the shared state as JSON."""

    def __init__(self, routing: Routing, initial: Template | None, nodes: Nodes, names: Names) -> None:
        """Stand before the entry; `initial` is the state at first, where it holds expressions."""
        self._routing, self._template = routing, initial
        self._nodes, self._names = nodes, names
        self._line: deque[str] = deque([self._routing.entry])
        self._visits = 0
        self._last: dict[str, Node] = {}
        self._after: dict[str, bytes] = {}
        self._changes: Any = None
        self.state = b"{}"
        nodes.recorded = self.merged

    def visits(self, node: Node) -> bool:
        """Tell whether a node is a visit of this graph, and not an instance of a hook."""
        return node.parent is not None and node.planned.phase == "tasks"

    def begin(self) -> None:
        """Visit the entry."""
        try:
            self.state = self._initial()
        except (ExpressionError, StoreCorruptError) as error:
            self._break_off(self._nodes.by_key[self._routing.entry], Reason.EXPRESSION, f"state: {error}")
            return
        self._visit_next()

    def _initial(self) -> bytes:
        template = self._template
        state = self._routing.state if template is None else self._names.render(template)
        if not isinstance(state, dict):
            raise ExpressionError(f"it must be an object, not {kind(state)}", str(self._routing.state))
        return msgspec.json.encode(state)

    def merged(self, node: Node, output: bytes) -> bytes:
        """Return what is recorded of a node that completed: of a visit, the shared state after it."""
        if not self.visits(node):
            return output
        self._changes = changes = msgspec.json.decode(output)
        if changes is not None:
            state = msgspec.json.decode(self.state)
            state.update(changes if isinstance(changes, dict) else {node.task.id: changes})
            self.state = msgspec.json.encode(state)
        return self.state

    def instance_ended(self, node: Node) -> None:
        """Go on after a visit."""
        parent = node.parent
        if parent is None:
            return
        if node.state is not State.COMPLETED:
            self._changes = None
        # What a visit was handed and what is recorded of it is the state: a million of them are not kept.
        node.names = None
        self._nodes.forget_output(node)
        self._after[parent.key] = self.state
        if parent.doom is not None or node.state is State.CANCELLED:
            self.close()
        elif node.state is State.FAILED and not node.task.continue_on_failure:
            self._break_off(parent, Reason.INSTANCE_FAILED, f"visit {node.number} failed: {node.message}")
        else:
            self._go_on(parent, node)

    def _go_on(self, parent: Node, node: Node) -> None:
        own = {"state": msgspec.json.decode(self.state), "output": self._changes, "iteration": node.number}
        routes = parent.planned.control.routes if parent.planned.control is not None else ()
        for route in routes:
            try:
                leads_on = route.condition is None or self._names.holds(route.condition, own)
            except (ExpressionError, StoreCorruptError) as error:
                self._break_off(parent, Reason.EXPRESSION, f"edge to {route.target}: {error}")
                return
            if leads_on:
                self._line.append(route.target)
        self._visit_next()

    def _visit_next(self) -> None:
        if not self._line:
            self.close()
            return
        parent = self._nodes.by_key[self._line[0]]
        if parent.doom is not None or parent.state in ENDED:
            # Its deadline passed while it was not its turn.
            self.close()
            return
        if self._visits >= self._routing.max_iterations:
            told = f"the graph was to go on with it after {self._visits} visits, its max_iterations"
            self._break_off(parent, Reason.LOOP_LIMIT, told)
            return
        self._line.popleft()
        self._visits += 1
        names = {"state": msgspec.json.decode(self.state), "iteration": self._visits}
        node = self._visit(parent, self._visits, names)
        if parent.state is State.PENDING:
            parent.state = move(parent.state, State.RUNNING)
        self._nodes.make_ready(node)
        memo = msgspec.json.encode({"line": list(self._line)})
        self._nodes.orders.append(Spread(parent.key, (node.key,), memo))

    def _visit(self, parent: Node, number: int, names: dict[str, Any] | None = None) -> Node:
        node = Node(parent.planned, f"{parent.key}[{number}]", parent, number, names)
        self._last[parent.key] = node
        parent.spread = node
        self._nodes.add([node])
        return node

    def _break_off(self, parent: Node, reason: Reason, message: str) -> None:
        self._nodes.fail_with(parent, reason, message)
        self.close()

    def stop(self, parent: Node, doom: Doom) -> None:
        """Have a visited node end like this: its visit before it, or as soon as the walk comes back to it."""
        parent.doom = doom
        last = self._last[parent.key]
        if last.state not in ENDED:
            self._nodes.stop(last, Doom(State.CANCELLED, doom.reason, doom.message))

    def close(self) -> None:
        """End every node that has not: what was visited with the state after its last visit, unless it is stopped."""
        for key, node in list(self._nodes.by_key.items()):
            if node.parent is not None or node.state in ENDED or node.planned.phase != "tasks":
                continue
            last = self._last.get(key)
            if last is None:
                self._nodes.skip(node, Reason.NOT_REACHED, "no edge led to it")
            elif last.state not in ENDED:
                continue
            elif node.doom is not None:
                self._nodes.meet(node, node.doom)
            else:
                self._nodes.complete(node, self._after[key])

    def take_up(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Stand where the record says.

        Raises ExpressionError or StoreCorruptError where the state cannot be known any more.
        """
        visits = sorted((int(key[key.index("[") + 1 : -1]), key) for key in snapshots if key.endswith("]"))
        if not visits:
            return
        before = ""  # the last visit that completed, of those that have ended
        after: dict[str, str] = {}
        for number, key in visits[:-1]:
            node = self._visit(self._nodes.by_key[id_of(key)], number)
            node.take_up(snapshots[key])
            before = key if node.state is State.COMPLETED else before
            after[node.task.id] = before
        states = {key: self._state_after(key) for key in {before, *after.values()}}
        for _, key in visits[:-1]:
            self._nodes.forget_output(self._nodes.by_key[key])
        self.state, self._after = states[before], {task: states[key] for task, key in after.items()}
        self._visits, key = visits[-1]
        parent = self._nodes.by_key[id_of(key)]
        names = {"state": msgspec.json.decode(self.state), "iteration": self._visits}
        self._visit(parent, self._visits, names).take_up(snapshots[key])
        self._line = deque(msgspec.json.decode(parent.memo)["line"])

    def _state_after(self, visit: str) -> bytes:
        return self._nodes.outputs.get(visit, b"{}") if visit else self._initial()

    def resume(self) -> None:
        """Go on after a restart: with the visit that was to come, or from the entry."""
        if not self._visits:
            self.begin()
            return
        for node in self._last.values():
            if node.number == self._visits and node.state is State.PENDING:
                self._nodes.make_ready(node)
