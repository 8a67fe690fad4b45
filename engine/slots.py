"""Decide which run may start its next task: by priority, then in turn, so that no run starves another. Pure.

There is a line for each pool and one for tasks of none; a run stands in as many as it has ready tasks for. `granting`
marks runs that have something ready and asks for offers while there is room.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator

# The line of tasks that need no pool, and that of those that nobody has to carry out: no pool can be called so.
PLAIN, FREE = "", "/"


class _Line:
    """Runs that wait for the same, one queue a priority; `served` is when somebody of it was, as a count of turns."""

    __slots__ = ("priorities", "queues", "served")

    def __init__(self) -> None:
        self.queues: dict[int, OrderedDict[str, None]] = {}
        self.priorities: dict[str, int] = {}
        self.served = 0

    def enter(self, run: str, priority: int) -> None:
        self.priorities[run] = priority
        queue = self.queues.get(priority)
        if queue is None:
            queue = self.queues[priority] = OrderedDict()
        queue[run] = None

    def leave(self, run: str) -> None:
        priority = self.priorities.pop(run, None)
        if priority is None:
            return
        queue = self.queues[priority]
        del queue[run]
        if not queue:
            del self.queues[priority]

    def in_order(self) -> Iterator[str]:
        for priority in sorted(self.queues, reverse=True):
            yield from self.queues[priority]


def _always(_line: str) -> bool:
    return True


class Slots:
    """Keep the runs that have ready tasks."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        # Those in which somebody stands.
        self._lines: dict[str, _Line] = {}
        self._turns = 0

    def mark(self, run: str, priority: int, line: str = PLAIN) -> None:
        """Note that the run has a task of this priority ready; a run that waits already moves if its priority rose."""
        waiting = self._lines.get(line)
        if waiting is None:
            waiting = self._lines[line] = _Line()
        known = waiting.priorities.get(run)
        if known is not None:
            if known >= priority:
                return
            waiting.leave(run)
        waiting.enter(run, priority)

    def has_moved(self, run: str, priority: int, line: str = PLAIN) -> bool:
        """Tell whether what a waiting run has ready is of another priority than it waits with; then move it."""
        waiting = self._lines[line]
        if waiting.priorities[run] == priority:
            return False
        waiting.leave(run)
        waiting.enter(run, priority)
        return True

    def forget(self, run: str, line: str | None = None) -> None:
        """Drop a run from a line, or from all; harmless where it does not stand."""
        for name in list(self._lines) if line is None else [line]:
            waiting = self._lines.get(name)
            if waiting is not None:
                waiting.leave(run)
                if not waiting.queues:
                    del self._lines[name]

    def offers(self, is_open: Callable[[str], bool] = _always) -> Iterator[tuple[str, str]]:
        """Yield (run, line) whose turn it is, again and again, until nobody waits in a line that is open.

        What needs no room comes first; lines with equally urgent tasks take turns. After each yield the caller starts
        a task of that run, or calls `forget`, or closes the line, or stops asking.
        """
        while (name := self._next(is_open)) is not None:
            line = self._lines[name]
            priority = max(line.queues)
            run = next(iter(line.queues[priority]))
            yield run, name
            self._turns += 1
            line.served = self._turns
            if line.priorities.get(run) == priority:
                # Next in line; the one that was just served goes to the back.
                line.queues[priority].move_to_end(run)

    def waiting(self, line: str) -> Iterator[str]:
        """Yield the runs that stand in a line, the next one first."""
        if line in self._lines:
            yield from self._lines[line].in_order()

    def is_empty(self, line: str) -> bool:
        """Tell whether nobody stands in a line."""
        return line not in self._lines

    def __len__(self) -> int:
        """Count the runs that wait."""
        return len({run for line in self._lines.values() for run in line.priorities})

    def _next(self, is_open: Callable[[str], bool]) -> str | None:
        best, rank = None, (0, 0)
        for name, line in self._lines.items():
            if name == FREE:
                return name
            if is_open(name):
                other = (max(line.queues), -line.served)
                if best is None or other > rank:
                    best, rank = name, other
        return best
