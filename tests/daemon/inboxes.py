"""How the tests of the inbox set one up: real folders, real inotify, a real memory, and an executor played by hand."""

import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from daemon.config import Config
from daemon.inbox import Inbox
from daemon.inbox.noted import Noted
from daemon.intake import Intake
from daemon.library import Library
from engine.clock import Clock, SystemClock
from engine.facts import Begin, Complete, Finish, Order, Start
from engine.history import History
from engine.ids import new_id
from engine.plan import Plan
from engine.states import State
from engine.store import Store
from engine.submission import Receipt, Submission
from engine.task import Catalogue, TaskType
from engine.values import Values
from tests.daemon.configs import loaded
from tests.hands.memory import USAGE
from tests.waiting import wait_for

HELLO = {"name": "hello", "tasks": [{"id": "a", "type": "print", "message": "hi"}]}
GREET = {"name": "greet", "params": {"who": {"type": "string"}}, "tasks": HELLO["tasks"]}
CATALOGUE = Catalogue({name: TaskType(type=name) for name in ("print", "log")})


def entries(folder: Path) -> list[str]:
    """List the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


class Crash(BaseException):
    """The process dies here."""


class Player:
    """An executor whose runs end when the test says so, with each end durable before anybody hears of it.

    Called by the inbox's thread and the test's: who sees a run in the memory can end it at once.
    """

    def __init__(self, store: Store, history: History, clock: Clock) -> None:
        self._store, self._history, self._clock = store, history, clock
        self._listeners: list[Callable[[str, Sequence[Order], float], None]] = []
        self._lock = threading.RLock()
        self._runs = [run.id for run in history.open_runs()]
        self.submissions: list[Submission] = []
        self.is_quick = False

    @property
    def runs(self) -> list[str]:
        """List the live runs, the oldest first; waits for one that is being made, which the memory may show before."""
        with self._lock:
            return list(self._runs)

    @property
    def live(self) -> int:
        return len(self.runs)

    def listen(self, listener: Callable[[str, Sequence[Order], float], None]) -> None:
        self._listeners.append(listener)

    def catalogue(self) -> "Future[Catalogue]":
        return _done(CATALOGUE)

    def submit(self, submission: Submission, _plan: Plan) -> "Future[Receipt]":
        self.submissions.append(submission)
        now = self._clock.wall()
        with self._lock:
            [receipt] = self._store.create([(new_id(now, os.urandom(10)), submission, now)])
            if receipt.is_new:
                self._runs.append(receipt.run)
        if receipt.is_new and self.is_quick:
            self.finish(receipt.run)
        return _done(receipt)

    def finish(self, run: str = "", state: State = State.COMPLETED) -> str:
        """End a run, or the oldest one."""
        run = run or self.runs[0]
        now = self._clock.wall()
        orders: list[Order] = [Begin()]
        for task in self._history.run(run).tasks or ():
            orders += [Start(task.id, 1, {}, {}), Complete(task.id, 1, b'"done"', USAGE)]
        for order in (*orders, Finish(state)):
            assert not self._store.write([(run, [order])], now)
        with self._lock:
            self._runs.remove(run)
        for listener in self._listeners:
            listener(run, [Finish(state)], now)
        return run


class House:
    """A state folder and an inbox on it; `begin` starts a life, `end` or a Crash ends it, and another may begin."""

    def __init__(self, folder: Path, text: str = "", clock: Clock | None = None) -> None:
        self.config: Config = loaded(folder, text)
        self.clock = clock or SystemClock()
        self.folder, self.box = folder, self.config.paths.inbox
        self.library = folder / "etc" / "workflows"
        self.library.mkdir(exist_ok=True)
        for document in (HELLO, GREET):
            (self.library / f"{document['name']}.json").write_text(json.dumps(document))
        self._store: Store | None = None

    def build(self) -> "House":
        """Open the memory and build the parts; nothing is watched yet."""
        url = f"sqlite:///{self.config.paths.state / 'state.db'}"
        values = Values(self.config.paths.state / "values")
        self._store = self.store = Store(url, values=values, clock=self.clock)
        self.store.open()
        self.history = History(url, values=values)
        self.player = Player(self.store, self.history, self.clock)
        executor: Any = self.player
        self.door = Intake(executor, Library(self.config.paths.workflows), self.config.limits)
        self.noted: list[Noted] = []
        self.inbox = Inbox(
            self.config,
            door=self.door,
            owner=self.player,
            store=self.store,
            history=self.history,
            clock=self.clock,
            observe=self.noted.append,
        )
        return self

    def begin(self) -> "House":
        self.build().inbox.start()
        return self

    def end(self) -> None:
        if self._store is not None:
            self.inbox.stop()
            self.history.close()
            self._store.close()
            self._store = None

    def drop(self, name: str | bytes, content: Any = HELLO, box: Path | None = None) -> None:
        """Write elsewhere and rename in, as a careful producer does."""
        part = self.folder / "part"
        part.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        part.rename((box or self.box) / os.fsdecode(name))

    def heard(self, kind: str, count: int = 1) -> list[Noted]:
        """Wait until so many things of a kind were told and return them."""
        return wait_for(
            lambda: found if len(found := [note for note in self.noted if note.kind == kind]) >= count else None,
            f"{count} x {kind}; told: {self.noted}; {self.inbox.status} {self.inbox.failure}",
        )

    def listing(self, folder: str, box: Path | None = None) -> list[str]:
        return entries((box or self.box) / folder)

    def everywhere(self, box: Path | None = None) -> list[str]:
        """Name every dropped file that is anywhere, without results, as folder/name."""
        top = box or self.box
        return sorted(
            f"{folder}/{name}" if folder else name
            for folder in ("", ".claimed", "done", "failed", "rejected", "duplicate")
            for name in entries(top / folder)
            if not name.endswith((".result.json", ".result.jsonl", ".error.json"))
            and not (folder == "" and name in {".claimed", "done", "failed", "rejected", "duplicate"})
        )

    def note(self, name: str, box: Path | None = None) -> Any:
        return json.loads(((box or self.box) / name).read_bytes())

    def claims(self) -> list[str]:
        """Return the states of all claims."""
        return sorted(state for _, state in self.claim_rows())

    def claim_rows(self) -> list[tuple[bytes, str]]:
        import sqlite3

        with sqlite3.connect(self.config.paths.state / "state.db") as connection:
            return list(connection.execute("SELECT name, state FROM claims ORDER BY id"))


def _done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future
