"""What becomes of an attempt as a fact: by the worker's own report, by why it had to end, or by how it died. Pure.

Called by the backends, so that all of them say the same.
"""

import signal
from enum import StrEnum

from engine.backend import Assignment
from engine.facts import Broke, Deferred, Failed, Killed, Lost, Report, Succeeded, TimedOut, Usage
from engine.messages import Done, Exited
from engine.states import Reason

# What the outcome of a report says of an attempt that was asked to end; who asked knows why.
INTERRUPTED = "Interrupted"
# The kernel counts whole clock ticks for a limit of processor time and exactly for the record: they do not agree.
_ALMOST = 0.75


class Doom(StrEnum):
    """Say why an attempt has to end before its time."""

    TIMEOUT = "timeout"
    KILL = "kill"
    STOP = "stop"


def from_done(assignment: Assignment, done: Done, doom: Doom | None = None) -> Report:
    """Turn the report of a worker into a fact; what was doomed before it reported is what it was doomed to be.

    Only a stop lets an honest success stand: nobody wanted that attempt to end, we had to.
    """
    usage = Usage(done.seconds, done.cpu_seconds, done.memory_bytes)
    is_honest = doom is None or (doom is Doom.STOP and done.outcome in {"Succeeded", "Deferred"})
    if not is_honest and doom is not None:
        return from_doom(assignment, doom, usage)
    task, attempt = assignment.task, assignment.attempt
    match done.outcome:
        case "Succeeded":
            return Succeeded(task, attempt, done.output, usage)
        case "Failed":
            return Failed(task, attempt, _reason(done), done.message, done.exit_code, done.output, usage)
        case "Deferred":
            return Deferred(task, attempt, done.delay, done.output)
        case "Broke":
            return Broke(task, attempt, _reason(done), done.message, usage)
        case _:
            message = "somebody else asked the worker to end (SIGTERM)"
            return Broke(task, attempt, Reason.WORKER_LOST, message, usage)


def from_doom(assignment: Assignment, doom: Doom, usage: Usage | None = None) -> Report:
    """Say that an attempt was ended for this reason."""
    match doom:
        case Doom.TIMEOUT:
            message = f"it took longer than its timeout of {assignment.timeout:g} s and was ended"
            return TimedOut(assignment.task, assignment.attempt, message, usage)
        case Doom.KILL:
            return Killed(assignment.task, assignment.attempt, usage)
        case Doom.STOP:
            return Lost(assignment.task, assignment.attempt, Reason.DAEMON_STOPPED)


def from_death(assignment: Assignment, exited: Exited | None, detail: str = "") -> Report:
    """Say that the worker died while it ran the attempt; without `exited`, `detail` says what happened."""
    if exited is None:
        return Broke(assignment.task, assignment.attempt, Reason.WORKER_LOST, detail)
    usage = Usage(0.0, exited.cpu_seconds, exited.memory_bytes)
    number = exited.status & 0x7F
    limit = assignment.cpu_limit
    if limit is not None and number in {signal.SIGKILL, signal.SIGXCPU} and exited.cpu_seconds >= _ALMOST * limit:
        message = f"it took more than {limit:g} s of processor time and did not end when asked"
        return Failed(assignment.task, assignment.attempt, Reason.CPU_LIMIT, message, usage=usage)
    return Broke(assignment.task, assignment.attempt, Reason.WORKER_LOST, _how(exited.status, number), usage)


def _how(status: int, number: int) -> str:
    if not number:
        return f"the worker process ended with exit status {status >> 8} while it ran the attempt"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = "; if nobody did that by hand, the machine was out of memory" if number == signal.SIGKILL else ""
    return f"the worker process was killed by {name} while it ran the attempt{hint}"


def _reason(done: Done) -> Reason:
    try:
        return Reason(done.reason)
    except ValueError:
        return Reason.ERROR
