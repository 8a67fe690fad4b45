"""Which schedule is due when: a heap of moments, each schedule in it at most once.

Pure; `Schedules` sets an alarm anew whenever it has looked at a schedule.
"""

import heapq
from collections.abc import Iterator


class Alarms:
    """Keep one moment (wall seconds) for each name; one that is replaced stays in the heap until its turn."""

    def __init__(self) -> None:
        """Start without any."""
        self._heap: list[tuple[float, str]] = []
        self._current: dict[str, float] = {}

    def set(self, name: str, at: float | None) -> None:
        """Set the alarm of a name in place of its former one; None takes it away."""
        if at is None:
            self._current.pop(name, None)
        elif self._current.get(name) != at:
            self._current[name] = at
            heapq.heappush(self._heap, (at, name))

    def take(self, now: float) -> Iterator[str]:
        """Yield the names whose moment has come, earliest first, and take their alarms away."""
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._current.get(name) == at:
                del self._current[name]
                yield name

    def earliest(self) -> float | None:
        """Return the next moment, None if there is none."""
        while self._heap and self._current.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
