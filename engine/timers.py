"""What has to happen at a time: a heap of facts by monotonic time, so that a stepped wall clock delays nothing.

`executor` fills it from orders, asks it what is due, and tells it which runs have ended.
"""

import heapq
from itertools import count

from engine.facts import AlarmReached, DeadlineReached, Due, Submitted

Timed = Due | DeadlineReached | AlarmReached | Submitted

# So many of ended runs are not worth clearing away.
_FEW = 64


class _Holder:
    """A run that something is remembered for, and how much."""

    __slots__ = ("count", "run")

    def __init__(self, run: str) -> None:
        self.run, self.count = run, 0


class Timers:
    """Keep (moment, run, fact), earliest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._heap: list[tuple[float, int, _Holder, Timed]] = []
        self._tie = count()
        self._holders: dict[str, _Holder] = {}
        self._dropped = 0

    def add(self, moment: float, run: str, fact: Timed) -> None:
        """Remember a fact for a run at monotonic seconds `moment`."""
        holder = self._holders.get(run)
        if holder is None:
            holder = self._holders[run] = _Holder(run)
        holder.count += 1
        heapq.heappush(self._heap, (moment, next(self._tie), holder, fact))

    def forget(self, run: str) -> None:
        """Drop all that is remembered for a run; harmless if that is nothing.

        A deadline lies days ahead and its run ends in milliseconds: what is dropped must not lie here until then.
        """
        holder = self._holders.pop(run, None)
        if holder is None:
            return
        self._dropped += holder.count
        holder.count = 0
        if self._dropped > max(_FEW, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2].count]
            heapq.heapify(self._heap)
            self._dropped = 0

    def next_in(self, ticks: float) -> float | None:
        """Return the seconds until the earliest one, 0 if it is due, None if there is none."""
        return max(0.0, self._heap[0][0] - ticks) if self._heap else None

    def due(self, ticks: float) -> list[tuple[str, Timed]]:
        """Take out and return everything whose moment has come, in order."""
        taken = []
        while self._heap and self._heap[0][0] <= ticks:
            _, _, holder, fact = heapq.heappop(self._heap)
            if not holder.count:
                self._dropped -= 1
                continue
            holder.count -= 1
            if not holder.count:
                del self._holders[holder.run]
            taken.append((holder.run, fact))
        return taken

    def __len__(self) -> int:
        """Count what is remembered, and what was dropped and is not cleared away yet."""
        return len(self._heap)
