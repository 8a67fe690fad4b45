"""The work that a daemon is given while it is tormented, drawn at random, and what was acknowledged of it.

Everything a user can ask for from outside: documents over the API, files renamed in or written slowly, files with many
requests, broken ones, cancels, decisions, re-runs, pauses. `settle` asks for everything again when the torment is over.
"""

import contextlib
import http.client
import json
import os
import random
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from tests.torture import documents
from tests.whole import checker
from tests.whole.mill import Mill

SCHEDULE = "often"
TICK = b'{"tasks": [{"id": "a", "type": "print", "message": "tick"}]}'
SETTINGS = f"""
[executor]
workers = 3
grace = "300ms"

[limits]
max_lost = 100000

[pools.narrow]
size = 2

[[schedules]]
name = "{SCHEDULE}"
workflow = "tick"
every = "1s"
on_missed = "all"
overlap = "allow"
"""
BROKEN = b"{"
_PAUSE_SECONDS = 0.05
_QUIET_SECONDS = 300.0
_WRITING_SECONDS = 0.1


def prepare(mill: Mill) -> None:
    """Make the inbox, and the workflow that schedule and requests name."""
    workflows = mill.config.parent / "workflows"
    workflows.mkdir()
    (workflows / "tick.json").write_bytes(TICK)
    mill.inbox.mkdir(mode=0o750)


def silence(mill: Mill) -> None:
    """Let the schedule start nothing more from the next life on."""
    mill.config.write_text(mill.config.read_text().replace('every = "1s"', 'every = "1s"\nenabled = false'))


def conclude(mill: Mill, producer: "Producer", witnesses: Sequence[checker.Witness]) -> None:
    """Let one more life bring everything to its end, and judge from outside all that there has been."""
    silence(mill)
    mill.start()
    producer.settle()
    mill.wait_for_quiet(_QUIET_SECONDS)
    checker.check(mill, tuple(witnesses))
    checker.check_counts(mill, producer.expected())
    checker.check_dues(mill, SCHEDULE, 1.0)
    assert mill.stop() == 0, mill.words()
    assert mill.processes() == []


class Producer(threading.Thread):
    """Ask and drop at random until told to stop; the same seed draws the same."""

    def __init__(self, mill: Mill, seed: object, kinds: documents.Kinds = documents.CONTROL) -> None:
        super().__init__(name="producer", daemon=True)
        self.mill, self.random, self.numbers = mill, random.Random(f"producer {seed}"), count(1)
        self.documents = documents.Documents(mill, self.random, kinds)
        self.asked: dict[str, str | None] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.requests = 0
        # Keys of runs that end by a cancel when the torment is over.
        self.doomed: list[str] = []
        self.is_over = threading.Event()
        self.failure: BaseException | None = None
        self._acts: tuple[Callable[[], None], ...] = (
            *(self.submit,) * 4,
            *(self.drop,) * 6,
            self.ask_again,
            self.drop_slowly,
            self.drop_broken,
            self.drop_requests,
            self.cancel,
            self.rerun,
            self.decide,
            self.hold,
        )

    def run(self) -> None:
        try:
            while not self.is_over.wait(self.random.expovariate(1 / _PAUSE_SECONDS)):
                self.random.choice(self._acts)()
        except BaseException as error:  # shown by `finish`
            self.failure = error

    def finish(self) -> None:
        """Stop asking; raise what went wrong."""
        self.is_over.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def submit(self, kind: str | None = None) -> None:
        self.ask_for(self.documents.draw() if kind is None else self.documents.of(kind))

    def ask_for(self, document: dict[str, Any]) -> str:
        """Submit a document under a key of its own, and return that."""
        key = f"key-{next(self.numbers)}"
        self.bodies[key], self.asked[key] = document, None
        self._submit(key)
        return key

    def ask_again(self) -> None:
        """Ask a second time for what was asked for before."""
        if self.asked:
            self._submit(self.random.choice(list(self.asked)))

    def _submit(self, key: str) -> None:
        body = {"workflow": self.bodies[key], "idempotency_key": key}
        status, answer = self._call("/api/v1/runs", body)
        if status in (200, 201):
            known = self.asked[key]
            assert known in (None, answer["id"]), f"{key} was acknowledged as run {known} and is now {answer['id']}"
            self.asked[key] = answer["id"]

    def drop(self, kind: str | None = None) -> None:
        document = self.documents.draw() if kind is None else self.documents.of(kind)
        self.mill.drop(f"file-{next(self.numbers)}.json", document)

    def drop_broken(self) -> None:
        self.mill.drop(f"broken-{next(self.numbers)}.json", BROKEN)

    def drop_requests(self) -> None:
        """Drop a file of requests; each line names a workflow that is known."""
        lines = [{"workflow": "tick", "priority": number} for number in range(self.random.choice((1, 2, 3)))]
        self.requests += len(lines)
        self.mill.drop(
            f"lines-{next(self.numbers)}.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        )

    def drop_slowly(self) -> None:
        """Write a file in place, in two pieces, as a plain copy does."""
        name, data = f"slow-{next(self.numbers)}.json", json.dumps(self.documents.draw()).encode()
        with (self.mill.inbox / name).open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            self.is_over.wait(self.random.uniform(0, _WRITING_SECONDS))
            file.write(data[len(data) // 2 :])
            os.fsync(file.fileno())
        self.mill.dropped[name] = data

    def cancel(self) -> None:
        self._ask_of_some_run("cancel", {"message": "torture"})

    def rerun(self) -> None:
        self._ask_of_some_run("retry", {})

    def hold(self) -> None:
        """Pause a run, and let it go on."""
        run = self._some_run()
        if run is not None:
            self._call(f"/api/v1/runs/{run}/pause", {})
            self._call(f"/api/v1/runs/{run}/resume", {})

    def decide(self) -> None:
        """Decide everything that waits for a person."""
        status, waiting = self._call("/api/v1/approvals", None, "GET")
        for one in waiting if status == 200 else ():
            verb = self.random.choice(("approve", "approve", "reject"))
            self._call(f"/api/v1/runs/{one['run']}/tasks/{one['task']}/{verb}", {})

    def settle(self) -> None:
        """Ask once more for everything: what was acknowledged is known under the same run, the rest leads to one."""
        for key, run in self.asked.items():
            again = self.mill.submit(self.bodies[key], key)
            assert run in (None, again), f"{key} was acknowledged as run {run} and is now {again}"
            self.asked[key] = again
        for run, *_ in self.mill.rows("SELECT id FROM runs WHERE state = 'WAITING' AND reason = 'paused'"):
            self._call(f"/api/v1/runs/{run}/resume", {})
        for key in self.doomed:
            self._call(f"/api/v1/runs/{self.asked[key]}/cancel", {})
        self.decide()

    def expected(self) -> dict[str, int]:
        """Return how many runs there must be, by what triggered them, once all is settled."""
        files = [data for name, data in self.mill.dropped.items() if data != BROKEN and not name.endswith(".jsonl")]
        return {"api": len(self.asked), "inbox": len(files) + self.requests}

    def _ask_of_some_run(self, verb: str, body: dict[str, Any]) -> None:
        run = self._some_run()
        if run is not None:
            self._call(f"/api/v1/runs/{run}/{verb}", body)

    def _some_run(self) -> str | None:
        known = [run for run in self.asked.values() if run]
        return self.random.choice(known[-20:]) if known else None

    def _call(self, path: str, body: Any, method: str = "POST") -> tuple[int, Any]:
        """Ask; status 0 where nobody answers."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status, answer = self.mill.ask(method, path, body)
            assert status < 500 or status == 503, f"{method} {path}: {status} {answer}"
            return status, answer
        return 0, None
