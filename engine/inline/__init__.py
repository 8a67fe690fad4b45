"""The backend of this very process: attempts run in threads; for use as a library, and for tests.

The same runner, reports and logs as with worker processes, as far as a thread allows. It can be asked to end but not
killed: one that does not listen is given up after the grace and runs on. Limits, `isolation`, child processes that an
attempt leaves, and what those and C code write to the standard output are beyond it.
"""

import ctypes
import queue
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from engine.attemptlog import AttemptLogs
from engine.backend import Assignment
from engine.clock import Clock, SystemClock
from engine.facts import Report
from engine.inline.ears import Ears
from engine.limits import Limits
from engine.messages import Dispatch, Done
from engine.registry import Registry
from engine.reports import INTERRUPTED, Doom, from_done, from_doom
from engine.runner import Runner
from engine.states import Reason
from engine.task import Catalogue, InterruptedByEngineError

_NEVER = float("inf")
_LONGEST_LINE = 8192
_JSON = msgspec.json.Encoder()


class _Ended(NamedTuple):
    seat: "_Seat"
    seq: int
    done: Done


class _Said(NamedTuple):
    seat: "_Seat"
    seq: int
    text: str


_Event = _Ended | _Said | None


class _Seat:
    """One thread and the attempt it runs; `assignment` is changed by the backend's thread alone."""

    def __init__(self, number: int, runner: Runner, events: "queue.SimpleQueue[_Event]") -> None:
        self._runner, self._events = runner, events
        self._orders: queue.SimpleQueue[Dispatch | None] = queue.SimpleQueue()
        self.assignment: Assignment | None = None
        self.seq = 0
        self.doom: Doom | None = None
        self.said_bytes = self.dropped = 0
        self._unsaid = ""
        self.deadline = self.hard_at = _NEVER
        self.thread = threading.Thread(target=self._serve, name=f"attempts-{number}", daemon=True)
        self.thread.start()

    def begin(self, seq: int, assignment: Assignment, now: float) -> None:
        """Run this attempt in the thread."""
        self.seq, self.assignment, self.doom = seq, assignment, None
        self.said_bytes = self.dropped = 0
        self.deadline = _NEVER if assignment.timeout is None else now + assignment.timeout
        dispatch = Dispatch(
            seq,
            assignment.run,
            assignment.task,
            assignment.attempt,
            assignment.type,
            _JSON.encode(assignment.fields),
            assignment.inputs,
            assignment.memo,
            assignment.secrets,
            origin=assignment.origin,
            timeout=assignment.timeout,
        )
        self._orders.put(dispatch)

    def ask(self) -> None:
        """Raise InterruptedByEngineError in the thread, once; it takes no attempt after that."""
        number = ctypes.c_ulong(self.thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(InterruptedByEngineError))

    def retire(self) -> None:
        """Let the thread end when it is done."""
        self._orders.put(None)

    def say(self, text: str) -> None:
        """Pass on what the thread writes, line by line."""
        self._unsaid += text
        if "\n" in text or len(self._unsaid) > _LONGEST_LINE:
            self._say_rest()

    def _say_rest(self) -> None:
        text, self._unsaid = self._unsaid, ""
        if text:
            self._events.put(_Said(self, self.seq, text))

    def _serve(self) -> None:
        try:
            while (order := self._orders.get()) is not None:
                try:
                    done = self._runner.run(order)
                except InterruptedByEngineError:
                    done = Done(self.seq, INTERRUPTED)
                self._say_rest()
                self._events.put(_Ended(self, self.seq, done))
        except InterruptedByEngineError:
            # It was raised between two lines of ours; a report that was made already comes twice, and is known.
            self._events.put(_Ended(self, self.seq, Done(self.seq, INTERRUPTED)))


class Inline:
    """Run attempts in threads of this process; obeys `engine.backend.Backend`."""

    def __init__(
        self,
        registry: Registry,
        *,
        workers: int,
        logs: AttemptLogs,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        grace_seconds: float = 5.0,
    ) -> None:
        """Run at most `workers` attempts at a time; an attempt that was asked to end has `grace_seconds` for it."""
        limits = limits or Limits()
        self._registry, self._logs, self._clock = registry, logs, clock or SystemClock()
        self._workers, self._grace_seconds, self._log_bytes = workers, grace_seconds, limits.log_bytes
        self._runner = Runner(registry, settings or {}, limits, owns_process=False)
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._ears = Ears()
        self._seats: list[_Seat] = []
        self._number = self._seq = self._reserved = 0
        self._waiting: deque[Assignment] = deque()
        self._reports: list[tuple[str, Report]] = []
        self._fingerprint: object = None
        self._is_started = self._is_stopped = False

    def start(self) -> None:
        """Import the plugins and start the threads. Harmless twice."""
        if self._is_started:
            return
        self._is_started = True
        self._refresh()
        while len(self._seats) < self._workers:
            self._add_seat()

    def stop(self, grace_seconds: float) -> None:
        """Ask what runs to end and wait at most `grace_seconds`; what does not end is given up. Harmless twice."""
        if self._is_stopped:
            return
        self._is_stopped = True
        now = self._clock.ticks()
        for assignment in self._waiting:
            self._reports.append((assignment.run, from_doom(assignment, Doom.STOP)))
        self._waiting.clear()
        for seat in self._seats:
            self._doom(seat, Doom.STOP, now, grace_seconds)
        while any(seat.assignment is not None for seat in self._seats):
            self._turn(_NEVER)
        for seat in self._seats:
            self._ears.leave(seat.thread)
            seat.retire()
        self._seats.clear()
        self._ears.close()
        self._logs.close()

    def catalogue(self) -> Catalogue:
        """Return the task types there are now; changed plugin files are imported anew."""
        if self._is_started and not self._is_stopped:
            self._refresh()
        return self._registry.catalogue()

    def reserve(self, type: str, isolation: str) -> bool:  # noqa: A002, ARG002 -- the words of the document; all alike
        """Set room aside for one attempt until the next `collect`, or say that there is none."""
        idle = sum(seat.assignment is None for seat in self._seats)
        if self._is_stopped or idle <= self._reserved + len(self._waiting):
            return False
        self._reserved += 1
        return True

    def dispatch(self, assignments: Sequence[Assignment]) -> None:
        """Begin these attempts."""
        if self._is_stopped:
            self._reports += [(each.run, from_doom(each, Doom.STOP)) for each in assignments]
            return
        self._reserved = max(0, self._reserved - len(assignments))
        self._waiting.extend(assignments)
        self._hand_out()

    def kill(self, run: str, task: str, attempt: int, reason: Reason) -> None:  # noqa: ARG002 -- every reason ends it alike
        """End this attempt; an unknown one has ended already."""
        key = (run, task, attempt)
        for assignment in self._waiting:
            if _key(assignment) == key:
                self._waiting.remove(assignment)
                self._reports.append((run, from_doom(assignment, Doom.KILL)))
                return
        for seat in self._seats:
            if seat.assignment is not None and _key(seat.assignment) == key:
                self._doom(seat, Doom.KILL, self._clock.ticks(), self._grace_seconds)

    def collect(self, timeout: float | None) -> list[tuple[str, Report]]:
        """Wait for reports; returns early, with none, when `wake` was called."""
        self._reserved = 0
        until = _NEVER if timeout is None else self._clock.ticks() + timeout
        is_woken = self._drain()
        while not (self._reports or is_woken or self._is_stopped) and self._clock.ticks() < until:
            is_woken = self._turn(until) or self._drain()
        reports, self._reports = self._reports, []
        return reports

    def wake(self) -> None:
        """Make a `collect` that is waiting return; safe from any thread and from a signal handler."""
        self._events.put(None)

    def _add_seat(self) -> None:
        self._number += 1
        seat = _Seat(self._number, self._runner, self._events)
        self._seats.append(seat)
        self._ears.listen_to(seat.thread, seat.say)

    def _refresh(self) -> None:
        fingerprint = self._registry.fingerprint()
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._registry.load()

    def _hand_out(self) -> None:
        now = self._clock.ticks()
        for seat in self._seats:
            if not self._waiting:
                return
            if seat.assignment is None:
                self._ears.open()
                self._seq += 1
                seat.begin(self._seq, self._waiting.popleft(), now)

    def _drain(self) -> bool:
        """Deal with everything that has happened; tell whether somebody called `wake`."""
        is_woken = False
        while not self._events.empty():
            is_woken |= self._deal(self._events.get())
        return is_woken

    def _turn(self, until: float) -> bool:
        """Wait for one thing to happen, at most to the moment `until`; tell whether it was a `wake`."""
        now = self._clock.ticks()
        alarm = min((min(seat.deadline, seat.hard_at) for seat in self._seats), default=_NEVER)
        seconds = min(until, alarm) - now
        is_woken = False
        with suppress(queue.Empty):
            is_woken = self._deal(self._events.get(timeout=None if seconds == _NEVER else max(0.0, seconds)))
        self._look(self._clock.ticks())
        return is_woken

    def _look(self, now: float) -> None:
        for seat in list(self._seats):
            if seat.hard_at <= now:
                self._end(seat, None)
            elif seat.deadline <= now:
                self._doom(seat, Doom.TIMEOUT, now, self._grace_seconds)

    def _doom(self, seat: _Seat, doom: Doom, now: float, grace_seconds: float) -> None:
        if seat.assignment is None:
            return
        seat.deadline, seat.hard_at = _NEVER, min(seat.hard_at, now + grace_seconds)
        if seat.doom is None:
            seat.doom = doom
            seat.ask()

    def _deal(self, event: _Event) -> bool:
        if event is None:
            return True
        if event.seat.assignment is not None and event.seq == event.seat.seq:
            if isinstance(event, _Ended):
                self._end(event.seat, event.done)
            else:
                self._write(event.seat, event.text)
        return False

    def _end(self, seat: _Seat, done: Done | None) -> None:
        """Report an attempt that has ended, or that is given up; a thread that was asked gets a successor."""
        assignment = seat.assignment
        if assignment is None:
            return
        if done is not None:
            report = from_done(assignment, done, seat.doom)
        else:
            report = from_doom(assignment, seat.doom or Doom.STOP)
        self._reports.append((assignment.run, report))
        if seat.said_bytes:
            self._logs.end(*_key(assignment), seat.dropped)
        seat.assignment, seat.deadline, seat.hard_at = None, _NEVER, _NEVER
        if seat.doom is not None:
            seat.retire()
            self._seats.remove(seat)
            self._ears.leave(seat.thread)
            if not self._is_stopped:
                self._add_seat()
        self._hand_out()
        if all(seat.assignment is None for seat in self._seats):
            self._ears.close()

    def _write(self, seat: _Seat, text: str) -> None:
        if seat.assignment is None:
            return
        data = text.encode("utf-8", "backslashreplace")
        room = max(0, self._log_bytes - seat.said_bytes)
        seat.said_bytes += len(data)
        seat.dropped += max(0, len(data) - room)
        if room:
            self._logs.write(*_key(seat.assignment), data[:room], seat.assignment.secrets)


def _key(assignment: Assignment) -> tuple[str, str, int]:
    return assignment.run, assignment.task, assignment.attempt
