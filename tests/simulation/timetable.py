"""Which instants of a schedule should have become what: an oracle with none of the calendar's and the schedules' code.

Cron is walked minute by minute (`cron_walk`); the rule for what was missed is written out anew from the settings'
manual. It is told when the schedules looked, since what is on time and what was missed depends on that.
"""

import math
from bisect import bisect_right
from datetime import datetime
from functools import lru_cache

from daemon.calendar import jitter_seconds
from tests.daemon.cron_walk import CronLine, Walk, zone
from tests.simulation.course import DAY, PERIODS, Planned

ON_TIME, FRESH = 30.0, 30.0
_UNITS = {"d": 86_400, "h": 3600, "m": 60}


@lru_cache(maxsize=16)
def walk(name: str, low: int, days: int) -> Walk:
    return Walk(zone(name), low, low + days * int(DAY))


def period(text: str) -> int:
    """Read a duration such as 11h30m."""
    total, number = 0, ""
    for letter in text:
        if letter in _UNITS:
            total, number = total + int(number) * _UNITS[letter], ""
        else:
            number += letter
    return total


def instants(planned: Planned, low: float, high: float) -> list[float]:
    """List every due instant from `low` to `high`."""
    if planned.form == "at":
        at = datetime.fromisoformat(planned.text).timestamp()
        return [at] if low < at <= high else []
    if planned.form == "every":
        assert planned.text in PERIODS
        step = period(planned.text)
        return [float(n * step) for n in range(math.floor(low / step) + 1, math.floor(high / step) + 1)]
    first = int(low - low % DAY)
    found = walk(planned.zone, first, math.ceil((high - first) / DAY)).due(CronLine(planned.text))
    return [float(at) for at in found if low < at <= high]


class Timetable:
    """What should have become of one schedule's instants, look by look."""

    def __init__(self, planned: Planned, low: float, high: float) -> None:
        self.planned = planned
        self.instants = instants(planned, low, high)
        self.delay = jitter_seconds(planned.name, planned.jitter) if planned.jitter else 0.0
        self.verdicts: dict[float, set[str]] = {}
        self.companions: dict[float, tuple[float, ...]] = {}
        self.optional: list[tuple[float, float]] = []
        self.is_paused = False
        self._prev, self._last = 0.0, 0.0

    def take_up(self, since: float | None, newest: float | None, is_paused: bool, now: float) -> None:
        """Begin a life with what the memory knows; a schedule that is not known counts from now."""
        self._prev = min(max(now if since is None else since, newest or 0.0), now)
        self._last, self.is_paused = now, is_paused
        if since is None:
            self.optional.append((0.0, now))

    def look(self, now: float, *, is_start: bool) -> None:
        """Say what becomes of everything up to now."""
        if now < self._last:
            self._prev = min(self._prev, now)
        self._last = now
        until = now - self.delay
        due = self._between(self._prev, until)
        self._prev = max(self._prev, until)
        if not due:
            return
        run = set(self._to_run(due, now, until, is_start=is_start))
        for at in due:
            word = "paused" if self.is_paused else "run" if at in run else "missed"
            self.verdicts.setdefault(at, set()).add(word)
            self.companions[at] = (*self.companions.get(at, ()), *run)

    def go_on(self, now: float) -> None:
        """Resume: what was due between the last look and now may have been left out."""
        self.optional.append((now - self.delay, now))
        self._prev = max(self._prev, now)
        self.is_paused = False

    def is_optional(self, at: float) -> bool:
        return any(low < at <= high for low, high in self.optional)

    def _between(self, low: float, high: float) -> list[float]:
        return self.instants[bisect_right(self.instants, low) : bisect_right(self.instants, high)]

    def _to_run(self, due: list[float], now: float, until: float, *, is_start: bool) -> list[float]:
        planned, window, most = self.planned, float(self.planned.window), self.planned.most
        if not is_start and until - due[0] <= ON_TIME and len(due) <= most:
            return due
        if planned.on_missed == "last":
            most = 1
        elif planned.on_missed == "skip":
            if is_start:
                return []
            most, window = 1, FRESH
        return [at for at in due[-most:] if until - at <= window]
