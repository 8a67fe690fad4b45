"""The contract between the owner of live runs and what remembers them: the store, or a test's stand-in.

Every call comes from the executor's thread.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.facts import Order
from engine.submission import Receipt, Submission
from engine.views import RunEnd


class Memory(Protocol):
    """Remember runs and what becomes of them; each call is durable when it returns."""

    def create(self, submissions: Sequence[tuple[str, Submission, float]]) -> list[Receipt]:
        """Record new runs; earlier ones answer for keys seen before."""
        ...

    def write(self, batch: Sequence[tuple[str, Sequence[Order]]], now: float) -> frozenset[str]:
        """Record what the orders say; return the runs that lost a race."""
        ...

    def cached(self, keys: Sequence[str], now: float) -> Mapping[str, tuple[bytes, str]]:
        """Return (output, run it comes from) of those of these keys whose output may be used again."""
        ...

    def ended(self, run: str) -> RunEnd | None:
        """Return how a run ended; None for one that lives, or that nobody knows."""
        ...

    def rest(self) -> None:
        """Use the quiet for housekeeping."""
        ...
