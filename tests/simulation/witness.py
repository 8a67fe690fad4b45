"""What must hold at every moment, judged from outside: by the database as a reader sees it, and by what was told.

It hears what the executor tells its listeners and sees what is dispatched. It uses none of the engine's reads.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.backend import Assignment
from engine.clock import Clock
from engine.facts import Begin, Finish, Order, RetryAt, WaitUntil
from engine.states import Reason
from tests.simulation.course import SLOTS

_HAIR = 1e-3
_OF_TASK = """SELECT r.pk, r.state, t.state, t.attempt, a.state FROM runs r JOIN tasks t ON t.run_pk = r.pk
    LEFT JOIN attempts a ON a.run_pk = r.pk AND a.task = t.key AND a.number = ? WHERE r.id = ? AND t.key = ?"""
_TRIED = "SELECT count(*) FROM attempts a JOIN runs r ON a.run_pk = r.pk WHERE r.id = ? AND a.task = ? AND a.state = ?"
# Of a called run all that were called by attempts of the same task.
_FAILED = """SELECT count(*) FROM runs me
    JOIN runs r ON r.id = me.id OR (r.parent, r.parent_task) = (me.parent, me.parent_task)
    JOIN attempts a ON a.run_pk = r.pk WHERE me.id = ? AND a.task = ? AND a.state = 'FAILED'
    AND a.reason NOT IN ('daemon_lost', 'daemon_stopped')"""
_BEGUN = """SELECT count(*) FROM runs r WHERE workflow = 'narrow' AND started_at IS NOT NULL AND ended_at IS NULL"""
_WAITING = """SELECT r.id, t.key, t.attempt, t.state, t.due_at FROM tasks t JOIN runs r ON t.run_pk = r.pk
    WHERE t.due_at IS NOT NULL AND t.state IN ('RETRYING', 'WAITING') AND r.ended_at IS NULL"""
_PARTS = (
    "SELECT * FROM runs WHERE pk = ?",
    "SELECT * FROM tasks WHERE run_pk = ? ORDER BY position, key",
    "SELECT * FROM attempts WHERE run_pk = ? ORDER BY task, number",
    "SELECT * FROM events WHERE run_pk = ? ORDER BY pk",
)


class Witness:
    """Look on, and write down every violation in a sentence."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self.file, self._clock = file, clock
        self.violations: list[str] = []
        self.attempts = self.questions = 0
        self._begun: set[tuple[str, str, int, bool]] = set()
        self._earliest: dict[tuple[str, str, int], float] = {}
        self.ended: dict[str, str] = {}
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read what is durable."""
        if self._database is None:
            self._database = sqlite3.connect(self.file, isolation_level=None)
            self._database.execute("PRAGMA query_only = ON")
        return self._database.execute(sql, values).fetchall()

    def complain(self, sentence: str) -> None:
        self.violations.append(sentence)

    def see_dispatch(self, each: Assignment, alive: Assignment | None) -> None:
        """Judge the start of an attempt: durable before, once, one at a time, not too early."""
        self.attempts += 1
        name = f"{each.task} of run {each.run}, attempt {each.attempt}"
        found = self.rows(_OF_TASK, each.attempt, each.run, each.task)
        if not found or found[0][1:] != ("RUNNING", "RUNNING", each.attempt, "RUNNING"):
            self.complain(f"{name} is dispatched, and the memory does not say that it runs: {found}")
        if alive is not None:
            self.complain(f"{name} is dispatched while attempt {alive.attempt} is alive")
        if self.rows(_TRIED, each.run, each.task, "COMPLETED")[0][0]:
            self.complain(f"{name} is dispatched, and an attempt of it has completed")
        key = (each.run, each.task, each.attempt)
        is_again = each.memo != b"null"
        if (*key, is_again) in self._begun and not is_again:
            self.complain(f"{name} is dispatched twice")
        self._begun.add((*key, is_again))
        earliest = self._earliest.pop(key, 0.0)
        if self._clock.ticks() < earliest - _HAIR:
            self.complain(f"{name} is dispatched {earliest - self._clock.ticks():.3f} s too early")

    def failures(self, each: Assignment) -> int:
        """Count the attempts of a task that failed by themselves."""
        return self.rows(_FAILED, each.run, each.task)[0][0]

    def see_slots(self, taken: int) -> None:
        """Judge what is taken of the pool."""
        if taken > SLOTS:
            self.complain(f"{taken} slots of a pool of {SLOTS} are taken")

    def hear(self, run: str, orders: Sequence[Order], now: float) -> None:
        """Take note of timers and ends."""
        for order in orders:
            match order:
                case RetryAt(task, attempt, at):
                    self._expect(run, task, attempt + 1, at - now)
                case WaitUntil(task, attempt, float(at), reason=Reason.DEFERRED):
                    self._expect(run, task, attempt, at - now)
                case Begin() if self.rows(_BEGUN)[0][0] > 1:
                    self.complain(f"run {run} begins, and its workflow has a run already")
                case WaitUntil(reason=Reason.APPROVAL):
                    self.questions += 1
                case Finish():
                    self.note_end(run)
                case _:
                    pass

    def begin_life(self) -> None:
        """Expect of a new life the timers that the last one left behind, and look at the runs that ended unheard."""
        self._earliest.clear()
        if not self.file.exists():
            return
        wall = self._clock.wall()
        for run, task, attempt, state, due_at in self.rows(_WAITING):
            self._expect(run, task, attempt + (state == "RETRYING"), due_at - wall)
        for (run,) in self.rows("SELECT id FROM runs WHERE ended_at IS NOT NULL"):
            self.note_end(run)

    def _expect(self, run: str, task: str, attempt: int, seconds: float) -> None:
        self._earliest[run, task, attempt] = self._clock.ticks() + max(0.0, seconds)

    def note_end(self, run: str) -> None:
        if run not in self.ended:
            self.ended[run] = self._digest(run)

    def judge_ended(self) -> None:
        """See that no run has changed since it ended."""
        for run, digest in self.ended.items():
            if self._digest(run) != digest:
                self.complain(f"run {run} has changed after its end")

    def _digest(self, run: str) -> str:
        found = self.rows("SELECT pk FROM runs WHERE id = ?", run)
        if not found:
            return "gone"
        return hashlib.sha256(repr([self.rows(sql, found[0][0]) for sql in _PARTS]).encode()).hexdigest()
