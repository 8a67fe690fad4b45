"""A calendar: an expression within its bounds, which are a start, an end and the blackouts in which nothing is due.

Owns how bounds are read and kept, and that due instants only ever go forward. Knows no policy (see `catchup`) and reads
no clock. Called by the daemon's schedules and by the command line.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from daemon.calendar.expressions import Every, Expression
from daemon.calendar.moments import MICROSECONDS, MOMENT_HINT, Moment, parse_date, parse_moment
from daemon.calendar.problems import Complaints, shown
from daemon.calendar.zones import DAY, EARLIEST, Span, Zone, first_instant, merged, spans_between

_BLACKOUT_HINT = (
    "Write 2027-12-24 for a day, 2027-12-24/2027-12-26 for days, 2027-12-24T18:00/2027-12-25T06:00 for hours"
)
_ENDS = 2


@dataclass(frozen=True, slots=True)
class Calendar:
    """An expression that is due from `start` to `end`, both included, and never in a blackout.

    Instants are seconds since the epoch, UTC. Blackouts are sorted and do not touch, as `parse_calendar` makes them.
    """

    expression: Expression
    start: float = -math.inf
    end: float = math.inf
    blackouts: tuple[Span, ...] = ()

    def next_after(self, instant: float) -> float | None:
        """Return the first due instant later than this one, or None if there is none."""
        after = max(instant, _just_before(self.start))
        while True:
            due = self.expression.next_after(after)
            if due is None or due > self.end:
                return None
            if due <= after:
                # A calendar that stands still fires for ever; better to stop and say so.
                raise AssertionError(f"{self.expression} is due at {due!r}, which is not later than {after!r}")
            blackout = self._blackout_at(due)
            if blackout is None:
                return due
            after = _just_before(blackout[1])

    def between(self, after: float, until: float) -> Iterator[float]:
        """Give the due instants later than `after` and not later than `until`, earliest first."""
        due = self.next_after(after)
        while due is not None and due <= until:
            yield due
            due = self.next_after(due)

    def count(self, after: float, until: float) -> int:
        """Count the due instants later than `after` and not later than `until`, without walking through them."""
        after, until = max(after, _just_before(self.start)), min(until, self.end)
        if after >= until:
            return 0
        total = self.expression.count(after, until)
        for start, end in self.blackouts:
            low, high = max(after, _just_before(start)), min(until, _just_before(end))
            total -= self.expression.count(low, high) if low < high else 0
        return total

    def latest(self, after: float, until: float, limit: int) -> tuple[float, ...]:
        """Return the last due instants between, earliest first, at most `limit` of them."""
        if limit < 1:
            return ()
        low, high = max(after, self.start - 1, EARLIEST), until
        found = self.count(low, until)
        while found > 2 * limit:  # halve the time until it holds few enough to walk through
            middle = (low + high) / 2
            in_half = self.count(middle, until)
            if in_half >= limit:
                low, found = middle, in_half
            else:
                high = middle
        return tuple(self.between(low, until))[-limit:]

    def _blackout_at(self, instant: float) -> Span | None:
        number = bisect_right(self.blackouts, (instant, math.inf)) - 1
        is_inside = number >= 0 and instant < self.blackouts[number][1]
        return self.blackouts[number] if is_inside else None


def parse_calendar(
    expression: Expression, zone: Zone, start: object = None, end: object = None, blackouts: Iterable[object] = ()
) -> Calendar:
    """Put an expression within its bounds; ScheduleInvalidError holds everything that is wrong with them.

    `start` and `end` are dates or moments, as text or as TOML's own types; a date as `end` counts to its last instant.
    A blackout is a date, or two dates or moments (a list, or text with a slash): dates with the last day, moments
    without the last instant. What has no offset is wall time in the zone, also where that is shown twice. `every`
    counts from the start if there is one.
    """
    complaints = Complaints(expression)
    first, last, spans = -math.inf, math.inf, list[Span]()
    try:
        first = first if start is None else _bound(start, zone, is_end=False)
    except ValueError as error:
        complaints.add(f"start: {shown(start)} {error}", MOMENT_HINT)
    try:
        last = last if end is None else _bound(end, zone, is_end=True)
    except ValueError as error:
        complaints.add(f"end: {shown(end)} {error}", MOMENT_HINT)
    for blackout in blackouts:
        try:
            spans += _blackout(blackout, zone)
        except ValueError as error:
            complaints.add(f"blackout: {shown(blackout)} {error}", _BLACKOUT_HINT)
    complaints.settle()
    if isinstance(expression, Every) and start is not None:
        expression = replace(expression, anchor=round(first * MICROSECONDS))
    calendar = Calendar(expression, first, last, tuple(merged(spans)))
    if start is not None and end is not None and calendar.next_after(first - 1) is None:
        message = f"never due: {expression} has no instant from {start} to {end} outside its blackouts"
        complaints.add(message, "Move start or end, or take a blackout away", code="schedule_never")
    complaints.settle()
    return calendar


def _bound(value: object, zone: Zone, *, is_end: bool) -> float:
    day = parse_date(value)
    if day is None:
        return parse_moment(value).instant(zone)
    return _just_before(first_instant(zone, (day + 1) * DAY)) if is_end else first_instant(zone, day * DAY)


def _blackout(value: object, zone: Zone) -> list[Span]:
    """Read one blackout as the spans of time it covers; ValueError says what is wrong."""
    given = value.split("/") if isinstance(value, str) else value
    ends = list(given) if isinstance(given, Sequence) else [given]
    days = [parse_date(end) for end in ends]
    if len(ends) == 1 and days[0] is not None:
        return spans_between(zone, days[0] * DAY, (days[0] + 1) * DAY)
    if len(ends) != _ENDS:
        raise ValueError("is neither a date nor two dates or moments")
    low = Moment(days[0] * DAY) if days[0] is not None else parse_moment(ends[0])
    high = Moment((days[1] + 1) * DAY) if days[1] is not None else parse_moment(ends[1])
    is_local = low.offset is None and high.offset is None
    start, end = (low.wall, high.wall) if is_local else (low.instant(zone), high.instant(zone))
    if start >= end:
        raise ValueError("ends before it begins")
    return spans_between(zone, low.wall, high.wall) if is_local else [(start, end)]


def _just_before(instant: float) -> float:
    return math.nextafter(instant, -math.inf)
