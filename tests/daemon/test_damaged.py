"""A small part of what `make torture` does to inputs of every kind (`tests/torture/damaged.py`)."""

import random

import pytest

from tests.draws import draw_seed
from tests.torture import damaged
from tests.torture.part import Batch

CASES = 1500


@pytest.mark.parametrize("which", range(4))
def test_damaged_inputs_are_sound_or_refused_well(which, tmp_path):
    seed = draw_seed() + which
    tally = damaged.carry_out(Batch(seed, random.Random(seed).randrange(20), CASES, tmp_path))
    assert tally.violations == [], f"python -m tests.torture.batch, seed {seed}"
    assert tally.cases == CASES
