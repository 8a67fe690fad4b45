"""The statements that orders come to, compiled once for a dialect: every change a compare-and-set.

The states a change expects come out of the table of moves; nothing here is typed a second time. Which order needs which
statement, with which values, is in `rows`; the schema is in `tables`.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Update,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from engine.database import Statement
from engine.states import ACTIVE, ENDED, IDLE, MOVES, State
from engine.tables import attempts, events, runs, tasks

_KILL_ASKED = "kill asked"
_ZERO: ColumnElement[int] = literal_column("0")
_NOTHING: ColumnElement[str] = literal_column("''")


def before(new: State) -> frozenset[State]:
    """Return the states that the table lets move to this one."""
    return frozenset(old for old, targets in MOVES.items() if new in targets)


# Where an attempt is open: it runs, or it was running and waits without having ended.
_OPEN = ACTIVE | frozenset(state for active in ACTIVE for state in MOVES[active] - ENDED)
RUN_ENDS = tuple(state for state in sorted(ENDED) if ACTIVE & before(state))


def _text(state: State) -> ColumnElement[str]:
    """Write a state into a statement itself: SQLite then plans for it, and no tuple has to carry it."""
    return literal_column(f"'{state.value}'")


def _one_of(column: ColumnElement[Any], states: Iterable[State]) -> ColumnElement[bool]:
    """Compare with each state: for more than two values SQLite would build a tree for an IN, at each row anew."""
    return or_(false(), *(column == _text(state) for state in sorted(states)))


def adding_event(dialect: Dialect) -> Statement:
    """Build the statement that adds an event."""
    names = ("run_pk", "at", "task", "attempt", "state", "reason", "message", "actor")
    return Statement(dialect, insert(events).inline().values({name: bindparam(name) for name in names}), *names)


class Statements:
    """Every statement that orders come to, for one dialect.

    `in_sequence`: a run begins before anything in it, and ends after everything its tasks did.
    """

    def __init__(self, dialect: Dialect) -> None:
        """Compile them all."""
        self._dialect = dialect
        self.begin = self._begin()
        self.wind_down = self._wind_down()
        self.close = {state: self._close(state) for state in RUN_ENDS}
        self.end_open = {state: self._end(state, has_attempt=True) for state in RUN_ENDS}
        self.end_idle = {state: self._end(state, has_attempt=False) for state in sorted(ENDED)}
        self.retry = self._retry()
        self.wait, self.suspend = self._wait(), self._suspend()
        self.start, self.open = self._start(), self._open_attempt()
        self.kill = self._kill()
        self.finish = {state: self._finish(state) for state in RUN_ENDS}
        self.event = adding_event(dialect)
        self.in_sequence = (
            self.begin,
            self.wind_down,
            *self.end_open.values(),
            *self.end_idle.values(),
            self.retry,
            self.wait,
            self.start,
            *self.close.values(),
            self.suspend,
            self.open,
            self.kill,
            *self.finish.values(),
            self.event,
        )

    def _begin(self) -> Statement:
        changed = update(runs).where(runs.c.pk == bindparam("run"), _one_of(runs.c.state, before(State.RUNNING)))
        values = {"state": _text(State.RUNNING), "reason": null(), "message": _NOTHING}
        values |= {"deadline": bindparam("deadline"), "started_at": bindparam("now")}
        return Statement(self._dialect, changed.values(values), "deadline", "now", "run")

    def _wind_down(self) -> Statement:
        changed = update(runs).where(
            runs.c.pk == bindparam("run"), runs.c.ended_at.is_(None), runs.c.ending_state.is_(None)
        )
        names = ("ending_state", "ending_reason", "ending_message")
        return Statement(self._dialect, changed.values({name: bindparam(name) for name in names}), *names, "run")

    def _finish(self, state: State) -> Statement:
        # A run ends after its tasks: so nothing of an ended run can change, since nothing of an ended task can.
        is_open = exists().where(tasks.c.run_pk == bindparam("same_run"), tasks.c.ended_at.is_(None))
        changed = update(runs).where(runs.c.pk == bindparam("run"), _one_of(runs.c.state, before(state)), ~is_open)
        values = {"state": _text(state), "reason": bindparam("reason"), "message": bindparam("message")}
        values |= {"ended_at": bindparam("now")}
        return Statement(self._dialect, changed.values(values), "reason", "message", "now", "run", "same_run")

    def _end(self, state: State, *, has_attempt: bool) -> Statement:
        changed = update(tasks).where(tasks.c.run_pk == bindparam("run"), tasks.c.key == bindparam("task"))
        values: dict[str, Any] = {"state": _text(state)}
        values |= {"reason": bindparam("reason_"), "message": bindparam("message_")}
        values |= {"ended_at": bindparam("now"), "due_at": null(), "memo": null()}
        values |= {"output": bindparam("output_"), "output_ref": bindparam("ref")}
        names = ("reason_", "message_", "now", "output_", "ref", "run", "task")
        if has_attempt:
            guard = and_(tasks.c.attempt == bindparam("number"), _one_of(tasks.c.state, _OPEN & before(state)))
            return Statement(self._dialect, changed.values(values).where(guard), *names, "number")
        return Statement(self._dialect, changed.values(values).where(_has_no_attempt(IDLE & before(state))), *names)

    def _close(self, state: State) -> Statement:
        values = {"state": _text(state), "reason": bindparam("reason_"), "message": bindparam("message_")}
        values |= {"exit_code": bindparam("exit"), "ended_at": bindparam("now"), "seconds": bindparam("took")}
        values |= {"cpu_seconds": bindparam("cpu"), "memory_bytes": bindparam("memory")}
        names = ("reason_", "message_", "exit", "now", "took", "cpu", "memory", "run", "task_", "number_")
        return Statement(self._dialect, _attempt(_OPEN & before(state)).values(values), *names)

    def _retry(self) -> Statement:
        # The attempt FAILED and the task goes on at once: both moves have to be legal.
        ways = _OPEN & before(State.FAILED) if State.FAILED in before(State.RETRYING) else frozenset[State]()
        return self._park(State.RETRYING, ways, memo=null())

    def _wait(self) -> Statement:
        return self._park(State.WAITING, ACTIVE & before(State.WAITING), memo=bindparam("memo_"))

    def _park(self, state: State, ways: frozenset[State], memo: ColumnElement[Any]) -> Statement:
        values: dict[str, Any] = {"state": _text(state), "reason": bindparam("reason_")}
        values |= {"message": bindparam("message_"), "due_at": bindparam("due"), "memo": memo}
        changed = update(tasks).where(
            tasks.c.run_pk == bindparam("run"),
            tasks.c.key == bindparam("task"),
            tasks.c.attempt == bindparam("number"),
            _one_of(tasks.c.state, ways),
        )
        names = ("reason_", "message_", "due") + (() if state is State.RETRYING else ("memo_",))
        return Statement(self._dialect, changed.values(values), *names, "run", "task", "number")

    def _suspend(self) -> Statement:
        changed = _attempt(ACTIVE & before(State.WAITING)).values(state=_text(State.WAITING))
        return Statement(self._dialect, changed, "run", "task_", "number_")

    def _start(self) -> Statement:
        # A new attempt follows a closed one; a task that waits inside an open attempt goes on with that.
        ways = IDLE & before(State.RUNNING)
        is_next = and_(tasks.c.attempt == bindparam("former"), _has_no_attempt(ways))
        goes_on = and_(
            tasks.c.attempt == bindparam("same"), tasks.c.attempt > _ZERO, _one_of(tasks.c.state, _OPEN & ways)
        )
        changed = update(tasks).where(
            tasks.c.run_pk == bindparam("run"), tasks.c.key == bindparam("task"), or_(is_next, goes_on)
        )
        values: dict[str, Any] = {"state": _text(State.RUNNING), "reason": null(), "message": _NOTHING}
        values |= {"attempt": bindparam("number"), "started_at": func.coalesce(tasks.c.started_at, bindparam("now"))}
        values |= {"due_at": null()}
        names = ("number", "now", "run", "task", "former", "same")
        return Statement(self._dialect, changed.values(values), *names)

    def _open_attempt(self) -> Statement:
        names = ("run_pk", "task", "number", "started_at")
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        values |= {"state": _text(State.RUNNING), "message": _NOTHING}
        added = (postgresql if self._dialect.name == "postgresql" else sqlite).insert(attempts).values(values)
        reopened = added.on_conflict_do_update(
            index_elements=[attempts.c.run_pk, attempts.c.task, attempts.c.number],
            set_={"state": _text(State.RUNNING)},
            where=_one_of(attempts.c.state, _OPEN & before(State.RUNNING)),
        )
        return Statement(self._dialect, reopened, "run_pk", "task", "number", "started_at")

    def _kill(self) -> Statement:
        columns = ("run_pk", "at", "task", "attempt", "reason", "message")
        asked = select(
            tasks.c.run_pk,
            bindparam("now", type_=events.c.at.type),
            tasks.c.key,
            tasks.c.attempt,
            bindparam("reason_", type_=events.c.reason.type),
            literal_column(f"'{_KILL_ASKED}'"),
        ).where(
            tasks.c.run_pk == bindparam("run"),
            tasks.c.key == bindparam("task_"),
            tasks.c.attempt == bindparam("number"),
            _one_of(tasks.c.state, ACTIVE),
        )
        added = insert(events).from_select([events.c[name] for name in columns], asked)
        return Statement(self._dialect, added, "now", "reason_", "run", "task_", "number")


def _attempt(ways: frozenset[State]) -> Update:
    return update(attempts).where(
        attempts.c.run_pk == bindparam("run"),
        attempts.c.task == bindparam("task_"),
        attempts.c.number == bindparam("number_"),
        _one_of(attempts.c.state, ways),
    )


def _has_no_attempt(ways: frozenset[State]) -> ColumnElement[bool]:
    """Say that the task is in one of these states with no attempt open."""
    never_begun = and_(tasks.c.attempt == _ZERO, _one_of(tasks.c.state, ways & _OPEN))
    return or_(_one_of(tasks.c.state, ways - _OPEN), never_begun)
