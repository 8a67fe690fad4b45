"""One run of a workflow: facts in, orders out. The heart, and pure: no clock, no process, no database.

Owns the state of every task of one run while it lives; `executor` alone calls it and carries the orders out.
What depends on what lives in `plan`, when to retry in `retry`, what may follow a dependency's end in `joins`.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import msgspec

from engine import joins, retry
from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError, evaluate_condition
from engine.facts import (
    Begin,
    Broke,
    Cancel,
    CancelAsked,
    Complete,
    DeadlineReached,
    Deferred,
    Due,
    Fact,
    Fail,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    Order,
    RetryAt,
    Skip,
    Start,
    Submitted,
    Succeeded,
    TimedOut,
    Usage,
    WaitUntil,
    WindDown,
)
from engine.joins import Verdict
from engine.model import Task
from engine.node import Node, Snapshot
from engine.plan import Plan
from engine.states import ENDED, IDLE, Reason, State, move

Ending = tuple[State, Reason, str]


class Run:
    """Decide what happens next in one run.

    `scope` holds the names that expressions may use beside `tasks` (`params`, `run`, `trigger`, `env`, `secrets`).
    `outputs` maps task keys to JSON; hand in one that keeps large values elsewhere. `max_lost` bounds how often an
    attempt may vanish with its process.
    """

    def __init__(
        self,
        key: str,
        plan: Plan,
        *,
        scope: Mapping[str, Any] | None = None,
        outputs: MutableMapping[str, bytes] | None = None,
        priority: int = 0,
        max_lost: int = 3,
    ) -> None:
        """Build it PENDING; nothing happens before Submitted."""
        self.key, self.plan, self.priority = key, plan, priority + plan.workflow.priority
        self.state = State.PENDING
        self.deadline: float | None = None
        self._scope: Mapping[str, Any] = scope or {}
        self._outputs: MutableMapping[str, bytes] = {} if outputs is None else outputs
        self._max_lost = max_lost
        self._nodes = {task_id: Node(planned) for task_id, planned in plan.tasks.items()}
        self._ready: list[tuple[int, int, str]] = []
        self._open = len(self._nodes)
        self._running = 0
        self._max_parallel = plan.workflow.max_parallel or len(self._nodes)
        self._failed: list[str] = []
        self._ending: Ending | None = None
        self._orders: list[Order] = []
        # For as long as one fact is dealt with: a thousand conditions may look at the same output.
        self._decoded: dict[str, Any] = {}
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            Submitted: self._submitted,
            Granted: self._granted,
            Succeeded: self._succeeded,
            Failed: self._attempt_failed,
            Broke: self._attempt_failed,
            TimedOut: self._attempt_failed,
            Killed: self._was_killed,
            Deferred: self._deferred,
            Lost: self._was_lost,
            Due: self._due,
            DeadlineReached: self._deadline_reached,
            CancelAsked: self._cancel_asked,
        }

    @classmethod
    def restore(  # noqa: PLR0913 -- what a run is made of, by name
        cls,
        key: str,
        plan: Plan,
        snapshots: Mapping[str, Snapshot],
        *,
        state: State,
        deadline: float | None,
        scope: Mapping[str, Any] | None = None,
        outputs: MutableMapping[str, bytes] | None = None,
        priority: int = 0,
        max_lost: int = 3,
        ending: Ending | None = None,
    ) -> "Run":
        """Take up a recorded run where it stood.

        The caller then asks `resume`, reports every attempt in `running` that is gone as Lost, and arms what RETRYING
        and WAITING tasks wait for. `ending` is what a recorded WindDown said.
        """
        run = cls(key, plan, scope=scope, outputs=outputs, priority=priority, max_lost=max_lost)
        run.state, run.deadline, run._ending = state, deadline, ending
        for task_id, snapshot in snapshots.items():
            run._nodes[task_id].take_up(snapshot)
        for node in run._nodes.values():
            if node.state in ENDED:
                run._open -= 1
                if node.state is State.FAILED and not node.is_good:
                    run._failed.append(node.task.id)
            elif node.state is State.RUNNING:
                run._running += 1
                node.killed_for = ending[1] if ending else None
        return run

    def resume(self) -> list[Order]:
        """Decide what a restored run could not decide before: tasks whose dependencies have ended already."""
        if self.state is State.RUNNING:
            self._set_going()
            self._finish_if_done()
        return self._take()

    def handle(self, fact: Fact, now: float) -> list[Order]:
        """Return what has to be done about a fact; late and repeated facts lead to nothing."""
        if self.state not in ENDED:
            self._handlers[type(fact)](fact, now)
            if not self._open:
                self._finish_if_done()
        return self._take()

    def peek(self) -> Task | None:
        """Return the task that would start next, or None while nothing is ready or may start."""
        if self._running >= self._max_parallel:
            return None
        ready = self._ready
        while ready:
            node = self._nodes[ready[0][2]]
            if node.is_ready and node.state in IDLE:
                return node.task
            heapq.heappop(ready)
        return None

    def reuse(self, tasks: Iterable[str]) -> None:
        """Take these tasks as COMPLETED in an earlier run; call before Submitted, with their outputs in place."""
        for key in tasks:
            node = self._nodes[key]
            self._end(node, State.COMPLETED, Reason.REUSED, "")

    def states(self) -> Iterator[tuple[str, State, Reason | None, str, int]]:
        """Yield (task, state, reason, message, attempts) of every task."""
        for key, node in self._nodes.items():
            yield key, node.state, node.reason, node.message, node.attempt

    @property
    def is_running(self) -> bool:
        """Tell whether any attempt is under way."""
        return self._running > 0

    def waiting(self) -> Iterator[tuple[str, int, float]]:
        """Yield (task, attempt, wall time) of every restored task that waits for a time."""
        for key, node in self._nodes.items():
            if node.state in (State.RETRYING, State.WAITING) and node.due_at is not None:
                yield key, node.attempt, node.due_at

    def running(self) -> Iterator[tuple[str, int]]:
        """Yield (task, attempt) of every attempt under way."""
        for key, node in self._nodes.items():
            if node.state is State.RUNNING:
                yield key, node.attempt

    def _take(self) -> list[Order]:
        orders, self._orders = self._orders, []
        self._decoded.clear()
        return orders

    def _submitted(self, _fact: Submitted, now: float) -> None:
        if self.state is State.RUNNING:
            return
        self.state = move(self.state, State.RUNNING)
        timeout = self.plan.workflow.timeout
        self.deadline = None if timeout is None else now + timeout
        self._orders.append(Begin(self.deadline))
        self._set_going()

    def _set_going(self) -> None:
        """Let what had ended already (in an earlier run or life) be heard, and queue what depends on nothing."""
        ended_before = [node for node in self._nodes.values() if node.state in ENDED]
        first = [node for node in self._nodes.values() if node.state is State.PENDING and not node.task.depends_on]
        for node in ended_before:
            self._inform(node)
        for node in first:
            # One that failed before may have wound the run down.
            if node.state is State.PENDING and self._decide(node, Verdict.READY):
                self._inform(node)

    def _granted(self, fact: Granted, now: float) -> None:
        node = self._nodes[fact.task]
        if not node.is_ready or node.state not in IDLE:
            return
        # Only now: what is filled in for all that wait may be far more than memory holds.
        template, fields, outputs = node.planned.template, node.task.fields, self._outputs
        try:
            if template is not None:
                fields = template.render(self._names(template.roots, template.tasks))
            inputs = {dependency: outputs.get(dependency, b"null") for dependency in node.task.depends_on}
        except (ExpressionError, StoreCorruptError) as error:
            self._fail_unstarted(node, error)
            self._inform(node)
            return
        if node.state is not State.WAITING:
            node.attempt += 1
            node.started_at = now
        node.state = move(node.state, State.RUNNING)
        node.is_ready = False
        self._running += 1
        self._orders.append(Start(fact.task, node.attempt, fields, inputs, node.memo))

    def _succeeded(self, fact: Succeeded, _now: float) -> None:
        node = self._awaited(fact.task, fact.attempt)
        if node is None:
            return
        self._outputs[fact.task] = fact.output
        self._running -= 1
        self._end(node, State.COMPLETED, None, "")
        self._orders.append(Complete(fact.task, fact.attempt, fact.output, fact.usage))
        self._inform(node)

    def _attempt_failed(self, fact: Failed | Broke | TimedOut, now: float) -> None:
        node = self._awaited(fact.task, fact.attempt)
        if node is None:
            return
        self._running -= 1
        if node.killed_for is not None:
            self._cancel(node, node.killed_for, fact.usage)
            return
        reason = fact.reason if isinstance(fact, Failed | Broke) else Reason.TIMEOUT
        exit_code = fact.exit_code if isinstance(fact, Failed) else None
        output = fact.output if isinstance(fact, Failed) else b"null"
        node.failures += 1
        at = retry.next_start(
            node.task.retry,
            failures=node.failures,
            reason=reason,
            exit_code=exit_code,
            now=now,
            seed=f"{self.key}/{fact.task}",
        )
        if at is not None and self._ending is None:
            self._retry(node, RetryAt(fact.task, fact.attempt, at, reason, fact.message, exit_code, fact.usage))
        else:
            order = Fail(fact.task, fact.attempt, reason, fact.message, exit_code, output, fact.usage)
            self._fail(node, order)
            self._inform(node)

    def _retry(self, node: Node, order: RetryAt) -> None:
        move(node.state, State.FAILED)
        node.state = move(State.FAILED, State.RETRYING)
        node.reason, node.message, node.memo = order.reason, order.message, b"null"
        self._orders.append(order)

    def _fail(self, node: Node, order: Fail) -> None:
        """Fail a task for good; the caller lets the tasks behind it know."""
        self._outputs[order.task] = order.output
        self._end(node, State.FAILED, order.reason, order.message)
        self._orders.append(order)
        if not node.task.continue_on_failure:
            self._failed.append(order.task)
            if self.plan.workflow.fail_fast:
                self._wind_down(State.FAILED, Reason.FAIL_FAST, f"task {order.task} failed")

    def _was_killed(self, fact: Killed, _now: float) -> None:
        node = self._awaited(fact.task, fact.attempt)
        if node is not None:
            self._running -= 1
            self._cancel(node, node.killed_for or Reason.USER, fact.usage)

    def _was_lost(self, fact: Lost, now: float) -> None:
        node = self._awaited(fact.task, fact.attempt)
        if node is None:
            return
        self._running -= 1
        if node.killed_for is not None:
            self._cancel(node, node.killed_for, None)
            return
        if fact.reason is not Reason.DAEMON_STOPPED:
            node.lost += 1
        if node.lost > self._max_lost:
            message = f"its process died {node.lost} times with whoever watched it"
            self._fail(node, Fail(fact.task, fact.attempt, Reason.LOST_TOO_OFTEN, message))
            self._inform(node)
        else:
            self._retry(node, RetryAt(fact.task, fact.attempt, now, fact.reason, "the attempt was cut off"))

    def _deferred(self, fact: Deferred, now: float) -> None:
        node = self._awaited(fact.task, fact.attempt)
        if node is None:
            return
        self._running -= 1
        if node.killed_for is not None:
            self._cancel(node, node.killed_for, None)
            return
        at, limit = now + fact.seconds, self._limit(node)
        node.state = move(node.state, State.WAITING)
        node.memo, node.reason = fact.memo, Reason.DEFERRED
        self._orders.append(WaitUntil(fact.task, fact.attempt, at if limit is None else min(at, limit), fact.memo))

    def _due(self, fact: Due, now: float) -> None:
        node = self._nodes[fact.task]
        if node.attempt != fact.attempt or node.state not in (State.RETRYING, State.WAITING):
            return
        limit = self._limit(node)
        if node.state is State.WAITING and limit is not None and now >= limit:
            message = f"still waiting after {node.task.timeout:g} s"
            self._fail(node, Fail(fact.task, fact.attempt, Reason.TIMEOUT, message))
            self._inform(node)
        else:
            self._make_ready(node)

    def _limit(self, node: Node) -> float | None:
        """Return when an attempt that waits has waited too long: only a timeout the task itself sets counts."""
        if node.task.timeout is None or node.started_at is None:
            return None
        return node.started_at + node.task.timeout

    def _deadline_reached(self, _fact: DeadlineReached, _now: float) -> None:
        message = f"the run took longer than its timeout of {self.plan.workflow.timeout or 0:g} s"
        self._wind_down(State.FAILED, Reason.DEADLINE, message)

    def _cancel_asked(self, fact: CancelAsked, _now: float) -> None:
        self._wind_down(State.CANCELLED, fact.reason, fact.message)

    def _wind_down(self, state: State, reason: Reason, message: str) -> None:
        """Cancel what has not started and kill what runs; the run ends when the last attempt has."""
        if self._ending is not None:
            return
        self._ending = (state, reason, message)
        self._orders.append(WindDown(state, reason, message))
        for node in self._nodes.values():
            if node.state in IDLE:
                self._cancel(node, reason, None)
            elif node.state is State.RUNNING:
                node.killed_for = reason
                self._orders.append(Kill(node.task.id, node.attempt, reason))

    def _cancel(self, node: Node, reason: Reason, usage: Usage | None) -> None:
        has_attempt = node.state in (State.RUNNING, State.WAITING) and node.attempt > 0
        message = self._ending[2] if self._ending else ""
        self._end(node, State.CANCELLED, reason, message)
        attempt = node.attempt if has_attempt else 0
        self._orders.append(Cancel(node.task.id, attempt, reason, message, usage))

    def _awaited(self, task: str, attempt: int) -> Node | None:
        """Return the node that waits for a report of this attempt; None for a late or foreign one."""
        node = self._nodes.get(task)
        return node if node is not None and node.state is State.RUNNING and node.attempt == attempt else None

    def _end(self, node: Node, state: State, reason: Reason | None, message: str) -> None:
        node.state = move(node.state, state)
        node.reason, node.message, node.is_ready = reason, message, False
        self._open -= 1

    def _inform(self, ended: Node) -> None:
        """Tell the tasks behind an ended one, and those behind the ones that thereby end, and so on."""
        line = [ended]
        for node in line:
            outcome = joins.outcome(node.state, node.reason, is_good=node.is_good)
            for key in node.planned.dependants:
                dependant = self._nodes[key]
                verdict = dependant.join.hear(node.task.id, outcome)
                if verdict is not None and dependant.state is State.PENDING and self._decide(dependant, verdict):
                    line.append(dependant)

    def _decide(self, node: Node, verdict: Verdict) -> bool:
        """Act on a join's verdict; return True if the task ended by it."""
        if verdict is Verdict.READY:
            return self._check_condition(node)
        reason, message = node.join.explain()
        self._end(node, State.SKIPPED, reason, message)
        self._orders.append(Skip(node.task.id, reason, message))
        return True

    def _check_condition(self, node: Node) -> bool:
        condition = node.planned.condition
        if condition is None:
            self._make_ready(node)
            return False
        try:
            holds = evaluate_condition(condition, self._names(condition.roots, condition.tasks))
        except (ExpressionError, StoreCorruptError) as error:
            self._fail_unstarted(node, error, "when: ")
            return True
        if holds:
            self._make_ready(node)
            return False
        message = f"when: {condition.source} is false"
        self._end(node, State.SKIPPED, Reason.CONDITION_FALSE, message)
        self._orders.append(Skip(node.task.id, Reason.CONDITION_FALSE, message))
        return True

    def _make_ready(self, node: Node) -> None:
        node.is_ready = True
        heapq.heappush(self._ready, (-node.task.priority, node.planned.position, node.task.id))

    def _fail_unstarted(self, node: Node, error: ExpressionError | StoreCorruptError, where: str = "") -> None:
        attempt = node.attempt if node.state is State.WAITING else 0
        reason, message = Reason.EXPRESSION, f"{where}{error}"
        if isinstance(error, StoreCorruptError):
            # A file that is gone is this run's trouble: it must not end, again and again, whoever else has runs.
            reason, message = Reason.INPUT_LOST, f"{where}{error.path}: {error.detail}"
        self._fail(node, Fail(node.task.id, attempt, reason, message))

    def _names(self, roots: frozenset[str], tasks: frozenset[str]) -> dict[str, Any]:
        """Build the scope of an expression out of what it names, and nothing else: the library converts all of it."""
        names = {root: self._scope[root] for root in roots if root in self._scope}
        if "tasks" in roots:
            names["tasks"] = {task: self._view(task) for task in tasks if task in self._nodes}
        return names

    def _view(self, task: str) -> dict[str, Any]:
        node = self._nodes[task]
        if task not in self._decoded:
            self._decoded[task] = msgspec.json.decode(self._outputs.get(task, b"null"))
        return {
            "output": self._decoded[task],
            "state": str(node.state),
            "reason": None if node.reason is None else str(node.reason),
            "attempts": node.attempt,
        }

    def _finish_if_done(self) -> None:
        if self._open or not (self.state is State.RUNNING or self._ending):
            return
        if self._ending is not None:
            state, reason, message = self._ending
            finish = Finish(state, Reason.TASK_FAILED if reason is Reason.FAIL_FAST else reason, message)
        elif self._failed:
            finish = Finish(State.FAILED, Reason.TASK_FAILED, self._culprits())
        else:
            finish = Finish(State.COMPLETED, self._blemish())
        self.state = move(self.state, finish.state)
        self._orders.append(finish)

    def _culprits(self) -> str:
        first = self._nodes[self._failed[0]]
        others = len(self._failed) - 1
        detail = f": {first.message}" if first.message else ""
        return f"task {first.task.id} failed{detail}" + (f" (and {others} more)" if others else "")

    def _blemish(self) -> Reason | None:
        return Reason.CONTINUED if any(node.state is State.FAILED for node in self._nodes.values()) else None
