"""The life of an attempt: granted, reported on, retried, put off, ended. Pure.

What only some types do is in `calls` (another workflow, a person). What an end means to others is not known here.
"""

from typing import Any

import msgspec

from engine import retry
from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError
from engine.facts import (
    Broke,
    Deferred,
    Due,
    Fail,
    Failed,
    Granted,
    Killed,
    Lost,
    Recall,
    Recalled,
    RetryAt,
    Start,
    Succeeded,
    TimedOut,
    WaitUntil,
)
from engine.model import ENGINE_TYPES
from engine.run.calls import Calls
from engine.run.names import Names
from engine.run.node import Node
from engine.run.nodes import Nodes
from engine.run.routes import Routes
from engine.states import IDLE, Reason, State, move


class Attempts:
    """Carry attempts of one run from grant to end; `max_lost` bounds how often one may vanish with its process."""

    def __init__(
        self, run: str, nodes: Nodes, names: Names, routes: Routes | None, *, max_lost: int, use_cache: bool
    ) -> None:
        """Start with none."""
        self._run, self._nodes, self._names, self._routes = run, nodes, names, routes
        self._max_lost, self._use_cache = max_lost, use_cache
        self.calls = Calls(nodes, self.retry_or_fail)

    def granted(self, fact: Granted, now: float) -> None:
        """Start an attempt with its fields filled in: only now, since those of all that wait may be far too much."""
        node = self._nodes.by_key[fact.task]
        if not node.is_ready or node.state not in IDLE:
            return
        try:
            fields = self.fields(node)
            if self._asks_cache(node, fields):
                return
            inputs = {} if node.task.type in ENGINE_TYPES else self._inputs(node)
        except (ExpressionError, StoreCorruptError) as error:
            self.fail_unstarted(node, error)
            return
        if node.state is not State.WAITING or not node.attempt:
            node.attempt += 1
            node.started_at = now
        node.state = move(node.state, State.RUNNING)
        node.is_ready = False
        if node.task.type in ENGINE_TYPES:
            self.calls.begin(node, fields, now)
        else:
            self._nodes.running += 1
            self._nodes.orders.append(Start(node.key, node.attempt, fields, inputs, node.memo))

    def fields(self, node: Node) -> dict[str, Any]:
        """Fill in the fields of a node."""
        template = node.planned.template
        return node.task.fields if template is None else self._names.render(template, node.names)

    def _inputs(self, node: Node) -> dict[str, bytes]:
        outputs, items = self._nodes.outputs, None
        if self._routes is not None and self._routes.visits(node):
            return {"state": self._routes.state}
        if node.parent is not None:
            items = node.planned.control.items if node.planned.control else None
        spread_over = items.tasks if items is not None else frozenset[str]()
        return {key: outputs.get(key, b"null") for key in node.task.depends_on if key not in spread_over}

    def _asks_cache(self, node: Node, fields: dict[str, Any]) -> bool:
        """Have the cache looked into before the first attempt; the node is made ready again with the answer."""
        cache = node.task.cache
        if cache is None or not self._use_cache or node.is_recalled or node.attempt:
            return False
        if self._routes is not None and self._routes.visits(node):
            # What is recorded of a visit is the state of its run, which is of no use to another.
            return False
        if cache.key is None:
            material = msgspec.json.encode(fields, order="deterministic").decode()
        else:
            template = node.planned.control.cache_key if node.planned.control else None
            key = cache.key if template is None else self._names.render(template, node.names)
            material = msgspec.json.encode([self._nodes.workflow, node.task.id, key]).decode()
        node.is_ready = False
        self._nodes.orders.append(Recall(node.key, material))
        return True

    def recalled(self, fact: Recalled, _now: float) -> None:
        """Take the output the cache gave, or start after all."""
        node = self._nodes.by_key[fact.task]
        if node.is_recalled or node.state not in IDLE or node.attempt:
            return
        node.is_recalled, node.cache_key = True, fact.key
        if fact.output is None:
            self._nodes.make_ready(node)
        else:
            self._nodes.complete(node, fact.output, reason=Reason.CACHED, message=f"from run {fact.source}")

    def succeeded(self, fact: Succeeded, _now: float) -> None:
        """End an attempt well, even one that was to be ended: it was faster."""
        node = self._closed(fact.task, fact.attempt)
        if node is not None:
            self._nodes.complete(node, fact.output, attempt=fact.attempt, usage=fact.usage)

    def failed(self, fact: Failed | Broke | TimedOut, now: float) -> None:
        """End an attempt badly: retried, or the end of its task."""
        node = self._closed(fact.task, fact.attempt)
        if node is None:
            return
        if node.doom is not None:
            self._nodes.meet(node, node.doom, fact.usage)
            return
        reason = fact.reason if isinstance(fact, Failed | Broke) else Reason.TIMEOUT
        exit_code = fact.exit_code if isinstance(fact, Failed) else None
        output = fact.output if isinstance(fact, Failed) else b"null"
        self.retry_or_fail(node, Fail(node.key, node.attempt, reason, fact.message, exit_code, output, fact.usage), now)

    def retry_or_fail(self, node: Node, order: Fail, now: float) -> None:
        """Count a failure, and follow it by another attempt if the policy says so."""
        node.failures += 1
        at = retry.next_start(
            node.task.retry,
            failures=node.failures,
            reason=order.reason,
            exit_code=order.exit_code,
            now=now,
            seed=f"{self._run}/{node.key}",
        )
        if at is None or self._nodes.is_stopping:
            self._nodes.fail(node, order)
        else:
            again = RetryAt(node.key, node.attempt, at, order.reason, order.message, order.exit_code, order.usage)
            self._retry(node, again)

    def _retry(self, node: Node, order: RetryAt) -> None:
        move(node.state, State.FAILED)
        node.state = move(State.FAILED, State.RETRYING)
        node.reason, node.message, node.memo = order.reason, order.message, b"null"
        self._nodes.orders.append(order)

    def killed(self, fact: Killed, _now: float) -> None:
        """End a node whose attempt was ended."""
        node = self._closed(fact.task, fact.attempt)
        if node is None:
            return
        if node.doom is not None:
            self._nodes.meet(node, node.doom, fact.usage)
        else:
            self._nodes.cancel(node, Reason.USER, "", fact.usage)

    def lost(self, fact: Lost, now: float) -> None:
        """Try again what vanished with its process, a bounded number of times; a stopped daemon is nobody's failure."""
        node = self._closed(fact.task, fact.attempt)
        if node is None:
            return
        if node.doom is not None:
            self._nodes.meet(node, node.doom)
            return
        if fact.reason is not Reason.DAEMON_STOPPED:
            node.lost += 1
        if node.lost > self._max_lost:
            message = f"its process died {node.lost} times with whoever watched it"
            self._nodes.fail(node, Fail(node.key, fact.attempt, Reason.LOST_TOO_OFTEN, message))
        else:
            self._retry(node, RetryAt(node.key, fact.attempt, now, fact.reason, "the attempt was cut off"))

    def deferred(self, fact: Deferred, now: float) -> None:
        """Put an attempt off, without a worker, as its plugin asks."""
        node = self._closed(fact.task, fact.attempt)
        if node is None:
            return
        if node.doom is not None:
            self._nodes.meet(node, node.doom)
            return
        at, limit = now + fact.seconds, limit_of(node)
        node.state = move(node.state, State.WAITING)
        node.memo, node.reason = fact.memo, Reason.DEFERRED
        at = at if limit is None else min(at, limit)
        self._nodes.orders.append(WaitUntil(node.key, fact.attempt, at, fact.memo))

    def due(self, fact: Due, now: float) -> None:
        """Go on with what waited for a time."""
        node = self._nodes.by_key.get(fact.task)
        if node is None or node.attempt != fact.attempt:
            return
        if node.task.type in ENGINE_TYPES and node.state in (State.RUNNING, State.WAITING) and node.attempt:
            self.calls.due(node, now)
        elif node.state in (State.RETRYING, State.WAITING):
            limit = limit_of(node)
            if node.state is State.WAITING and node.attempt and limit is not None and now >= limit:
                self._nodes.fail_with(node, Reason.TIMEOUT, f"still waiting after {node.task.timeout:g} s")
            else:
                self._nodes.make_ready(node)

    def fail_unstarted(self, node: Node, error: ExpressionError | StoreCorruptError, where: str = "") -> None:
        """Fail a node whose expression could not be evaluated."""
        reason, message = Reason.EXPRESSION, f"{where}{error}"
        if isinstance(error, StoreCorruptError):
            # A file that is gone is this run's trouble: it must not end, again and again, whoever else has runs.
            reason, message = Reason.INPUT_LOST, f"{where}{error.path}: {error.detail}"
        self._nodes.fail_with(node, reason, message)

    def _closed(self, key: str, attempt: int) -> Node | None:
        """Return the node whose attempt has ended by a report, and count it out; None for a late or foreign one."""
        node = self._nodes.awaited(key, attempt)
        if node is not None:
            self._nodes.running -= 1
        return node


def limit_of(node: Node) -> float | None:
    """Return when an attempt that waits has waited too long: only a timeout the task itself sets counts."""
    if node.task.timeout is None or node.started_at is None:
        return None
    return node.started_at + node.task.timeout
