"""Drives a backend as the executor does: reserve, dispatch, collect, and never a report too many."""

import itertools
import os
import time
from pathlib import Path
from typing import Any

from engine import tree
from engine.backend import Assignment
from engine.states import Reason
from tests.waiting import wait_for

ACTS = Path(__file__).parent / "acts"
_PAUSE_SECONDS = 0.05
_numbers = itertools.count(1)


class Driver:
    """Run attempts on a backend under a run id of its own; a ledger file holds what they have written themselves."""

    def __init__(self, backend, folder):
        self.backend, self.folder = backend, folder
        self.run = f"run-{os.getpid()}-{next(_numbers)}"  # tests run side by side
        self.ledger_path = folder / f"{self.run}.ledger"
        self.reports = {}
        self._open = set()
        self._tasks = itertools.count(1)

    def __call__(self, do, *, seconds=40.0, **more):
        """Run one attempt and return its report."""
        return self.report(self.start(do, **more), seconds)

    def start(self, do, **more):
        """Dispatch one attempt as soon as there is room, and return its key."""
        assignment = self.assignment(do, **more)
        self._collect_until(lambda: self.backend.reserve(assignment.type, assignment.isolation), "room")
        return self.dispatch(assignment)[0]

    def start_many(self, count, do, **more):
        """Dispatch many attempts, as many at a time as there is room for, and return their keys."""
        keys: list[tuple[str, str, int]] = []
        waiting = [self.assignment(do, **more) for _ in range(count)]
        while waiting:
            batch = []
            while waiting and self.backend.reserve(waiting[-1].type, waiting[-1].isolation):
                batch.append(waiting.pop())
            keys += self.dispatch(*batch) if batch else []
            if not batch:
                self._collect(_PAUSE_SECONDS)
        return keys

    def assignment(self, do, **more):
        """Make one of what is named as in Assignment; the rest are fields of the task."""
        given = {name: more.pop(name) for name in Assignment.__struct_fields__ if name in more}
        usual: dict[str, Any] = {"run": self.run, "attempt": 1, "type": "act", "inputs": {}}
        if "task" not in given:
            given["task"] = f"t{next(self._tasks)}"
        return Assignment(**(usual | given), fields={"do": do, "ledger": str(self.ledger_path)} | more)

    def dispatch(self, *assignments):
        keys = [(each.run, each.task, each.attempt) for each in assignments]
        self._open |= set(keys)
        for key in keys:
            self.reports.pop(key, None)  # called again after it was deferred
        self.backend.dispatch(assignments)
        return keys

    def report(self, key, seconds=40.0):
        """Wait for the report of one attempt."""
        return self._collect_until(lambda: self.reports.get(key), f"the report of {key}", seconds)

    def teach(self):
        """Have the backend learn that attempts of the type `quick` are quick, so that several stand in one line."""
        self.all_reports([self.start("nothing", type="quick") for _ in range(20)])

    def start_in_line(self, *assignments):
        """Dispatch attempts of the type `quick` together to a backend of one worker: they stand in its line."""
        assert {assignment.type for assignment in assignments} == {"quick"}
        self.make_room_in_line(len(assignments))
        return self.dispatch(*assignments)

    def make_room_in_line(self, count):
        """Reserve room for so many attempts of the type `quick`, to be dispatched at once; the worker has to work."""
        # On a busy machine nothing is quick at first.
        self._collect_until(lambda: self._has_room(count) or self.teach(), "room in the line")

    def _has_room(self, count):
        self.backend.collect(0.0)
        return all(self.backend.reserve("quick", "worker") for _ in range(count))

    def quick(self, do, **more):
        return self.assignment(do, type="quick", **more)

    def all_reports(self, keys):
        return [self.report(key) for key in keys]

    def settle(self):
        """Wait for every report that is still to come."""
        self._collect_until(lambda: not self._open, "the last reports")

    def kill(self, key):
        self.backend.kill(*key, Reason.USER)

    def end_all(self):
        """End whatever still runs, so that the backend can be used by the next test."""
        for key in list(self._open):
            self.kill(key)
        self.settle()

    def ledger(self, word=None):
        """Return the lines that attempts have written, those that begin with `word`, as lists of words."""
        if not self.ledger_path.exists():
            return []
        lines = [line.split() for line in self.ledger_path.read_text().splitlines()]
        return [line for line in lines if word in {None, line[0]}]

    def wait_for_ledger(self, word, task=None, count=1):
        """Wait, collecting, until attempts have written this word so often."""

        def found():
            self._collect(0.0)
            lines = [line for line in self.ledger(word) if task in {None, line[1]}]
            return lines if len(lines) >= count else None

        return wait_for(found, f"{count} lines {word!r} in the ledger")

    def processes(self):
        """List the living programs that attempts of this run have started (not the workers themselves)."""
        return tree.marked(f"DROPMILL_RUN_ID={self.run}")

    def _collect_until(self, question, what, seconds=40.0):
        """Ask until the answer is true, as `wait_for` does, but wait in `collect`."""
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
            self._collect()
        return answer

    def _collect(self, timeout=_PAUSE_SECONDS):
        for run, report in self.backend.collect(timeout):
            key = (run, report.task, report.attempt)
            if run != self.run:
                continue  # of a test before this one, which did not wait for it
            assert key not in self.reports, f"{key} is reported twice: {self.reports[key]} and {report}"
            assert key in self._open, f"{key} was never dispatched: {report}"
            self._open.discard(key)
            self.reports[key] = report


def is_gone(pid):
    """Tell whether no process of this number lives."""
    process = tree.look(int(pid))
    return process is None or process.is_dead
