"""The baseline: a bare `ProcessPoolExecutor` that drives the same graph by callbacks and remembers nothing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor

from bench.graphs import Graph


def noop() -> None:
    return None


def nap() -> None:
    time.sleep(0.02)


WORK = {"noop": noop, "nap": nap}


class Bare:
    """Run graphs on one warm pool."""

    def __init__(self, workers: int) -> None:
        self._pool = ProcessPoolExecutor(workers)
        self._workers = workers
        for future in [self._pool.submit(nap) for _ in range(workers * 2)]:
            future.result()

    def run(self, graphs: list[Graph], task_type: str) -> float:
        """Run all graphs side by side and return the seconds."""
        begin = time.perf_counter()
        drives = [_Drive(self._pool, graph, WORK[task_type]) for graph in graphs]
        for drive in drives:
            drive.start()
        for drive in drives:
            drive.ended.wait()
        return time.perf_counter() - begin

    def close(self) -> None:
        self._pool.shutdown()


class _Drive:
    def __init__(self, pool: ProcessPoolExecutor, graph: Graph, work: Callable[[], None]) -> None:
        self._pool, self._work = pool, work
        self._missing = {key: len(after) for key, after in graph}
        self._behind: dict[str, list[str]] = {key: [] for key, _ in graph}
        for key, after in graph:
            for dependency in after:
                self._behind[dependency].append(key)
        self._open = len(graph)
        self._lock = threading.Lock()
        self.ended = threading.Event()

    def start(self) -> None:
        for key in [key for key, count in self._missing.items() if not count]:
            self._submit(key)

    def _submit(self, key: str) -> None:
        future: Future[None] = self._pool.submit(self._work)
        future.add_done_callback(lambda _: self._done(key))

    def _done(self, key: str) -> None:
        ready = []
        with self._lock:
            self._open -= 1
            for behind in self._behind[key]:
                self._missing[behind] -= 1
                if not self._missing[behind]:
                    ready.append(behind)
            is_over = not self._open
        for behind in ready:
            self._submit(behind)
        if is_over:
            self.ended.set()
