"""What a part of the torture is: so many cases of one kind, carried out batch by batch, each in a process of its own.

A part is a module that defines `PART`; `parts` lists them. A batch is told its seed, which cases it has and a folder of
its own, and returns a Tally. The same seed and number are the same batch: that is how a violation is repeated.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec


class Batch(NamedTuple):
    """Say what is to be done: `count` cases in batch `number` (from 0), drawn with `seed` and that number."""

    seed: int
    number: int
    count: int
    folder: Path

    @property
    def draws(self) -> str:
        """What to seed draws with, so that no two batches draw alike: `random.Random(batch.draws)`."""
        return f"{self.seed}/{self.number}"


class Tally(msgspec.Struct, kw_only=True):
    """Say what was done: `cases` of the part's unit, further counts by name, and every violation in a sentence."""

    cases: int
    counts: dict[str, int] = {}
    violations: list[str] = []


class Part(NamedTuple):
    """Describe a kind of torture; `goal` is how many cases `make torture` wants, `batch` how many one process does.

    Parts of the same `lane` take turns, those of others run beside them. `needs` names components
    (`tests/components.py`) without which it is left out, and said to be.
    """

    name: str
    unit: str
    promise: str
    goal: int
    batch: int
    lane: str
    carry_out: Callable[[Batch], Tally]
    timeout_seconds: float = 900.0
    needs: tuple[str, ...] = ()
