"""The backend of worker processes: feeds them, times them out, and turns what comes back into facts.

Lives in the thread of the executor: everything happens inside its calls. Which workers there are is `crew`'s, what one
of them holds `lane`'s, who gets what `feed`'s, who has to end `warden`'s. Every dispatched attempt has exactly one
report.
"""

import os
import select
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.attemptlog import AttemptLogs
from engine.backend import Assignment
from engine.clock import Clock, SystemClock
from engine.errors import BackendError
from engine.facts import Failed, Report
from engine.limits import Limits
from engine.messages import Done, FrameError, FromWorker, Hello, Load, Returned
from engine.pool.bell import Bell
from engine.pool.crew import EXIT_SECONDS, Crew, Death
from engine.pool.feed import Feed
from engine.pool.generation import STATE_MARK
from engine.pool.lane import NEVER, Flight, Lane
from engine.pool.views import Counters, WorkerView, view
from engine.pool.warden import Warden
from engine.registry import Registry
from engine.reports import Doom, from_death, from_done, from_doom
from engine.states import Reason
from engine.task import Catalogue
from engine.tree import Process, end_marked

_START_SECONDS = 150.0
_RELOAD_SECONDS = 3.0
# How long a fork server may take to carry out a hard end before it is given up itself.
_LAST_SECONDS = 10.0
_JSON = msgspec.json.Encoder()


class Pool:
    """Run attempts in worker processes; obeys `engine.backend.Backend`."""

    def __init__(  # noqa: PLR0913 -- the settings of the operator, by name
        self,
        *,
        workers: int,
        logs: AttemptLogs,
        folders: Sequence[Path | str] = (),
        settings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        grace_seconds: float = 5.0,
        recycle_after: int = 10_000,
        recycle_memory: int = 512 * 1024 * 1024,
        state: str = "",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        builtin_package: str = "plugins",
    ) -> None:
        """Describe it; nothing runs before `start`.

        Attempts begin in `directory`; without one, where this process is when the pool starts.

        `grace_seconds` passes between asking an attempt to end and killing its tree. A worker is replaced after
        `recycle_after` attempts or when it has taken `recycle_memory` bytes; 0 is never. `state` marks the environment
        of every process as DROPMILL_STATE=..., so that a later life finds what this one left behind.
        """
        limits = limits or Limits()
        self._logs, self._clock = logs, clock or SystemClock()
        self._recycle_after, self._recycle_memory = recycle_after or NEVER, recycle_memory or NEVER
        paths = tuple(str(Path(folder).absolute()) for folder in folders)
        self._crew = Crew(
            workers,
            Load(builtin_package, paths, dict(settings or {}), limits),
            Registry(builtin_package, paths).fingerprint,
            state=state,
            environment=os.environ if environment is None else environment,
            directory=directory,
            clock=self._clock,
        )
        self._warden = Warden(self._crew, grace_seconds)
        self._feed = Feed(self._crew, self._warden, self._clock)
        self._bell = Bell()
        self._crew.watch(self._bell.descriptor)
        self._reports: list[tuple[str, Report]] = []
        self._is_started = self._is_stopping = self._is_stopped = self._is_woken = False
        self._counters = Counters()

    def start(self) -> None:
        """Start the fork server and the workers; return when they are there. Harmless twice.

        Raises BackendError.
        """
        if self._is_started:
            return
        self._is_started = True
        deadline = self._clock.ticks() + _START_SECONDS
        while not self._crew.is_complete:
            self._turn(deadline)
            if self._crew.problem or self._clock.ticks() >= deadline:
                detail = self._crew.problem or f"they were not ready after {_START_SECONDS:g} s"
                self.stop(0.0)
                raise BackendError(detail)

    def stop(self, grace_seconds: float) -> None:
        """Ask what runs to end, wait at most `grace_seconds`, kill the rest; return when nothing is alive.

        What was cut off this way is Lost, and comes with the next `collect`. Harmless twice.
        """
        if self._is_stopping:
            return
        self._is_stopping = self._crew.is_stopping = True
        now = self._clock.ticks()
        self._feed.release()
        self._let_down(self._feed.backlog, Doom.STOP)
        self._feed.backlog.clear()
        for lane in self._crew:
            self._crew.close_lane(lane)
            for flight in list(lane.line):
                self._warden.doom(lane, flight, Doom.STOP, now, grace_seconds)
        deadline = now + grace_seconds + _LAST_SECONDS
        while self._crew.server_pids and self._clock.ticks() < deadline:
            self._turn(deadline)
        self._crew.give_up()
        self._bury_dead()
        self._is_stopped = True
        self._crew.close()
        self._bell.take_down()
        self._logs.close()

    def catalogue(self) -> Catalogue:
        """Return the task types there are now; after a change of plugin files, wait a little for their import.

        Once for each change: what takes longer to import is not waited for again by all who ask meanwhile.
        """
        if self._is_started and not self._is_stopping:
            self._crew.refresh()
            deadline = self._crew.loading_since + _RELOAD_SECONDS
            while self._crew.is_loading and self._clock.ticks() < deadline:
                self._turn(deadline)
        return self._crew.catalogue

    def reserve(self, type: str, isolation: str) -> bool:  # noqa: A002 -- the word of the document
        """Set room aside for one attempt of this type until the next `collect`, or say that there is none."""
        return not self._is_stopping and self._feed.reserve(type, isolation)

    def dispatch(self, assignments: Sequence[Assignment]) -> None:
        """Begin these attempts; one whose worker is gone by now begins as soon as another has room."""
        self._counters.dispatched += len(assignments)
        flights = []
        for assignment in assignments:
            try:
                flights.append(Flight(assignment, _JSON.encode(assignment.fields)))
            except (TypeError, ValueError, OverflowError) as error:
                message = f"its fields are no JSON: {error}"
                report = Failed(assignment.task, assignment.attempt, Reason.INVALID, message)
                self._reports.append((assignment.run, report))
        if self._is_stopping:
            self._let_down(flights, Doom.STOP)
        else:
            self._feed.hand_out(flights)

    def kill(self, run: str, task: str, attempt: int, reason: Reason) -> None:  # noqa: ARG002 -- every reason ends it alike
        """End this attempt; an unknown one has ended already, and its report came or comes."""
        key = (run, task, attempt)
        for flight in self._feed.backlog:
            if flight.key == key:
                self._feed.backlog.remove(flight)
                self._let_down([flight], Doom.KILL)
                return
        for lane in self._crew:
            for flight in lane.line:
                if flight.key == key:
                    self._warden.doom(lane, flight, Doom.KILL, self._clock.ticks())
                    return

    def collect(self, timeout: float | None) -> list[tuple[str, Report]]:
        """Wait for reports; returns early, perhaps with none, when `wake` was called or there is new room."""
        if self._is_started and not self._is_stopped:
            self._feed.release()
            until = NEVER if timeout is None else self._clock.ticks() + timeout
            self._turn(-NEVER if self._reports else until)
            while not (self._reports or self._is_woken or self._crew.has_news) and self._clock.ticks() < until:
                self._turn(until)
            self._is_woken = self._crew.has_news = False
        reports, self._reports = self._reports, []
        self._counters.reported += len(reports)
        return reports

    def wake(self) -> None:
        """Make a `collect` that is waiting return; safe from any thread and from a signal handler."""
        self._bell.ring()

    @property
    def workers(self) -> list[WorkerView]:
        """Show every worker."""
        return [view(lane) for lane in self._crew]

    @property
    def counters(self) -> Counters:
        """Return what has happened so far."""
        return msgspec.structs.replace(self._counters, recalls=self._warden.recalls)

    @property
    def server_pids(self) -> list[int]:
        """List the pids of the fork servers, the present one last."""
        return self._crew.server_pids

    @property
    def problem(self) -> str:
        """Say what keeps workers from being started or logs from being written; empty if nothing does."""
        return self._crew.problem or self._logs.problem or ""

    def _turn(self, until: float) -> None:
        """Wait until something happens, at most to the moment `until`, and deal with it."""
        crew, warden = self._crew, self._warden
        now = self._clock.ticks()
        seconds = 0.0 if crew.is_untidy else max(0.0, min(until, warden.alarm, crew.next_mend()) - now)
        for descriptor, events in crew.wait(seconds):
            lane = crew.by_descriptor.get(descriptor)
            if lane is not None:
                self._hear(lane, events)
            elif descriptor == self._bell.descriptor:
                self._bell.hush()
                self._is_woken = True
            else:
                crew.react(descriptor)
        now = self._clock.ticks()
        if crew.deaths:
            self._bury_dead()
        if crew.is_untidy or now >= crew.next_mend():
            crew.mend(now)
            warden.alarm = now
        if self._feed.backlog:
            self._feed.hand_out_backlog()
        if now >= warden.alarm:
            warden.look(now)

    def _hear(self, lane: Lane, events: int) -> None:
        if events & select.EPOLLOUT:
            self._crew.mind_lane(lane, is_sent=lane.flush())
        if events & ~select.EPOLLOUT:
            self._take(lane)
            if lane.has_hung_up:
                self._crew.ignore(lane)

    def _take(self, lane: Lane) -> bool:
        """Deal with a piece of what the worker says; False when there is no more."""
        try:
            messages = lane.receive()
            for message in messages or ():
                self._deal(lane, message)
        except FrameError as error:
            self._distrust(lane, error)
            return False
        return messages is not None

    def _distrust(self, lane: Lane, error: FrameError) -> None:
        """End a worker that says what no worker says; what it said before that counts."""
        if lane.fault:
            return
        lane.fault = f"the attempt wrote into what belongs to the worker: {error}"
        self._crew.ignore(lane)
        self._crew.end(lane, hard=True)
        with suppress(FrameError):
            for message in error.before:
                self._deal(lane, message)

    def _deal(self, lane: Lane, message: FromWorker) -> None:
        if isinstance(message, Returned):
            self._take_back(lane, frozenset(message.seqs))
        elif isinstance(message, Hello):
            self._crew.admit(lane)
            if lane.line:
                self._warden.begin_head(lane, self._clock.ticks())
        elif not lane.line or lane.line[0].seq != message.seq:
            raise FrameError(f"worker {lane.number} speaks of an attempt that it does not run")
        elif isinstance(message, Done):
            self._finish(lane, message)
        else:
            self._write(lane.line[0], message.data, message.dropped)

    def _finish(self, lane: Lane, done: Done) -> None:
        """Take in how the first of a line ended, and move up the next."""
        line = lane.line
        flight = line.popleft()
        lane.count -= 1
        lane.held_seconds -= flight.seconds
        lane.attempts += 1
        if flight.has_said:
            self._logs.end(*flight.key, flight.dropped)
        assignment = flight.assignment
        self._feed.learn(assignment.type, done.seconds)
        self._crew.prove()
        report = (assignment.run, from_done(assignment, done, flight.doom))
        now = self._clock.ticks()
        if flight.doom is not None:
            self._count(flight.doom)
            lane.hard_at = NEVER
        if done.leaving:
            lane.parting.append(report)
            lane.hard_at = now + EXIT_SECONDS
            self._crew.close_lane(lane)
        else:
            self._reports.append(report)
            if line:
                self._warden.begin_head(lane, now)
            if lane.attempts >= self._recycle_after or done.memory_bytes >= self._recycle_memory:
                self._recycle(lane)
        if not line:
            lane.rest()
        if lane.is_closed:
            self._crew.is_untidy = True

    def _recycle(self, lane: Lane) -> None:
        if not lane.is_closed:
            self._counters.workers_recycled += 1
            self._crew.close_lane(lane)

    def _take_back(self, lane: Lane, seqs: frozenset[int]) -> None:
        """Deal with a recall's answer: what has not begun goes elsewhere, or ends here if it has to."""
        head = lane.line[0] if lane.line else None
        returned = [flight for flight in lane.line if flight.seq in seqs]
        lane.line = deque(flight for flight in lane.line if flight.seq not in seqs)
        lane.count -= len(returned)
        lane.held_seconds -= sum(flight.seconds for flight in returned)
        self._let_down([flight for flight in returned if flight.doom is not None])
        self._feed.take_back(flight for flight in returned if flight.doom is None)
        now = self._clock.ticks()
        if not lane.line:
            lane.rest()
            self._crew.is_untidy = True
        elif lane.line[0] is not head:  # the head had not begun either, and this one came after the recall
            self._warden.begin_head(lane, now)
        elif head.doom is not None:  # it was thought to stand behind, and has begun meanwhile
            self._warden.doom(lane, head, head.doom, now)

    def _bury_dead(self) -> None:
        deaths, self._crew.deaths = self._crew.deaths, []
        for death in deaths:
            while self._take(death.lane):
                pass  # what it said before it died counts
            self._bury(death)
            self._crew.release(death)

    def _bury(self, death: Death) -> None:
        """Report what a dead worker ran; what it had not begun goes elsewhere."""
        lane = death.lane
        flights, lane.line = list(lane.line), deque()
        begun = self._crew.board.begun(lane.slot)
        running = [flight for flight in flights if flight.seq <= begun]
        waiting = [flight for flight in flights if flight.seq > begun]
        for flight in running:
            if death.exited is not None and death.exited.said:
                self._write(flight, death.exited.said, 0)
            if flight.has_said:
                self._logs.end(*flight.key, flight.dropped)
            if flight.doom is None:
                self._counters.workers_lost += 1
                exited = None if lane.fault else death.exited
                report = from_death(flight.assignment, exited, lane.fault or death.detail)
                self._reports.append((flight.assignment.run, report))
        self._let_down([flight for flight in flights if flight.doom is not None])
        self._feed.take_back(flight for flight in waiting if flight.doom is None)
        self._reports += lane.parting

    def _let_down(self, flights: Iterable[Flight], doom: Doom | None = None) -> None:
        """Report attempts that had to end, for what they were doomed to or for `doom`."""
        for flight in flights:
            reason = flight.doom or doom or Doom.STOP
            self._count(reason)
            self._reports.append((flight.assignment.run, from_doom(flight.assignment, reason)))

    def _count(self, doom: Doom) -> None:
        self._counters.timed_out += doom is Doom.TIMEOUT
        self._counters.killed += doom is Doom.KILL

    def _write(self, flight: Flight, data: bytes, dropped: int) -> None:
        flight.has_said = True
        flight.dropped += dropped
        if data:
            self._logs.write(*flight.key, data, flight.assignment.secrets)


def end_leftovers(state: str, patience: float) -> list[Process]:
    """Kill every process that a former life with this `state` left behind; call it before a pool with it starts.

    Returns what is still alive after `patience` seconds, for the person who has to look at it.
    """
    return end_marked(f"{STATE_MARK}={state}", patience)
