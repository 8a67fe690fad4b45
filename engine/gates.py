"""Decide which run of a workflow may begin, where its `concurrency` bounds how many go on at once. Pure.

Runs of one workflow name and one key share a gate. The executor asks when a run is due to begin, and tells when one
has ended; after a restart it lets those enter that had begun, and asks again for the others.
"""

import heapq
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from engine.model import Concurrency

Group = tuple[str, str]  # name of the workflow and key


class Answer(NamedTuple):
    """Say what a run does that is due: it may begin, or waits, or is not wanted; `replaced` have to make way for it.

    `ahead` is one of those that are in its way, "" where none is.
    """

    may_begin: bool = False
    is_skipped: bool = False
    replaced: tuple[str, ...] = ()
    ahead: str = ""


class _Gate:
    """Runs of one group, the oldest first: those that have begun, and those that wait by (priority, age)."""

    __slots__ = ("begun", "doomed", "line", "waiting")

    def __init__(self) -> None:
        self.begun: dict[str, None] = {}
        # What a waiting run is bounded by, which another version of the document may write otherwise.
        self.waiting: dict[str, int] = {}
        self.line: list[tuple[int, int, str]] = []
        self.doomed: set[str] = set()

    def has_room(self, run: str, limit: int) -> bool:
        """Tell whether a run may begin beside those that have, and before nobody who waits and is still wanted."""
        room = limit - len(self.begun)
        return room > 0 and sum(1 for other in self.waiting if other != run and other not in self.doomed) < room


class Gates:
    """Keep every gate at which somebody has begun or waits."""

    def __init__(self) -> None:
        """Start with none."""
        self._gates: dict[Group, _Gate] = {}
        self._groups: dict[str, Group] = {}
        self._tie = count()

    def enter(self, run: str, group: Group) -> None:
        """Count a run that has begun already, however many there are."""
        self._of(run, group).begun[run] = None

    def has_begun(self, run: str, group: Group) -> bool:
        """Tell whether a run has a place at this gate."""
        return self._groups.get(run) == group and run in self._gates[group].begun

    def ask(self, run: str, group: Group, concurrency: Concurrency, priority: int) -> Answer:
        """Decide about a run that is due to begin, and count it unless it is skipped; one that waits may ask again."""
        gate = self._of(run, group)
        limit = concurrency.limit
        if run in gate.begun or gate.has_room(run, limit):
            gate.waiting.pop(run, None)
            gate.begun[run] = None
            return Answer(may_begin=True)
        ahead = next(iter(gate.begun), "")
        if run in gate.waiting:
            return Answer(ahead=ahead)
        if concurrency.policy == "skip":
            self._drop(run, gate)
            return Answer(is_skipped=True, ahead=ahead)
        replaced: tuple[str, ...] = ()
        if concurrency.policy == "replace":
            wanted = [other for other in (*gate.begun, *gate.waiting) if other not in gate.doomed]
            replaced = tuple(wanted[: max(0, len(wanted) - limit + 1)])
            gate.doomed.update(replaced)
        gate.waiting[run] = limit
        heapq.heappush(gate.line, (-priority, next(self._tie), run))
        return Answer(replaced=replaced, ahead=ahead)

    def leave(self, run: str) -> list[str]:
        """Forget a run that has ended and return those that may begin now; harmless for a stranger."""
        group = self._groups.get(run)
        if group is None:
            return []
        gate = self._gates[group]
        gate.begun.pop(run, None)
        gate.waiting.pop(run, None)
        gate.doomed.discard(run)
        self._drop(run, gate)
        called = []
        while gate.line:
            following = gate.line[0][2]
            if following in gate.waiting and following not in gate.doomed:
                if len(gate.begun) >= gate.waiting[following]:
                    break
                del gate.waiting[following]
                gate.begun[following] = None
                called.append(following)
            heapq.heappop(gate.line)
        return called

    def waiting(self) -> Iterator[tuple[str, Group, int]]:
        """Yield (run, group, how many wait ahead of it), the next of each group first."""
        for group, gate in self._gates.items():
            there = [run for _, _, run in sorted(gate.line) if run in gate.waiting]
            for ahead, run in enumerate(there):
                yield run, group, ahead

    def __len__(self) -> int:
        """Count the runs that are known."""
        return len(self._groups)

    def _of(self, run: str, group: Group) -> _Gate:
        self._groups[run] = group
        gate = self._gates.get(group)
        if gate is None:
            gate = self._gates[group] = _Gate()
        return gate

    def _drop(self, run: str, gate: _Gate) -> None:
        group = self._groups.pop(run)
        if not gate.begun and not gate.waiting:
            del self._gates[group]
