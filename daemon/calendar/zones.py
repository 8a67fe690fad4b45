"""Time zones as stretches of one UTC offset, so that the rest of the calendar only adds and compares whole seconds.

An instant is seconds since the epoch, UTC; a wall time is what the clock on the wall shows, as seconds since the wall
clock showed 1970-01-01 00:00. Owns the zone's name, its offset changes and the way between the two; knows nothing of
expressions. Called by every other room of the calendar.
"""

import datetime as dt
import difflib
import re
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from daemon.calendar.problems import refusal, shown

Zone: TypeAlias = zoneinfo.ZoneInfo
Span: TypeAlias = tuple[float, float]  # from the first instant to the second, the second not included

MINUTE, HOUR, DAY = 60, 3600, 86400
EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
# Whole years inside what datetime can hold, so that no offset leads out of it.
EARLIEST = (dt.date(3, 1, 1).toordinal() - EPOCH_ORDINAL) * DAY
LATEST = (dt.date(9998, 1, 1).toordinal() - EPOCH_ORDINAL) * DAY

_BLOCK_BITS = 25  # offset changes are looked up by blocks of 2^25 s, a little over a year
_MARGIN = 3 * DAY  # how far a block looks back, so that a change just before it is known in it
_FURTHEST_OFFSET = DAY  # datetime allows no more
_LONGEST_NAME = 60
_FIXED_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?00)?", re.IGNORECASE | re.ASCII)


class Stretch(NamedTuple):
    """The time during which a zone keeps one offset: wall time = instant + offset, all in whole seconds."""

    start: int
    end: int  # the first instant that is no longer part of it
    offset: int
    before: int  # the offset that ended at `start`


def parse_zone(name: object) -> Zone:
    """Find a time zone by its IANA name; an unknown one raises ScheduleInvalidError with the nearest known names."""
    try:
        if isinstance(name, str) and name:
            return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass  # a folder, a file that is no zone, a path that leads elsewhere: all are no zone
    message = f"{shown(name)} is not a time zone that this machine knows"
    raise refusal(name, message, _zone_hint(str(name)), code="zone_unknown")


def _zone_hint(name: str) -> str:
    fixed = _FIXED_OFFSET.fullmatch(name)
    if fixed and int(fixed[2]) <= 12:  # noqa: PLR2004 -- the zones with a fixed offset go this far
        sign = "-" if fixed[1] == "+" else "+"
        return f"For a fixed offset write Etc/GMT{sign}{int(fixed[2])}; in these names the sign is turned round"
    known = {zone.lower(): zone for zone in sorted(zoneinfo.available_timezones())}
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known.values(), reverse=True) if "/" in zone}
    wanted = name[:_LONGEST_NAME].strip().replace(" ", "_").lower()
    near = [known[match] for match in difflib.get_close_matches(wanted, known, n=3, cutoff=0.75)]
    near += [by_city[match] for match in difflib.get_close_matches(wanted, by_city, n=2, cutoff=0.8)]
    if near:
        return f"Did you mean {' or '.join(list(dict.fromkeys(near))[:3])}?"
    return "Write a name of the IANA database, such as Europe/Berlin, America/New_York or UTC"


def stretch_at(zone: Zone, instant: int) -> Stretch:
    """Return the stretch that an instant lies in; it may end where only our bookkeeping does, the offset unchanged."""
    starts, stretches = _block(zone, instant >> _BLOCK_BITS)
    return stretches[bisect_right(starts, instant) - 1]


def first_instant(zone: Zone, wall: int) -> int:
    """Return the first instant at which the wall clock shows this time or a later one.

    That is the first occurrence of a repeated wall time, and the end of the gap for one that is skipped.
    """
    return next(start for start, _ in _visits(zone, wall, LATEST + 2 * DAY))


def spans_between(zone: Zone, low: int, high: int) -> list[Span]:
    """Return when the wall clock shows a time from `low` up to and without `high`: where it repeats itself, twice."""
    if high - low <= 4 * _FURTHEST_OFFSET:
        return merged(_visits(zone, low, high))
    ends = [*_visits(zone, low, low + 2 * DAY), *_visits(zone, high - 2 * DAY, high)]
    return merged([*ends, (first_instant(zone, low + DAY), first_instant(zone, high - DAY))])


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that touch or overlap, and sort them."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def in_zone(instant: float, zone: Zone) -> dt.datetime:
    """Return an instant as the zone's wall clock shows it, with its offset."""
    return dt.datetime.fromtimestamp(instant, zone)


def _visits(zone: Zone, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Give each time in which the wall clock runs from `low` towards `high`, stretch by stretch."""
    instant = max(low - 2 * _FURTHEST_OFFSET, EARLIEST)
    while instant - _FURTHEST_OFFSET < high:
        stretch = stretch_at(zone, instant)
        start, end = max(low - stretch.offset, stretch.start), min(high - stretch.offset, stretch.end)
        if start < end:
            yield start, end
        instant = stretch.end


@lru_cache(maxsize=4096)
def _block(zone: Zone, number: int) -> tuple[tuple[int, ...], tuple[Stretch, ...]]:
    low, high = (number << _BLOCK_BITS) - _MARGIN, (number + 1) << _BLOCK_BITS
    changes = [low, *_changes(zone, low, high)]
    offsets = [_offset(zone, start) for start in changes]
    befores = [offsets[0], *offsets]
    ends = [*changes[1:], high]
    return tuple(changes), tuple(map(Stretch, changes, ends, offsets, befores))


def _changes(zone: Zone, low: int, high: int) -> Iterator[int]:
    """Find the instants after `low` and before `high` from which another offset holds.

    Looking once a day is enough: no zone ever changed twice within one, and a test holds the whole database to it.
    """
    offset = _offset(zone, low)
    for probe in range(low + DAY, high + DAY, DAY):
        found = _offset(zone, probe)
        if found != offset:
            change = _first_with(zone, found, probe - DAY, probe)
            if change < high:
                yield change
        offset = found


def _first_with(zone: Zone, offset: int, low: int, high: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            high = middle
        else:
            low = middle
    return high


def _offset(zone: Zone, instant: int) -> int:
    offset = dt.datetime.fromtimestamp(instant, zone).utcoffset()
    return 0 if offset is None else offset.days * DAY + offset.seconds
