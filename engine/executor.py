"""The owner of all live runs: takes facts until the next timer, carries out orders through store, then backend.

One thread, one loop. Everybody else asks through `submit`, `cancel` and `stop`, which only put a request into a queue.
What is decided in `run`, who may start in `granting`; written by `store`, done by a backend.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from engine.assignments import Ambience, assignment, scope
from engine.backend import Assignment, Backend
from engine.clock import Clock
from engine.errors import ExecutorStoppedError, RunEndedError, RunsLostError
from engine.facts import (
    Begin,
    CancelAsked,
    DeadlineReached,
    Due,
    Fact,
    Finish,
    Kill,
    Lost,
    Order,
    RetryAt,
    Start,
    Submitted,
    WaitUntil,
)
from engine.granting import Granting
from engine.ids import new_id
from engine.limits import Limits
from engine.live import Live
from engine.outputs import SpilledOutputs
from engine.plan import Plan
from engine.points import sync_point
from engine.run import Run
from engine.states import Reason, State
from engine.submission import Receipt, Submission
from engine.task import Catalogue
from engine.timers import Timed, Timers
from engine.values import Values

# Timers count monotonic time; a submission for later means wall time, so it is looked at again at least this often.
_WALL_CHECK_SECONDS = 30.0
_IDLE_SECONDS = 5.0

Listener = Callable[[str, Sequence[Order], float], None]


class Memory(Protocol):
    """What the executor asks of the store."""

    def create(self, submissions: Sequence[tuple[str, Submission, float]]) -> list[Receipt]:
        """Record new runs, durably; earlier ones answer for keys seen before."""
        ...

    def write(self, batch: Sequence[tuple[str, Sequence[Order]]], now: float) -> frozenset[str]:
        """Record what the orders say, durably; return the runs that lost a race."""
        ...

    def rest(self) -> None:
        """Use the quiet for housekeeping."""
        ...


class Executor:
    """Run many runs at once; a service: `start` returns when it runs, `stop` when it has stopped.

    `listeners` are called in the executor's thread after each durable turn with (run, orders, wall time); they must
    return at once. `on_death` is called once if the loop dies of an error.
    """

    def __init__(  # noqa: PLR0913 -- the parts it is composed of, by name
        self,
        memory: Memory,
        backend: Backend,
        *,
        clock: Clock,
        limits: Limits,
        values: Values,
        ambience: Ambience,
        entropy: Callable[[int], bytes] = os.urandom,
        listeners: Sequence[Listener] = (),
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Compose it; nothing runs before `start`."""
        self._memory, self._backend, self._clock, self._limits = memory, backend, clock, limits
        self._values, self._ambience, self._entropy = values, ambience, entropy
        self._listeners, self._on_death = tuple(listeners), on_death
        self._secrets = tuple(ambience.secrets.values())
        self._live: dict[str, Live] = {}
        self._timers = Timers()
        self._granting = Granting(self._live, backend, self._keep)
        self._later: set[str] = set()
        self._batch: dict[str, list[Order]] = {}
        self._starts: list[tuple[str, Start]] = []
        self._requests: deque[Callable[[float], None]] = deque()
        self._arrivals: list[tuple[Submission, Plan, Future[Receipt]]] = []
        self._unanswered: dict[int, Future[Any]] = {}
        self._refusing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop_asked = threading.Event()
        self._hurry = threading.Event()
        self._is_over = False
        self._stop_at: float | None = None
        self._grace_seconds = 0.0
        self._is_tired = True
        self.failure: BaseException | None = None
        self.held = ""
        self.turns = 0

    def start(self) -> None:
        """Start the loop in its own thread; the backend and the memory are up before. Harmless twice."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="executor", daemon=True)
            self._thread.start()

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Start nothing more, give what runs `grace_seconds`, record the rest as cut off; return when all is recorded.

        Harmless twice; a second call with a shorter grace hurries the first.
        """
        if self._stop_asked.is_set():
            self._hurry.set()
        self._grace_seconds = grace_seconds
        self._stop_asked.set()
        self._backend.wake()
        if self._thread is None:
            self._is_over = True
            self._refuse_all()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def submit(self, submission: Submission, plan: Plan) -> "Future[Receipt]":
        """Ask for a run; the receipt comes when the run is recorded durably."""
        return self._ask(lambda _now, answer: self._arrivals.append((submission, plan, answer)))

    def cancel(self, run: str, *, reason: Reason = Reason.USER, message: str = "") -> "Future[None]":
        """Ask for a live run to end now; the answer comes when that is recorded (not when it has ended).

        Raises RunEndedError through the future if the run is not live.
        """

        def carry_out(now: float, answer: "Future[None]") -> None:
            if run not in self._live:
                answer.set_exception(RunEndedError(run, "ended"))
                return
            self._tell(run, CancelAsked(reason, message), now)
            answer.set_result(None)

        return self._ask(carry_out)

    def catalogue(self) -> "Future[Catalogue]":
        """Ask which task types can be run now; the same object until a plugin file changes."""
        return self._ask(lambda _now, answer: answer.set_result(self._backend.catalogue()))

    def adopt(self, run: Run, plan: Plan, run_at: float | None = None) -> None:
        """Take over a recorded run that nobody owns (recovery): what was RUNNING is Lost, timers are armed again.

        Call before `start`, or from a listener.
        """
        now = self._clock.wall()
        self._live[run.key] = Live(run, plan, run_at)
        self._keep(run.key, run.resume())
        for task, attempt in list(run.running()):
            self._tell(run.key, Lost(task, attempt), now)
        sync_point("executor.adopted")
        for task, attempt, at in run.waiting():
            self._arm(run.key, Due(task, attempt), at, now)
        if run.state is State.RUNNING:
            if run.deadline is not None:
                self._arm(run.key, DeadlineReached(), run.deadline, now)
        else:
            self._arm_begin(run.key, run_at, now)

    def listen(self, listener: Listener) -> None:
        """Add a listener; it hears every durable turn from the next one on."""
        self._listeners = (*self._listeners, listener)

    def give_up(self, run: str, orders: Sequence[Order]) -> None:
        """Record the end of a run that nobody can take up (recovery); call before `start`."""
        self._keep(run, list(orders))

    def hold(self, reason: str) -> None:
        """Start no further task until `release`; what runs goes on and may end. Safe from any thread."""
        self.held = reason

    def release(self) -> None:
        """Start tasks again. Safe from any thread."""
        self.held = ""
        self._backend.wake()

    @property
    def live(self) -> int:
        """Count the live runs; those that wait for the time they were submitted for take nobody's place."""
        return len(self._live) - len(self._later)

    def _ask(self, carry_out: Callable[[float, "Future[Any]"], None]) -> "Future[Any]":
        answer: Future[Any] = Future()
        if self.failure is not None or self._stop_asked.is_set():
            answer.set_exception(self.failure or ExecutorStoppedError())
            return answer
        # An asker may stop waiting, but not take the question back: the loop gives every answer it owes.
        answer.set_running_or_notify_cancel()
        self._unanswered[id(answer)] = answer
        answer.add_done_callback(lambda done: self._unanswered.pop(id(done), None))
        self._requests.append(lambda now: carry_out(now, answer))
        self._backend.wake()
        if self._is_over:
            # It ended after the look above and before it could know of this one.
            self._refuse_all()
        return answer

    def _loop(self) -> None:
        try:
            while not self._may_stop():
                self._turn()
            self._cut_off()
        except BaseException as error:
            # Memory may be ahead of disk now: stop rather than guess.
            self._die(error)
        finally:
            self._is_over = True
            self._refuse_all()

    def _die(self, error: BaseException) -> None:
        self.failure = error
        self._stop_asked.set()
        try:
            self._backend.stop(0.0)
        finally:
            if self._on_death is not None:
                self._on_death(error)

    def _refuse_all(self) -> None:
        with self._refusing:
            for answer in list(self._unanswered.values()):
                answer.set_exception(self.failure or ExecutorStoppedError())

    def _may_stop(self) -> bool:
        if not self._stop_asked.is_set():
            return False
        ticks = self._clock.ticks()
        if self._stop_at is None:
            self._stop_at = ticks + self._grace_seconds
        is_quiet = not any(live.run.is_running for live in self._live.values())
        return is_quiet or self._hurry.is_set() or ticks >= self._stop_at

    def _cut_off(self) -> None:
        """End what still runs and record it as cut off; it is taken up again in a later life."""
        self._backend.stop(0.0)
        now = self._clock.wall()
        for run, fact in self._backend.collect(0.0):
            self._tell(run, fact, now)
        for key, live in list(self._live.items()):
            for task, attempt in list(live.run.running()):
                self._tell(key, Lost(task, attempt, Reason.DAEMON_STOPPED), now)
        self._record(now)

    def _turn(self) -> None:
        """Take in everything that has happened, decide, record, then do."""
        reports = self._backend.collect(self._patience())
        now, ticks = self._clock.wall(), self._clock.ticks()
        while self._requests:
            self._requests.popleft()(now)
        self._admit(now)
        for run, report in reports:
            self._tell(run, report, now)
        for run, timed in self._timers.due(ticks):
            self._tell_timed(run, timed, now)
        for key in self._batch:
            self._granting.mark(key)
        if not self._stop_asked.is_set() and not self.held:
            self._starts = self._granting.grant(now)
        self._record(now)
        self.turns += 1

    def _patience(self) -> float:
        """Return how long the loop may wait for something to happen, in seconds."""
        if self._requests or self._batch:
            return 0.0
        ticks = self._clock.ticks()
        waits = [_IDLE_SECONDS]
        timer = self._timers.next_in(ticks)
        if timer is not None:
            waits.append(timer)
        if self._stop_at is not None:
            waits.append(max(0.0, self._stop_at - ticks))
        return min(waits)

    def _admit(self, now: float) -> None:
        """Record everything submitted since the last turn in one transaction, and set it going."""
        arrivals, self._arrivals = self._arrivals, []
        if not arrivals:
            return
        keyed = [(new_id(now, self._entropy(10)), submission, now) for submission, _, _ in arrivals]
        sync_point("executor.asked")
        receipts = self._memory.create(keyed)
        sync_point("executor.created")
        for (key, submission, _), (_, plan, answer), receipt in zip(keyed, arrivals, receipts, strict=True):
            if receipt.is_new:
                self._live[key] = Live(self._make_run(key, submission, plan, now), plan, submission.run_at)
                self._arm_begin(key, submission.run_at, now)
            answer.set_result(receipt)

    def _make_run(self, key: str, submission: Submission, plan: Plan, now: float) -> Run:
        outputs = SpilledOutputs(self._values, self._limits.inline_bytes)
        outputs.update(submission.reused)
        run = Run(
            key,
            plan,
            scope=scope(self._ambience, key, plan, submission.params, submission.trigger, now),
            outputs=outputs,
            priority=submission.priority,
            max_lost=self._limits.max_lost,
        )
        run.reuse(submission.reused)
        return run

    def _arm_begin(self, run: str, run_at: float | None, now: float) -> None:
        if run_at is None or run_at <= now:
            self._later.discard(run)
            self._tell(run, Submitted(), now)
        else:
            self._later.add(run)
            self._timers.add(self._clock.ticks() + min(run_at - now, _WALL_CHECK_SECONDS), run, Submitted())

    def _arm(self, run: str, fact: Timed, at: float, now: float) -> None:
        self._timers.add(self._clock.ticks() + max(0.0, at - now), run, fact)

    def _tell_timed(self, run: str, fact: Timed, now: float) -> None:
        live = self._live.get(run)
        if live is None:
            return
        if isinstance(fact, Submitted):
            self._arm_begin(run, live.run_at, now)
        else:
            self._tell(run, fact, now)

    def _tell(self, key: str, fact: Fact, now: float) -> None:
        live = self._live.get(key)
        if live is None:
            return
        self._keep(key, live.run.handle(fact, now))

    def _keep(self, key: str, orders: list[Order]) -> None:
        """Remember orders for this turn, and that the run may have something ready."""
        known = self._batch.get(key)
        if known is None:
            self._batch[key] = orders
        else:
            known += orders

    def _record(self, now: float) -> None:
        """Write this turn's orders, durably, then carry them out."""
        batch = {key: orders for key, orders in self._batch.items() if orders}
        self._batch = {}
        if not batch:
            self._rest()
            return
        self._is_tired = True
        sync_point("executor.decided")
        lost = self._memory.write(list(batch.items()), now)
        if lost:
            raise RunsLostError(sorted(lost))
        sync_point("executor.recorded")
        # In the order in which room was reserved for them, which is that of their priorities; a batch is sorted by run.
        starts, self._starts = self._starts, []
        assignments = [self._assignment(key, start) for key, start in starts]
        for key, orders in batch.items():
            for order in orders:
                if type(order) is not Start:
                    self._carry_out(key, order, now)
        if assignments:
            self._backend.dispatch(assignments)
            sync_point("executor.dispatched")
        for listener in self._listeners:
            for key, orders in batch.items():
                listener(key, orders, now)

    def _assignment(self, key: str, order: Start) -> Assignment:
        task = self._live[key].plan.at(order.task).task
        return assignment(key, task, order, timeout=self._limits.task_timeout, secrets=self._secrets)

    def _carry_out(self, key: str, order: Order, now: float) -> None:
        match order:
            case RetryAt(task, attempt, at) | WaitUntil(task, attempt, at) if at is not None:
                self._arm(key, Due(task, attempt), at, now)
            case Kill(task, attempt, reason):
                self._backend.kill(key, task, attempt, reason)
            case Begin(deadline) if deadline is not None:
                self._arm(key, DeadlineReached(), deadline, now)
            case Finish():
                self._live.pop(key, None)
                self._later.discard(key)
                self._granting.forget(key)
                self._timers.forget(key)
            case _:
                pass

    def _rest(self) -> None:
        if self._is_tired and not self._requests:
            self._is_tired = False
            self._memory.rest()
