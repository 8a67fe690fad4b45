"""Decide which run may start its next task: by priority, then in turn, so that no run starves another. Pure.

The executor marks runs that have something ready and asks for offers while its backend has room.
"""

from collections import deque
from collections.abc import Iterator


class Slots:
    """Keep the runs that have ready tasks, one queue a priority."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._queues: dict[int, deque[str]] = {}
        self._priority: dict[str, int] = {}

    def mark(self, run: str, priority: int) -> None:
        """Note that the run has a task of this priority ready; a run that waits already moves if its priority rose."""
        known = self._priority.get(run)
        if known is not None:
            if known >= priority:
                return
            self._queues[known].remove(run)
        self._priority[run] = priority
        self._queues.setdefault(priority, deque()).append(run)

    def has_moved(self, run: str, priority: int) -> bool:
        """Tell whether what a waiting run has ready is of another priority than it waits with; then move it."""
        if self._priority[run] == priority:
            return False
        self.forget(run)
        self.mark(run, priority)
        return True

    def forget(self, run: str) -> None:
        """Drop a run that has nothing ready any more; harmless for one that does not wait."""
        priority = self._priority.pop(run, None)
        if priority is None:
            return
        queue = self._queues[priority]
        queue.remove(run)
        if not queue:
            del self._queues[priority]

    def offers(self) -> Iterator[str]:
        """Yield the run whose turn it is, again and again, until nobody waits.

        After each yield the caller either starts a task of that run, or calls `forget`, or stops asking.
        """
        while self._queues:
            priority = max(self._queues)
            run = self._queues[priority][0]
            yield run
            if self._priority.get(run) == priority:
                # Next in line; the one that was just served goes to the back.
                self._queues[priority].rotate(-1)

    def __len__(self) -> int:
        """Count the runs that wait."""
        return len(self._priority)
