"""Every named moment before and after a durable write, and a daemon that dies there, the first to the third time.

A case is a moment, how often it is passed, and what happens: `kill -9`, or a stop that comes just then. The names are
found in the source. A batch is one state folder that goes through a life for each of its cases, and is then judged.
"""

import itertools
import os
import re
import signal
from typing import NamedTuple

from engine.points import VARIABLE
from tests.rules.source import sources
from tests.torture import documents, load
from tests.torture.part import Batch, Part, Tally
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.mill import Mill, mills

POINTS = sorted({name for source in sources() for name in re.findall(r'sync_point\("([a-z_.]+)"\)', source.text)})
# What happens once in a life; what happens only as a life is ended in order.
ONCE = {"inbox.taken_up", "executor.ending", "executor.ended"}
_AT_STOP = {"executor.ending", "executor.ended"}
_PASSINGS = (1, 2, 3)
_PATIENCE_SECONDS = 120.0
# Work is given every so many looks at whether the daemon lives.
_LOOKS = 20
_WAITING = {"id": "ask", "type": "approval", "message": "Is the torture over?"}


class Case(NamedTuple):
    """Name a moment, the time it is passed, and the signal that comes then."""

    point: str
    passing: int = 1
    number: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.point}#{self.passing}@{int(self.number)}"


def cases() -> list[Case]:
    """Return every case, those of one moment far from each other."""
    found = [Case(point, passing) for passing in _PASSINGS for point in POINTS if passing == 1 or point not in ONCE]
    return found + [Case(point, 1, signal.SIGTERM) for point in POINTS if point not in _AT_STOP]


def go_through(mill: Mill, seed: object, chosen: list[Case]) -> None:
    """Let daemons of a mill that load.SETTINGS configured die in these ways, then judge."""
    load.prepare(mill)
    producer = load.Producer(mill, seed)
    gate = mill.folder / "gate"
    mill.start()
    # Two of the three workers have work for all lives, so that each life has lost attempts to take up; the others wait.
    mill.drop("long.json", mill.chain(2, until=str(gate)))
    producer.ask_for(mill.chain(2, until=str(gate)))
    producer.doomed += [producer.ask_for({"tasks": [_WAITING]}) for _ in range(2)]
    wait_for(lambda: len(mill.ledger()) == 2, "both long runs")
    mill.kill()
    witnesses = [checker.witness(mill)]
    for case in chosen:
        _die(mill, producer, case)
        witnesses.append(checker.witness(mill))
    gate.touch()
    load.conclude(mill, producer, witnesses)


def _die(mill: Mill, producer: load.Producer, case: Case) -> None:
    """Start a daemon that dies there, and give it work again and again until it has."""
    process = mill.launch(**{VARIABLE: str(case)})
    kinds, looks = itertools.cycle(dict.fromkeys(documents.CONTROL)), itertools.count()

    def is_dead() -> bool:
        if process.poll() is None and next(looks) % _LOOKS == 0:
            producer.drop(next(kinds))
            producer.submit(next(kinds))
            producer.drop_broken()
            if case.point in _AT_STOP and mill.has_said_ready():
                os.kill(process.pid, signal.SIGTERM)
        return process.poll() is not None

    wait_for(is_dead, f"the end at {case}; {mill.words()}", _PATIENCE_SECONDS)
    # A stop before it listens is the system's.
    expected = (-signal.SIGKILL,) if case.number == signal.SIGKILL else (0, -signal.SIGTERM)
    assert process.returncode in expected, f"{case} ended it with {process.returncode}: {mill.words()}"


def _carry_out(batch: Batch) -> Tally:
    first, every = batch.number * PART.batch, cases()
    chosen = [every[at % len(every)] for at in range(first, first + batch.count)]
    tally = Tally(cases=len(chosen))
    try:
        with mills() as folder:
            mill = Mill(folder, load.SETTINGS)
            try:
                go_through(mill, batch.draws, chosen)
            finally:
                mill.close()
    except AssertionError as error:
        tally.violations.append(f"{error} {' '.join(getattr(error, '__notes__', ()))}"[:1500])
    return tally


PART = Part(
    name="points",
    unit="deaths at named moments",
    promise="Between any two durable writes a daemon may die: the next life takes everything up.",
    goal=len(cases()),
    batch=12,
    lane="moments",
    carry_out=_carry_out,
)
