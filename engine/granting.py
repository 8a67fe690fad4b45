"""Who starts next: ready tasks of live runs, while the backend has room. Runs go by priority and in turn.

Knows which runs have something ready and asks them for it; what becomes of a start is the executor's, which calls it.
"""

from collections.abc import Callable, Mapping

from engine.assignments import isolation_of
from engine.backend import Backend
from engine.facts import Granted, Order, Start
from engine.live import Live
from engine.slots import Slots


class Granting:
    """Hand the room that there is to the runs in `live`, which the executor keeps."""

    def __init__(self, live: Mapping[str, Live], backend: Backend, keep: Callable[[str, list[Order]], None]) -> None:
        """Start with nobody waiting; `keep` takes the orders that a grant leads to."""
        self._live, self._backend, self._keep = live, backend, keep
        self._slots = Slots()

    def mark(self, key: str) -> None:
        """Look at a run to which something happened: it may have something ready, or nothing any more."""
        live = self._live.get(key)
        ready = live.run.peek() if live is not None else None
        if live is None or ready is None:
            self._slots.forget(key)
        else:
            self._slots.mark(key, live.run.priority + ready.task.priority)

    def forget(self, key: str) -> None:
        """Drop a run that has ended."""
        self._slots.forget(key)

    def grant(self, now: float) -> list[tuple[str, Start]]:
        """Start ready tasks while the backend has room, and return the starts in the order of their priorities."""
        started: list[tuple[str, Start]] = []
        put_aside = []
        spare: set[tuple[str, str]] = set()
        for key in self._slots.offers():
            run = self._live[key].run
            ready = run.peek()
            if ready is None:
                self._slots.forget(key)
                continue
            task = ready.task
            if self._slots.has_moved(key, run.priority + task.priority):
                continue
            isolation = isolation_of(task)
            room = (task.type, isolation)
            if room in spare or self._backend.reserve(*room):
                orders = run.handle(Granted(ready.key), now)
                starts = [(key, order) for order in orders if type(order) is Start]
                # One that failed as it was to start leaves its room to the next.
                (spare.discard if starts else spare.add)(room)
                started += starts
                self._keep(key, orders)
            elif isolation == "worker":
                break
            else:
                # A fresh process is not to be had now, a warm worker may well be: others may go on.
                self._slots.forget(key)
                put_aside.append(key)
        for key in put_aside:
            self.mark(key)
        if spare:
            # Nobody took it, and it may have been in somebody's way: it is free with the next turn.
            self._backend.wake()
        return started
