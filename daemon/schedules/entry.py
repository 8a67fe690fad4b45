"""One schedule as it stands: what is settled, which of its runs live, what waits; and what to do about due instants.

Decides and does nothing: the verdicts are carried out by `Schedules`. Reads no clock. Which instants are due and which
were missed is the calendar's.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec

from daemon.calendar import Calendar, CatchUp, MissedBefore, jitter_seconds, missed
from daemon.config import Schedule
from engine.clock import rfc3339
from engine.states import DueState, Reason, State
from engine.submission import DueRecord, ScheduleRecord
from engine.views import DueView

# What is seen this late while we run was only waited for; what is older was missed: the clock was set, or all slept.
ON_TIME_SECONDS = 30.0

Settled = Callable[[str, Sequence[float]], set[float]]


class Verdict(msgspec.Struct):
    """Say what to do for one schedule: instants to start, rows to write, live runs to cancel when those are written."""

    start: list[float] = []
    rows: list[DueRecord] = []
    cancel: list[str] = []


class Entry:
    """A schedule of the configuration with everything that is known of it; `calendar` is None where it is `broken`."""

    def __init__(
        self, settings: Schedule, record: ScheduleRecord, calendar: Calendar | None, last: DueView | None, newest: float
    ) -> None:
        """Begin where the record, or the newest settled instant (wall seconds), left off."""
        self.settings, self.record, self.calendar = settings, record, calendar
        self.last, self.newest = last, newest
        self.settled = max(record.since, newest)
        self.delay = jitter_seconds(settings.name, settings.jitter) if settings.jitter else 0.0
        self.open: dict[str, float] = {}
        self.starting: list[float] = []
        self.waiting: deque[float] = deque()
        self.broken = ""

    @property
    def name(self) -> str:
        """The name, as configured."""
        return self.settings.name

    @property
    def is_busy(self) -> bool:
        """Tell whether a run of it has not ended, or is about to be."""
        return bool(self.open or self.starting)

    def next_due(self) -> float | None:
        """Return the next due instant, None if there is none or the schedule is not in use."""
        if self.calendar is None or not self.settings.enabled:
            return None
        try:
            return self.calendar.next_after(self.settled)
        except AssertionError as error:
            self._break(error)
            return None

    def wakes_at(self) -> float | None:
        """Return when to look at it: its next due instant and its own share of the jitter."""
        due = self.next_due()
        return None if due is None else due + self.delay

    def judge(self, now: float, *, is_start: bool, rows: int, settled: Settled) -> Verdict:
        """Settle every instant up to now; `settled` tells which ones have been before the clock was set back.

        At the start whatever was due was missed, be it ever so fresh. At most `rows` missed instants get a row of
        their own, older ones share one.
        """
        if self.calendar is None or not self.settings.enabled:
            return Verdict()
        verdict = Verdict()
        until = now - self.delay
        try:
            batch = self._due(self.calendar, until, verdict, is_start=is_start, rows=rows)
        except AssertionError as error:
            self._break(error)
            return Verdict()
        self.settled = max(self.settled, until)
        if batch and batch[0] <= self.newest:
            known = settled(self.name, batch)
            batch = [due for due in batch if due not in known]
        if self.record.is_paused:
            verdict.rows += [self._paused(due) for due in batch]
        else:
            self._arrange(batch, verdict)
        return verdict

    def release(self) -> Verdict:
        """Let the instants go that wait for runs which have ended by now: the first, or all where they may overlap."""
        verdict = Verdict()
        if self.record.is_paused or not self.settings.enabled:
            verdict.rows += [self._paused(due) for due in self.waiting]
            self.waiting.clear()
        while self.waiting and (self.settings.overlap == "allow" or not self.is_busy):
            self._start(self.waiting.popleft(), verdict)
        return verdict

    def resume_replacing(self) -> Verdict:
        """After a restart: ask again for the end of the runs that a waiting instant replaces."""
        return Verdict(cancel=list(self.open) if self.waiting and self.settings.overlap == "replace" else [])

    def note_end(self, state: State) -> bool:
        """Take the end of a run into account; tell whether the record has changed.

        A run that was cancelled says nothing about the schedule.
        """
        failures = self.record.failures
        if state is State.FAILED:
            failures += 1
        elif state is State.COMPLETED:
            failures = 0
        if failures == self.record.failures:
            return False
        self.record = msgspec.structs.replace(self.record, failures=failures)
        most = self.settings.stop_after_failures
        if most and failures >= most and not self.record.is_paused:
            message = f"{failures} runs failed in a row; mend it, then: dropmill schedule resume {self.name}"
            self.pause(Reason.FAILED_TOO_OFTEN, message)
        return True

    def pause(self, reason: Reason, message: str) -> None:
        """Hold it: what is due from now on is skipped."""
        self.record = msgspec.structs.replace(self.record, is_paused=True, reason=reason.value, message=message)

    def resume(self, now: float) -> None:
        """Go on from now: what was due meanwhile is settled, as skipped or not at all."""
        self.record = msgspec.structs.replace(
            self.record, is_paused=False, reason=None, message="", failures=0, since=now
        )
        self.settled = max(self.settled, now)

    def rewind(self, now: float) -> None:
        """Go by a clock that was set back: what lies before us again is due again, unless settled (see `judge`)."""
        self.settled = min(self.settled, now)

    def remember(self, record: DueRecord, run: str | None, now: float) -> None:
        """Keep what became of an instant, for those who ask."""
        self.newest = max(self.newest, record.due_at)
        self.last = DueView(
            schedule=self.name,
            due=rfc3339(record.due_at) or "",
            state=record.state,
            reason=record.reason,
            message=record.message,
            run=run,
            count=record.count,
            first=rfc3339(record.first_at),
            recorded_at=rfc3339(now) or "",
        )

    def row(self, due: float, state: DueState, reason: Reason, message: str) -> DueRecord:
        """Say why an instant leads to no run, or to none yet."""
        return DueRecord(schedule=self.name, due_at=due, state=state, reason=reason.value, message=message)

    def _due(self, calendar: Calendar, until: float, verdict: Verdict, *, is_start: bool, rows: int) -> list[float]:
        """Return the instants to be run, and add a row for each that was missed."""
        first = calendar.next_after(self.settled)
        if first is None or first > until:
            return []
        most = self.settings.catchup_max
        if not is_start and until - first <= ON_TIME_SECONDS:
            due = [first, *islice(calendar.between(first, until), most)]
            if len(due) <= most:
                return due
        found = missed(calendar, self.settled, until, self._policy(is_start=is_start), rows)
        if found.before is not None:
            verdict.rows.append(self._missed_before(found.before))
        verdict.rows += [self._missed(due) for due in found.passed]
        return list(found.run)

    def _break(self, error: AssertionError) -> None:
        """Take a calendar out of use that contradicts itself: one schedule less is better than none."""
        self.calendar, self.broken = None, f"the calendar contradicts itself, which is a fault of ours: {error}"

    def _policy(self, *, is_start: bool) -> CatchUp:
        settings = self.settings
        if self.record.is_paused:
            return CatchUp("skip")
        if settings.on_missed == "skip" and not is_start:
            # After a gap the newest one may be due this very moment.
            return CatchUp("last", ON_TIME_SECONDS, 1)
        return CatchUp(settings.on_missed, settings.catchup_window, settings.catchup_max)

    def _arrange(self, batch: Sequence[float], verdict: Verdict) -> None:
        """Say which instants start now, by the overlap rule.

        What comes together, as after a night off, is run one after the other: each was asked for by `on_missed`, and
        none is in the way of its equals.
        """
        overlap = self.settings.overlap
        was_busy = self.is_busy or bool(self.waiting)
        for due in batch:
            if overlap == "allow" or not (self.is_busy or self.waiting):
                self._start(due, verdict)
            elif not was_busy or overlap == "queue":
                self._queue(due, verdict)
            elif overlap == "skip":
                verdict.rows.append(self.row(due, DueState.SKIPPED, Reason.OVERLAP, self._in_the_way()))
            else:
                self._replace(due, verdict)

    def _start(self, due: float, verdict: Verdict) -> None:
        self.starting.append(due)
        verdict.start.append(due)

    def _queue(self, due: float, verdict: Verdict) -> None:
        most = self.settings.catchup_max
        if len(self.waiting) >= most:
            message = f"{most} due times wait already, and catchup_max allows no more"
            verdict.rows.append(self.row(due, DueState.SKIPPED, Reason.OVERLAP, message))
            return
        verdict.rows.append(self.row(due, DueState.QUEUED, Reason.OVERLAP, self._in_the_way()))
        self.waiting.append(due)

    def _replace(self, due: float, verdict: Verdict) -> None:
        message = f"replaced by the start due at {rfc3339(due)}"
        verdict.rows += [self.row(old, DueState.SKIPPED, Reason.REPLACED, message) for old in self.waiting]
        self.waiting.clear()
        verdict.rows.append(self.row(due, DueState.QUEUED, Reason.OVERLAP, f"it replaces what runs: {self._runs()}"))
        self.waiting.append(due)
        verdict.cancel = list(self.open)

    def _in_the_way(self) -> str:
        if self.open:
            return f"an earlier run has not ended: {self._runs()}"
        return "an earlier due time starts or waits to start"

    def _runs(self) -> str:
        return ", ".join(list(self.open)[:3]) or "a run that is about to start"

    def _paused(self, due: float) -> DueRecord:
        reason, message = self._why_paused()
        return self.row(due, DueState.SKIPPED, reason, message)

    def _why_paused(self) -> tuple[Reason, str]:
        if not self.record.is_paused:
            return Reason.PAUSED, "the schedule is not enabled"
        is_own = self.record.reason == Reason.FAILED_TOO_OFTEN
        return (Reason.FAILED_TOO_OFTEN if is_own else Reason.PAUSED), self.record.message or "the schedule is paused"

    def _missed(self, due: float) -> DueRecord:
        if self.record.is_paused:
            return self._paused(due)
        return self.row(due, DueState.MISSED, Reason.MISSED, self._why_missed())

    def _missed_before(self, before: MissedBefore) -> DueRecord:
        one = self._missed(before.last)
        message = f"{before.count} due times from {rfc3339(before.first)} on: {one.message}"
        return msgspec.structs.replace(one, message=message, count=before.count, first_at=before.first)

    def _why_missed(self) -> str:
        return f"it was due while nothing could start it; on_missed is {self.settings.on_missed!r}"
