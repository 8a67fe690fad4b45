"""The schedules: due instants become submissions, each at most once, and each that does not is a row with its reason.

A service with a thread of its own. The metronome says when to look, the calendar what is due, `entry` what to do about
it; here it is done: rows, submissions, rows. What is settled is what the memory has a row of, so everything can be
taken up from there after a restart, and whenever a write failed.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loguru import logger

from daemon.config import Config
from daemon.intake import Intake
from daemon.schedules.alarms import Alarms
from daemon.schedules.entry import Entry, Verdict
from daemon.schedules.metronome import Metronome
from daemon.schedules.roster import call
from daemon.schedules.starting import Starting
from daemon.schedules.views import ScheduleView, view_of
from engine.clock import Clock
from engine.errors import DropmillError, ExecutorStoppedError, InputError, ScheduleUnknownError
from engine.executor import Executor
from engine.facts import Finish, Order
from engine.history import History
from engine.points import sync_point
from engine.problems import nearest
from engine.states import DueState, Reason, State
from engine.store import Store
from engine.submission import DueRecord, Receipt

__all__ = ["ScheduleView", "Schedules"]

# The longest time without a look: a clock that was set, or a machine that slept, is noticed within it.
_LOOK_SECONDS = 5.0
# As many missed instants get a row each, for one schedule and for all of them together; older ones share one.
_ROWS, _ALL_ROWS = 100, 20_000


class Schedules:
    """Start what is due; `start` returns when all that was missed is settled. Any thread may call, one gets in."""

    def __init__(
        self, config: Config, *, intake: Intake, executor: Executor, store: Store, history: History, clock: Clock
    ) -> None:
        """Compose it; nothing is read before `start`, which needs executor and store running."""
        self._config, self._executor = config, executor
        self._store, self._history, self._clock = store, history, clock
        self._starting = Starting(intake, config.loaded.folder)
        self._entries: dict[str, Entry] = {}
        self._alarms = Alarms()
        self._metronome = Metronome(self._ring)
        self._bell = threading.Event()
        self._lock = threading.RLock()
        self._ended: deque[tuple[str, Finish]] = deque()
        self._owners: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._is_listening = self._is_stopped = False
        self._is_stale = True
        self._now = 0.0
        self.pulse = 0

    def start(self) -> None:
        """Settle what was due while nobody watched, then watch; harmless twice."""
        with self._lock:
            if self._thread is not None:
                return
            self._is_stopped = False
            self.settle_missed()
            self._metronome.start()
            self._thread = threading.Thread(target=self._loop, name="schedules", daemon=True)
            self._thread.start()

    def settle_missed(self) -> None:
        """Take up what the memory holds, and settle what was due while nobody watched; harmless twice."""
        with self._lock:
            if not self._is_listening:
                # Before the memory is asked which runs live: so none can end unheard.
                self._executor.listen(self._hear)
                self._is_listening = True
                self._turn(is_start=True)

    def stop(self) -> None:
        """Start nothing more and return when the thread has ended; harmless twice."""
        # Ends of runs are not heard from now on: who starts it again begins with what the memory says.
        self._is_stopped = self._is_stale = True
        self._bell.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._metronome.stop()

    def wake(self) -> None:
        """Look what has ended and what is due, and act on it; the loop calls it whenever the bell rings.

        Raises what kept something from being recorded; the next look then begins with what the memory says.
        """
        with self._lock:
            self._turn(is_start=False)
            if not self._is_stopped:
                self.pulse += 1

    def reload(self, config: Config) -> None:
        """Go by another configuration: schedules that are new or edited count from now, removed ones are forgotten."""
        with self._lock:
            self._config, self._is_stale = config, True
            if self._is_listening:
                self._turn(is_start=False)

    def pause(self, name: str, message: str = "") -> None:
        """Hold a schedule, also across restarts: what is due is skipped from now on.

        Raises ScheduleUnknownError.
        """
        with self._lock:
            self._turn(is_start=False)
            entry = self._entry(name)
            entry.pause(Reason.USER, message or "a person paused it")
            self._keep(entry)
            self._carry_out([(entry, entry.release())])
            logger.info("the schedule {} is paused: {}", name, entry.record.message)

    def resume(self, name: str) -> None:
        """Let a schedule that is paused go on from now, its failures forgotten.

        Raises ScheduleUnknownError.
        """
        with self._lock:
            self._turn(is_start=False)
            entry = self._entry(name)
            entry.resume(self._clock.wall())
            self._keep(entry)
            self._arm([entry])
            logger.info("the schedule {} goes on", name)

    @property
    def wishes(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """Return what can be asked over the API: `pause` and `resume` with a name."""
        return {
            "pause": lambda wish: self.pause(str(wish.get("name", "")), str(wish.get("message", ""))),
            "resume": lambda wish: self.resume(str(wish.get("name", ""))),
        }

    def status(self) -> list[ScheduleView]:
        """Show every schedule, in the order of the configuration."""
        with self._lock:
            # A workflow that was missing may be there by now; an executor that stops has no answer.
            with contextlib.suppress(DropmillError):
                self._check([entry for entry in self._entries.values() if entry.broken and entry.calendar])
            return [view_of(entry) for entry in self._entries.values()]

    def _loop(self) -> None:
        while not self._is_stopped:
            self._bell.wait(_LOOK_SECONDS)
            self._bell.clear()
            try:
                self.wake()
            except Exception as error:
                # Nothing is lost: what has no row is due again. The pulse stands still, which the watchdog sees.
                trace = None if isinstance(error, DropmillError) else error
                logger.opt(exception=trace).error("the schedules could not be looked after: {}", error)

    def _ring(self) -> None:
        self._bell.set()

    def _hear(self, run: str, orders: Sequence[Order], _now: float) -> None:
        """Take note of the end of a run, in the executor's thread; whose it was is seen later."""
        for order in orders:
            if isinstance(order, Finish) and not self._is_stopped:
                self._ended.append((run, order))
                if run in self._owners:
                    self._bell.set()

    def _entry(self, name: str) -> Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise ScheduleUnknownError(name, nearest(name, self._entries))
        return entry

    def _keep(self, entry: Entry) -> None:
        self._is_stale = True
        self._store.record_schedules([entry.record], self._clock.wall())
        self._is_stale = False

    def _turn(self, *, is_start: bool) -> None:
        if self._is_stopped:
            return
        now = self._clock.wall()
        due = self._due_entries(now)
        # Until all is written, memory is ahead of disk: whoever is interrupted reads the disk again.
        self._is_stale = True
        rows = max(1, min(_ROWS, _ALL_ROWS // max(1, len(due))))
        verdicts = [(entry, entry.release()) for entry in self._take_ends(now)]
        verdicts += [
            (entry, entry.judge(now, is_start=is_start, rows=rows, settled=self._history.settled)) for entry in due
        ]
        self._carry_out(verdicts)
        self._arm(due)
        if self._ended:
            # A run may have ended before we knew that it was ours.
            self._bell.set()

    def _due_entries(self, now: float) -> list[Entry]:
        """Return the schedules to be looked at now: usually those whose alarm has come."""
        if self._is_stale:
            self._load(now)
            due = list(self._entries.values())
        elif now < self._now:
            logger.warning("the clock was set back by {:.1f} s", self._now - now)
            due = list(self._entries.values())
            for entry in due:
                entry.rewind(now)
        else:
            due = [self._entries[name] for name in self._alarms.take(now)]
        self._now = now
        return due

    def _load(self, now: float) -> None:
        """Put the configuration and the memory together, and act on what has changed between them."""
        roster = call(self._config.schedules, self._history.timetable(), self._owners, now)
        self._store.record_dues(roster.rows, now)
        self._store.record_schedules(roster.changed, now, roster.forgotten)
        self._entries, self._alarms = roster.entries, Alarms()
        self._owners = {run: name for name, entry in self._entries.items() for run in entry.open}
        self._is_stale = False
        self._check([entry for entry in self._entries.values() if not entry.broken])
        for entry in self._entries.values():
            if entry.broken:
                logger.error("the schedule {} cannot run: {}", entry.name, entry.broken)
        self._carry_out(
            [(entry, way()) for entry in self._entries.values() for way in (entry.resume_replacing, entry.release)]
        )

    def _check(self, entries: Sequence[Entry]) -> None:
        complaints = self._starting.check([entry.settings for entry in entries])
        for entry, complaint in zip(entries, complaints, strict=True):
            entry.broken = complaint

    def _take_ends(self, now: float) -> list[Entry]:
        """Take the runs that have ended off their schedules, and return those schedules."""
        freed: dict[str, Entry] = {}
        changed: dict[str, Entry] = {}
        while self._ended:
            run, finish = self._ended.popleft()
            entry = self._entries.get(self._owners.pop(run, ""))
            if entry is None:
                continue
            entry.open.pop(run, None)
            freed[entry.name] = entry
            if self._note_end(entry, finish.state):
                changed[entry.name] = entry
        self._store.record_schedules([entry.record for entry in changed.values()], now)
        return list(freed.values())

    @staticmethod
    def _note_end(entry: Entry, state: State) -> bool:
        was_paused = entry.record.is_paused
        is_changed = entry.note_end(state)
        if entry.record.is_paused and not was_paused:
            logger.error("the schedule {} has paused itself: {}", entry.name, entry.record.message)
        return is_changed

    def _carry_out(self, verdicts: Sequence[tuple[Entry, Verdict]]) -> None:
        """Do what was decided; what a start that came to nothing was in the way of follows at once."""
        self._is_stale = True
        with contextlib.suppress(ExecutorStoppedError):
            while verdicts:
                self._settle_together(verdicts)
                idle = [entry for entry, verdict in verdicts if verdict.start and entry.waiting and not entry.is_busy]
                verdicts = [(entry, entry.release()) for entry in idle]
            self._is_stale = False

    def _settle_together(self, verdicts: Sequence[tuple[Entry, Verdict]]) -> None:
        """Write and submit in an order in which a crash loses nothing: before what has a row, everything is settled.

        Rows older than a schedule's first start go first, the others wait until that start is recorded.
        """
        before, after = list[tuple[Entry, DueRecord]](), list[tuple[Entry, DueRecord]]()
        for entry, verdict in verdicts:
            first = min(verdict.start, default=None)
            for row in verdict.rows:
                (before if first is None or row.due_at < first else after).append((entry, row))
        starts = [(entry, due) for entry, verdict in verdicts for due in verdict.start]
        self._record(before)
        if starts:
            sync_point("schedules.decided")
            after += self._submit(starts)
            sync_point("schedules.started")
        self._record(after)
        for entry, verdict in verdicts:
            for run in verdict.cancel:
                self._executor.cancel(run, reason=Reason.REPLACED, message=f"a later start of {entry.name} replaces it")

    def _submit(self, starts: Sequence[tuple[Entry, float]]) -> list[tuple[Entry, DueRecord]]:
        """Submit all at once, then see what became of each; return rows for those that cannot run."""
        results = self._starting.start([(entry.settings, due) for entry, due in starts])
        rows = []
        for (entry, due), result in zip(starts, results, strict=True):
            entry.starting.remove(due)
            if isinstance(result, InputError):
                entry.broken = str(result)
                logger.error("the schedule {} cannot run what is due: {}", entry.name, result)
                rows.append((entry, entry.row(due, DueState.SKIPPED, Reason.INVALID, str(result))))
            else:
                entry.broken = ""
                self._note_start(entry, due, result)
        return rows

    def _note_start(self, entry: Entry, due: float, receipt: Receipt) -> None:
        """Keep the run in mind until it ends; one that was there before is somebody else's, or known already."""
        if receipt.is_new:
            entry.open[receipt.run] = due
            self._owners[receipt.run] = entry.name
        if receipt.run:
            started = DueRecord(schedule=entry.name, due_at=due, state=DueState.RUN)
            entry.remember(started, receipt.run, self._clock.wall())

    def _record(self, rows: Sequence[tuple[Entry, DueRecord]]) -> None:
        now = self._clock.wall()
        self._store.record_dues([row for _, row in rows], now)
        alike: dict[tuple[str, str | None], int] = {}
        for entry, row in rows:
            entry.remember(row, None, now)
            alike[entry.name, row.reason] = alike.get((entry.name, row.reason), 0) + 1
        for entry, row in rows:
            # A night off comes to a hundred rows of one kind, which are worth one line.
            count = alike.pop((entry.name, row.reason), 0)
            if count:
                more = f" (and {count - 1} more like it)" if count > 1 else ""
                logger.log(
                    _level(row), "the schedule {}: {} {}: {}{}", entry.name, row.state, row.reason, row.message, more
                )

    def _arm(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._alarms.set(entry.name, entry.wakes_at())
        self._metronome.set(self._alarms.earliest())


def _level(row: DueRecord) -> str:
    return "WARNING" if row.state is DueState.MISSED else "INFO"
