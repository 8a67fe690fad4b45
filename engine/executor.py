"""The owner of all live runs: takes facts until the next timer, carries out orders through store, then backend.

One thread, one loop. Everybody else asks through `submit`, `cancel`, `decide` and so on, which only put something into
a queue (`inquiries`). What is decided in `run`, who may start in `granting`, which run may begin in `beginnings`;
called workflows are in `calls`. Written by `store`, done by a backend.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from engine import decisions
from engine.arrivals import Arrivals
from engine.assignments import Ambience, assignment, origin_of
from engine.backend import Assignment, Backend
from engine.beginnings import Beginnings
from engine.calls import Calls, Door, Workflows
from engine.clock import Clock
from engine.decisions import Decision
from engine.errors import ExpressionError, InputError, RunEndedError, RunNotBegunError, RunsLostError, StoreCorruptError
from engine.facts import (
    AlarmReached,
    Begin,
    Call,
    CancelAsked,
    Collapse,
    DeadlineReached,
    Due,
    Fact,
    Finish,
    Kill,
    Lost,
    Order,
    PauseAsked,
    ResumeAsked,
    RetryAt,
    Spread,
    Start,
    Submitted,
    WaitUntil,
)
from engine.granting import Granting
from engine.inquiries import Inquiries
from engine.limits import Limits
from engine.live import Live
from engine.memory import Memory
from engine.model import ENGINE_TYPES
from engine.plan import Plan
from engine.points import sync_point
from engine.quotas import Quota, Quotas
from engine.states import Reason
from engine.submission import Receipt, Submission
from engine.task import Catalogue
from engine.timers import Timed, Timers
from engine.values import Values
from engine.waits import PersonWait, Waits

_IDLE_SECONDS = 5.0

Listener = Callable[[str, Sequence[Order], float], None]


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
        workflows: Workflows | None = None,
        pools: Mapping[str, Quota] | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        listeners: Sequence[Listener] = (),
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Compose it; nothing runs before `start`.

        `workflows` finds those that tasks call by name; `pools` are those that tasks may take slots of.
        """
        self._memory, self._backend, self._clock, self._limits = memory, backend, clock, limits
        self._listeners, self._on_death = tuple(listeners), on_death
        self._secrets = tuple(ambience.secrets.values())
        self._live: dict[str, Live] = {}
        self._timers = Timers()
        self._quotas = Quotas(pools)
        self._granting = Granting(self._live, backend, memory, self._quotas, self._keep)
        self._beginnings = Beginnings(self._live, self._timers, clock, self._tell)
        self._inquiries = Inquiries(backend.wake)
        self._arrivals = Arrivals(memory, values=values, limits=limits, ambience=ambience, entropy=entropy)
        door = Door(backend.catalogue, self._arrivals.add, memory.ended, self._inquiries.tell)
        self._calls = Calls(self._live, door, self._tell, workflows=workflows, limits=limits)
        self._batch: dict[str, list[Order]] = {}
        self._starts: list[tuple[str, Start]] = []
        # Answers that are given when what was asked is recorded.
        self._promised: list[Future[None]] = []
        self._thread: threading.Thread | None = None
        self._stop_asked = threading.Event()
        self._hurry = threading.Event()
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
        self._inquiries.close()
        self._backend.wake()
        if self._thread is None:
            self._inquiries.end(None)
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def submit(self, submission: Submission, plan: Plan) -> "Future[Receipt]":
        """Ask for a run; the receipt comes when the run is recorded durably."""
        return self._inquiries.ask(lambda _now, answer: self._arrivals.add(submission, plan, answer))

    def cancel(self, run: str, *, reason: Reason = Reason.USER, message: str = "") -> "Future[None]":
        """Ask for a live run to end now; the answer comes when that is recorded (not when it has ended).

        Raises RunEndedError through the future if the run is not live.
        """
        return self._ask_run(run, lambda _live: CancelAsked(reason, message))

    def pause_run(self, run: str, *, message: str = "", actor: str = "") -> "Future[None]":
        """Ask a live run to start nothing more for now; what runs goes on.

        Answers and raises as `cancel`; RunNotBegunError for a run that only waits yet.
        """

        def make(live: Live) -> Fact:
            if not live.has_begun:
                raise RunNotBegunError(run)
            return PauseAsked(message, actor)

        return self._ask_run(run, make)

    def resume_run(self, run: str, *, message: str = "", actor: str = "") -> "Future[None]":
        """Ask a paused run to go on. Answers and raises as `cancel`."""
        return self._ask_run(run, lambda _live: ResumeAsked(message, actor))

    def decide(self, run: str, task: str, decision: Decision) -> "Future[None]":
        """Approve or reject what waits for a person; answers as `cancel`.

        Raises RunEndedError, TaskUnknownError, NotWaitingError or DecisionInvalidError through the future; nothing has
        changed then.
        """
        return self._ask_run(run, lambda live: decisions.decided(live.run, task, decision))

    def waits(self) -> "Future[Waits]":
        """Ask what waits for a slot of a pool, for earlier runs, and for a person."""
        return self._inquiries.ask(lambda _now, answer: answer.set_result(self._survey()))

    def set_pools(self, pools: Mapping[str, Quota]) -> "Future[None]":
        """Let other pools hold from now on; what is held of them stays held until its task has ended."""

        def carry_out(_now: float, answer: "Future[None]") -> None:
            self._quotas.resize(pools)
            answer.set_result(None)

        return self._inquiries.ask(carry_out)

    def catalogue(self) -> "Future[Catalogue]":
        """Ask which task types can be run now; the same object until a plugin file changes."""
        return self._inquiries.ask(lambda _now, answer: answer.set_result(self._backend.catalogue()))

    def adopt(self, live: Live) -> None:
        """Take over a recorded run that nobody owns (recovery): what was RUNNING is Lost, timers are armed again.

        Call before `start`, or from a listener; called workflows are looked for when all are taken over.
        """
        now, run = self._clock.wall(), live.run
        self._live[run.key] = live
        if live.parent is not None:
            self._calls.know(run.key, live.parent)
        self._keep(run.key, run.resume())
        for task, attempt in list(run.running()):
            self._tell(run.key, Lost(task, attempt), now)
        sync_point("executor.adopted")
        for task, attempt, at in run.waiting():
            self._arm(run.key, Due(task, attempt), at, now)
        self._beginnings.take_up(run.key, now)
        if not live.has_begun:
            return
        if run.deadline is not None:
            self._arm(run.key, DeadlineReached(), run.deadline, now)
        for at, task in run.alarms():
            self._arm(run.key, AlarmReached(task), at, now)
        try:
            calls = list(run.calls())
        except (ExpressionError, StoreCorruptError) as error:
            self._tell(run.key, CancelAsked(Reason.INPUT_LOST, f"a call cannot be made again: {error}"), now)
            return
        for call in calls:
            self._call(run.key, call, now)

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
        return len(self._live) - len(self._beginnings.later)

    def _ask_run(self, run: str, make: Callable[[Live], Fact]) -> "Future[None]":
        """Have a live run told a fact that is made when its turn comes; an error in that is the answer."""

        def carry_out(now: float, answer: "Future[None]") -> None:
            live = self._live.get(run)
            try:
                if live is None:
                    raise RunEndedError(run, "ended")
                fact = make(live)
            except InputError as error:
                answer.set_exception(error)
                return
            self._tell(run, fact, now)
            self._promised.append(answer)

        return self._inquiries.ask(carry_out)

    def _survey(self) -> Waits:
        return Waits(
            pools=tuple(self._quotas.standings(self._clock.ticks())),
            tasks=tuple(self._granting.waits()),
            runs=tuple(self._beginnings.waits()),
            persons=tuple(
                PersonWait(run=key, task=task, message=question.message, until=question.until)
                for key, live in self._live.items()
                for task, question in live.run.questions()
            ),
        )

    def _loop(self) -> None:
        try:
            while not self._may_stop():
                self._turn()
            self._cut_off()
        except BaseException as error:
            # Memory may be ahead of disk now: stop rather than guess.
            self._die(error)
        finally:
            self._calls.stop()
            self._inquiries.end(self.failure)

    def _die(self, error: BaseException) -> None:
        self.failure = error
        self._stop_asked.set()
        self._inquiries.fail(error)
        try:
            self._backend.stop(0.0)
        finally:
            if self._on_death is not None:
                self._on_death(error)

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
        sync_point("executor.ending")
        self._record(now)
        sync_point("executor.ended")

    def _turn(self) -> None:
        """Take in everything that has happened, decide, record, then do."""
        reports = self._backend.collect(self._patience())
        now, ticks = self._clock.wall(), self._clock.ticks()
        self._inquiries.carry_out(now)
        self._admit(now)
        for run, report in reports:
            self._granting.free(run, report.task, report.attempt)
            self._tell(run, report, now)
        for run, timed in self._timers.due(ticks):
            self._tell_timed(run, timed, now)
        for key in self._batch:
            self._granting.mark(key)
        if not self._stop_asked.is_set() and not self.held:
            self._starts = self._granting.grant(now, ticks)
        self._record(now)
        promised, self._promised = self._promised, []
        for answer in promised:
            answer.set_result(None)
        self.turns += 1

    def _patience(self) -> float:
        """Return how long the loop may wait for something to happen, in seconds."""
        if self._inquiries or self._batch or self._arrivals:
            return 0.0
        ticks = self._clock.ticks()
        waits = [_IDLE_SECONDS]
        waits += [wait for wait in (self._timers.next_in(ticks), self._granting.next_in(ticks)) if wait is not None]
        if self._stop_at is not None:
            waits.append(max(0.0, self._stop_at - ticks))
        return min(waits)

    def _admit(self, now: float) -> None:
        """Record everything submitted since the last turn, and set it going."""
        for live, answer, receipt in self._arrivals.admit(now):
            if live is not None:
                self._live[receipt.run] = live
                self._beginnings.arm(receipt.run, now)
            answer.set_result(receipt)

    def _arm(self, run: str, fact: Timed, at: float, now: float) -> None:
        self._timers.add(self._clock.ticks() + max(0.0, at - now), run, fact)

    def _tell_timed(self, run: str, fact: Timed, now: float) -> None:
        live = self._live.get(run)
        if live is None:
            return
        if isinstance(fact, Submitted):
            self._beginnings.arm(run, now)
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
        if assignments:
            # First: what starts in this turn may be killed in it, and nobody can kill what is not there yet.
            self._backend.dispatch(assignments)
            sync_point("executor.dispatched")
        for key, orders in batch.items():
            for order in orders:
                if type(order) is not Start:
                    self._carry_out(key, order, now)
        sync_point("executor.carried_out")
        for listener in self._listeners:
            for key, orders in batch.items():
                listener(key, orders, now)
        sync_point("executor.told")

    def _assignment(self, key: str, order: Start) -> Assignment:
        live = self._live[key]
        task, timeout = live.plan.at(order.task).task, self._limits.task_timeout
        return assignment(key, task, order, timeout=timeout, secrets=self._secrets, origin=origin_of(live.trigger))

    def _carry_out(self, key: str, order: Order, now: float) -> None:
        match order:
            case RetryAt(task, attempt, at) | WaitUntil(task, attempt, at) if at is not None:
                self._arm(key, Due(task, attempt), at, now)
            case Kill(task, attempt, reason):
                if self._live[key].plan.at(task).task.type in ENGINE_TYPES:
                    self._calls.cancel((key, task, attempt), reason, now)
                else:
                    self._backend.kill(key, task, attempt, reason)
            case Begin(deadline, alarms):
                if deadline is not None:
                    self._arm(key, DeadlineReached(), deadline, now)
                for at, task in alarms:
                    self._arm(key, AlarmReached(task), at, now)
            case Spread(task, instances, _, at) if at is not None:
                for instance in instances:
                    self._arm(key, Due(instance, 0), at, now)
            case Call(task, attempt):
                self._call(key, order, now)
            case Collapse():
                self._end_all(key, now)
            case Finish():
                self._finish(key, order, now)
            case _:
                pass

    def _call(self, key: str, call: Call, now: float) -> None:
        if call.at is not None:
            self._arm(key, Due(call.task, call.attempt), call.at, now)
        self._calls.make(key, call)

    def _end_all(self, key: str, now: float) -> None:
        """End whatever of a run is alive, for the run has lost its way and does not say what that is."""
        run = self._live[key].run
        for task, attempt in run.running():
            self._backend.kill(key, task, attempt, Reason.INTERNAL)
        for task, attempt in run.calling():
            self._calls.cancel((key, task, attempt), Reason.INTERNAL, now)

    def _finish(self, key: str, finish: Finish, now: float) -> None:
        self._live.pop(key, None)
        self._granting.forget(key)
        self._timers.forget(key)
        self._beginnings.ended(key, now)
        self._calls.end(key, finish, now)

    def _rest(self) -> None:
        if self._is_tired and not self._inquiries:
            self._is_tired = False
            self._memory.rest()
