"""The graph of a workflow: what depends on what, in which order, in which layers, and where it runs in a circle.

Pure, without recursion, and linear in tasks and dependencies. `loader` asks it for cycles and ancestry, `plan` for the
dependants; it knows ids only, neither states nor what a task does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from engine import collector

# How many ancestors are followed at once: one bit each in the integers of `not_upstream`.
_BATCH = 2048
# How many dependencies the search for the shortest of a knot's circles may look at.
_SEARCHED = 200_000


class Graph:
    """Answer questions about the dependencies of tasks.

    `depends_on` runs beside `ids`, which are unique; a dependency that is not one of them is a KeyError, and one named
    twice counts once.
    """

    def __init__(self, ids: Sequence[str], depends_on: Iterable[Sequence[str]]) -> None:
        """Build it in one pass; a circle is no error, see `cycles`."""
        with collector.paused():
            found: defaultdict[str, list[str]] = defaultdict(list)
            self.depends_on: dict[str, tuple[str, ...]] = {}
            for task, given in zip(ids, depends_on, strict=True):
                needed = tuple(given)
                if len(needed) > 1 and len(set(needed)) < len(needed):
                    needed = tuple(dict.fromkeys(needed))
                self.depends_on[task] = needed
                for dependency in needed:
                    found[dependency].append(task)
            if not found.keys() <= self.depends_on.keys():
                raise KeyError(*(found.keys() - self.depends_on.keys()))
            self.dependants: dict[str, tuple[str, ...]] = dict.fromkeys(self.depends_on, ())
            for task, dependants in found.items():
                self.dependants[task] = tuple(dependants)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The tasks that no circle holds up, each behind what it depends on, otherwise as in the document."""
        needs = self.depends_on
        placed: set[str] = set()
        for task, needed in needs.items():
            if not placed.issuperset(needed):
                break
            placed.add(task)
        else:
            return tuple(needs)
        return self._sorted()

    def _sorted(self) -> tuple[str, ...]:
        """Sort by counting what each task waits for, then read the result in the order of the document.

        A task comes at once when it is its turn, pulling the missing ones it depends on in front of it.
        """
        free = self._free()
        order: dict[str, None] = {}
        for task in self.depends_on:
            if task not in free or task in order:
                continue
            trail = [(task, iter(self.depends_on[task]))]
            while trail:
                current, missing = trail[-1]
                needed = next((name for name in missing if name not in order), None)
                if needed is None:
                    order[current] = None
                    trail.pop()
                else:
                    trail.append((needed, iter(self.depends_on[needed])))
        return tuple(order)

    def _free(self) -> set[str]:
        """Find the tasks that neither stand in a circle nor behind one."""
        waiting = {task: len(needed) for task, needed in self.depends_on.items()}
        ready = [task for task, count in waiting.items() if not count]
        for task in ready:
            for dependant in self.dependants[task]:
                waiting[dependant] -= 1
                if not waiting[dependant]:
                    ready.append(dependant)
        return set(ready)

    @cached_property
    def layers(self) -> tuple[tuple[str, ...], ...]:
        """The tasks by the length of the longest way to them: those of one layer could all run at once."""
        depth: dict[str, int] = {}
        layers: list[list[str]] = []
        for task in self.order:
            own = max((depth[needed] for needed in self.depends_on[task]), default=-1) + 1
            depth[task] = own
            if own == len(layers):
                layers.append([])
            layers[own].append(task)
        return tuple(tuple(layer) for layer in layers)

    @cached_property
    def cycles(self) -> list[tuple[str, ...]]:
        """One circle of each knot of tasks that depend on each other, as a path that ends where it began.

        Each task of a path depends on the next. The shortest of a small knot; of a large one, a short one.
        """
        if len(self.order) == len(self.depends_on):
            return []
        position = {task: number for number, task in enumerate(self.depends_on)}
        knots = sorted(
            (sorted(knot, key=position.__getitem__) for knot in self._knots()), key=lambda knot: position[knot[0]]
        )
        return [self._shortest_circle(knot) for knot in knots]

    def ancestors(self, task: str) -> set[str]:
        """Return everything that must end before this task."""
        return _reach(task, self.depends_on)

    def descendants(self, task: str) -> set[str]:
        """Return everything that comes after this task."""
        return _reach(task, self.dependants)

    def not_upstream(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those pairs (task, other) whose other is no ancestor of the task, in the order given.

        Pairs of tasks that a circle holds up are passed over. Many pairs cost little more than one: 2,048 others are
        followed at a time.
        """
        sound = set(self.order)
        asked = [pair for pair in dict.fromkeys(pairs) if pair[0] in sound]
        far = [pair for pair in asked if pair[1] not in self.depends_on[pair[0]]]
        others = list(dict.fromkeys(other for _, other in far))
        batch_of = {other: number // _BATCH for number, other in enumerate(others)}
        missing: set[tuple[str, str]] = set()
        for begin in range(0, len(others), _BATCH):
            bits = {other: 1 << number for number, other in enumerate(others[begin : begin + _BATCH])}
            above = self._masks(bits)
            number = begin // _BATCH
            missing.update(pair for pair in far if batch_of[pair[1]] == number and not above[pair[0]] & bits[pair[1]])
        return [pair for pair in asked if pair in missing]

    def _masks(self, bits: Mapping[str, int]) -> dict[str, int]:
        """Mark for each task which of the marked ones are its ancestors."""
        above: dict[str, int] = {}
        own = bits.get
        for task in self.order:
            mask = 0
            for needed in self.depends_on[task]:
                mask |= above[needed] | own(needed, 0)
            above[task] = mask
        return above

    def critical_path(self, weights: Mapping[str, float]) -> tuple[str, ...]:
        """Return the heaviest way through the graph: what the run takes at least, however many workers there are.

        `weights` holds the cost of tasks, 1 for those it does not name.
        """
        best: dict[str, float] = {}
        came_from: dict[str, str | None] = {}
        for task in self.order:
            before = max(self.depends_on[task], key=best.__getitem__, default=None)
            best[task] = weights.get(task, 1.0) + (0.0 if before is None else best[before])
            came_from[task] = before
        path: list[str] = []
        last = max(best, key=best.__getitem__, default=None)
        while last is not None:
            path.append(last)
            last = came_from[last]
        return tuple(reversed(path))

    def _knots(self) -> Iterator[list[str]]:
        """Yield the strongly connected components that hold a circle (Tarjan's way, with a list for a stack)."""
        number: dict[str, int] = {}
        lowest: dict[str, int] = {}
        open_: dict[str, None] = {}
        for start in self.depends_on:
            if start in number:
                continue
            trail = [(start, iter(self.depends_on[start]))]
            number[start] = lowest[start] = len(number)
            open_[start] = None
            while trail:
                task, rest = trail[-1]
                following = next(rest, None)
                if following is None:
                    trail.pop()
                    if trail:
                        lowest[trail[-1][0]] = min(lowest[trail[-1][0]], lowest[task])
                    if lowest[task] == number[task]:
                        knot = []
                        while task in open_:
                            knot.append(open_.popitem()[0])
                        if len(knot) > 1 or task in self.depends_on[task]:
                            yield knot
                elif following not in number:
                    number[following] = lowest[following] = len(number)
                    open_[following] = None
                    trail.append((following, iter(self.depends_on[following])))
                elif following in open_:
                    lowest[task] = min(lowest[task], number[following])

    def _shortest_circle(self, knot: list[str]) -> tuple[str, ...]:
        inside = set(knot)
        edges = sum(len(self.depends_on[task]) for task in knot)
        tried = knot[: max(1, _SEARCHED // edges)]
        return min((self._circle(start, inside) for start in tried), key=len)

    def _circle(self, start: str, inside: set[str]) -> tuple[str, ...]:
        """Find the shortest way from a task back to itself within its knot."""
        came_from: dict[str, str] = {}
        line = [start]
        for task in line:
            for needed in self.depends_on[task]:
                if needed == start:
                    path = [task]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return (*reversed(path), start)
                if needed in inside and needed not in came_from:
                    came_from[needed] = task
                    line.append(needed)
        raise AssertionError(start)


def _reach(task: str, following: Mapping[str, tuple[str, ...]]) -> set[str]:
    seen = set(following[task])
    line = list(seen)
    for name in line:
        fresh = [other for other in following[name] if other not in seen]
        seen.update(fresh)
        line.extend(fresh)
    return seen
