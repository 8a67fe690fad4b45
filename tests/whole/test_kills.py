"""The daemon killed at random moments under load, again and again, on one state folder.

DROPMILL_KILLS is how many times; without it, as many as fit into a while. DROPMILL_SEED repeats a course.
"""

import contextlib
import http.client
import os
import random
import threading
import time
from itertools import count

import pytest

from tests.whole import checker
from tests.whole.mill import Mill

DEFAULT_SECONDS = 25.0
SETTINGS = """
[limits]
max_lost = 100000
"""
_PAUSE_SECONDS = 0.05


class Producer(threading.Thread):
    """Submit and drop at random until told to stop; remember what was acknowledged."""

    def __init__(self, mill: Mill, seed: int) -> None:
        super().__init__(name="producer", daemon=True)
        self.mill, self.random, self.numbers = mill, random.Random(seed), count(1)
        self.asked: dict[str, str | None] = {}
        self.documents: dict[str, dict[str, object]] = {}
        self.is_over, self.is_paused = threading.Event(), threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.is_over.wait(self.random.expovariate(1 / _PAUSE_SECONDS)):
                self.random.choice((self.submit, self.drop, self.drop))()
        except BaseException as error:  # shown by the test
            self.failure = error

    def document(self) -> dict[str, object]:
        length = self.random.choice((1, 2, 2, 3, 5))
        script = self.random.choice((["ok"], ["ok"], ["ok"], ["fail", "ok"], ["fail"], ["later", "ok"]))
        document = self.mill.chain(length, seconds=self.random.choice((0.0, 0.0, 0.02, 0.1)), script=script)
        return document | {"defaults": {"retry": {"max_retries": 1, "delay": 0.01}}}

    def submit(self) -> None:
        key = f"key-{next(self.numbers)}"
        self.documents[key], self.asked[key] = self.document(), None
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, answer = self.mill.ask(
                "POST", "/api/v1/runs", {"workflow": self.documents[key], "idempotency_key": key}
            )
            if status in (200, 201):
                self.asked[key] = answer["id"]

    def drop(self) -> None:
        number = next(self.numbers)
        self.mill.drop(f"file-{number}.json", self.document() if self.random.random() < 0.9 else b"{")


def has_memory(mill: Mill) -> bool:
    """Tell whether a daemon has come so far as to make its tables; on a busy machine many are killed before."""
    return (mill.state / "state.db").exists() and bool(mill.rows("SELECT 1 FROM sqlite_master WHERE name = 'runs'"))


@pytest.mark.parametrize("mill", [SETTINGS], indirect=True)
@pytest.mark.timeout(900)  # as long as DROPMILL_KILLS asks for
def test_kills_at_random_moments_lose_nothing_and_nothing_is_done_twice(mill):
    seed = int(os.environ.get("DROPMILL_SEED", random.SystemRandom().randrange(2**32)))
    print(f"DROPMILL_SEED={seed}")
    most = int(os.environ.get("DROPMILL_KILLS", "0"))
    nemesis, producer = random.Random(seed), Producer(mill, seed)
    mill.inbox.mkdir(mode=0o750)
    producer.start()
    witnesses, began, kills = [], time.monotonic(), 0
    while kills < most if most else time.monotonic() < began + DEFAULT_SECONDS:
        process = mill.launch()
        # From before its first line to well after it is ready.
        with contextlib.suppress(Exception):
            process.wait(nemesis.choice((nemesis.uniform(0.05, 0.6), nemesis.uniform(0.3, 1.2))))
        assert process.poll() is None, f"the daemon ended by itself with {process.returncode}: {mill.words()}"
        mill.kill()
        kills += 1
        if kills > 3 and has_memory(mill):
            witnesses.append(checker.witness(mill))
    producer.is_over.set()
    producer.join()
    assert producer.failure is None
    mill.start()
    for key, run in producer.asked.items():
        again = mill.submit(producer.documents[key], key)
        assert run in (None, again), f"{key} was acknowledged as run {run} and is now {again}"
    mill.wait_for_quiet(120)
    checker.check(mill, tuple(witnesses))
    [[runs]] = mill.rows("SELECT count(*) FROM runs")
    accepted = len(producer.asked) + sum(data != b"{" for data in mill.dropped.values())
    assert runs == accepted
    assert mill.stop() == 0
    assert mill.processes() == []
    print(f"{kills} kills, {runs} runs, {len(mill.dropped)} files, {len(mill.ledger())} entries")
