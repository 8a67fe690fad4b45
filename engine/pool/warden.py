"""Sees to it that attempts end: at their timeout, when somebody wants it, and not in the way of those behind them.

Owns every moment at which the pool has to look at a worker again. Orders are carried out by `crew`; what comes of them
is reported by `pool`.
"""

from engine.pool.crew import Crew
from engine.pool.lane import NEVER, Flight, Lane
from engine.reports import Doom

# An attempt that runs longer than this lets nothing wait behind it.
OVERRUN_SECONDS = 0.010


class Warden:
    """Watch the heads of all lines; `alarm` is the moment (monotonic seconds) of the next `look`."""

    def __init__(self, crew: Crew, grace_seconds: float) -> None:
        """Let `grace_seconds` pass between asking an attempt to end and killing its tree."""
        self._crew, self._grace_seconds = crew, grace_seconds
        self.alarm = NEVER
        self.recalls = 0

    def begin_head(self, lane: Lane, now: float) -> None:
        """Take note that the first of a line begins now."""
        if not lane.is_ready:
            return  # it begins with the worker
        head = lane.line[0]
        lane.since, lane.is_recalled = now, False
        timeout = head.assignment.timeout
        lane.deadline = NEVER if timeout is None else now + timeout
        if head.doom is not None:
            self._ask(lane, now, self._grace_seconds)
        self.alarm = min(self.alarm, lane.deadline)
        if len(lane.line) > 1:
            self.mind_overrun(lane)

    def mind_overrun(self, lane: Lane) -> None:
        """Take note that something stands behind the head."""
        self.alarm = min(self.alarm, lane.since + OVERRUN_SECONDS)

    def doom(self, lane: Lane, flight: Flight, doom: Doom, now: float, grace_seconds: float | None = None) -> None:
        """End an attempt before its time: what runs is asked, what stands behind is taken back."""
        if flight.doom is None:
            flight.doom = doom
        if flight is lane.line[0]:
            self._ask(lane, now, self._grace_seconds if grace_seconds is None else grace_seconds)
        if len(lane.line) > 1:
            self._recall(lane)

    def look(self, now: float) -> None:
        """Carry out what is due."""
        self.alarm = NEVER
        for lane in self._crew:
            if lane.deadline <= now and lane.line:
                self.doom(lane, lane.line[0], Doom.TIMEOUT, now)
            if lane.hard_at <= now:
                lane.hard_at = NEVER
                self._crew.end(lane, hard=True)
            if len(lane.line) > 1 and not lane.is_recalled:
                if lane.since + OVERRUN_SECONDS <= now:
                    self._recall(lane)
                else:
                    self.mind_overrun(lane)
            self.alarm = min(self.alarm, lane.deadline, lane.hard_at)

    def _ask(self, lane: Lane, now: float, grace_seconds: float) -> None:
        """Have the worker asked to end what it runs, and see to its end after the grace; the shortest grace counts."""
        lane.deadline, lane.hard_at = NEVER, min(lane.hard_at, now + grace_seconds)
        self.alarm = min(self.alarm, lane.hard_at)
        seq = lane.line[0].seq
        if self._crew.board.asked(lane.slot) != seq:
            self._crew.board.ask(lane.slot, seq)
            self._crew.end(lane, hard=False)

    def _recall(self, lane: Lane) -> None:
        lane.recall()
        self.recalls += 1
