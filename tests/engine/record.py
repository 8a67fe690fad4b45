"""What a store keeps of a run, for tests without one: it takes orders, and refuses what no run may ever order."""

import json
from typing import Any

from engine.facts import (
    Begin,
    Call,
    Cancel,
    Complete,
    Fail,
    Finish,
    Kill,
    Open,
    Order,
    Pause,
    Recall,
    RetryAt,
    Skip,
    Spread,
    Start,
    Stay,
    Unpause,
    WaitUntil,
    Warn,
    WindDown,
)
from engine.plan import Plan, id_of
from engine.run import Snapshot
from engine.states import ENDED, Reason, State, move
from tests.engine.interpreter import End


class Row:
    """What a store keeps of a task or an instance."""

    def __init__(self) -> None:
        self.state: State = State.PENDING
        self.reason: Reason | None = None
        self.message = ""
        self.attempt = self.failures = self.lost = 0
        self.due_at: float | None = None
        self.started_at: float | None = None
        self.memo = self.output = b"null"

    def move(self, *states: State, reason: Reason | None = None, message: str = "", due_at=None) -> None:
        for state in states:
            self.state = move(self.state, state)
        self.reason, self.message, self.due_at = reason, message, due_at

    def snapshot(self) -> Snapshot:
        kept = {name: getattr(self, name) for name in Snapshot.__struct_fields__ if hasattr(self, name)}
        return Snapshot(**kept)

    def end(self) -> End:
        is_plain = self.reason in (None, Reason.REUSED)
        assert self.state is State.COMPLETED or not is_plain, "an end without a reason"
        output = json.loads(self.output) if self.state is State.COMPLETED else None
        return End(self.state, None if is_plain else self.reason, output)


class Record:
    """What a store keeps of a run; it takes orders as a store does, and refuses what must never be ordered."""

    def __init__(self, plan: Plan, reused: dict[str, bytes]) -> None:
        self.plan = plan
        self.rows = {key: Row() for key in plan.tasks}
        self.state: State = State.PENDING
        self.deadline: float | None = None
        self.begun_at: float | None = None
        self.ending: WindDown | None = None
        self.finish: Finish | None = None
        self.warned: set[str] = set()
        for key in () if plan.workflow.routing else self.rows.keys() & reused:
            self.rows[key].move(State.COMPLETED, reason=Reason.REUSED)
            self.rows[key].output = reused[key]

    def take(self, order: Order, now: float) -> None:
        assert self.finish is None, f"{order} after the end"
        match order:
            case Begin(deadline):
                assert self.state in (State.PENDING, State.WAITING)
                self.state, self.deadline, self.begun_at = State.RUNNING, deadline, now
            case Stay():
                self.state = State.WAITING
            case Pause():
                self.state = move(self.state, State.WAITING)
            case Unpause():
                self.state = move(self.state, State.RUNNING)
            case WindDown():
                self.ending = order
            case Finish(state):
                open_rows = [key for key, row in self.rows.items() if row.state not in ENDED]
                assert not open_rows, f"the run ends before {open_rows}"
                self.finish, self.state = order, state
            case Warn(task):
                assert task not in self.warned, "a second warning"
                self.warned.add(task)
            case Kill() | Recall():
                pass
            case Spread(task, instances, memo, due_at):
                self.spread(task, instances, memo, due_at)
            case _:
                self.take_of_task(self.rows[order.task], order, now)

    def spread(self, task: str, instances: tuple[str, ...], memo: bytes | None, due_at: float | None) -> None:
        row = self.rows[task]
        assert row.attempt == 0, "what has an attempt of its own is not spread"
        if row.state is not State.RUNNING:
            row.move(State.RUNNING)
        row.memo = row.memo if memo is None else memo
        for key in instances:
            assert key not in self.rows, f"{key} twice"
            assert id_of(key) == task
            self.rows[key] = Row()
            if due_at is not None:
                self.rows[key].move(State.WAITING, reason=Reason.DELAY, due_at=due_at)

    def take_of_task(self, row: Row, order: Any, now: float) -> None:
        match order:
            case Start(attempt=attempt) | Open(attempt=attempt) | Call(attempt=attempt):
                goes_on = row.state is State.WAITING and row.attempt > 0
                assert attempt == row.attempt + (not goes_on), f"attempt {attempt} after {row.attempt}"
                row.move(State.RUNNING)
                row.attempt = attempt
                row.started_at = row.started_at if goes_on else now
            case Complete(_, attempt, output, _, reason, message):
                assert attempt in (0, row.attempt)
                row.move(State.COMPLETED, reason=reason, message=message)
                row.output = output
            case Fail(_, attempt, reason, message):
                assert attempt in (0, row.attempt)
                row.move(State.FAILED, reason=reason, message=message)
                row.output = order.output
            case RetryAt(_, attempt, at, reason, message):
                assert attempt == row.attempt
                row.move(State.FAILED, State.RETRYING, reason=reason, message=message, due_at=at)
                row.lost += reason is Reason.DAEMON_LOST
                row.failures += reason not in (Reason.DAEMON_LOST, Reason.DAEMON_STOPPED)
            case WaitUntil(_, attempt, at, memo, reason, message):
                assert attempt == row.attempt
                row.move(State.WAITING, reason=reason, message=message, due_at=at)
                row.memo = memo
            case Skip(_, reason, message):
                row.move(State.SKIPPED, reason=reason, message=message)
            case Cancel(_, attempt, reason, message):
                assert attempt in (0, row.attempt)
                row.move(State.CANCELLED, reason=reason, message=message)
            case _:
                raise AssertionError(order)
