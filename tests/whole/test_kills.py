"""The daemon killed at random moments under load, again and again, on one state folder.

DROPMILL_KILLS is how many times; without it, a few. DROPMILL_SEED repeats a course. `make torture` does thousands.
"""

import os

import pytest

from tests.draws import draw_seed
from tests.torture import kills, load

FEW = 15


@pytest.mark.parametrize("mill", [load.SETTINGS], indirect=True)
@pytest.mark.timeout(900)  # as long as DROPMILL_KILLS asks for
def test_kills_at_random_moments_lose_nothing_and_nothing_is_done_twice(mill):
    seed = str(draw_seed())
    print(f"DROPMILL_SEED={seed}")
    counts = kills.torment(mill, seed, int(os.environ.get("DROPMILL_KILLS", FEW)))
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


def test_the_timeout_of_a_run_goes_on_over_a_kill(mill):
    mill.start()
    run = mill.submit(mill.chain(1, until=str(mill.folder / "gate")) | {"timeout": "2s"})
    mill.wait_for_begin("t0")
    mill.kill()
    mill.start()
    view = mill.wait_for_end(run)
    assert (view["state"], view["reason"]) == ("FAILED", "deadline")
