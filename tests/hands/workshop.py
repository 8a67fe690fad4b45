"""A real executor on a real store and a real pool, in this process; tasks of the type `ledger` follow a script."""

import contextlib
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from daemon.recovery import Recovery
from engine.attemptlog import AttemptLogs
from engine.clock import Clock, SystemClock
from engine.executor import Executor
from engine.facts import Finish, Order
from engine.history import History
from engine.library import Surroundings
from engine.limits import Limits
from engine.model import Task, Workflow
from engine.plan import make_plan
from engine.pool import Pool
from engine.store import Store
from engine.submission import Receipt, Submission
from engine.values import Values
from engine.views import RunView
from tests.waiting import wait_for
from tests.whole import ledgers


class Workshop:
    """One life of an engine on the memory in `folder`; `start` begins it, `stop` ends it."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        workers: int = 2,
        busy_seconds: float = 10.0,
        limits: Limits | None = None,
        **choices: Any,
    ):
        """Build everything; nothing runs."""
        self.folder, self.clock = folder, clock or SystemClock()
        self.url = f"sqlite:///{folder / 'state.db'}"
        self.ledger_path = folder / "ledger"
        self.limits = limits or Limits()
        self.values = Values(folder / "values", self.limits.inline_bytes)
        self.store = Store(self.url, values=self.values, clock=self.clock, busy_seconds=busy_seconds)
        self.history = History(self.url, values=self.values)
        self.pool = Pool(
            workers=workers,
            logs=AttemptLogs(folder / "log", self.limits),
            folders=[ledgers.PLUGINS],
            grace_seconds=0.3,
            state=uuid.uuid4().hex,
            builtin_package="",
        )
        self.deaths: list[BaseException] = []
        self._ends: dict[str, threading.Event] = {}
        self.executor = Executor(
            self.store,
            self.pool,
            clock=self.clock,
            limits=self.limits,
            values=self.values,
            ambience=Surroundings(),
            listeners=[self._listen],
            on_death=self.deaths.append,
            **choices,
        )
        self.store.open()

    def start(self) -> "Workshop":
        self.pool.start()
        self.executor.start()
        return self

    def recover(self) -> "Workshop":
        """Take up what the memory holds, as the daemon does before it starts."""
        recovery = Recovery(self.executor, values=self.values, limits=self.limits, ambience=Surroundings())
        assert recovery.take_up(self.history.open_runs()).refused == ()
        return self

    def stop(self, grace_seconds: float = 0.0) -> None:
        self.executor.stop(grace_seconds)
        self.pool.stop(0.0)
        self.history.close()
        self.store.close()

    def task(self, name: str, after: Sequence[str] = (), **more: Any) -> Task:
        """Make a task that follows a script; what Task does not know are its fields."""
        given = {key: more.pop(key) for key in Task.__struct_fields__ if key in more}
        fields = {"ledger": str(self.ledger_path)} | more
        return Task(id=name, type="ledger", depends_on=tuple(after), fields=fields, **given)

    def ask(self, *tasks: Task, workflow: Workflow | None = None, **wishes: Any) -> Any:
        """Submit a run and return the future of its receipt."""
        workflow = workflow or Workflow(tasks=tasks)
        submission = Submission(workflow=workflow, document=document(workflow), **wishes)
        return self.executor.submit(submission, make_plan(workflow))

    def submit(self, *tasks: Task, **wishes: Any) -> str:
        """Submit a run and return its id."""
        receipt: Receipt = self.ask(*tasks, **wishes).result(20)
        return receipt.run

    def end_of(self, run: str) -> RunView:
        """Wait until the end of a run is durable and return the run."""
        assert self._ends.setdefault(run, threading.Event()).wait(40), (
            f"run {run} does not end: {self.history.run(run)}"
        )
        return self.history.run(run)

    def ledger(self, phase: str = "begin") -> list[ledgers.Entry]:
        return [entry for entry in ledgers.read(self.ledger_path) if entry.phase == phase]

    def wait_for_begins(self, count: int) -> list[ledgers.Entry]:
        return wait_for(lambda: found if len(found := self.ledger()) >= count else None, f"{count} begun attempts")

    def turn(self) -> None:
        """Return when the executor has gone round once more, whole."""
        for _ in range(2):
            self.executor.catalogue().result(20)

    def _listen(self, run: str, orders: Sequence[Order], _now: float) -> None:
        if any(isinstance(order, Finish) for order in orders):
            self._ends.setdefault(run, threading.Event()).set()


def document(workflow: Workflow) -> bytes:
    """Write a workflow of `ledger` tasks as a document that loads into the same."""
    tasks = [
        task.fields | {"id": task.id, "type": task.type, "depends_on": task.depends_on, "timeout": task.timeout}
        for task in workflow.tasks
    ]
    shown = [{key: value for key, value in task.items() if value is not None} for task in tasks]
    return msgspec.json.encode({"name": workflow.name, "tasks": shown})


@contextlib.contextmanager
def workshops(folder: Path) -> Iterator[Any]:
    """Yield a function that makes workshops on the same memory; none outlives the block."""
    made: list[Workshop] = []

    def make(**choices: Any) -> Workshop:
        made.append(Workshop(folder, **choices))
        return made[-1]

    try:
        yield make
    finally:
        for workshop in made:
            workshop.stop()
