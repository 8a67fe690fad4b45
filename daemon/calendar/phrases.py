"""The forms of a schedule that are no cron line: `every`, `at`, `hourly`, `daily`, `weekly`, `monthly`, and free text.

Owns their words; each form raises ScheduleInvalidError with all that is wrong with it. Called by the configuration,
where one form is one key (`FORMS`), and by `dropmill calendar`, which has free text.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from daemon.calendar.cron import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, WEEKDAYS, parse_cron
from daemon.calendar.expressions import At, Every, Expression, WallClock
from daemon.calendar.moments import DURATION_HINT, MOMENT_HINT, parse_duration, parse_moment, written_duration
from daemon.calendar.problems import Complaints, refusal, shown
from daemon.calendar.zones import Zone

_SHORTEST_PERIOD, _LONGEST_PERIOD = 1000, 36_500 * 86_400_000_000  # microseconds
_TIME = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_MINUTE_OF_HOUR = re.compile(r":([0-5]\d)", re.ASCII)
_DAY_OF_MONTH = re.compile(r"0?[1-9]|[12]\d|3[01]", re.ASCII)
_CRON_START = re.compile(r"[\d*@]", re.ASCII)
_EXAMPLES = {
    "cron": "30 2 * * *",
    "every": "15m",
    "at": "2027-01-01T00:00:00+01:00",
    "hourly": ":15",
    "daily": "02:30",
    "weekly": "mon 02:30",
    "monthly": "1 02:30",
}


def parse_every(value: object, zone: Zone) -> Every:  # noqa: ARG001 -- every form is read alike; elapsed time has no zone
    """Read a period of elapsed time: a duration, or a number of seconds."""
    period = parse_duration(value)
    if period is None:
        raise refusal(value, f"every: {shown(value)} is not a duration", DURATION_HINT)
    if period < _SHORTEST_PERIOD:
        raise refusal(value, f"every: {shown(value)} is too short", "The shortest period is 1ms")
    if period > _LONGEST_PERIOD:
        raise refusal(
            value, f"every: {shown(value)} is too long", "The longest period is 36500d; for one instant write at"
        )
    return Every(f"every {written_duration(period)}", period)


def parse_at(value: object, zone: Zone) -> At:
    """Read one instant in RFC 3339; without an offset it is local time in the zone."""
    try:
        moment = parse_moment(value)
    except ValueError as error:
        raise refusal(value, f"at: {shown(value)} {error}", MOMENT_HINT) from None
    return At(f"at {moment.written(zone)}", moment.instant(zone))


def parse_hourly(value: object, zone: Zone) -> WallClock:
    """Read minutes of every hour: `:15`, or several with commas."""
    complaints = Complaints(value)
    minutes = 0
    for word in _words("hourly", value):
        found = _MINUTE_OF_HOUR.fullmatch(word)
        if found:
            minutes |= 1 << int(found[1])
        else:
            complaints.add(f"hourly: {shown(word)} is not a minute of the hour; allowed are :00-:59", "Write :15")
    complaints.settle()
    text = ",".join(f":{minute:02}" for minute in range(60) if minutes >> minute & 1)
    every_hour = sum(minutes << 60 * hour for hour in range(24))
    return _wall_clock(f"hourly {text}", zone, every_hour, follows_clock=True)


def parse_daily(value: object, zone: Zone) -> WallClock:
    """Read times of every day: `02:30`, or several with commas."""
    complaints = Complaints(value)
    minutes = _times("daily", _words("daily", value), complaints)
    complaints.settle()
    return _wall_clock(f"daily {_written_times(minutes)}", zone, minutes)


def parse_weekly(value: object, zone: Zone) -> WallClock:
    """Read weekdays and the times at each of them: `mon 02:30`, `mon,thu 02:30`, `mon-fri 08:00, 18:00`."""
    complaints = Complaints(value)
    names, times = _split("weekly", value, complaints)
    weekdays = 0
    for name in names:
        weekdays |= _weekdays(name, complaints)
    minutes = _times("weekly", times, complaints)
    complaints.settle()
    days = ",".join(name for number, name in enumerate(WEEKDAYS) if weekdays >> number & 1)
    return _wall_clock(f"weekly {days} {_written_times(minutes)}", zone, minutes, weekdays=weekdays)


def parse_monthly(value: object, zone: Zone) -> WallClock:
    """Read days of the month and the times at each of them: `1 02:30`, `1,15 02:30`, `last 02:30`."""
    complaints = Complaints(value)
    names, times = _split("monthly", value, complaints)
    days = 0
    for name in names:
        if _DAY_OF_MONTH.fullmatch(name):
            days |= 1 << int(name)
        elif name != "last":
            hint = 'Write "1 02:30", "1,15 02:30", or "last 02:30" for the last day, whatever its number'
            complaints.add(f"monthly: {shown(name)} is not a day of the month; allowed are 1-31 and last", hint)
    minutes = _times("monthly", times, complaints)
    complaints.settle()
    has_last = "last" in names
    written = ",".join([str(day) for day in range(1, 32) if days >> day & 1] + ["last"] * has_last)
    text = f"monthly {written} {_written_times(minutes)}"
    return _wall_clock(text, zone, minutes, days=days, has_last_day=has_last)


# The keys of a schedule that say when, each with its reader.
FORMS: Mapping[str, Callable[[object, Zone], Expression]] = MappingProxyType(
    {
        "cron": parse_cron,
        "every": parse_every,
        "at": parse_at,
        "hourly": parse_hourly,
        "daily": parse_daily,
        "weekly": parse_weekly,
        "monthly": parse_monthly,
    }
)


def parse_text(text: str, zone: Zone) -> Expression:
    """Read a whole expression as on a command line: a cron line, `@daily`, `every 15m`, `weekly mon 02:30`."""
    form, _, rest = " ".join(text.split()).partition(" ")
    reader = FORMS.get(form.lower())
    if reader is not None:
        return reader(rest, zone)
    if not form or _CRON_START.match(form):
        return parse_cron(text, zone)
    near = difflib.get_close_matches(form.lower(), FORMS, n=1)
    value = rest if rest.isprintable() else ""
    hint = f"Did you mean {near[0]} {value or _EXAMPLES[near[0]]}?" if near else _all_forms()
    raise refusal(text, f"{shown(form)} is not a way to say when", hint)


def _all_forms() -> str:
    return "Write a cron line, or " + ", ".join(
        f"{form} {value}" for form, value in _EXAMPLES.items() if form != "cron"
    )


def _words(form: str, value: object) -> list[str]:
    """Split a value at commas and blanks."""
    example = f'Write {form} = "{_EXAMPLES[form]}"'
    if not isinstance(value, str):
        raise refusal(value, f"{form} is text, found {type(value).__name__} {shown(value)}", example)
    words = value.lower().replace(",", " ").split()
    if not words:
        raise refusal(value, f"{form} says no time", example)
    return words


def _split(form: str, value: object, complaints: Complaints) -> tuple[list[str], list[str]]:
    """Part the days from the times that follow them."""
    words = _words(form, value)
    first = next((number for number, word in enumerate(words) if ":" in word), len(words))
    days, times = words[:first], words[first:]
    hint = f'Write the days, then the times: {form} = "{_EXAMPLES[form]}"'
    if not days:
        complaints.add(f"{form}: {shown(value)} names no day", hint)
    if not times:
        complaints.add(f"{form}: {shown(value)} names no time of day", hint)
    late = next((word for word in times if ":" not in word), None)
    if late is not None:
        message = f"{form}: {shown(value)} has {shown(late)} after a time"
        complaints.add(message, f"{hint}; other times on other days are a second schedule")
    return days, [word for word in times if ":" in word]


def _times(form: str, words: list[str], complaints: Complaints) -> int:
    """Read times of day as a mask of minutes."""
    minutes = 0
    for word in words:
        found = _TIME.fullmatch(word)
        hour, minute = (int(found[1]), int(found[2])) if found else (24, 0)
        if hour < 24 and minute < 60:  # noqa: PLR2004 -- the hours of a day, the minutes of an hour
            minutes |= 1 << hour * 60 + minute
            continue
        hint = "Write hours and minutes of a 24-hour day, such as 02:30 or 14:00"
        hint = "Midnight is 00:00 of the day that begins" if word == "24:00" else hint
        complaints.add(f"{form}: {shown(word)} is not a time of day; allowed are 00:00-23:59", hint)
    return minutes


def _weekdays(text: str, complaints: Complaints) -> int:
    """Read a weekday or a range of them as a mask."""
    first, dash, second = text.partition("-")
    ends = [first, second if dash else first]
    unknown = [name for name in dict.fromkeys(ends) if name not in WEEKDAYS]
    for name in unknown:
        near = difflib.get_close_matches(name[:3], WEEKDAYS, n=1, cutoff=0.6)
        hint = f"Did you mean {near[0]}?" if near else "Write for example mon, or mon,thu, or mon-fri"
        complaints.add(f"weekly: {shown(name)} is not a weekday; allowed are {', '.join(WEEKDAYS)}", hint)
    if unknown:
        return 0
    low, high = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[1])
    if low > high:
        days = ",".join(WEEKDAYS[number % 7] for number in range(low, high + 8))
        complaints.add(f"weekly: {shown(text)} runs backwards; a week begins with mon", f"Write {days}")
    return sum(1 << number for number in range(low, high + 1))


def _wall_clock(
    text: str,
    zone: Zone,
    minutes: int,
    *,
    days: int = ALL_DAYS,
    weekdays: int = ALL_WEEKDAYS,
    has_last_day: bool = False,
    follows_clock: bool = False,
) -> WallClock:
    return WallClock(
        text=text,
        zone=zone,
        minutes=minutes,
        months=ALL_MONTHS,
        days=days,
        weekdays=weekdays,
        is_either=False,
        follows_clock=follows_clock,
        has_last_day=has_last_day,
    )


def _written_times(minutes: int) -> str:
    return ",".join(f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440) if minutes >> minute & 1)
