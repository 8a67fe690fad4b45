"""The daemon killed at each named moment, before and after every durable write, and taken up again.

Each moment once, the first or the second time it is passed; `make torture` does the rest.
"""

from itertools import cycle, groupby

import pytest

from engine.points import VARIABLE
from tests.torture import load, points
from tests.torture.points import ONCE, POINTS, Case
from tests.whole import checker

GROUPS = {room: list(names) for room, names in groupby(POINTS, key=lambda name: name.partition(".")[0])}


def test_the_named_moments_are_there():
    assert set(GROUPS) >= {"calls", "claims", "executor", "inbox", "recovery", "schedules", "store"}


@pytest.mark.parametrize("mill", [load.SETTINGS], indirect=True)
@pytest.mark.parametrize("room", GROUPS)
@pytest.mark.timeout(300)  # a life of the daemon for each point
def test_a_daemon_that_dies_at_any_named_moment_loses_nothing_and_does_nothing_twice(mill, room):
    chosen = zip(GROUPS[room], cycle((2, 1)), strict=False)
    points.go_through(mill, room, [Case(point, 1 if point in ONCE else passing) for point, passing in chosen])


def test_a_daemon_that_dies_while_it_makes_its_database_makes_it_in_the_next_life(mill):
    for point in ("store.written", "store.committed"):
        assert mill.launch(**{VARIABLE: point}).wait(30) == -9, mill.words()
    mill.start()
    assert mill.wait_for_end(mill.submit(mill.chain(1)))["state"] == "COMPLETED"
    checker.check(mill)
