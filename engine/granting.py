"""Who starts next: ready tasks of live runs, while backend and pools have room. Runs go by priority and in turn.

Knows which runs have something ready and asks them for it; what becomes of a start is the executor's, which calls it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping

from engine.assignments import isolation_of
from engine.backend import Backend
from engine.facts import Broke, Granted, Order, Recall, Recalled, Start
from engine.live import Live
from engine.memory import Memory
from engine.model import ENGINE_TYPES, Task
from engine.problems import meant, quoted
from engine.quotas import Quotas
from engine.run import Ready
from engine.slots import FREE, PLAIN, Slots
from engine.states import Reason
from engine.task import Catalogue
from engine.waits import TaskWait

# What needs no worker, or none after all, could go on without end in one turn.
_MOST_ROOMLESS = 1000

Started = list[tuple[str, Start]]


class Granting:
    """Hand the room that there is to the runs in `live`, which the executor keeps."""

    def __init__(
        self,
        live: Mapping[str, Live],
        backend: Backend,
        memory: Memory,
        quotas: Quotas,
        keep: Callable[[str, list[Order]], None],
    ) -> None:
        """Start with nobody waiting; `keep` takes the orders that a grant leads to."""
        self._live, self._backend, self._memory, self._keep = live, backend, memory, keep
        self._slots, self._quotas = Slots(), quotas

    def mark(self, key: str) -> None:
        """Look at a run to which something happened: it may have something ready, or nothing any more.

        It stands in line for each pool that its next tasks need, open or not, up to one that needs none.
        """
        live = self._live.get(key)
        ready = live.run.peek() if live is not None else None
        if live is None or ready is None:
            self._slots.forget(key)
            return
        passed: set[str] = set()
        while ready is not None:
            line = _line_of(ready.task)
            self._slots.mark(key, live.run.priority + ready.task.priority, line)
            if ready.task.pool is None:
                return
            passed.add(ready.task.pool.name)
            ready = live.run.peek(passed)

    def forget(self, key: str) -> None:
        """Drop a run that has ended."""
        self._slots.forget(key)

    def free(self, key: str, task: str, attempt: int) -> None:
        """Take back what an attempt held of a pool that has ended or waits; harmless for one that held nothing.

        A late report speaks of an attempt whose successor may hold something by now, which stays held.
        """
        self._quotas.give_back((key, task, attempt))

    def next_in(self, ticks: float) -> float | None:
        """Return the seconds until a pool opens that somebody waits for, where that is known."""
        waits = [self._quotas.opens_in(name, ticks) for name in self._quotas.closed if not self._slots.is_empty(name)]
        return min((wait for wait in waits if wait is not None), default=None)

    def grant(self, now: float, ticks: float) -> Started:
        """Start ready tasks while there is room, and return the starts in the order of their priorities."""
        closed, turn = self._quotas.closed, _Turn(now, ticks)
        self._quotas.refill(ticks)
        for key, line in self._slots.offers(lambda line: not turn.is_full and line not in closed):
            run = self._live[key].run
            ready = run.peek(closed)
            if ready is None:
                self._slots.forget(key, line)
                if closed:
                    # What it has next may be of a closed pool: then it stands there.
                    self.mark(key)
                continue
            its_line = _line_of(ready.task)
            if its_line != line:
                # What it stood here for has started already, or something more urgent came up.
                self._slots.forget(key, line)
                self.mark(key)
            if self._slots.has_moved(key, run.priority + ready.task.priority, its_line):
                continue
            if turn.roomless >= _MOST_ROOMLESS or not self._serve(turn, key, ready):
                break
        for key in turn.put_aside:
            self.mark(key)
        if turn.spare or turn.roomless >= _MOST_ROOMLESS:
            # Nobody took it, and it may have been in somebody's way: it is free with the next turn.
            self._backend.wake()
        return turn.started

    def _serve(self, turn: "_Turn", key: str, ready: Ready) -> bool:
        """Start this task of a run if there is room; tell whether others may go on."""
        task = ready.task
        if task.type in ENGINE_TYPES:
            turn.roomless += 1
            self._keep(key, self._live[key].run.handle(Granted(ready.key), turn.now))
            return True
        if turn.is_full:
            return True
        if task.pool is not None:
            if not self._quotas.knows(task.pool.name):
                self._refuse(turn, key, ready)
                return True
            if not self._quotas.fits(task.pool.name, task.pool.weight, turn.ticks):
                return True
        isolation = isolation_of(task)
        room = (task.type, isolation)
        if room in turn.spare or self._backend.reserve(*room):
            # One that failed as it was to start, or whose output is known, leaves its room to the next.
            (turn.spare.discard if self._start(turn, key, ready) else turn.spare.add)(room)
            return True
        if isolation == "worker":
            turn.is_full = True
            return not self._slots.is_empty(FREE)
        # A fresh process is not to be had now, a warm worker may well be: others may go on.
        self._slots.forget(key)
        turn.put_aside.append(key)
        return True

    def _start(self, turn: "_Turn", key: str, ready: Ready) -> bool:
        """Tell the run that there is room; tell whether it started something with it."""
        task = ready.task
        orders = self._live[key].run.handle(Granted(ready.key), turn.now)
        if task.cache is not None:
            turn.roomless += 1
            self._recall(turn, key, task, orders)
        starts = [(key, order) for order in orders if type(order) is Start]
        if task.pool is not None:
            for _, start in starts:
                self._quotas.take(task.pool.name, task.pool.weight, (key, start.task, start.attempt), turn.ticks)
        turn.started += starts
        self._keep(key, orders)
        return bool(starts)

    def _recall(self, turn: "_Turn", key: str, task: Task, orders: list[Order]) -> None:
        """Answer what the run asks the cache, and add what it decides then."""
        for order in list(orders):
            if type(order) is not Recall:
                continue
            if turn.catalogue is None:
                turn.catalogue = self._backend.catalogue()
            kind = turn.catalogue.types.get(task.type)
            name = cache_key(task.type, kind.version if kind is not None else "", order.material)
            output, source = self._memory.cached([name], turn.now).get(name, (None, ""))
            orders += self._live[key].run.handle(Recalled(order.task, name, output, source), turn.now)

    def _refuse(self, turn: "_Turn", key: str, ready: Ready) -> None:
        """Have a task fail that asks for a pool which nobody has configured."""
        run, pool = self._live[key].run, ready.task.pool
        name = pool.name if pool is not None else ""
        hint = meant(name, self._quotas.names()) or f"Write [pools.{name}] into the configuration"
        message = f"there is no pool {quoted(name)}. {hint}"
        orders = run.handle(Granted(ready.key), turn.now)
        if ready.task.cache is not None:
            self._recall(turn, key, ready.task, orders)
        for order in [order for order in orders if type(order) is Start]:
            orders += run.handle(Broke(order.task, order.attempt, Reason.INVALID, message), turn.now)
        self._keep(key, orders)

    def waits(self) -> Iterator[TaskWait]:
        """Yield the next task of each run that waits for a closed pool, in the order in which they go on."""
        for pool in sorted(self._quotas.closed):
            # Those that stand there still, though their task has ended, are in nobody's way.
            standing = [(key, self._next_of(key, pool)) for key in self._slots.waiting(pool)]
            there = [(key, ready) for key, ready in standing if ready is not None]
            for ahead, (key, ready) in enumerate(there):
                yield TaskWait(pool=pool, run=key, task=ready.key, ahead=ahead)

    def _next_of(self, key: str, pool: str) -> Ready | None:
        passed: set[str] = set()
        ready = self._live[key].run.peek()
        while ready is not None and ready.task.pool is not None and ready.task.pool.name != pool:
            passed.add(ready.task.pool.name)
            ready = self._live[key].run.peek(passed)
        return ready if ready is not None and ready.task.pool is not None else None


class _Turn:
    """What has been handed out in one turn; `spare` is room that was set aside and not used yet."""

    __slots__ = ("catalogue", "is_full", "now", "put_aside", "roomless", "spare", "started", "ticks")

    def __init__(self, now: float, ticks: float) -> None:
        self.now, self.ticks = now, ticks
        self.started: Started = []
        self.put_aside: list[str] = []
        self.spare: set[tuple[str, str]] = set()
        self.is_full = False
        self.roomless = 0
        self.catalogue: Catalogue | None = None


def cache_key(type: str, version: str, material: str) -> str:  # noqa: A002 -- the word of the document
    """Return the key under which an output is kept: another type, version or material is another key."""
    return hashlib.sha256(f"{type}\0{version}\0{material}".encode()).hexdigest()


def _line_of(task: Task) -> str:
    if task.pool is not None:
        return task.pool.name
    return FREE if task.type in ENGINE_TYPES else PLAIN
