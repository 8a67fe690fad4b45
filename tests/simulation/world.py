"""The simulated machine: time jumps from event to event, lives begin and end, and everything outside is played.

Owns the clock, the folders (in memory) and the order in which the parts get their turns, which is drawn. What came of
it all is judged by `Witness` throughout and by `verdict` at the end.
"""

import contextlib
import json
import os
import random
import shutil
import tempfile
import traceback
from collections import defaultdict
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from daemon.intake import Origin
from engine.decisions import Decision
from engine.errors import DropmillError
from engine.limits import Limits
from engine.values import Values
from tests.clocks import HandClock
from tests.daemon.configs import loaded
from tests.engine.control_documents import Play
from tests.simulation.course import DAY, SLOTS, Course, Event, Planned
from tests.simulation.hands import Hands
from tests.simulation.life import Life
from tests.simulation.seams import CrashError, Seams, simulated
from tests.simulation.timetable import Timetable
from tests.simulation.witness import Witness

# In memory where the machine has such a folder: what a crash of the process loses is the same there.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_MOST_STEPS = 200_000
_MOST_LIVES = 60
_PATIENCE = 40 * DAY
_TICK = 1e-5
# How long a file lies that nobody rang for, and a little more.
_REST = 3700.0


class Result(msgspec.Struct, kw_only=True):
    """What came of a history."""

    violations: list[str]
    trace: str
    counts: dict[str, int]
    deaths: dict[str, int] = {}


class World:
    """Play a course in a folder of its own."""

    def __init__(self, course: Course, folder: Path) -> None:
        self.course, self.folder = course, folder
        self.rng = random.Random(f"world {course.seed}")
        self.low = datetime.fromisoformat(course.begin).timestamp()
        self.clock = HandClock(wall=self.low, ticks=7_411.5)
        self.config = loaded(folder, self._configuration())
        self.limits = Limits(inline_bytes=course.inline_bytes, max_lost=10_000)
        for place in (self.config.paths.state, self.config.paths.inbox, self.config.paths.workflows[0]):
            place.mkdir(parents=True, exist_ok=True)
        for name, document in course.documents.items():
            (self.config.paths.workflows[0] / f"{name}.json").write_text(json.dumps(document))
        self.seams = Seams()
        self.witness = Witness(self.config.paths.state / "state.db", self.clock)
        self.high = self.low + course.days * DAY
        self.timetables = {each.name: Timetable(each, self.low, self.high) for each in course.schedules}
        self.life: Life | None = None
        self._hands: Hands | None = None
        self._up_at = 0.0
        # After how many seams this life dies too, and what becomes of the machine when the armed crash comes.
        self._again, self._next_again, self._down = 0, 0, 0.0
        self._begun_at = self.clock.ticks()
        self._events = list(course.events)
        self._asked: list[tuple[Event, Future]] = []
        self.acknowledged: dict[str, Event] = {}
        self.keyed: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.dropped: dict[str, Event] = {}
        self.cancelled: set[str] = set()
        self.lives = self.crashes = 0
        self._steps = self._answered = 0
        self._people_at: float | None = None

    def _configuration(self) -> str:
        end = datetime.fromtimestamp(self.low + self.course.days * DAY).astimezone().isoformat()
        lines = ['[paths]\ninbox = "../inbox"\nstate = "../var"\nworkflows = ["workflows"]']
        lines += ['[inbox]\nwatch = "poll"\npoll_interval = "1h"', f"[pools.db]\nsize = {SLOTS}"]
        return "\n".join([*lines, *(_table(each, end) for each in self.course.schedules)])

    def play(self) -> Result:
        """Let everything happen, then let everything come to its end."""
        with simulated(self.seams, self._pump):
            try:
                self._play()
            except AssertionError as error:
                self.witness.complain(f"it breaks off: {error!r} {traceback.format_exc(limit=-2)}")
            finally:
                if self.life is not None:
                    self.life.drop()
        counts = {"lives": self.lives, "crashes": self.crashes, "attempts": self.witness.attempts}
        return Result(
            violations=self.witness.violations, trace=self.seams.trace, counts=counts, deaths=dict(self.seams.deaths)
        )

    def _play(self) -> None:
        last = self.course.days * DAY
        while self.elapsed < last:
            self._step(last)
        self.seams.calm()
        self._again = 0
        while not self._is_over():
            self._step(last + _PATIENCE)
            if self.elapsed >= last + _PATIENCE:
                self.witness.complain(f"after {_PATIENCE / DAY:g} days without events it has not come to rest")
                return

    @property
    def elapsed(self) -> float:
        return self.clock.ticks() - self._begun_at

    def _is_over(self) -> bool:
        life = self.life
        # By both clocks: a stepped wall clock is at the end before a file that nobody rang for has been looked for.
        is_early = self.clock.wall() < self.high + _REST or self.elapsed < self.course.days * DAY + _REST
        if life is None or self._events or self._asked or is_early:
            return False
        if life.executor.held:
            life.executor.release()
        if any(each.run.is_paused for each in life.executor._live.values()):
            self._do_resume_runs(Event(self.elapsed, "resume runs"))
        is_idle = min(life.executor_in(), life.schedules_in(), life.inbox_in()) > 0
        return is_idle and not life.executor._live and not life.inbox._filing.count + life.inbox._entrance.count

    def _step(self, last: float) -> None:
        """Go to the next moment at which something happens, and have it happen."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise AssertionError(f"{_MOST_STEPS} steps are not enough")
        self._pass(min(self._next_in(), last - self.elapsed))
        try:
            if self.life is None:
                if self.elapsed >= self._up_at:
                    self._begin()
                elif self._events and self._events[0].at <= self.elapsed:
                    self._happen(self._events.pop(0))
            else:
                self._act(self.life)
        except CrashError:
            self.crashes += 1
            self._end(self._again_after())
        if self.life is not None and self.life.is_dead:
            self._end(self.rng.choice([0.0, 60.0]))

    def _pass(self, seconds: float) -> None:
        """Let time pass, at least so much that a clock notices."""
        if seconds > 0:
            self.clock.advance(max(seconds, _TICK))

    def _next_in(self) -> float:
        waits = [self._events[0].at - self.elapsed] if self._events else []
        if self.life is None:
            waits.append(self._up_at - self.elapsed)
        else:
            waits += [self.life.executor_in(), self.life.schedules_in(), self.life.inbox_in(), self._people_in()]
        return max(0.0, min(waits))

    def _act(self, life: Life) -> None:
        if self._events and self._events[0].at <= self.elapsed:
            self._happen(self._events.pop(0))
        turns = [(life.executor_in, life.turn), (life.schedules_in, self._look), (life.inbox_in, life.turn_inbox)]
        turns.append((self._people_in, self._people))
        self.rng.shuffle(turns)
        for due_in, turn in turns:
            if self.life is life and not life.is_dead and due_in() <= 0:
                self.seams.note(turn.__name__, self.clock.ticks())
                turn()
                self._take_answers()

    def _people_in(self) -> float:
        """Return in how many seconds somebody looks what is asked."""
        if self.witness.questions > self._answered:
            self._answered = self.witness.questions
            self._people_at = self.elapsed + self.rng.choice([0.0, 600.0, 30_000.0])
        return float("inf") if self._people_at is None else max(0.0, self._people_at - self.elapsed)

    def _pump(self, is_done: Any) -> None:
        assert self.life is not None
        self.life.pump(is_done)

    def _look(self) -> None:
        assert self.life is not None
        self._note_look(is_start=False)
        self.life.wake_schedules()

    def _note_look(self, *, is_start: bool) -> None:
        for timetable in self.timetables.values():
            timetable.look(self.clock.wall(), is_start=is_start)

    def _begin(self) -> None:
        """Begin a life: what the last one left is taken up."""
        self.lives += 1
        if self.lives > _MOST_LIVES:
            raise AssertionError(f"{_MOST_LIVES} lives are not enough")
        self.witness.begin_life()
        self.seams.begin(self._again)
        self.seams.note("life", self.lives, self.clock.wall())
        # Somebody may have been about to answer, or have been asked unheard.
        self._answered = -1
        hands = Hands(self.clock, self.rng, self.course.workers, self.witness)
        if self._hands is not None:
            hands.haunt(self._hands)
        self._hands = hands
        life = self.life = Life(self.config, self.limits, self.clock, self.rng, hands, self.witness)
        try:
            life.begin()
            self._take_up_timetables()
            self._note_look(is_start=True)
            life.begin_schedules()
            life.begin_inbox()
        except DropmillError:
            # The service ends with an exit status, and is started again.
            self._end(60.0)

    def _take_up_timetables(self) -> None:
        known = {row[0]: row[1:] for row in self.witness.rows("SELECT name, since, is_paused FROM schedules")}
        newest = dict(self.witness.rows("SELECT schedule, max(due_at) FROM due_times GROUP BY schedule"))
        for name, timetable in self.timetables.items():
            since, is_paused = known.get(name, (None, False))
            timetable.take_up(since, newest.get(name), bool(is_paused), self.clock.wall())

    def _end(self, seconds: float) -> None:
        """End a life; those who asked and have no answer ask again, if they can do so without asking twice."""
        assert self.life is not None
        self._take_answers()
        self.life.drop()
        self.life = None
        again = [event for event, _ in self._asked if event.key]
        self._asked.clear()
        self._up_at = self.elapsed + seconds
        self._events = [msgspec.structs.replace(event, at=self._up_at) for event in again] + self._events
        self._events.sort(key=lambda event: event.at)

    def _again_after(self) -> float:
        seconds, self._down = self._down, 0.0
        self._again, self._next_again = self._next_again, 0
        return seconds

    def _happen(self, event: Event) -> None:
        self.seams.note("event", event.kind, event.what, self.clock.ticks())
        getattr(self, f"_do_{event.kind.replace(' ', '_')}")(event)

    def _later(self, event: Event) -> None:
        """Nobody is there: who wants something comes back when somebody is."""
        self._events.insert(0, msgspec.structs.replace(event, at=self._up_at))
        self._events.sort(key=lambda each: each.at)

    def _do_submit(self, event: Event) -> None:
        life = self.life
        if life is None:
            self._later(event)
            return
        run_at = self.clock.wall() + event.seconds if event.seconds else None
        origin = Origin(trigger={"type": "api"}, idempotency_key=event.key or None, run_at=run_at)
        try:
            document = life.intake.read(event.what)
            self._asked.append((event, life.intake.offer(document, origin, name=event.what)))
        except DropmillError:
            self._later(msgspec.structs.replace(event, at=self.elapsed + 60))

    def _take_answers(self) -> None:
        waiting, self._asked = self._asked, []
        for event, answer in waiting:
            if not answer.done():
                self._asked.append((event, answer))
            elif answer.exception() is None:
                receipt = answer.result()
                self.seams.note("receipt", receipt.run, receipt.is_new)
                self.acknowledged[receipt.run] = event
                if event.key:
                    self.keyed[event.what, event.key].add(receipt.run)

    def _do_drop(self, event: Event) -> None:
        name = f"{event.what}.{'jsonl' if event.what.startswith('lines') else 'json'}"
        folder = self.config.paths.inbox
        part = folder / f".{name}.tmp"
        part.write_bytes(_content(event, list(self.course.documents)))
        os.utime(part, (self.clock.wall(), self.clock.wall()))
        part.rename(folder / name)
        self.dropped[name] = event
        if self.life is not None and not event.seconds:
            self.life.ring(name)

    def _do_crash(self, event: Event) -> None:
        if self.life is not None:
            self.seams.arm(event.count, event.what)
            self._down, self._next_again = event.seconds, event.again

    def _do_stop(self, event: Event) -> None:
        """End a life in order: sources first, then what runs gets its grace."""
        life = self.life
        if life is None:
            return
        life.inbox._is_stopping = True
        life.turn_inbox()
        life.schedules.stop()
        executor = life.executor
        executor._grace_seconds = float(event.count)
        executor._stop_asked.set()
        while not executor._may_stop() and not life.is_dead:
            left = (executor._stop_at or 0.0) - self.clock.ticks()
            self._pass(min(life.executor_in(), left))
            life.turn()
        if not life.is_dead:
            executor._cut_off()
            executor._inquiries.end(None)
            life.store.close()
        self._again = 0
        self._end(event.seconds)

    def _do_full(self, event: Event) -> None:
        self.seams.full = event.count

    def _do_move_fails(self, event: Event) -> None:
        self.seams.failing_moves = event.count

    def _do_cancel(self, event: Event) -> None:
        if self.life is None or not self.life.executor._live:
            return
        live = sorted(self.life.executor._live)
        run = live[event.count % len(live)]
        self.cancelled.add(run)
        with contextlib.suppress(DropmillError):
            self.life.executor.cancel(run).result()

    def _do_pause_run(self, event: Event) -> None:
        if self.life is not None and self.life.executor._live:
            live = sorted(self.life.executor._live)
            with contextlib.suppress(DropmillError):
                self.life.executor.pause_run(live[event.count % len(live)]).result()

    def _do_resume_runs(self, event: Event) -> None:
        if self.life is None:
            self._later(event)
            return
        for run in [key for key, live in self.life.executor._live.items() if live.run.is_paused]:
            with contextlib.suppress(DropmillError):
                self.life.executor.resume_run(run).result()

    def _people(self) -> None:
        """Have somebody answer everything that is asked, as each question says."""
        assert self.life is not None
        self._people_at = None
        for wait in self.life.executor.waits().result().persons:
            word = Play.decide("", wait.message)
            if word is not None:
                decision = Decision(
                    is_approved=word["approved"], actor=word["actor"], note=word["note"], data=word["data"]
                )
                with contextlib.suppress(DropmillError):
                    self.life.executor.decide(wait.run, wait.task, decision).result()

    def _do_step(self, event: Event) -> None:
        """Set the wall clock, forward as a suspended machine finds it; the schedules look within five seconds."""
        if self.life is not None:
            self._look()
            self.life.look_soon(self.rng.uniform(0, 5))
        self.clock.step(event.seconds)

    def _do_pause(self, event: Event) -> None:
        if self.life is None:
            self._later(event)
            return
        self._note_look(is_start=False)
        self.timetables[event.what].is_paused = True
        try:
            self.life.schedules.pause(event.what)
        except DropmillError:
            self._again_paused(event)

    def _do_resume(self, event: Event) -> None:
        if self.life is None:
            self._later(event)
            return
        self._note_look(is_start=False)
        try:
            self.life.schedules.resume(event.what)
        except DropmillError:
            self._again_paused(event)
        else:
            self.timetables[event.what].go_on(self.clock.wall())

    def _again_paused(self, event: Event) -> None:
        """The memory could not write: ask again, of schedules that go by what it says."""
        ((is_paused,),) = self.witness.rows("SELECT is_paused FROM schedules WHERE name = ?", event.what)
        self.timetables[event.what].is_paused = bool(is_paused)
        self._events.insert(0, msgspec.structs.replace(event, at=self.elapsed + 10))
        self._events.sort(key=lambda each: each.at)

    def _do_hold(self, event: Event) -> None:
        if self.life is not None:
            self.life.executor.hold("a person said so")

    def _do_release(self, event: Event) -> None:
        if self.life is not None:
            self.life.executor.release()

    @property
    def values(self) -> Values:
        return Values(self.config.paths.state / "values", self.limits.inline_bytes)


def play(course: Course) -> Result:
    """Play a course and judge it."""
    from tests.simulation.verdict import judge

    folder = Path(tempfile.mkdtemp(prefix="dropmill-simulation-", dir=MEMORY))
    try:
        world = World(course, folder)
        result = world.play()
        if not result.violations:
            result.counts |= judge(world)
        world.witness.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _table(planned: Planned, end: str) -> str:
    settings: dict[str, Any] = {
        "name": planned.name,
        planned.form: planned.text,
        "workflow": planned.workflow,
        "timezone": planned.zone,
        "on_missed": planned.on_missed,
        "catchup_window": planned.window,
        "catchup_max": planned.most,
        "overlap": planned.overlap,
        "jitter": planned.jitter,
        "end": end,
    }
    return "[[schedules]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())


def _content(event: Event, workflows: list[str]) -> bytes:
    what = event.what.partition("-")[0]
    request: dict[str, Any] = {"workflow": workflows[event.count % len(workflows)]}
    if event.key:
        request["idempotency_key"] = event.key
    match what:
        case "document":
            return b'{"tasks": [{"id": "a", "type": "wild"}]}'
        case "request":
            return json.dumps(request).encode()
        case "lines":
            return b"\n".join([json.dumps(request).encode()] * (event.count + 1))
        case "unknown":
            return b'{"workflow": "nobody"}'
        case _:
            return b'{"tasks": ['
