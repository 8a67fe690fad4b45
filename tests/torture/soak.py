"""A million tasks through one daemon: what it holds at the end is what it held after ten thousand.

A case is an attempt. Rounds of runs of every shape go through the socket and the inbox; memory, descriptors, threads,
processes and the write-ahead log are looked at when all is quiet, after the first ten thousand and at the end.
"""

import os
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from engine import tree
from tests.rules.source import ROOT
from tests.torture.part import Batch, Part, Tally
from tests.waiting import wait_for
from tests.whole.mill import Mill, mills

GOAL = 1_000_000
WARM = 10_000
# Bounds on what is there at the end.
# Of what was there after the first ten thousand: Python lets what is old grow by a quarter before it looks at it.
_MOST_MEMORY = 1.25
_MORE = 2  # descriptors, threads, processes: a pool of threads makes one only when it first needs it
_MOST_WAL_LOADED, _MOST_WAL_AT_REST = 64 * 1024 * 1024, 4 * 1024 * 1024
_ROUNDS_AHEAD = 2
_END_SECONDS = 300.0
SETTINGS = f"""
[paths]
plugins = ["{ROOT}/bench/plugins"]
workflows = ["workflows"]
[executor]
workers = 2
grace = "1s"
max_runs = 1000
"""


class Measure(NamedTuple):
    """Hold what a daemon and all its processes hold."""

    kib: int
    descriptors: int
    threads: int
    processes: int

    def __str__(self) -> str:
        return f"{self.kib} KiB, {self.descriptors} descriptors, {self.threads} threads, {self.processes} processes"


def measure(mill: Mill) -> Measure:
    """Look at the daemon and what it has started; of descriptors and threads only at the daemon's."""
    pids = [mill.pid, *(each.pid for each in mill.processes() if each.pid != mill.pid)]
    own = Path(f"/proc/{mill.pid}")
    threads, descriptors = len(list((own / "task").iterdir())), len(list((own / "fd").iterdir()))
    return Measure(sum(map(_pss, pids)), descriptors, threads, len(pids))


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def documents() -> list[dict[str, Any]]:
    """Write a round: a document of every shape, nearly all of their tasks the cheapest there is."""
    wide = [{"id": f"w{n}", "type": "noop", "depends_on": ["first"]} for n in range(1500)]
    chain = [{"id": f"c{n}", "type": "noop", "depends_on": [f"c{n - 1}"] if n else []} for n in range(60)]
    layers = [
        {"id": f"l{n}", "type": "noop", "depends_on": [f"l{n - 20 - k}" for k in (0, 3)] if n > 23 else []}  # two above
        for n in range(400)
    ]
    return [
        {"name": "wide", "tasks": [{"id": "first", "type": "noop"}, *wide]},
        {"name": "chain", "tasks": chain},
        {"name": "layers", "tasks": layers},
        {"name": "fan", "tasks": [{"id": "f", "type": "noop", "x": "${{ item }}", "foreach": list(range(300))}]},
        {
            "name": "loop",
            "tasks": [{"id": "o", "type": "noop", "loop": {"until": "iteration == 5", "max_iterations": 9}}],
        },
        {"name": "call", "tasks": [{"id": "k", "type": "workflow", "workflow": {"tasks": chain[:3]}}]},
        {"name": "talk", "tasks": [{"id": "p", "type": "print", "message": "x" * 2000}]},
        {
            "name": "fail",
            "tasks": [{"id": "q", "type": "shell", "argv": ["false"], "retry": {"max_retries": 2, "delay": 0.01}}],
            "finally": [{"id": "z", "type": "noop"}],
        },
    ]


class Soak:
    """Send rounds until there were attempts enough."""

    def __init__(self, mill: Mill) -> None:
        self._mill, self._numbers = mill, count(1)
        self._documents = documents()
        self.largest_wal = self.rounds = 0

    def go_on(self, attempts: int) -> None:
        """Return when so many attempts have been made and all is quiet."""
        rounds: list[list[str]] = []
        while self.attempts() < attempts:
            rounds.append([self._mill.submit(document) for document in self._documents])
            self.rounds += 1
            for _ in range(5):
                self._mill.drop(f"drop-{next(self._numbers)}.json", self._documents[1])
            self.largest_wal = max(self.largest_wal, self.wal())
            if len(rounds) > _ROUNDS_AHEAD:
                for run in rounds.pop(0):
                    self._mill.wait_for_end(run, _END_SECONDS)
        self._mill.wait_for_quiet(_END_SECONDS)

    def attempts(self) -> int:
        """Count what has been tried."""
        return int(self._mill.rows("SELECT count(*) FROM attempts")[0][0])

    def wal(self) -> int:
        """Return the size of the write-ahead log, in bytes."""
        path = self._mill.state / "state.db-wal"
        return path.stat().st_size if path.exists() else 0


def _carry_out(batch: Batch) -> Tally:
    tally = Tally(cases=0)
    with mills() as folder:
        mill = Mill(folder, SETTINGS)
        try:
            _soak(mill.start(), batch.count, tally)
        except AssertionError as error:
            tally.violations.append(str(error)[:1500])
        finally:
            mill.close()
    return tally


def _soak(mill: Mill, wanted: int, tally: Tally) -> None:
    soak = Soak(mill)
    soak.go_on(min(WARM, wanted))
    early = _at_rest(soak, mill)
    soak.go_on(wanted)
    late = _at_rest(soak, mill)
    tally.cases = soak.attempts()
    [[runs]] = mill.rows("SELECT count(*) FROM runs")
    tally.counts = {"runs": runs, "KiB of write-ahead log at most": soak.largest_wal // 1024}
    for when, found in (("early", early), ("at the end", late)):
        tally.counts |= {f"{name} {when}": value for name, value in found._asdict().items()}
    told = f"{early} after {WARM} tasks, {late} after {tally.cases}"
    if late.kib > early.kib * _MOST_MEMORY:
        tally.violations.append(f"memory: {told}")
    if any(then > now + _MORE for then, now in zip(late[1:], early[1:], strict=True)):
        tally.violations.append(f"descriptors, threads or processes: {told}")
    if soak.largest_wal > _MOST_WAL_LOADED:
        tally.violations.append(f"the write-ahead log grew to {soak.largest_wal} bytes")
    states = dict(mill.rows("SELECT state, count(*) FROM runs GROUP BY state"))
    if states != {"COMPLETED": runs - soak.rounds, "FAILED": soak.rounds}:
        tally.violations.append(f"runs ended as {states}")
    assert mill.rows("PRAGMA quick_check") == [("ok",)]
    assert mill.stop(60) == 0, mill.words()
    assert tree.marked(mill.mark) == []


def _at_rest(soak: Soak, mill: Mill) -> Measure:
    """Measure when workers stand by and the log has been taken over into the database."""
    wait_for(lambda: soak.wal() <= _MOST_WAL_AT_REST, "a write-ahead log taken over when all is quiet", 60)
    os.sync()
    return measure(mill)


PART = Part(
    name="soak",
    unit="tasks through one daemon",
    promise="Memory, descriptors, threads and processes are after a million tasks what they were after ten thousand.",
    goal=GOAL,
    batch=GOAL,
    lane="moments",
    carry_out=_carry_out,
    timeout_seconds=3300.0,
)
