"""Hands attempts to workers: who has room, what is expected to take how long, what has to be handed out again.

A worker holds several small attempts, so that it never waits for the pool, and one that is not known to be small.
Called by `pool`.
"""

from collections import deque
from collections.abc import Iterable

from engine.clock import Clock
from engine.messages import Dispatch
from engine.pool.crew import Crew
from engine.pool.lane import Flight, Lane
from engine.pool.warden import OVERRUN_SECONDS, Warden

# A worker gets more while what it holds takes less than this by estimate: enough to bridge the time until the pool
# looks again, too little to wait for. The line is as long as that allows: what is in flight is what one commit carries,
# and the slower the disk, the more it must carry.
_ROOM_SECONDS = 0.004
_MOST_IN_LINE = 128
_UNKNOWN_SECONDS = 0.010
_NEWEST_WEIGHT = 0.25

_Batches = dict[int, tuple[Lane, list[Dispatch]]]


class Feed:
    """Keep reservations, estimates and what waits to be handed out again."""

    def __init__(self, crew: Crew, warden: Warden, clock: Clock) -> None:
        """Feed the workers of this crew."""
        self._crew, self._warden, self._clock = crew, warden, clock
        self._reserved: deque[tuple[Lane, float]] = deque()
        self._reserved_fresh = 0
        self._estimates: dict[str, float] = {}
        self._seq = 0
        self.backlog: deque[Flight] = deque()

    def reserve(self, task_type: str, isolation: str) -> bool:
        """Set room aside for one attempt, or say that there is none."""
        needs_process = isolation == "process"
        if self.backlog and any(flight.needs_process == needs_process for flight in self.backlog):
            return False  # what came back goes first
        if needs_process:
            has_room = self._crew.can_fork(self._reserved_fresh)
            self._reserved_fresh += has_room
            return has_room
        lane = self._roomy_lane()
        if lane is None:
            return False
        seconds = self._estimates.get(task_type, _UNKNOWN_SECONDS)
        lane.count += 1
        lane.held_seconds += seconds
        self._reserved.append((lane, seconds))
        return True

    def release(self) -> None:
        """Take back what was set aside and not used."""
        for lane, seconds in self._reserved:
            lane.count -= 1
            lane.held_seconds -= seconds
        self._reserved.clear()
        self._reserved_fresh = 0

    def hand_out(self, flights: Iterable[Flight]) -> None:
        """Give each attempt to the worker whose room was reserved for it, in the same order; else it waits in line."""
        now = self._clock.ticks()
        batches: _Batches = {}
        for flight in flights:
            if not self._reserved or flight.needs_process:
                self.backlog.append(flight)
                continue
            lane, flight.seconds = self._reserved.popleft()
            if lane.is_closed:
                self.backlog.append(flight)
            else:
                self._put(flight, lane, batches, now)
        self._send(batches)
        if self.backlog:
            self._reserved_fresh = 0
            self.hand_out_backlog()

    def hand_out_backlog(self) -> None:
        """Give workers with room what waits."""
        now = self._clock.ticks()
        waiting, self.backlog = self.backlog, deque()
        batches: _Batches = {}
        for flight in waiting:
            lane = self._lane_for(flight)
            if lane is None:
                self.backlog.append(flight)
                continue
            lane.count += 1
            lane.held_seconds += flight.seconds
            self._put(flight, lane, batches, now)
        self._send(batches)

    def take_back(self, flights: Iterable[Flight]) -> None:
        """Put attempts that have not begun, in order, before all others that wait."""
        self.backlog.extendleft(reversed(list(flights)))

    def learn(self, task_type: str, seconds: float) -> None:
        """Take note of what an attempt took."""
        known = self._estimates.get(task_type)
        self._estimates[task_type] = seconds if known is None else known + _NEWEST_WEIGHT * (seconds - known)

    def _lane_for(self, flight: Flight) -> Lane | None:
        if flight.needs_process:
            return self._crew.hire(is_fresh=True) if self._crew.can_fork() else None
        return self._roomy_lane()

    def _roomy_lane(self) -> Lane | None:
        """Return an idle worker, or else the one with the least to do if that is little enough."""
        best, least = None, _ROOM_SECONDS
        oldest = self._clock.ticks() - OVERRUN_SECONDS
        for lane in self._crew.open:
            if not lane.count:
                return lane
            if lane.held_seconds < least and lane.count < _MOST_IN_LINE and lane.since > oldest:
                best, least = lane, lane.held_seconds
        return best

    def _put(self, flight: Flight, lane: Lane, batches: _Batches, now: float) -> None:
        """Stand an attempt in the line of a worker whose room it has taken."""
        # A new number each time: the board of this worker may know greater ones than the attempt had elsewhere.
        self._seq += 1
        flight.seq = self._seq
        line = lane.line
        line.append(flight)
        if len(line) == 1:
            self._warden.begin_head(lane, now)
        else:
            self._warden.mind_overrun(lane)
        assignment = flight.assignment
        dispatch = Dispatch(
            self._seq,
            assignment.run,
            assignment.task,
            assignment.attempt,
            assignment.type,
            flight.fields,
            assignment.inputs,
            assignment.memo,
            assignment.secrets,
            assignment.memory_limit,
            assignment.cpu_limit,
            assignment.origin,
            assignment.timeout,
        )
        batch = batches.get(lane.number)
        if batch is None:
            batches[lane.number] = (lane, [dispatch])
        else:
            batch[1].append(dispatch)

    def _send(self, batches: _Batches) -> None:
        for lane, dispatches in batches.values():
            if not lane.send(dispatches):
                self._crew.mind_lane(lane, is_sent=False)
