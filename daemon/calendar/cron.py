"""Cron lines as Debian's cron reads them, with every problem named and put right.

Owns the five fields and the `@` words. What Debian's cron takes silently but never runs, or runs otherwise than it is
written, is a problem here: reversed ranges (`fri-sun`), text after a range (`5#2`), dates that do not exist
(30 February). Called by `phrases`, and by whoever knows that he has a cron line.
"""

import difflib
import re
from dataclasses import dataclass
from types import MappingProxyType

from daemon.calendar.expressions import WallClock
from daemon.calendar.problems import Complaints, refusal, shown
from daemon.calendar.zones import Zone

ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = (1 << 32) - 2, (1 << 13) - 2, (1 << 7) - 1
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AT_WORDS = MappingProxyType(
    {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
    }
)
_LONGEST = 1000  # characters; all sixty minutes written as a list are 170
_LONGEST_MONTH = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LAST_DAY = 'For the last day of the month write monthly = "last 02:30"'
# What other dialects write, and what to write here.
_FOREIGN_SIGNS = MappingProxyType(
    {
        "?": "Write * for any value",
        "#": "The nth weekday of a month cannot be said in cron: give the weekday and let the workflow check the day",
        "$": _LAST_DAY,
        "~": "A random time cannot be said in cron: write one time and set jitter",
    }
)
_FOREIGN_LETTERS = MappingProxyType(
    {
        "l": _LAST_DAY,
        "w": "The nearest weekday cannot be said in cron: give weekdays and let the workflow check the day",
        "h": "A hashed time cannot be said in cron: write one time and set jitter",
    }
)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    example: str
    stride: str
    words: tuple[str, ...] = ()  # for the values from `low` on

    @property
    def allowed(self) -> str:
        return f"{self.low}-{self.high}" + (f" or {self.words[0]}-{self.words[-1]}" if self.words else "")


_FIELDS = (
    _Field("minute", 0, 59, "0", "15"),
    _Field("hour", 0, 23, "2", "6"),
    _Field("day of month", 1, 31, "1", "2"),
    _Field("month", 1, 12, "jan", "3", MONTHS),
    _Field("day of week", 0, 7, "mon", "2", ("sun", *WEEKDAYS[:-1])),
)
_FIELD_NAMES = ", ".join(field.name for field in _FIELDS)


def parse_cron(text: object, zone: Zone) -> WallClock:
    """Read a five-field cron line or an `@` word; ScheduleInvalidError holds everything that is wrong with it."""
    if not isinstance(text, str):
        raise refusal(text, f"cron is text, found {type(text).__name__} {shown(text)}", 'Write cron = "30 2 * * *"')
    if len(text) > _LONGEST:
        raise refusal(text, f"cron has {len(text)} characters, at most {_LONGEST} are read", "Write ranges, not lists")
    line = " ".join(text.split())
    fields = AT_WORDS.get(line, line).split(" ")
    complaints = Complaints(line)
    if line.startswith("@") and line not in AT_WORDS:
        _complain_of_word(line, complaints)
    elif len(fields) != len(_FIELDS):
        _complain_of_count(line, fields, complaints)
    complaints.settle()
    masks = [_read_field(field, entries, complaints) for field, entries in zip(_FIELDS, fields, strict=True)]
    complaints.settle()
    expression = _wall_clock(line, zone, fields, masks)
    _complain_of_never(expression, complaints)
    complaints.settle()
    return expression


def _wall_clock(line: str, zone: Zone, fields: list[str], masks: list[int]) -> WallClock:
    minutes, hours, days, months, weekdays = masks
    starred = [entries.startswith("*") for entries in fields]
    return WallClock(
        text=line.lower(),
        zone=zone,
        minutes=sum(minutes << 60 * hour for hour in range(24) if hours >> hour & 1),
        months=months,
        days=days,
        weekdays=sum({1 << (day + 6) % 7 for day in range(8) if weekdays >> day & 1}),  # 0 and 7 are one Sunday
        is_either=not (starred[2] or starred[4]),
        follows_clock=starred[0] or starred[1],
    )


def _read_field(field: _Field, text: str, complaints: Complaints) -> int:
    """Read the entries of a field into a mask of its values."""
    mask = 0
    for entry in text.split(","):
        foreign = _foreign_hint(entry)
        if foreign is not None:
            complaints.add(f"{field.name}: {shown(entry)} is not cron as Debian reads it", foreign)
        elif not entry:
            message = f"{field.name}: {shown(text)} has a comma with nothing before or after it"
            complaints.add(message, "Write one comma between two entries and none at the ends")
        else:
            mask |= _read_entry(field, entry, complaints)
    return mask


def _foreign_hint(entry: str) -> str | None:
    letter = entry.strip("0123456789-/").lower()
    return next((hint for sign, hint in _FOREIGN_SIGNS.items() if sign in entry), _FOREIGN_LETTERS.get(letter))


def _read_entry(field: _Field, entry: str, complaints: Complaints) -> int:
    """Read `*`, `a` or `a-b`, the first and the last with `/n` if wanted; 0 where something is wrong."""
    found = len(complaints)
    body, slash, stride = entry.partition("/")
    first, dash, second = body.partition("-")
    low, high = field.low, field.high
    if body != "*":
        low = _read_value(field, first, entry, complaints)
        high = _read_value(field, second, entry, complaints) if dash else low
    if slash and body != "*" and not dash:
        start = first if len(complaints) == found else field.example
        hint = f"Write {start}-{field.high}/{stride or 'n'}, or */{stride or 'n'}"
        complaints.add(f"{field.name}: {shown(entry)} counts on from a single value; Debian's cron refuses that", hint)
    if slash and not (_NUMBER.fullmatch(stride) and int(stride)):
        message = f"{field.name}: {shown(entry)} needs a whole number from 1 after the slash, found {shown(stride)}"
        complaints.add(message, f"Write for example */{field.stride}")
    if len(complaints) == found and low > high:
        message = f"{field.name}: {shown(entry)} runs backwards; Debian's cron takes that and never runs"
        complaints.add(message, f"Write {_forwards(field, low, high)}")
    if len(complaints) > found:
        return 0
    return sum(1 << value for value in range(low, high + 1, int(stride or 1)))


def _read_value(field: _Field, text: str, entry: str, complaints: Complaints) -> int:
    if text.lower() in field.words:
        return field.low + field.words.index(text.lower())
    if not _NUMBER.fullmatch(text):
        inside = "" if text == entry else f" in {shown(entry)}"
        complaints.add(
            f"{field.name}: found {shown(text)}{inside}; allowed are {field.allowed}", _word_hint(field, text)
        )
        return field.low
    number = int(text)
    if not field.low <= number <= field.high:
        complaints.add(
            f"{field.name}: {number} is out of range; allowed are {field.allowed}", _range_hint(field, number)
        )
    return number


def _word_hint(field: _Field, text: str) -> str:
    near = difflib.get_close_matches(text.lower()[:3], field.words, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]}? Names have three letters"
    return f"Write *, a value such as {field.example}, a range such as {field.low}-{field.high}, or several with commas"


def _range_hint(field: _Field, number: int) -> str:
    if field.name == "day of week":
        return "Monday is 1, Sunday is 0 or 7"
    if field.name == "hour" and number == field.high + 1:
        return "Midnight is hour 0 of the day that begins"
    return f"The first is {field.low}, the last {field.high}"


def _forwards(field: _Field, low: int, high: int) -> str:
    """Write what a backwards range was surely meant to be."""
    if field.name == "day of week":
        parts = [(low, 7), (1, high)] if high else [(low, 7)]
    else:
        parts = [(low, field.high), (field.low, high)]
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _complain_of_never(expression: WallClock, complaints: Complaints) -> None:
    """Find a day that none of the months has; a weekday that counts beside it saves the expression."""
    months = [month for month in range(1, 13) if expression.months >> month & 1]
    longest = max(_LONGEST_MONTH[month] for month in months)
    earliest = (expression.days & -expression.days).bit_length() - 1
    if earliest > longest and not expression.is_either:
        named = ", ".join(MONTHS[month - 1] for month in months)
        message = f"never due: day of month {earliest} does not exist in {named}, which has {longest} days at most"
        hint = f"Write a day up to {longest} or another month. {_LAST_DAY}"
        complaints.add(message, hint, code="schedule_never")


def _complain_of_word(line: str, complaints: Complaints) -> None:
    word = line.partition(" ")[0].lower()
    if word == "@reboot":
        hint = 'Let whatever starts the daemon submit the workflow, or name a time: cron = "@daily"'
        complaints.add("@reboot names no time, and a schedule is not told when the machine starts", hint)
    elif word == "@every":
        complaints.add(f"{shown(line)} is not cron", f'Write every = "{line.partition(" ")[2] or "15m"}"')
    else:
        near = difflib.get_close_matches(word, AT_WORDS, n=1, cutoff=0.75)
        hint = f"Did you mean {near[0]}, with nothing after it?" if near else "Write the five fields instead"
        complaints.add(f"{shown(line)} is none of {', '.join(AT_WORDS)}", hint)


def _complain_of_count(line: str, fields: list[str], complaints: Complaints) -> None:
    if not line:
        complaints.add(f"cron is empty; it has five fields: {_FIELD_NAMES}", "Write 30 2 * * * for each day at 02:30")
        return
    if len(fields) < len(_FIELDS):
        missing = ", ".join(field.name for field in _FIELDS[len(fields) :])
        hint = f"Add {missing}; * stands for any"
    else:
        hint = "There is no field for seconds or years, and no command: the schedule names the workflow"
    complaints.add(f"cron has five fields ({_FIELD_NAMES}), found {len(fields)}: {shown(line)}", hint)
