"""A simulated pool: attempts that take drawn times and come to drawn ends, and reports that come late or twice.

It obeys `engine.backend.Backend`; time is the world's. What a scripted task does is said by its document, what a wild
one does is drawn. A life's attempts die with it; what they would have reported may still reach the next life.
"""

import heapq
import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from engine.backend import Assignment
from engine.clock import Clock
from engine.facts import Broke, Deferred, Failed, Killed, Report, Succeeded, TimedOut
from engine.states import Reason
from engine.task import Catalogue, TaskType
from tests.engine.control_documents import SCRIPTED, outcome
from tests.simulation.course import WILD

CATALOGUE = Catalogue({name: TaskType(type=name) for name in (SCRIPTED, WILD)})
STALE = b'"from an attempt that is over"'


class Hands:
    """Hold the attempts of one life; `witness` sees every dispatch, and says what a scripted attempt should do."""

    def __init__(self, clock: Clock, rng: random.Random, workers: int, witness: Any) -> None:
        self._clock, self._rng, self._workers, self._witness = clock, rng, workers, witness
        self._reports: list[tuple[float, int, str, Report, bool]] = []
        self._tie = count()
        self._reserved = 0
        self.live: dict[tuple[str, str], Assignment] = {}
        self.is_awake = False

    def start(self) -> None:
        pass

    def stop(self, grace_seconds: float) -> None:
        """End all; of what ends by itself meanwhile the reports are there."""
        ticks = self._clock.ticks()
        own = [entry for entry in self._reports if entry[4] and self._rng.random() < 0.3]
        self._reports = [(ticks, *entry[1:]) for entry in own]

    def catalogue(self) -> Catalogue:
        return CATALOGUE

    def reserve(self, type: str, isolation: str) -> bool:  # noqa: A002 -- the contract's word
        if len(self.live) + self._reserved >= self._workers:
            return False
        self._reserved += 1
        return True

    def dispatch(self, assignments: Sequence[Assignment]) -> None:
        for each in assignments:
            self._reserved -= 1
            self._witness.see_dispatch(each, self.live.get((each.run, each.task)))
            self.live[each.run, each.task] = each
            self._witness.see_slots(sum(other.fields.get("weighs", 0) for other in self.live.values()))
            report, seconds = self._fate(each)
            self._push(seconds, each.run, report, is_own=True)

    def kill(self, run: str, task: str, attempt: int, reason: Reason) -> None:
        each = self.live.get((run, task))
        if each is not None and each.attempt == attempt:
            self._push(self._rng.choice([0.0, 0.5, 10.0]), run, Killed(task, attempt), is_own=True)

    def collect(self, timeout: float | None) -> list[tuple[str, Report]]:
        self._reserved = 0
        self.is_awake = False
        ticks, found = self._clock.ticks(), []
        while self._reports and self._reports[0][0] <= ticks:
            _, _, run, report, is_own = heapq.heappop(self._reports)
            each = self.live.get((run, report.task))
            if is_own:
                if each is None or each.attempt != report.attempt:
                    continue
                del self.live[run, report.task]
                self._repeat(run, report)
            found.append((run, report))
        return found

    def wake(self) -> None:
        self.is_awake = True

    def due_in(self) -> float | None:
        """Return in how many seconds there is a report."""
        return max(0.0, self._reports[0][0] - self._clock.ticks()) if self._reports else None

    def haunt(self, former: "Hands") -> None:
        """Let some attempts of a former life speak up in this one."""
        for each in former.live.values():
            if self._rng.random() < 0.5:
                report = Succeeded(each.task, each.attempt, STALE)
                self._push(self._rng.choice([0.0, 30.0, 4000.0]), each.run, report, is_own=False)

    def _push(self, seconds: float, run: str, report: Report, *, is_own: bool) -> None:
        heapq.heappush(self._reports, (self._clock.ticks() + seconds, next(self._tie), run, report, is_own))

    def _repeat(self, run: str, report: Report) -> None:
        """Have some reports come again, or another one of the same attempt."""
        if isinstance(report, Deferred) or self._rng.random() > (0.1 if isinstance(report, Succeeded) else 0.5):
            return
        late = self._rng.choice([report, Succeeded(report.task, report.attempt, STALE), Failed(*_of(report))])
        self._push(self._rng.choice([0.0, 1.0, 40.0, 900.0, 3000.0, 90_000.0]), run, late, is_own=False)

    def _fate(self, each: Assignment) -> tuple[Report, float]:
        rng = self._rng
        seconds = rng.choice([0.0, rng.expovariate(1 / 20), rng.expovariate(1 / 600), rng.uniform(0, 7000)])
        report = self._scripted(each) if each.type == SCRIPTED else self._wild(each)
        limit = each.timeout or seconds
        if report is None or seconds > limit:
            return TimedOut(each.task, each.attempt, "it took too long"), limit
        return report, seconds

    def _scripted(self, each: Assignment) -> Report:
        if self._witness.failures(each) < each.fields.get("fails", 0):
            return Failed(each.task, each.attempt)
        inputs = {key: msgspec.json.decode(data) for key, data in each.inputs.items()}
        return Succeeded(each.task, each.attempt, msgspec.json.encode(outcome(each.fields, inputs)))

    def _wild(self, each: Assignment) -> Report | None:
        drawn, of = self._rng.random(), (each.task, each.attempt)
        if drawn < 0.03:
            return None
        if drawn < 0.16:
            return Failed(*of, Reason.ERROR, "no")
        if drawn < 0.2:
            return Broke(*of, Reason.WORKER_LOST, "its worker died")
        if drawn < 0.27:
            return Deferred(*of, self._rng.choice([0.0, 60.0, 5000.0]), b'{"page":2}')
        return Succeeded(*of, b'"%d"' % self._rng.randrange(1000))


def _of(report: Report) -> tuple[str, int]:
    return report.task, report.attempt
