"""All nodes of one run: who is ready, how many are open, who has just ended, and the orders of the fact at hand. Pure.

The one place where the state of a task changes. Every other room of `run` works on it; what an end leads to is not
decided here: whoever ends a node leaves it in `ended`, and `Run` goes through those.
"""

import contextlib
import heapq
from collections.abc import Callable, Collection, Iterable, MutableMapping
from typing import NamedTuple

from engine.facts import Cancel, Complete, Fail, Kill, Order, Skip, Usage
from engine.model import ENGINE_TYPES, Task
from engine.plan import Plan
from engine.run.node import Doom, Node
from engine.states import ENDED, IDLE, Reason, State, move

# Ahead of every priority there is.
_FIRST = -(2**40)


class Ready(NamedTuple):
    """Name what would start next: the key to grant, and its task."""

    key: str
    task: Task


class Nodes:
    """Keep the nodes by key.

    `open` counts those that the run waits for, `running` attempts under way. While `is_stopping`, nothing is retried.
    """

    def __init__(self, plan: Plan, outputs: MutableMapping[str, bytes]) -> None:
        """Make a node of every task; those of hooks are not open yet."""
        self.by_key = {task_id: Node(planned) for task_id, planned in plan.tasks.items()}
        self.workflow = plan.workflow.name
        self.outputs = outputs
        self.orders: list[Order] = []
        self.ended: list[Node] = []
        self.open = len(plan.phases["tasks"])
        self.running = 0
        self.is_stopping = False
        # What is recorded as the output of a node that completed with this one: a graph records its state.
        self.recorded: Callable[[Node, bytes], bytes] = lambda _node, output: output
        self._max_parallel = plan.workflow.max_parallel
        self._lanes: dict[str, list[tuple[int, int, int, str]]] = {}

    def add(self, nodes: Iterable[Node]) -> None:
        """Take in new instances."""
        for node in nodes:
            self.by_key[node.key] = node
            self.open += 1

    def make_ready(self, node: Node) -> None:
        """Let a node be granted when there is room; by priority, then as in the document, then by number.

        What needs no worker goes first: it must not stand behind something that waits for one.
        """
        node.is_ready = True
        lane = self._lanes.setdefault(node.task.pool.name if node.task.pool else "", [])
        rank = _FIRST if node.task.type in ENGINE_TYPES else -node.task.priority
        heapq.heappush(lane, (rank, node.planned.position, node.number, node.key))

    def peek(self, closed: Collection[str]) -> Ready | None:
        """Return what would start next, passing over tasks of closed pools; None where nothing may start."""
        if self._max_parallel is not None and self.running >= self._max_parallel:
            return None
        best: tuple[int, int, int, str] | None = None
        for pool, lane in self._lanes.items():
            if pool in closed:
                continue
            while lane and not self._is_startable(lane[0][3]):
                heapq.heappop(lane)
            if lane and (best is None or lane[0] < best):
                best = lane[0]
        return None if best is None else Ready(best[3], self.by_key[best[3]].task)

    def _is_startable(self, key: str) -> bool:
        node = self.by_key[key]
        return node.is_ready and node.state in IDLE

    def end(self, node: Node, state: State, reason: Reason | None, message: str) -> None:
        """Move a node to its end; the order that records it is the caller's."""
        node.state = move(node.state, state)
        node.reason, node.message, node.is_ready = reason, message, False
        self.open -= 1
        self.ended.append(node)

    def complete(
        self,
        node: Node,
        output: bytes,
        *,
        attempt: int = 0,
        usage: Usage | None = None,
        reason: Reason | None = None,
        message: str = "",
    ) -> None:
        """End a node COMPLETED, with the attempt it had, if any."""
        output = self.recorded(node, output)
        self.outputs[node.key] = output
        self.end(node, State.COMPLETED, reason, message)
        cache = node.task.cache
        kept = (node.cache_key, cache.ttl) if cache is not None and node.cache_key and attempt else None
        self.orders.append(Complete(node.key, attempt, output, usage, reason, message, kept))

    def forget_output(self, node: Node) -> None:
        """Let go of an output that nothing asks for any more, unread; harmless where there is none."""
        with contextlib.suppress(KeyError):
            del self.outputs[node.key]

    def fail(self, node: Node, order: Fail) -> None:
        """End a node FAILED for good, as the order says."""
        self.outputs[node.key] = order.output
        self.end(node, State.FAILED, order.reason, order.message)
        self.orders.append(order)

    def fail_with(self, node: Node, reason: Reason, message: str, usage: Usage | None = None) -> None:
        """End a node FAILED for good, with the attempt that is open, if any."""
        self.fail(node, Fail(node.key, _open_attempt(node), reason, message, usage=usage))

    def skip(self, node: Node, reason: Reason, message: str) -> None:
        """End a node SKIPPED."""
        self.end(node, State.SKIPPED, reason, message)
        self.orders.append(Skip(node.key, reason, message))

    def cancel(self, node: Node, reason: Reason, message: str, usage: Usage | None = None) -> None:
        """End a node CANCELLED."""
        attempt = _open_attempt(node)
        self.end(node, State.CANCELLED, reason, message)
        self.orders.append(Cancel(node.key, attempt, reason, message, usage))

    def meet(self, node: Node, doom: Doom, usage: Usage | None = None) -> None:
        """End a node as its doom says, now that nothing of it is alive."""
        if doom.state is State.FAILED:
            self.fail_with(node, doom.reason, doom.message, usage)
        else:
            self.cancel(node, doom.reason, doom.message, usage)

    def stop(self, node: Node, doom: Doom) -> None:
        """End a node that is idle at once, and have one that runs ended; a parent is left to its instances."""
        if node.state in IDLE:
            self.meet(node, doom)
        elif node.state is State.RUNNING and node.doom is None:
            node.doom = doom
            if node.attempt:
                self.orders.append(Kill(node.key, node.attempt, doom.reason))

    def stop_all(self, doom: Doom) -> None:
        """Stop whatever has not ended."""
        for node in [node for node in self.by_key.values() if node.state not in ENDED]:
            self.stop(node, doom)

    def awaited(self, key: str, attempt: int) -> Node | None:
        """Return the node that waits for a report of this attempt; None for a late or foreign one."""
        node = self.by_key.get(key)
        return node if node is not None and node.state is State.RUNNING and node.attempt == attempt else None

    def take(self) -> list[Order]:
        """Return the orders since the last time."""
        orders, self.orders = self.orders, []
        return orders


def _open_attempt(node: Node) -> int:
    return node.attempt if node.state in (State.RUNNING, State.WAITING) else 0
