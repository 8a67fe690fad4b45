"""Our side: store on disk with synchronous=FULL, history on, real worker processes."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.graphs import Graph, document
from engine import loader
from engine.attemptlog import AttemptLogs
from engine.clock import SystemClock
from engine.executor import Executor
from engine.facts import Finish, Order
from engine.limits import Limits
from engine.plan import make_plan
from engine.pool import Pool
from engine.states import State
from engine.store import Store
from engine.submission import Submission
from engine.values import Values

PLUGINS = Path(__file__).parent / "plugins"
LIMITS = Limits(document_tasks=200_000, document_bytes=64 * 1024 * 1024)


class _Bare:
    env: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


class Engine:
    """A warm engine on a fresh state folder."""

    def __init__(self, workers: int, folder: Path) -> None:
        clock = SystemClock()
        values = Values(folder / "values")
        self._store = Store(f"sqlite:///{folder}/state.db", values=values, clock=clock)
        self._store.open()
        self.pool = Pool(
            workers=workers,
            folders=[str(PLUGINS)],
            settings={},
            limits=LIMITS,
            logs=AttemptLogs(folder / "log", LIMITS),
            clock=clock,
        )
        self.pool.start()
        self._ended: dict[str, State] = {}
        self._condition = threading.Condition()
        self.executor = Executor(
            self._store,
            self.pool,
            clock=clock,
            limits=LIMITS,
            values=values,
            ambience=_Bare(),
            listeners=[self._listen],
        )
        self.executor.start()
        self.run([[("warm", [])]] * workers * 2, "nap")
        self.run([[(f"w{n}", []) for n in range(workers * 8)]], "noop")

    def _listen(self, run: str, orders: Sequence[Order], _now: float) -> None:
        for order in orders:
            if isinstance(order, Finish):
                with self._condition:
                    self._ended[run] = order.state
                    self._condition.notify_all()

    def run(self, graphs: list[Graph], task_type: str) -> float:
        """Submit all graphs at once, wait for their ends and return the seconds from the first submission."""
        return self.run_documents([document(graph, task_type) for graph in graphs])

    def run_documents(self, documents: Sequence[bytes]) -> float:
        """Do the same with documents."""
        catalogue = self.executor.catalogue().result()
        prepared = []
        for data in documents:
            workflow, problems = loader.load(data, catalogue, LIMITS)
            if workflow is None:
                raise ValueError(problems)
            prepared.append((Submission(workflow=workflow, document=data), make_plan(workflow)))
        begin = time.perf_counter()
        futures = [self.executor.submit(submission, plan) for submission, plan in prepared]
        runs = [future.result().run for future in futures]
        with self._condition:
            self._condition.wait_for(lambda: all(run in self._ended for run in runs))
        seconds = time.perf_counter() - begin
        states = {self._ended.pop(run) for run in runs}
        if states != {State.COMPLETED}:
            raise ValueError(states)
        return seconds

    def close(self) -> None:
        self.executor.stop(0.0)
        self.pool.stop(0.0)
        self._store.close()
