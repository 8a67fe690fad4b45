"""The daemon killed at each named moment, before and after every durable write, and taken up again."""

import contextlib
import http.client
import re
from itertools import count, cycle, groupby

import pytest

from engine.points import VARIABLE
from tests.rules.source import sources
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.mill import Mill

POINTS = sorted({name for source in sources() for name in re.findall(r'sync_point\("([a-z_.]+)"\)', source.text)})
GROUPS = {room: list(names) for room, names in groupby(POINTS, key=lambda name: name.partition(".")[0])}
# What happens once in a life.
ONCE = {"inbox.taken_up"}
# Work is given every so many looks at whether the daemon lives.
LOOKS = 20
SETTINGS = """
[executor]
workers = 3
grace = "300ms"

[limits]
max_lost = 1000

[[schedules]]
name = "often"
workflow = "tick"
every = "1s"
on_missed = "all"
overlap = "allow"
"""


def test_the_named_moments_are_there():
    assert set(GROUPS) >= {"claims", "executor", "inbox", "recovery", "store"}


class Load:
    """Give a mill work for each of its lives, and remember what was acknowledged."""

    def __init__(self, mill: Mill) -> None:
        self.mill, self.numbers = mill, count(1)
        self.asked: dict[str, str | None] = {}
        self.gate = mill.folder / "gate"

    def drop(self) -> None:
        number = next(self.numbers)
        self.mill.drop(f"chain-{number}.json", self.mill.chain(3, seconds=0.01))
        self.mill.drop(f"broken-{number}.json", b'{"tasks": [{"id": "a"}]}')

    def submit(self) -> None:
        key = f"key-{next(self.numbers)}"
        self.asked[key] = None
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.asked[key] = self.mill.submit(self.mill.chain(2, seconds=0.01), key)

    def submit_again(self) -> None:
        """Ask again for everything: what was acknowledged is known under the same run, the rest leads to one."""
        for key, run in self.asked.items():
            again = self.mill.submit(self.mill.chain(2, seconds=0.01), key)
            assert run in (None, again), f"{key} was acknowledged as run {run} and is now {again}"


def die_at(mill: Mill, load: Load, point: str) -> None:
    """Start a daemon that dies at a point, and give it work again and again until it has."""
    process = mill.launch(**{VARIABLE: point})
    looks = count()

    def is_dead() -> bool:
        if next(looks) % LOOKS == 0:
            load.drop()
            load.submit()
        return process.poll() is not None

    # Long: the work that is given meanwhile keeps a busy machine busy.
    wait_for(is_dead, f"the death at {point}; {mill.words()}", 60.0)
    assert process.returncode == -9, mill.words()


@pytest.mark.parametrize("mill", [SETTINGS], indirect=True)
@pytest.mark.parametrize("room", GROUPS)
@pytest.mark.timeout(180)  # a life of the daemon for each point
def test_a_daemon_that_dies_at_any_named_moment_loses_nothing_and_does_nothing_twice(mill, room):
    workflows = mill.config.parent / "workflows"
    workflows.mkdir()
    (workflows / "tick.json").write_bytes(b'{"tasks": [{"id": "a", "type": "print", "message": "tick"}]}')
    load = Load(mill)
    mill.start()
    mill.drop("long.json", mill.chain(2, until=str(load.gate)))
    mill.submit(mill.chain(2, until=str(load.gate)))
    # Two of the three workers have work for all lives, so that every life has lost attempts to take up.
    wait_for(lambda: len(mill.ledger()) == 2, "both long runs")
    mill.kill()
    witnesses = [checker.witness(mill)]
    for point, times in zip(GROUPS[room], cycle((2, 1)), strict=False):
        die_at(mill, load, point if point in ONCE else f"{point}#{times}")
        witnesses.append(checker.witness(mill))
    load.gate.touch()
    mill.config.write_text(mill.config.read_text().replace('every = "1s"', 'every = "1s"\nenabled = false'))
    mill.start()
    load.submit_again()
    mill.wait_for_quiet()
    checker.check(mill, tuple(witnesses))
    assert mill.stop() == 0
    assert mill.processes() == []


def test_a_daemon_that_dies_while_it_makes_its_database_makes_it_in_the_next_life(mill):
    for point in ("store.written", "store.committed"):
        assert mill.launch(**{VARIABLE: point}).wait(30) == -9, mill.words()
    mill.start()
    assert mill.wait_for_end(mill.submit(mill.chain(1)))["state"] == "COMPLETED"
    checker.check(mill)
