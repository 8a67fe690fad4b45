"""Orders as rows: which statements an order comes to and with which values, and the rows of a batch carried out.

Groups the rows of a batch by statement, so that each runs once for all of them. Counts what was changed and says
whether that was all; transactions, and what to do about a lost race, are `store`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from engine.database import Statement
from engine.facts import (
    Begin,
    Call,
    Cancel,
    Collapse,
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
    Usage,
    WaitUntil,
    Warn,
    WindDown,
)
from engine.statements import Statements
from engine.states import Reason, State
from engine.values import Values

Row = tuple[Any, ...]
# Task, attempt, state.
_Move = tuple[str | None, int | None, str | None]
_NO_MOVE: _Move = (None, None, None)
# At most as many events share a row as there are ids between those of two rows.
PACK_SIZE = 1000
# These say nothing of a task that another order of the batch could disturb.
_OF_NO_TASK = (Begin, Collapse, Stay, Pause, Unpause, WindDown, Finish, Recall)
_NULL = b"null"

# The bare texts: drivers take long over members of an enumeration.
_RUNNING, _WAITING, _RETRYING = State.RUNNING.value, State.WAITING.value, State.RETRYING.value
_PENDING, _DELAY = State.PENDING.value, Reason.DELAY.value
_COMPLETED, _FAILED, _SKIPPED = State.COMPLETED.value, State.FAILED.value, State.SKIPPED.value


def plain(text: str) -> str:
    """Return a text that every database takes: NUL and half characters are written out."""
    if not text or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def code(value: Reason | State | None) -> str | None:
    """Return the bare text of a code."""
    return None if value is None else str(value)


class Rows:
    """Gather the rows of one batch, then carry them out, kind by kind.

    The `cache` of a Complete is expected to name the key that its material comes to.
    `is_tangled` says that two orders speak of the same task: their sequence matters, so they need a batch each.
    """

    def __init__(self, statements: Statements, values: Values, now: float) -> None:
        """Start empty; `now` is the wall time of every change."""
        self._statements, self._values, self._now = statements, values, now
        self.is_tangled = False
        self._rows: dict[Statement, list[Row]] = {statement: [] for statement in statements.in_sequence}
        self._events = self._rows[statements.event]
        # Moves of one run that follow each other and say no more than that: they share a row of the events.
        self._moves: list[_Move] = []
        self._moving = 0
        # Each Spread, and which of the events is its own.
        self._spreads: list[tuple[int, Spread, int]] = []
        # Almost every order is a Start or a Complete: theirs are at hand.
        self._started, self._opened = self._rows[statements.start], self._rows[statements.open]
        self._completed = self._rows[statements.end_open[State.COMPLETED]]
        self._closed = self._rows[statements.close[State.COMPLETED]]
        self._adding: dict[type, Callable[[int, Any], None]] = {
            Begin: self._begin,
            Start: self._start,
            Open: self._start,
            Call: self._start,
            Recall: _write_nothing,
            Spread: self._spread,
            Complete: self._complete,
            Fail: self._fail,
            RetryAt: self._retry_at,
            WaitUntil: self._wait_until,
            Skip: self._skip,
            Cancel: self._cancel,
            Kill: self._kill,
            Warn: self._warn,
            Stay: self._stay,
            Pause: self._pause,
            Unpause: self._unpause,
            Collapse: self._collapse,
            WindDown: self._wind_down,
            Finish: self._finish,
        }

    def add(self, run: int, orders: Sequence[Order]) -> None:
        """Turn the orders of a run (its `pk`) into rows; large outputs are written to their files now."""
        tasks = [order.task for order in orders if not isinstance(order, _OF_NO_TASK)]
        self.is_tangled |= len(set(tasks)) < len(tasks)
        self._moving = run
        for order in orders:
            self._adding[type(order)](run, order)
        self._pack()

    def carry_out(self, connection: Connection) -> bool:
        """Execute everything; return False at the first statement that found a row not as expected."""
        rows = self._with_instances(connection) if self._spreads else self._rows
        sweeping = self._statements.sweeping
        return all(
            statement.run_all(connection, some) == len(some) or statement in sweeping
            for statement, some in rows.items()
            if some
        )

    def _with_instances(self, connection: Connection) -> dict[Statement, list[Row]]:
        """Return the rows of the batch with those of new instances, which need to know how their task stands."""
        statements, spread, added, repeated = self._statements, list[Row](), list[Row](), set[int]()
        for run, order, event in self._spreads:
            row = statements.find_spread.first(connection, (run, order.task))
            count = len(order.instances)
            if row is not None:
                count += row.instances
                added += self._instances(run, order, row)
                repeated |= {event} if row.state == _RUNNING else set()
            # Of a task that is not there, this finds none to change.
            spread.append((self._now, order.memo, count, run, order.task))
        events = [row for number, row in enumerate(self._events) if number not in repeated]
        own = {statements.spread: spread, statements.add_instance: added, statements.event: events}
        return self._rows | own

    @staticmethod
    def _instances(run: int, order: Spread, task: Any) -> Iterator[Row]:
        """Yield a row for each instance, numbered on from those that its task has."""
        state, reason = (_PENDING, None) if order.due_at is None else (_WAITING, _DELAY)
        like = (task.position, task.type, state, reason, order.due_at)
        for number, key in enumerate(order.instances, task.instances + 1):
            yield (run, key, *like, number)

    def _record(
        self,
        run: int,
        task: str | None,
        attempt: int | None,
        state: str | None,
        reason: str | None = None,
        message: str = "",
        actor: str | None = None,
    ) -> None:
        self._pack()
        self._events.append((run, self._now, task, attempt, state, reason, message, actor, None))

    def _pack(self) -> None:
        """Write the moves gathered so far as events, in as few rows as that takes."""
        moves, self._moves = self._moves, []
        for first in range(0, len(moves), PACK_SIZE):
            some = moves[first : first + PACK_SIZE]
            what, packed = (some[0], None) if len(some) == 1 else (_NO_MOVE, msgspec.json.encode(some).decode())
            self._events.append((self._moving, self._now, *what, None, "", None, packed))

    def _begin(self, run: int, order: Begin) -> None:
        self._rows[self._statements.begin].append((order.deadline, self._now, run))
        self._record(run, None, None, _RUNNING)

    def _stay(self, run: int, order: Stay) -> None:
        reason, message = code(order.reason), plain(order.message)
        self._rows[self._statements.stay].append((reason, message, run))
        self._record(run, None, None, _WAITING, reason, message)

    def _pause(self, run: int, order: Pause) -> None:
        message = plain(order.message)
        self._rows[self._statements.pause].append((message, run))
        self._record(run, None, None, _WAITING, Reason.PAUSED.value, message, plain(order.actor) or None)

    def _unpause(self, run: int, order: Unpause) -> None:
        self._rows[self._statements.unpause].append((run,))
        self._record(run, None, None, _RUNNING, None, plain(order.message), plain(order.actor) or None)

    def _warn(self, run: int, order: Warn) -> None:
        if order.task:
            self._rows[self._statements.warn].append((run, order.task))
        else:
            self._rows[self._statements.warn_run].append((run,))
        self._record(run, order.task or None, None, None, Reason.DEADLINE.value, plain(order.message))

    def _spread(self, run: int, order: Spread) -> None:
        self._pack()
        self._spreads.append((run, order, len(self._events)))
        self._record(run, order.task, None, _RUNNING)

    def _start(self, run: int, order: Start | Open | Call) -> None:
        task, attempt, now = order.task, order.attempt, self._now
        self._started.append((attempt, now, run, task, attempt - 1, attempt))
        self._opened.append((run, task, attempt, now))
        self._moves.append((task, attempt, _RUNNING))

    def _complete(self, run: int, order: Complete) -> None:
        task, attempt, now = order.task, order.attempt, self._now
        reason, message = code(order.reason), plain(order.message)
        if order.cache is not None:
            key, ttl = order.cache
            self._rows[self._statements.keep].append((key, run, task, now, None if ttl is None else now + ttl))
        if not attempt:
            self._end(run, order, State.COMPLETED, reason, message, order.output)
            return
        inline, ref = self._values.split(order.output)
        self._completed.append((reason, message, now, inline, ref, run, task, attempt))
        self._closed.append((reason, message, None, now, *_took(order.usage), run, task, attempt))
        if reason is None and not message:
            self._moves.append((task, attempt, _COMPLETED))
        else:
            self._record(run, task, attempt, _COMPLETED, reason, message)

    def _fail(self, run: int, order: Fail) -> None:
        self._end(run, order, State.FAILED, code(order.reason), plain(order.message), order.output, order.exit_code)

    def _cancel(self, run: int, order: Cancel) -> None:
        self._end(run, order, State.CANCELLED, code(order.reason), plain(order.message), b"null")

    def _skip(self, run: int, order: Skip) -> None:
        reason, message = code(order.reason), plain(order.message)
        ended = (reason, message, self._now, None, None, run, order.task)
        self._rows[self._statements.end_idle[State.SKIPPED]].append(ended)
        self._record(run, order.task, None, _SKIPPED, reason, message)

    def _end(
        self,
        run: int,
        order: Complete | Fail | Cancel,
        state: State,
        reason: str | None,
        message: str,
        output: bytes,
        exit_code: int | None = None,
    ) -> None:
        """End a task: with the attempt it names, or with none open (attempt 0)."""
        task, attempt, now = order.task, order.attempt, self._now
        inline, ref = self._values.split(output)
        ended = (reason, message, now, inline, ref, run, task)
        if attempt:
            self._rows[self._statements.end_open[state]].append((*ended, attempt))
            closed = (reason, message, exit_code, now, *_took(order.usage), run, task, attempt)
            self._rows[self._statements.close[state]].append(closed)
        else:
            self._rows[self._statements.end_idle[state]].append(ended)
        self._record(run, task, attempt or None, state.value, reason, message)

    def _retry_at(self, run: int, order: RetryAt) -> None:
        task, attempt = order.task, order.attempt
        reason, message = code(order.reason), plain(order.message)
        self._rows[self._statements.retry].append((reason, message, order.at, run, task, attempt))
        closed = (reason, message, order.exit_code, self._now, *_took(order.usage), run, task, attempt)
        self._rows[self._statements.close[State.FAILED]].append(closed)
        self._record(run, task, attempt, _FAILED, reason, message)
        self._record(run, task, attempt, _RETRYING, reason)

    def _wait_until(self, run: int, order: WaitUntil) -> None:
        task, attempt = order.task, order.attempt
        reason, message = code(order.reason), plain(order.message)
        self._rows[self._statements.wait].append((reason, message, order.at, order.memo, run, task, attempt))
        self._rows[self._statements.suspend].append((run, task, attempt))
        self._record(run, task, attempt, _WAITING, reason, message)

    def _kill(self, run: int, order: Kill) -> None:
        asked = (self._now, code(order.reason), run, order.task, order.attempt)
        self._rows[self._statements.kill].append(asked)

    def _collapse(self, run: int, order: Collapse) -> None:
        swept = (Reason.INTERNAL.value, plain(order.message), self._now, run)
        for statement in self._statements.sweeping:
            self._rows[statement].append(swept)

    def _wind_down(self, run: int, order: WindDown) -> None:
        ending = (code(order.state), code(order.reason), plain(order.message))
        self._rows[self._statements.wind_down].append((*ending, run))
        self._give(run, order.output)
        self._record(run, None, None, None, ending[1], ending[2])

    def _finish(self, run: int, order: Finish) -> None:
        reason, message = code(order.reason), plain(order.message)
        self._give(run, order.output)
        self._rows[self._statements.finish[order.state]].append((reason, message, self._now, run, run))
        self._record(run, None, None, order.state.value, reason, message)

    def _give(self, run: int, output: bytes) -> None:
        """Keep what a run gives back; null leaves what is there, since a WindDown may have said it before."""
        if output != _NULL:
            self._rows[self._statements.give].append((*self._values.split(output), run))


def _write_nothing(_run: int, _order: Recall) -> None:
    """Leave no row."""


def _took(usage: Usage | None) -> tuple[float | None, float | None, int | None]:
    return (None, None, None) if usage is None else (usage.seconds, usage.cpu_seconds, usage.memory_bytes)
