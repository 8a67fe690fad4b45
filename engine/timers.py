"""What has to happen at a time: a heap of facts by monotonic time, so that a stepped wall clock delays nothing.

`executor` fills it from orders and asks it what is due.
"""

import heapq
from itertools import count

from engine.facts import DeadlineReached, Due, Submitted

Timed = Due | DeadlineReached | Submitted


class Timers:
    """Keep (moment, run, fact), earliest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._heap: list[tuple[float, int, str, Timed]] = []
        self._tie = count()

    def add(self, moment: float, run: str, fact: Timed) -> None:
        """Remember a fact for a run at monotonic seconds `moment`."""
        heapq.heappush(self._heap, (moment, next(self._tie), run, fact))

    def next_in(self, ticks: float) -> float | None:
        """Return the seconds until the earliest one, 0 if it is due, None if there is none."""
        return max(0.0, self._heap[0][0] - ticks) if self._heap else None

    def due(self, ticks: float) -> list[tuple[str, Timed]]:
        """Take out and return everything whose moment has come, in order."""
        taken = []
        while self._heap and self._heap[0][0] <= ticks:
            _, _, run, fact = heapq.heappop(self._heap)
            taken.append((run, fact))
        return taken

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._heap)
