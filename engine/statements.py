"""The statements that orders come to, compiled once for a dialect: every change a compare-and-set.

The states a change expects come out of the table of moves; nothing here is typed a second time. Which order needs which
statement, with which values, is in `rows`; the schema is in `tables`.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Table,
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
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from engine.database import Statement
from engine.states import ACTIVE, ENDED, IDLE, MOVES, Reason, State
from engine.tables import attempts, cache, events, runs, tasks

_KILL_ASKED = "kill asked"
_PAUSED: ColumnElement[str] = literal_column(f"'{Reason.PAUSED.value}'")
_ZERO: ColumnElement[int] = literal_column("0")
_YES: ColumnElement[bool] = true()
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
    """Build the statement that adds an event, or a pack of them."""
    names = ("run_pk", "at", "task", "attempt", "state", "reason", "message", "actor", "packed")
    return Statement(dialect, insert(events).inline().values({name: bindparam(name) for name in names}), *names)


class Statements:
    """Every statement that orders come to, for one dialect.

    `in_sequence`: a run begins before anything in it, and ends after everything its tasks did.
    """

    def __init__(self, dialect: Dialect) -> None:
        """Compile them all."""
        self._dialect = dialect
        self.stay, self.begin = self._stay(), self._begin()
        self.pause, self.unpause = self._pause(), self._unpause()
        self.wind_down, self.give = self._wind_down(), self._give()
        self.warn, self.warn_run = self._warn(), self._warn_run()
        self.find_spread, self.spread, self.add_instance = self._find_spread(), self._spread(), self._add_instance()
        self.close = {state: self._close(state) for state in RUN_ENDS}
        self.end_open = {state: self._end(state, has_attempt=True) for state in RUN_ENDS}
        self.end_idle = {state: self._end(state, has_attempt=False) for state in sorted(ENDED)}
        self.retry = self._retry()
        self.wait, self.suspend = self._wait(), self._suspend()
        self.start, self.open = self._start(), self._open_attempt()
        self.kill = self._kill()
        self.keep = self._keep()
        self.sweeping = (self._sweep(attempts), self._sweep(tasks))
        self.finish = {state: self._finish(state) for state in RUN_ENDS}
        self.event = adding_event(dialect)
        self.in_sequence = (
            self.stay,
            self.begin,
            self.pause,
            self.unpause,
            self.wind_down,
            self.give,
            self.warn,
            self.warn_run,
            self.spread,
            self.add_instance,
            *self.end_open.values(),
            *self.end_idle.values(),
            self.retry,
            self.wait,
            self.start,
            *self.close.values(),
            self.suspend,
            self.open,
            self.kill,
            self.keep,
            *self.sweeping,
            *self.finish.values(),
            self.event,
        )

    def _begin(self) -> Statement:
        values: dict[str, Any] = {"state": _text(State.RUNNING), "reason": null(), "message": _NOTHING}
        values |= {"deadline": bindparam("deadline"), "started_at": bindparam("now")}
        changed = _not_begun(before(State.RUNNING)).values(values)
        return Statement(self._dialect, changed, "deadline", "now", "run")

    def _stay(self) -> Statement:
        # What it waits for may change: the time it was submitted for has come, and now there is no place for it.
        ways = (IDLE & before(State.WAITING)) | {State.WAITING}
        values: dict[str, Any] = {"state": _text(State.WAITING)}
        values |= {"reason": bindparam("reason_"), "message": bindparam("message_")}
        return Statement(self._dialect, _not_begun(ways).values(values), "reason_", "message_", "run")

    def _pause(self) -> Statement:
        changed = update(runs).where(runs.c.pk == bindparam("run"), _one_of(runs.c.state, ACTIVE))
        values: dict[str, Any] = {"state": _text(State.WAITING), "reason": _PAUSED, "message": bindparam("message_")}
        return Statement(self._dialect, changed.values(values), "message_", "run")

    def _unpause(self) -> Statement:
        changed = update(runs).where(
            runs.c.pk == bindparam("run"),
            runs.c.started_at.is_not(None),
            _one_of(runs.c.state, {State.WAITING} & before(State.RUNNING)),
        )
        values: dict[str, Any] = {"state": _text(State.RUNNING), "reason": null(), "message": _NOTHING}
        return Statement(self._dialect, changed.values(values), "run")

    def _give(self) -> Statement:
        changed = update(runs).where(runs.c.pk == bindparam("run"), runs.c.ended_at.is_(None))
        values: dict[str, Any] = {"output": bindparam("output_"), "output_ref": bindparam("ref")}
        return Statement(self._dialect, changed.values(values), "output_", "ref", "run")

    def _warn(self) -> Statement:
        is_task = (tasks.c.run_pk == bindparam("run"), tasks.c.key == bindparam("task"))
        changed = update(tasks).where(*is_task, ~tasks.c.is_warned, tasks.c.ended_at.is_(None))
        return Statement(self._dialect, changed.values(is_warned=_YES), "run", "task")

    def _warn_run(self) -> Statement:
        is_run = (runs.c.pk == bindparam("run"), ~runs.c.is_warned, runs.c.ended_at.is_(None))
        return Statement(self._dialect, update(runs).where(*is_run).values(is_warned=_YES), "run")

    def _find_spread(self) -> Statement:
        found = select(tasks.c.state, tasks.c.position, tasks.c.type, tasks.c.instances).where(
            tasks.c.run_pk == bindparam("run"), tasks.c.key == bindparam("task")
        )
        return Statement(self._dialect, found, "run", "task")

    def _spread(self) -> Statement:
        # A task that spreads runs without an attempt of its own, from its first instances to its end.
        changed = update(tasks).where(
            tasks.c.run_pk == bindparam("run"),
            tasks.c.key == bindparam("task"),
            tasks.c.attempt == _ZERO,
            tasks.c.instance == _ZERO,
            _one_of(tasks.c.state, (IDLE & before(State.RUNNING)) | ACTIVE),
        )
        values: dict[str, Any] = {"state": _text(State.RUNNING), "reason": null(), "message": _NOTHING}
        values |= {"started_at": func.coalesce(tasks.c.started_at, bindparam("now")), "due_at": null()}
        values |= {"memo": func.coalesce(bindparam("memo_", type_=tasks.c.memo.type), tasks.c.memo)}
        values |= {"instances": bindparam("instances_")}
        # The values stand in the order of the table.
        return Statement(self._dialect, changed.values(values), "now", "memo_", "instances_", "run", "task")

    def _add_instance(self) -> Statement:
        names = ("run_pk", "key", "position", "type", "state", "reason", "due_at", "instance")
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        added = self._insert(tasks).values(values | {"attempt": _ZERO, "message": _NOTHING})
        return Statement(self._dialect, added.on_conflict_do_nothing(), *names)

    def _keep(self) -> Statement:
        names = ("key", "run_pk", "task", "created_at", "expires_at")
        added = self._insert(cache).values({name: bindparam(name) for name in names})
        renewed = {name: added.excluded[name] for name in names if name != "key"}
        kept = added.on_conflict_do_update(index_elements=[cache.c.key], set_=renewed)
        return Statement(self._dialect, kept, *names)

    def _insert(self, table: Table) -> Any:
        return (postgresql if self._dialect.name == "postgresql" else sqlite).insert(table).inline()

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
        values |= {"ended_at": bindparam("now"), "due_at": null()}
        values |= {"output": bindparam("output_"), "output_ref": bindparam("ref")}
        names = ("reason_", "message_", "now", "output_", "ref", "run", "task")
        if has_attempt:
            guard = and_(tasks.c.attempt == bindparam("number"), _one_of(tasks.c.state, _OPEN & before(state)))
            values |= {"memo": null()}
            return Statement(self._dialect, changed.values(values).where(guard), *names, "number")
        # Without an attempt a memo is that of a Spread: a run that repeats this one takes it over.
        return Statement(self._dialect, changed.values(values).where(_has_no_attempt(before(state))), *names)

    def _sweep(self, table: Table) -> Statement:
        """End what is open of a run, however many rows that is."""
        values = {"state": _text(State.CANCELLED), "reason": bindparam("reason_"), "message": bindparam("message_")}
        is_open = _one_of(table.c.state, before(State.CANCELLED))
        changed = update(table).where(table.c.run_pk == bindparam("run"), is_open)
        changed = changed.values(values | {"ended_at": bindparam("now")})
        return Statement(self._dialect, changed, "reason_", "message_", "now", "run")

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
        added = self._insert(attempts).values(values)
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
            tasks.c.attempt > _ZERO,
            _one_of(tasks.c.state, ACTIVE),
        )
        added = insert(events).from_select([events.c[name] for name in columns], asked)
        return Statement(self._dialect, added, "now", "reason_", "run", "task_", "number")


def _not_begun(ways: Iterable[State]) -> Update:
    """Change a run that has not begun and is in one of these states."""
    return update(runs).where(runs.c.pk == bindparam("run"), runs.c.started_at.is_(None), _one_of(runs.c.state, ways))


def _attempt(ways: frozenset[State]) -> Update:
    return update(attempts).where(
        attempts.c.run_pk == bindparam("run"),
        attempts.c.task == bindparam("task_"),
        attempts.c.number == bindparam("number_"),
        _one_of(attempts.c.state, ways),
    )


def _has_no_attempt(ways: frozenset[State]) -> ColumnElement[bool]:
    """Say that the task is in one of these states with no attempt open; a task that has spread runs without one."""
    never_begun = and_(tasks.c.attempt == _ZERO, _one_of(tasks.c.state, ways & _OPEN))
    return or_(_one_of(tasks.c.state, ways - _OPEN), never_begun)
