"""Orders as rows: which statements an order comes to and with which values, and the rows of a batch carried out.

Groups the rows of a batch by statement, so that each runs once for all of them. Counts what was changed and says
whether that was all; transactions, and what to do about a lost race, are `store`'s.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from engine.database import Statement
from engine.facts import (
    Begin,
    Cancel,
    Complete,
    Fail,
    Finish,
    Kill,
    Order,
    Pause,
    RetryAt,
    Skip,
    Start,
    Stay,
    Unpause,
    Usage,
    WaitUntil,
    WindDown,
)
from engine.statements import Statements
from engine.states import Reason, State
from engine.values import Values

Row = tuple[Any, ...]
_OF_RUN = (Begin, Stay, Pause, Unpause, WindDown, Finish)

# The bare texts: drivers take long over members of an enumeration.
_RUNNING, _WAITING, _RETRYING = State.RUNNING.value, State.WAITING.value, State.RETRYING.value
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

    `is_tangled` says that two orders speak of the same task: their sequence matters, so they need a batch each.
    """

    def __init__(self, statements: Statements, values: Values, now: float) -> None:
        """Start empty; `now` is the wall time of every change."""
        self._statements, self._values, self._now = statements, values, now
        self.is_tangled = False
        self._rows: dict[Statement, list[Row]] = {statement: [] for statement in statements.in_sequence}
        self._events = self._rows[statements.event]
        # Almost every order is a Start or a Complete: theirs are at hand.
        self._started, self._opened = self._rows[statements.start], self._rows[statements.open]
        self._completed = self._rows[statements.end_open[State.COMPLETED]]
        self._closed = self._rows[statements.close[State.COMPLETED]]
        self._adding: dict[type, Callable[[int, Any], None]] = {
            Begin: self._begin,
            Start: self._start,
            Complete: self._complete,
            Fail: self._fail,
            RetryAt: self._retry_at,
            WaitUntil: self._wait_until,
            Skip: self._skip,
            Cancel: self._cancel,
            Kill: self._kill,
            WindDown: self._wind_down,
            Finish: self._finish,
        }

    def add(self, run: int, orders: Sequence[Order]) -> None:
        """Turn the orders of a run (its `pk`) into rows; large outputs are written to their files now."""
        tasks = [order.task for order in orders if not isinstance(order, _OF_RUN)]
        self.is_tangled |= len(set(tasks)) < len(tasks)
        for order in orders:
            self._adding[type(order)](run, order)

    def carry_out(self, connection: Connection) -> bool:
        """Execute everything; return False at the first statement that found a row not as expected."""
        return all(statement.run_all(connection, rows) == len(rows) for statement, rows in self._rows.items() if rows)

    def _record(
        self, run: int, task: str | None, attempt: int | None, state: str, reason: str | None = None, message: str = ""
    ) -> None:
        self._events.append((run, self._now, task, attempt, state, reason, message, None))

    def _begin(self, run: int, order: Begin) -> None:
        self._rows[self._statements.begin].append((order.deadline, self._now, run))
        self._record(run, None, None, _RUNNING)

    def _start(self, run: int, order: Start) -> None:
        task, attempt, now = order.task, order.attempt, self._now
        self._started.append((attempt, now, run, task, attempt - 1, attempt))
        self._opened.append((run, task, attempt, now))
        self._events.append((run, now, task, attempt, _RUNNING, None, "", None))

    def _complete(self, run: int, order: Complete) -> None:
        task, attempt, now = order.task, order.attempt, self._now
        if not attempt:
            self._end(run, order, State.COMPLETED, None, "", order.output)
            return
        inline, ref = self._values.split(order.output)
        self._completed.append((None, "", now, inline, ref, run, task, attempt))
        self._closed.append((None, "", None, now, *_took(order.usage), run, task, attempt))
        self._events.append((run, now, task, attempt, _COMPLETED, None, "", None))

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
        self._events.append((run, now, task, attempt or None, state.value, reason, message, None))

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

    def _wind_down(self, run: int, order: WindDown) -> None:
        ending = (code(order.state), code(order.reason), plain(order.message))
        self._rows[self._statements.wind_down].append((*ending, run))
        self._events.append((run, self._now, None, None, None, ending[1], ending[2], None))

    def _finish(self, run: int, order: Finish) -> None:
        reason, message = code(order.reason), plain(order.message)
        self._rows[self._statements.finish[order.state]].append((reason, message, self._now, run, run))
        self._record(run, None, None, order.state.value, reason, message)


def _took(usage: Usage | None) -> tuple[float | None, float | None, int | None]:
    return (None, None, None) if usage is None else (usage.seconds, usage.cpu_seconds, usage.memory_bytes)
