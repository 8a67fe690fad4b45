"""The seed of a test that draws: DROPMILL_SEED repeats one, a build machine draws the same every time, others anew."""

import os
import random

from tests.components import in_ci


def draw_seed() -> int:
    """Return the seed to draw with."""
    given = os.environ.get("DROPMILL_SEED")
    if given is not None:
        return int(given)
    return 0 if in_ci() else random.SystemRandom().randrange(2**32)
