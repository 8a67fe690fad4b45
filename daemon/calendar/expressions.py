"""The three kinds of schedule expression as frozen values: when is the next due instant, how many lie between two.

Instants are seconds since the epoch, UTC, as `engine.clock.wall` gives them. Owns the search and the daylight-saving
rule; reads no text (see `cron`, `phrases`) and knows no bounds (see `bounds`).
"""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Protocol

from daemon.calendar.zones import DAY, EARLIEST, EPOCH_ORDINAL, HOUR, LATEST, MINUTE, Stretch, Zone, stretch_at

MICROSECONDS = 1_000_000
DAY_MINUTES = DAY // MINUTE
# Cron takes larger changes of the wall clock for corrections: the new time counts at once. Precedent: cron(8), "more
# than 3 hours".
LARGEST_SHIFT = 3 * HOUR
# 29 February on a given weekday comes round within 40 years (2096 is followed by 2104); daylight saving may skip some.
_SEARCH_YEARS = 60
_HORIZON = 120 * 366 * DAY
_WEEKS = sum(1 << 7 * week for week in range(6))  # copies a mask of weekdays over a month that starts on any of them
_MONTH_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Expression(Protocol):
    """Say which instants are due; `str` gives a text that `parse_text` reads back as an equal value."""

    def next_after(self, instant: float) -> float | None:
        """Return the first due instant later than this one, or None if there is none."""
        ...

    def count(self, after: float, until: float) -> int:
        """Count the due instants later than `after` and not later than `until`."""
        ...


@dataclass(frozen=True, slots=True)
class At:
    """One instant, and no other."""

    text: str
    instant: float

    def __str__(self) -> str:
        return self.text

    def next_after(self, instant: float) -> float | None:
        """Return the instant if it is still to come."""
        return self.instant if instant < self.instant else None

    def count(self, after: float, until: float) -> int:
        """Count 1 if the instant lies between, else 0."""
        return int(after < self.instant <= until)


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many microseconds of elapsed time, counted from an anchor: the same instants after each restart.

    Daylight saving does not touch it. The anchor is the epoch unless the schedule's `start` gives another.
    """

    text: str
    period: int  # microseconds
    anchor: int = 0  # microseconds since the epoch

    def __str__(self) -> str:
        return self.text

    def next_after(self, instant: float) -> float | None:
        """Return the first multiple of the period later than this instant."""
        if instant >= LATEST:
            return None
        return self._due(self._number(max(instant, EARLIEST)) + 1)

    def count(self, after: float, until: float) -> int:
        """Count the multiples of the period between: no matter how many, at one price."""
        last = self._number(min(max(until, EARLIEST), LATEST))
        return max(0, last - self._number(min(max(after, EARLIEST), LATEST)))

    def _due(self, number: int) -> float:
        return (self.anchor + number * self.period) / MICROSECONDS

    def _number(self, instant: float) -> int:
        """Return which multiple is the last one not later than the instant, be the float a hair off its microsecond."""
        number = (math.floor(instant * MICROSECONDS) - self.anchor) // self.period
        while self._due(number) > instant:
            number -= 1
        while self._due(number + 1) <= instant:
            number += 1
        return number


@dataclass(frozen=True, slots=True)
class WallClock:
    """Certain minutes of certain days, as a zone's wall clock shows them: cron and the forms built on it.

    When the wall clock is moved by up to three hours, Debian cron's rule holds:

    - A fixed time (`follows_clock` false: neither hour nor minute begins with `*`) that is skipped is due once, at the
      first instant after the gap; one that is repeated is due once, the first time. Several skipped times, and a time
      that equals the end of the gap, are one due instant, where cron starts one process for each.
    - A wildcard (`follows_clock` true) is due whenever the wall clock shows it: when it is repeated again, when it is
      skipped not.

    So it is for shifts of 30 (Lord Howe), 60 and 120 minutes (Troll), at midnight (Beirut, Cairo, Havana, Sao Paulo),
    and whatever a zone calls its summer time (Dublin, Casablanca). A larger move, such as the day that Apia left out in
    2011, is a correction, as cron(8) has it: the new time counts at once, what was skipped is lost, what is repeated is
    due again. Exactly three hours forward (Casey, 2018) still follow the rule; cron, one minute stricter, loses those.
    """

    text: str
    zone: Zone
    minutes: int  # bit n: minute n of the day, 0-1439
    months: int  # bit n: month n, 1-12
    days: int  # bit n: day n of the month, 1-31
    weekdays: int  # bit n: weekday n, Monday is 0
    is_either: bool  # due on the days or on the weekdays, not only where both agree
    follows_clock: bool
    has_last_day: bool = False  # the last day of the month too, whatever its number

    def __str__(self) -> str:
        return self.text

    def next_after(self, instant: float) -> float | None:
        """Return the first due instant later than this one; None if none comes within a hundred years."""
        after = math.floor(min(max(instant, EARLIEST), LATEST))
        horizon = min(after + _HORIZON, LATEST)
        while after < horizon:
            stretch = stretch_at(self.zone, after + 1)
            wall = self._match(self._first_wall(stretch, after + 1))
            if wall is None:
                return None
            due = max(wall - stretch.offset, stretch.start)
            if due < stretch.end:
                return float(due)
            # Nothing is due before `wall` but in a repeated hour that lies before here too, so two days on we may leap.
            leap = wall - 2 * DAY if stretch.end - after > 2 * DAY else after
            after = max(stretch.end - 1, leap)
        return None

    def count(self, after: float, until: float) -> int:
        """Count the due instants later than `after` and not later than `until`, by months and not by minutes."""
        instant = math.floor(min(max(after, EARLIEST), LATEST)) + 1
        last = math.floor(min(until, LATEST))
        total = 0
        while instant <= last:
            stretch = stretch_at(self.zone, instant)
            low = self._first_wall(stretch, instant)
            entered = stretch.start + stretch.offset
            if low < entered:  # what the gap swallowed and what is due at its end are one
                caught = self._match(low)
                total += caught is not None and caught <= entered
                low = entered + 1
            total += self._count_matches(low, min(stretch.end, last + 1) + stretch.offset)
            instant = stretch.end
        return total

    def _first_wall(self, stretch: Stretch, instant: int) -> int:
        """Return the first wall time that can still be due from this instant of the stretch on.

        For a fixed time that is what cron calls virtual time: it goes on from where the old offset ended, through a gap
        (so what is skipped is caught up at the start) and past what is repeated.
        """
        is_small = abs(stretch.offset - stretch.before) <= LARGEST_SHIFT
        offset = stretch.before if is_small and not self.follows_clock else stretch.offset
        entry = stretch.start + offset
        return entry if instant == stretch.start else max(entry, instant + stretch.offset)

    def _match(self, wall: int) -> int | None:
        """Return the first matching wall time not before this one."""
        minute = -(-wall // MINUTE)
        day, minute_of_day = divmod(minute, DAY_MINUTES)
        date = dt.date.fromordinal(day + EPOCH_ORDINAL)
        year, month = date.year, date.month
        if self.months >> month & 1:
            days = self._days_of(year, month) >> date.day
            rest = self.minutes >> minute_of_day
            if days & 1 and rest:
                return (minute + _lowest(rest)) * MINUTE
            days >>= 1
            if days:
                return (day + 1 + _lowest(days)) * DAY + _lowest(self.minutes) * MINUTE
        last_year = min(year + _SEARCH_YEARS, dt.MAXYEAR - 1)
        while True:
            later = self.months >> month + 1
            year, month = (year, month + 1 + _lowest(later)) if later else (year + 1, _lowest(self.months))
            if year > last_year:
                return None
            days = self._days_of(year, month)
            if days:
                ordinal = dt.date(year, month, _lowest(days)).toordinal()
                return (ordinal - EPOCH_ORDINAL) * DAY + _lowest(self.minutes) * MINUTE

    def _days_of(self, year: int, month: int) -> int:
        """Return the days of a month that match, bit n for day n."""
        length = _MONTH_DAYS[month] + (month == 2 and _is_leap(year))  # noqa: PLR2004 -- February
        whole = (2 << length) - 2
        by_weekday = (self.weekdays * _WEEKS >> dt.date(year, month, 1).weekday()) << 1
        by_day = self.days | (1 << length if self.has_last_day else 0)
        return (by_day | by_weekday if self.is_either else by_day & by_weekday) & whole

    def _count_matches(self, low: int, high: int) -> int:
        """Count the matching wall times from `low` up to and without `high`."""
        low_day, low_minute = divmod(-(-low // MINUTE), DAY_MINUTES)
        high_day, high_minute = divmod(-(-high // MINUTE), DAY_MINUTES)
        from_low = self.minutes >> low_minute << low_minute
        to_high = self.minutes & ~(-1 << high_minute)
        if low_day >= high_day:
            return (from_low & to_high).bit_count() * self._count_days(low_day, low_day + 1) if low < high else 0
        return (
            from_low.bit_count() * self._count_days(low_day, low_day + 1)
            + self.minutes.bit_count() * self._count_days(low_day + 1, high_day)
            + to_high.bit_count() * self._count_days(high_day, high_day + 1)
        )

    def _count_days(self, low: int, high: int) -> int:
        """Count the matching days from `low` up to and without `high`, both in days since the epoch."""
        total = 0
        while low < high:
            date = dt.date.fromordinal(low + EPOCH_ORDINAL)
            length = _MONTH_DAYS[date.month] + (date.month == 2 and _is_leap(date.year))  # noqa: PLR2004 -- February
            last = min(length, date.day + high - low - 1)
            if self.months >> date.month & 1:
                total += (self._days_of(date.year, date.month) >> date.day & ~(-1 << last - date.day + 1)).bit_count()
            low += last - date.day + 1
        return total


def _lowest(mask: int) -> int:
    """Return the number of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
