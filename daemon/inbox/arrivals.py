"""What lies in one inbox and which of it is whole: came by rename, or was unchanged for the settle time and is closed.

Remembers what it saw, so that what the bell names, and what settles, is looked at alone; the whole folder only when
asked to `scan`. Takes nothing: says what is ready, oldest first, then by name. Called by `inbox`.
"""

import heapq
import os
import stat
from typing import NamedTuple

from daemon.claims import Claims, names
from daemon.inbox.policy import Policy
from engine.clock import Clock

_PAUSES = (1.0, 5.0)
_BUSY_SECONDS = 0.2
_MOST_BYTES = 64 * 1024 * 1024


class Arrival(NamedTuple):
    """Name a file that is ready to be taken, and what it was when it was found so."""

    name: str
    identity: tuple[int, int]


class _Sight:
    """What was seen under a name: `due` is when it may be taken if it stays as it is, in monotonic seconds."""

    __slots__ = ("due", "is_listed", "refusal", "signature", "tries")

    def __init__(self, signature: tuple[int, ...], due: float) -> None:
        self.signature, self.due = signature, due
        self.is_listed, self.tries, self.refusal = False, 0, ""


class Arrivals:
    """Watch over the files of one inbox until they are taken."""

    def __init__(self, claims: Claims, policy: Policy, clock: Clock) -> None:
        """Know nothing yet; `policy` may be exchanged later."""
        self.policy = policy
        self._claims, self._clock = claims, clock
        self._sights: dict[str, _Sight] = {}
        self._ready: list[tuple[int, str]] = []
        self._settling: list[tuple[float, str]] = []

    def hear(self, name: str, *, is_moved: bool) -> None:
        """Look at one name that the bell told; raises OSError."""
        self._look(name, is_moved=is_moved)

    def scan(self) -> None:
        """Look at everything, and forget what is gone.

        Raises OSError.
        """
        found = set(self._claims.names())
        for name in self._sights.keys() - found:
            del self._sights[name]
        for name in found:
            self._look(name)

    def take(self, most: int) -> list[Arrival]:
        """Return up to so many files that are whole, oldest first; each is to be reported by `forget` or `fail`.

        Fewer where they are large: a batch is held in memory together.

        Raises OSError.
        """
        self._settle()
        found: list[Arrival] = []
        size = 0
        while self._ready and len(found) < most and size < _MOST_BYTES:
            _, name = heapq.heappop(self._ready)
            sight = self._sights.get(name)
            if sight is None or not sight.is_listed:
                continue
            sight.is_listed = False
            status = self._claims.look(name)
            if status is None:
                del self._sights[name]
            elif _signature(status) != sight.signature:
                self._look(name)
            elif stat.S_ISREG(status.st_mode) and self._claims.is_being_written(name):
                sight.due = self._clock.ticks() + max(self.policy.settle, _BUSY_SECONDS)
                heapq.heappush(self._settling, (sight.due, name))
            else:
                found.append(Arrival(name, (status.st_dev, status.st_ino)))
                size += status.st_size
        return found

    def forget(self, name: str) -> None:
        """Know that a file is no longer here."""
        self._sights.pop(name, None)

    def put_back(self, name: str, seconds: float) -> None:
        """Know that a file was not taken for no fault of its own, and offer it again after a while."""
        sight = self._sights.get(name)
        if sight is not None:
            sight.due = self._clock.ticks() + seconds
            heapq.heappush(self._settling, (sight.due, name))

    def fail(self, name: str, why: str) -> bool:
        """Know that a file could not be taken; tell whether it is given up until it changes."""
        sight = self._sights.get(name)
        if sight is None:
            return False
        sight.tries += 1
        sight.refusal = why
        if sight.tries > len(_PAUSES):
            return True
        sight.due = self._clock.ticks() + _PAUSES[sight.tries - 1]
        heapq.heappush(self._settling, (sight.due, name))
        return False

    @property
    def has_ready(self) -> bool:
        """Tell whether something could be taken now."""
        return bool(self._ready)

    @property
    def waiting(self) -> int:
        """Count the files that are ours to take and still here."""
        return len(self._sights)

    def stuck(self) -> dict[str, str]:
        """Return the names that could not be taken, each with the reason."""
        return {name: sight.refusal for name, sight in self._sights.items() if sight.refusal}

    def due_in(self) -> float | None:
        """Return in how many seconds something may have settled, None where nothing has to."""
        return max(0.0, self._settling[0][0] - self._clock.ticks()) if self._settling else None

    def _settle(self) -> None:
        ticks = self._clock.ticks()
        while self._settling and self._settling[0][0] <= ticks:
            _, name = heapq.heappop(self._settling)
            sight = self._sights.get(name)
            if sight is not None and not sight.is_listed:
                self._look(name)

    def _look(self, name: str, *, is_moved: bool = False) -> None:
        if not names.is_ours(name) or (self.policy.routes and self.policy.route_of(name) is None):
            return
        status = self._claims.look(name)
        if status is None or (stat.S_ISDIR(status.st_mode) and not self._is_mistaken(name)):
            self._sights.pop(name, None)
            return
        signature = _signature(status)
        sight = self._sights.get(name)
        if sight is None or sight.signature != signature:
            sight = self._sights[name] = _Sight(signature, self._due(status, is_new=sight is None))
            if not is_moved:
                heapq.heappush(self._settling, (sight.due, name))
        if sight.is_listed or sight.tries > len(_PAUSES):
            return
        if is_moved or sight.due <= self._clock.ticks():
            sight.is_listed = True
            heapq.heappush(self._ready, (status.st_mtime_ns, name))

    def _due(self, status: os.stat_result, *, is_new: bool) -> float:
        """Return when something may be taken: at the first look, what has lain still for long enough, at once."""
        settle = self.policy.settle
        age = self._clock.wall() - max(status.st_mtime, status.st_ctime) if is_new else 0.0
        # A clock that was set, or a time stamp from elsewhere, must not make it wait for longer than the settle time.
        return self._clock.ticks() + settle - min(max(age, 0.0), settle)

    def _is_mistaken(self, name: str) -> bool:
        """Tell whether a folder of this name was meant to be a document; any other is none of our business."""
        return names.is_document(name) and not self.policy.routes


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink
