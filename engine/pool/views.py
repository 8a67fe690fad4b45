"""What a pool shows of itself to whoever watches: its workers, and what it has counted."""

import msgspec

from engine.pool.lane import NEVER, Lane


class WorkerView(msgspec.Struct, frozen=True):
    """Show one worker: what it runs (run, task, attempt), and since when in monotonic seconds."""

    number: int
    pid: int | None
    state: str
    attempts: tuple[tuple[str, str, int], ...]
    since: float | None


class Counters(msgspec.Struct):
    """Count what has happened since the pool began."""

    dispatched: int = 0
    reported: int = 0
    recalls: int = 0
    timed_out: int = 0
    killed: int = 0
    workers_lost: int = 0
    workers_recycled: int = 0


def view(lane: Lane) -> WorkerView:
    """Show the worker of a lane."""
    if not lane.is_ready:
        state = "starting"
    elif lane.is_closed and not lane.is_fresh:
        state = "ending"
    else:
        state = "busy" if lane.line else "idle"
    since = None if lane.since == NEVER else lane.since
    return WorkerView(lane.number, lane.pid, state, tuple(flight.key for flight in lane.line), since)
