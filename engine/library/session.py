"""An engine in this process for many runs: parts composed, runs asked for, watched and waited for."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import msgspec

from engine.attemptlog import AttemptLogs
from engine.clock import SystemClock
from engine.decisions import Decision
from engine.errors import ExecutorStoppedError
from engine.executor import Executor
from engine.facts import Finish, Order
from engine.history import History
from engine.inline import Inline
from engine.library.documents import Document, submission
from engine.library.neighbours import Neighbours
from engine.limits import Limits
from engine.metrics import Metrics, measure
from engine.plan import make_plan
from engine.quotas import Quota
from engine.registry import Registry
from engine.states import ENDED, State
from engine.store import Store
from engine.values import Values
from engine.views import RunView

_DEFAULT_THREADS = 4
_ACTIVE = (State.RUNNING, State.RETRYING, State.WAITING)


class Surroundings(msgspec.Struct, frozen=True):
    """What expressions find beside the document: environment variables and secrets by name."""

    env: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Say how far a run is: ids of tasks by how they stand, and the outputs of those that completed."""

    run: str
    state: State
    completed: list[str]
    active: list[str]
    failed: list[str]
    results: dict[str, Any]


class Engine:
    """An engine in this process, for many runs: `with Engine() as engine: engine.run(document)`.

    `plugins` are folders of plugin files, `settings` what the operator would write under [plugins.TYPE]; a `registry`
    of your own goes before `plugins`. `keep` is a state folder for the history; without it nothing is kept. `pools` are
    what the operator would write under [pools.NAME]; at most `threads` attempts run at once. Workflows that tasks call
    by name are looked for in `workflows`, the folder one is in by default.
    """

    def __init__(  # noqa: PLR0913 -- one choice each, by name
        self,
        *,
        plugins: Sequence[Path | str] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        surroundings: Surroundings | None = None,
        registry: Registry | None = None,
        keep: Path | str | None = None,
        threads: int = _DEFAULT_THREADS,
        limits: Limits | None = None,
        pools: Mapping[str, Quota] | None = None,
        workflows: Path | str | None = None,
    ) -> None:
        """Compose it; `start`, or `with`, sets it going."""
        if registry is None:
            registry = Registry(folders=plugins)
            registry.load()
        self._registry, self._limits = registry, limits or Limits()
        self._settings, self._surroundings = settings, surroundings or Surroundings()
        self._keep, self._threads, self._pools = keep, threads, pools or {}
        self._workflows = Path.cwd() if workflows is None else Path(workflows)
        self._parts = contextlib.ExitStack()
        self._ends: dict[str, Future[None]] = {}
        self._executor: Executor | None = None
        self._history: History | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Return when it takes runs; harmless twice.

        Raises what the store raises where the history cannot be written.
        """
        if self._executor is not None:
            return
        with contextlib.ExitStack() as parts:
            folder = parts.enter_context(_folder(self._keep))
            values, url = Values(folder / "values"), f"sqlite:///{folder / 'state.db'}"
            store = Store(url, values=values, clock=SystemClock())
            store.open()
            parts.callback(store.close)
            logs = AttemptLogs(folder / "log", self._limits)
            backend = Inline(
                self._registry, workers=self._threads, logs=logs, settings=self._settings, limits=self._limits
            )
            backend.start()
            parts.callback(backend.stop, 0.0)
            self._history = History(url, values=values)
            parts.callback(self._history.close)
            executor = Executor(
                store,
                backend,
                clock=SystemClock(),
                limits=self._limits,
                values=values,
                ambience=self._surroundings,
                pools=self._pools,
                workflows=Neighbours(self._workflows, self._limits),
                listeners=[self._listen],
                on_death=self._died,
            )
            executor.start()
            parts.callback(executor.stop, 0.0)
            self._executor, self._parts = executor, parts.pop_all()

    def stop(self) -> None:
        """Cut off what runs and take it apart; harmless twice."""
        self._executor = None
        self._parts.close()

    def submit(self, workflow: Document, params: Mapping[str, Any] | None = None) -> str:
        """Record a run and return its id.

        Raises DocumentInvalidError or ParamsInvalidError with every problem.
        """
        asked = submission(workflow, params or {}, self._registry.catalogue(), self._limits)
        receipt = self._running().submit(asked, make_plan(asked.workflow, self._limits)).result()
        return receipt.run

    def wait(self, run: str, timeout: float | None = None) -> RunView:
        """Return a run when it has ended; raises TimeoutError after so many seconds."""
        view = self.show(run)
        if view.state not in ENDED:
            self._end_of(run).result(timeout)
            view = self.show(run)
        return view

    def run(self, workflow: Document, params: Mapping[str, Any] | None = None) -> RunView:
        """Run a workflow to its end; raises as `submit`, a run that fails is a result."""
        return self.wait(self.submit(workflow, params))

    async def execute(self, workflow: Document, params: Mapping[str, Any] | None = None) -> RunView:
        """Do what `run` does without blocking the event loop of an async caller."""
        return await asyncio.to_thread(self.run, workflow, params)

    def show(self, run: str) -> RunView:
        """Show a run as `dropmill show --json` would.

        Raises RunUnknownError.
        """
        return self._past().run(run)

    def status(self, run: str) -> Status:
        """Say how far a run is.

        Raises RunUnknownError.
        """
        view = self.show(run)
        tasks = view.tasks or ()
        return Status(
            run=view.id,
            state=view.state,
            completed=[task.id for task in tasks if task.state is State.COMPLETED],
            active=[task.id for task in tasks if task.state in _ACTIVE],
            failed=[task.id for task in tasks if task.state is State.FAILED],
            results=view.outputs(),
        )

    def metrics(self, run: str) -> Metrics:
        """Say what a run took, or has taken so far.

        Raises RunUnknownError.
        """
        return measure(self.show(run), self._past().attempts(run), SystemClock().wall())

    def cancel(self, run: str, message: str = "") -> None:
        """End a live run.

        Raises RunUnknownError, and RunEndedError for one that has ended.
        """
        self._running().cancel(self.show(run).id, message=message).result()

    def decide(self, run: str, task: str, decision: Decision | bool) -> None:  # noqa: FBT001 -- a plain yes or no
        """Approve or reject for a task that waits for a person; a Decision says who, why and with which data.

        Raises RunUnknownError, NotWaitingError, DecisionInvalidError and others of the tree.
        """
        if isinstance(decision, bool):
            decision = Decision(is_approved=decision)
        self._running().decide(self.show(run).id, task, decision).result()

    def _listen(self, run: str, orders: Sequence[Order], _now: float) -> None:
        if any(isinstance(order, Finish) for order in orders):
            end = self._end_of(run)
            if not end.done():
                end.set_result(None)

    def _died(self, error: BaseException) -> None:
        for end in list(self._ends.values()):
            if not end.done():
                end.set_exception(error)

    def _end_of(self, run: str) -> "Future[None]":
        return self._ends.setdefault(run, Future())

    def _running(self) -> Executor:
        if self._executor is None:
            raise ExecutorStoppedError
        return self._executor

    def _past(self) -> History:
        if self._history is None:
            raise ExecutorStoppedError
        return self._history


@contextlib.contextmanager
def _folder(keep: Path | str | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="dropmill-") as folder:
        yield Path(folder)
