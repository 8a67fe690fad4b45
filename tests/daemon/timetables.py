"""How the tests of the schedules set them up: real executor, store and intake; attempts held by hand, time by hand."""

import json
import queue
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.ambience import Ambience
from daemon.config import Config
from daemon.intake import Intake
from daemon.library import Library
from daemon.recovery import Recovery
from daemon.schedules import Schedules
from engine.backend import Assignment
from engine.clock import epoch
from engine.executor import Executor
from engine.facts import Failed, Killed, Report, Succeeded
from engine.history import History
from engine.limits import Limits
from engine.states import Reason
from engine.store import Store
from engine.task import Catalogue, TaskType
from engine.values import Values
from tests.clocks import HandClock
from tests.daemon.configs import loaded
from tests.waiting import wait_for

REPORT = {
    "name": "report",
    "params": {"day": {"type": "string", "default": "today"}},
    "tasks": [{"id": "a", "type": "print", "message": "hi"}],
}
CATALOGUE = Catalogue({"print": TaskType(type="print")})
# A Monday; the clock of a house starts there.
NOON = "2027-03-01T12:00:00Z"


class Hands:
    """A backend whose attempts end when the test says so, or at once where `is_quick`."""

    def __init__(self, *, is_quick: bool = False) -> None:
        self.is_quick = is_quick
        self.held: dict[str, Assignment] = {}
        self._reports: queue.SimpleQueue[tuple[str, Report] | None] = queue.SimpleQueue()

    def start(self) -> None:
        pass

    def stop(self, grace_seconds: float) -> None:
        pass

    def catalogue(self) -> Catalogue:
        return CATALOGUE

    def reserve(self, type: str, isolation: str) -> bool:  # noqa: A002 -- the contract's word
        return True

    def dispatch(self, assignments) -> None:
        for each in assignments:
            if self.is_quick:
                self._reports.put((each.run, Succeeded(each.task, each.attempt)))
            else:
                self.held[each.run] = each

    def kill(self, run: str, task: str, attempt: int, reason: Reason) -> None:
        self.held.pop(run, None)
        self._reports.put((run, Killed(task, attempt)))

    def collect(self, timeout: float | None) -> list[tuple[str, Report]]:
        found: list[tuple[str, Report]] = []
        try:
            while (report := self._reports.get(timeout=0 if found else timeout)) is not None:
                found.append(report)
        except queue.Empty:
            pass
        return found

    def wake(self) -> None:
        self._reports.put(None)

    def finish(self, run: str, *, well: bool = True) -> None:
        """End the attempt of a run."""
        each = wait_for(lambda: self.held.pop(run, None), f"an attempt of run {run}")
        self._reports.put(
            (run, Succeeded(each.task, each.attempt) if well else Failed(each.task, each.attempt, message="no"))
        )


class House:
    """A state folder and the schedules on it; `begin` starts a life, `crash` or `end` ends it, and another may begin.

    `wake` is called by the test, so nothing happens that it has not asked for: the thread is started only where
    `start` is called on the schedules themselves.
    """

    def __init__(self, folder: Path, *tables: str, at: str = NOON, is_quick: bool = False) -> None:
        self.folder, self.is_quick = folder, is_quick
        self.clock: Any = HandClock(wall=epoch(at))
        self.lives: list[Life] = []
        self.configure(*tables)
        workflows = folder / "etc" / "workflows"
        workflows.mkdir(exist_ok=True)
        (workflows / "report.json").write_text(json.dumps(REPORT))

    def configure(self, *tables: str) -> Config:
        text = "\n".join(f"[[schedules]]\n{table}" for table in tables)
        self.config = loaded(self.folder, text)
        return self.config

    def begin(self) -> "Life":
        life = Life(self)
        self.lives.append(life)
        return life

    def restart(self, seconds: float = 0.0) -> "Life":
        """End the last life and begin another so much later."""
        self.lives[-1].end()
        self.clock.advance(seconds)
        return self.begin()

    def end(self) -> None:
        for life in self.lives:
            life.end()


class Life:
    """One process's worth of parts on the state folder."""

    def __init__(self, house: House) -> None:
        self.house, self.clock = house, house.clock
        url = f"sqlite:///{house.folder / 'state.db'}"
        values = Values(house.folder / "values")
        self.store = Store(url, values=values, clock=self.clock)
        self.store.open()
        self.history = History(url, values=values)
        self.hands = Hands(is_quick=house.is_quick)
        self.executor = Executor(
            self.store,
            self.hands,
            clock=self.clock,
            limits=Limits(),
            values=values,
            ambience=Ambience(env={}, secrets={}),
        )
        self._adopt(values)
        self.executor.start()
        self.intake = Intake(self.executor, Library(house.config.paths.workflows), Limits())
        self.schedules = Schedules(
            house.config,
            intake=self.intake,
            executor=self.executor,
            store=self.store,
            history=self.history,
            clock=self.clock,
        )
        self._is_over = False
        self.schedules.settle_missed()

    def _adopt(self, values: Values) -> None:
        Recovery(self.executor, values=values, limits=Limits(), ambience=Ambience(env={}, secrets={})).take_up(
            self.history.open_runs()
        )

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.schedules.stop()
            self.executor.stop()
            self.history.close()
            self.store.close()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and look."""
        self.clock.advance(seconds)
        self.schedules.wake()

    def finish(self, run: str, *, well: bool = True) -> None:
        """End a run, wait until that is recorded and the schedules have heard of it."""
        self.hands.finish(run, well=well)
        self.await_end(run)

    def await_end(self, run: str) -> None:
        def is_heard() -> bool:
            self.schedules.wake()
            return all(run not in view.runs for view in self.schedules.status())

        wait_for(is_heard, f"the end of run {run}")

    def fates(self, name: str = "s", limit: int = 1000) -> list[str]:
        """Return what became of the due instants of a schedule, oldest first, such as "12:01 SKIPPED overlap"."""
        return [_told(view) for view in reversed(self.history.due_times(name, limit=limit))]

    def runs(self, name: str = "s") -> list[str]:
        """Return the runs of a schedule, oldest first."""
        return [view.run for view in reversed(self.history.due_times(name, limit=1000)) if view.run]

    def view(self, name: str = "s"):
        return next(view for view in self.schedules.status() if view.name == name)


def _told(view) -> str:
    reason = f" {view.reason}" if view.reason else ""
    count = f" x{view.count}" if view.count > 1 else ""
    return f"{_clock_time(view.due)} {view.state}{reason}{count}"


def _clock_time(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def utc(text: str) -> float:
    """Return an instant of the house's day, such as "12:01"."""
    return epoch(f"{NOON[:11]}{text}:00Z")
