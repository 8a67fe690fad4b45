"""A memory to test with: store and history on one database, and shorthand for what is put into it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import QueuePool, create_engine, text

from engine.facts import Begin, Complete, Fail, Order, Start, Usage, WaitUntil
from engine.history import History
from engine.model import Task, Workflow
from engine.states import Reason, State
from engine.store import Store
from engine.submission import Submission
from engine.values import Values
from tests.clocks import HandClock

INLINE_BYTES = 100
USAGE = Usage(seconds=1.5, cpu_seconds=0.25, memory_bytes=4096)


class Memory:
    """A store and a history on the database at `url`, open until `close`."""

    def __init__(self, url: str, folder: Path, busy_seconds: float = 10.0) -> None:
        self.url, self.clock = url, HandClock()
        self.values = Values(folder / "values", inline_bytes=INLINE_BYTES)
        self.store = Store(url, values=self.values, clock=self.clock, busy_seconds=busy_seconds)
        self.history = History(url, values=self.values)
        self.store.open()
        self._bare = create_engine(url, poolclass=QueuePool)

    def close(self) -> None:
        self._bare.dispose()
        self.store.close()
        self.history.close()

    def write(self, run: str, *orders: Order) -> bool:
        """Record orders of one run; tell whether they went through."""
        self.clock.advance(1)
        return not self.store.write([(run, orders)], self.clock.wall())

    def create(self, run: str, *tasks: str, **wishes: Any) -> str:
        """Record a new run with these tasks and return its id."""
        [receipt] = self.store.create([(run, submission(*tasks, **wishes), self.clock.wall())])
        assert receipt.is_new
        return run

    def begin(self, run: str, *tasks: str, **wishes: Any) -> str:
        """Record a new run that is RUNNING."""
        self.create(run, *tasks, **wishes)
        assert self.write(run, Begin())
        return run

    def states(self, run: str) -> dict[str, str]:
        """Return the state of every task of a run."""
        return {task.id: str(task.state) for task in self.history.run(run).tasks or ()}

    def state(self, run: str) -> State:
        return self.history.run(run).state

    def trail(self, run: str) -> list[tuple[str | None, int | None, str | None]]:
        """Return (task, attempt, state) of every event of a run."""
        return [(event.task, event.attempt, event.state and str(event.state)) for event in self.history.events(run)]

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Look into the tables past our own code, or change them past it."""
        with self._bare.begin() as connection:
            result = connection.execute(text(sql), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def everything(self) -> list[Any]:
        """Return all that is written about runs, to see that something changed nothing."""
        keys = {"runs": "pk", "tasks": "run_pk, position, instance", "attempts": "run_pk, task, number", "events": "pk"}
        return [self.rows(f"SELECT * FROM {table} ORDER BY {key}") for table, key in keys.items()]  # noqa: S608 -- ours


def workflow(*tasks: str, name: str = "report") -> Workflow:
    """Make a workflow whose tasks all print."""
    return Workflow(name=name, tasks=tuple(Task(id=task, type="print") for task in tasks or ("a", "b")))


def submission(*tasks: str, name: str = "report", document: bytes = b"{}", **wishes: Any) -> Submission:
    """Make a submission of such a workflow."""
    return Submission(workflow=workflow(*tasks, name=name), document=document, **wishes)


def start(task: str, attempt: int = 1) -> Start:
    return Start(task, attempt, {}, {})


def complete(task: str, attempt: int = 1, output: bytes = b"null") -> Complete:
    return Complete(task, attempt, output, USAGE)


def fail(task: str, attempt: int = 1, message: str = "no") -> Fail:
    return Fail(task, attempt, Reason.EXIT_CODE, message, exit_code=3, usage=USAGE)


def wait(task: str, attempt: int = 1, at: float = 5.0) -> WaitUntil:
    return WaitUntil(task, attempt, at, b'{"page":2}')


def ids(receipts: Sequence[Any]) -> list[tuple[str, bool]]:
    """Return (run, is_new) of each receipt."""
    return [(receipt.run, receipt.is_new) for receipt in receipts]
