"""System calls of the daemon that fail: some of each kind; `make torture` goes through all."""

import pytest

from tests.torture import calls, load
from tests.torture.calls import Case

pytestmark = pytest.mark.needs("strace")

FEW = [
    Case(calls.SYNCS, "error=EIO", 6),
    Case(calls.WRITES, "error=ENOSPC", 17),
    Case(calls.RENAMES, "signal=SIGKILL", 3),
]


@pytest.mark.parametrize("mill", [load.SETTINGS], indirect=True)
@pytest.mark.timeout(300)  # four lives, three of them under strace
def test_a_call_that_fails_is_loud_and_loses_nothing(mill):
    counts = calls.go_through(mill, 1, FEW)
    assert sum(counts.values()) == len(FEW)
