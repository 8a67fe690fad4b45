"""Durations and moments as people write them: `1h30m`, `2027-01-01T00:00:00+01:00`, or TOML's own dates and times.

Owns their spelling, both ways. Durations are whole microseconds. Called by `phrases` and `bounds`.
"""

import datetime as dt
import re
from dataclasses import dataclass
from fractions import Fraction

from daemon.calendar.zones import DAY, EARLIEST, EPOCH_ORDINAL, HOUR, LATEST, MINUTE, Zone, first_instant, in_zone

MICROSECONDS = 1_000_000
MOMENT_HINT = "Write for example 2027-01-01T00:00:00+01:00, or 2027-01-01T00:00 for local time"
DURATION_HINT = 'Write a number of seconds, or for example "250ms", "30s", "5m", "1h30m", "2d"'

_UNITS = {"d": DAY * MICROSECONDS, "h": HOUR * MICROSECONDS, "m": MINUTE * MICROSECONDS, "s": MICROSECONDS, "ms": 1000}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(d|h|ms|m|s)", re.ASCII)
_SECONDS = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time as written: wall time in whole seconds, the microseconds, and the offset if one was given."""

    wall: int
    microsecond: int = 0
    offset: dt.timedelta | None = None

    def instant(self, zone: Zone) -> float:
        """Return it in seconds since the epoch; without an offset it is the zone's wall time.

        A wall time that is skipped by daylight saving means the first instant after the gap, a repeated one the first.
        """
        if self.offset is not None:
            shift = self.offset // dt.timedelta(microseconds=1)
            return (self.wall * MICROSECONDS + self.microsecond - shift) / MICROSECONDS
        first = first_instant(zone, self.wall)
        is_shown = wall_time(in_zone(first, zone)) == self.wall
        return (first * MICROSECONDS + self.microsecond * is_shown) / MICROSECONDS

    def written(self, zone: Zone) -> str:
        """Write it in RFC 3339, with the offset that it was given or that the zone has then."""
        shown = dt.timezone(self.offset) if self.offset is not None else zone
        moment = dt.datetime.fromtimestamp(self.instant(zone), shown)
        if (moment.utcoffset() or dt.timedelta(0)) % dt.timedelta(minutes=1):
            # Before there were time zones, clocks went by the sun; RFC 3339 has no seconds in an offset.
            moment = moment.astimezone(dt.UTC)
        return moment.isoformat()


def parse_moment(value: object) -> Moment:
    """Read a date with a time in RFC 3339, the offset and the seconds optional; ValueError says what is wrong."""
    moment: object = value
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value.strip()):
            raise ValueError("is not a date with a time in RFC 3339")
        try:
            moment = dt.datetime.fromisoformat(value.strip().upper())
        except ValueError as error:
            raise ValueError(f"is no date and time of the calendar ({error})") from None
    if not isinstance(moment, dt.datetime):
        raise ValueError("is not a date with a time")  # noqa: TRY004 -- a fault of the text like the others
    wall = wall_time(moment)
    if not EARLIEST <= wall < LATEST:
        raise ValueError("lies outside the years 3 to 9997")
    return Moment(wall, moment.microsecond, moment.utcoffset())


def parse_date(value: object) -> int | None:
    """Read a date without a time as days since the epoch; None for anything else, ValueError if no such day is."""
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            value = dt.date.fromisoformat(value.strip())
        except ValueError as error:
            raise ValueError(f"is no date of the calendar ({error})") from None
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        return None
    day = value.toordinal() - EPOCH_ORDINAL
    if not EARLIEST <= day * DAY < LATEST:
        raise ValueError("lies outside the years 3 to 9997")
    return day


def wall_time(moment: dt.datetime) -> int:
    """Return what the wall clock shows in whole seconds since it showed 1970-01-01 00:00."""
    days = moment.toordinal() - EPOCH_ORDINAL
    return days * DAY + moment.hour * HOUR + moment.minute * MINUTE + moment.second


def parse_duration(value: object) -> int | None:
    """Read a number of seconds, or text such as `1h30m`, as microseconds; None if it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(Fraction(value) * MICROSECONDS) if abs(value) < LATEST else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return round(Fraction(text) * MICROSECONDS)
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    is_whole = "".join(number + unit for number, unit in parts) == text
    is_ordered = units == [unit for unit in _UNITS if unit in units]  # each at most once, the largest first
    if not parts or not is_whole or not is_ordered:
        return None
    return round(sum(Fraction(number) * _UNITS[unit] for number, unit in parts))


def written_duration(microseconds: int) -> str:
    """Write a duration in the largest units that fit: 5400 seconds are `1h30m`."""
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, microseconds = divmod(microseconds, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    if microseconds:
        text += f"{microseconds / 1000:f}".rstrip("0").rstrip(".") + "ms"
    return text or "0s"
