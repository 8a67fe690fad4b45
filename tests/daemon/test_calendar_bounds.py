"""A calendar within its bounds: start, end, blackouts, and that time only goes forward."""

import datetime as dt
import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.calendar import Calendar, in_zone, parse_calendar, parse_cron, parse_every, parse_text
from engine.errors import ScheduleInvalidError
from tests.daemon.cron_walk import some_line, utc, zone

BERLIN, HAVANA, UTC = zone("Europe/Berlin"), zone("America/Havana"), zone("UTC")
DAY = 86400
PLAIN = ["* * * * *", "30 2 * * *", "@hourly", "daily 00:00,12:00", "every 7m", "every 37h", "weekly sat,sun 02:30"]
FAULTS = [
    ({"start": "soon"}, ["start: 'soon' is not a date with a time in RFC 3339"]),
    ({"start": "2026-02-30"}, ["start: '2026-02-30' is no date of the calendar (day is out of range"]),
    ({"end": "2026-01-01T24:30"}, ["end: '2026-01-01T24:30' is no date and time of the calendar"]),
    ({"end": 5}, ["end: '5' is not a date with a time"]),
    ({"blackouts": ["xmas"]}, ["blackout: 'xmas' is neither a date nor two dates or moments"]),
    ({"blackouts": ["2026-12-24T12:00"]}, ["blackout: '2026-12-24T12:00' is neither a date nor two"]),
    ({"blackouts": ["2026-12-26/2026-12-24"]}, ["ends before it begins"]),
    ({"blackouts": [["2026-12-24", "2026-12-25", "2026-12-26"]]}, ["is neither a date nor two dates or moments"]),
    ({"blackouts": [[]]}, ["blackout: '[]' is neither"]),
    ({"blackouts": [{"from": "2026-12-24"}]}, ["is neither a date nor two dates or moments"]),
    (
        {"start": "x", "end": "y", "blackouts": ["z/1", 7, "0000-01-01"]},
        ["start: 'x'", "end: 'y'", "blackout: 'z/1'", "blackout: '7'", "blackout: '0000-01-01' is no date"],
    ),
]


def due_in(calendar, low, high, place=BERLIN):
    return [f"{in_zone(at, place):%d.%m. %H:%M%z}" for at in calendar.between(low, high)]


def daily(text="daily 02:30", place=BERLIN, **bounds):
    return parse_calendar(parse_text(text, place), place, **bounds)


def test_start_and_end_are_both_included():
    calendar = daily(start="2026-05-02T02:30", end="2026-05-04T02:30:00+02:00")

    assert due_in(calendar, 0, 1e11) == ["02.05. 02:30+0200", "03.05. 02:30+0200", "04.05. 02:30+0200"]
    assert calendar.count(0, 1e11) == 3
    assert calendar.next_after(utc(2026, 5, 4, 0, 30)) is None


def test_a_date_as_a_bound_is_the_whole_day():
    calendar = daily("daily 00:00,23:59", start="2026-05-02", end=dt.date(2026, 5, 3))

    assert due_in(calendar, 0, 1e11) == [
        "02.05. 00:00+0200",
        "02.05. 23:59+0200",
        "03.05. 00:00+0200",
        "03.05. 23:59+0200",
    ]


def test_a_period_counts_from_the_start_if_there_is_one():
    calendar = daily("every 2d", start="2026-05-02T02:30+00:00")

    assert list(calendar.between(utc(2026, 5, 1), utc(2026, 5, 7))) == [utc(2026, 5, day, 2, 30) for day in (2, 4, 6)]


@pytest.mark.parametrize(
    "blackout",
    [
        "2026-05-02/2026-05-04",
        ["2026-05-02", dt.date(2026, 5, 4)],
        "2026-05-02T02:30/2026-05-05T02:30",
        (dt.datetime(2026, 5, 2, 2, 30), dt.datetime(2026, 5, 5)),  # noqa: DTZ001 -- TOML's local date-time
        "2026-05-02T00:30:00Z/2026-05-04T02:30:01+02:00",
        "2026-05-02/2026-05-05T00:00Z",
    ],
)
def test_nothing_is_due_in_a_blackout(blackout):
    calendar = daily(blackouts=[blackout])

    assert due_in(calendar, utc(2026, 5), utc(2026, 5, 6)) == ["01.05. 02:30+0200", "05.05. 02:30+0200"]
    assert calendar.count(utc(2026, 5), utc(2026, 5, 6)) == 2


def test_blackouts_may_touch_and_overlap_and_come_in_any_order():
    calendar = daily(blackouts=["2026-05-05", "2026-05-02/2026-05-03", dt.date(2026, 5, 4), "2026-05-03/2026-05-04"])

    assert due_in(calendar, utc(2026, 5), utc(2026, 5, 7)) == ["01.05. 02:30+0200", "06.05. 02:30+0200"]
    assert len(calendar.blackouts) == 1


def test_a_blackout_without_offset_is_what_the_wall_shows_also_twice():
    calendar = daily("*/30 * * * *", blackouts=["2026-10-25T02:00/2026-10-25T02:30"])

    assert due_in(calendar, utc(2026, 10, 24, 23), utc(2026, 10, 25, 2)) == [
        "25.10. 01:30+0200",
        "25.10. 02:30+0200",
        "25.10. 02:30+0100",
        "25.10. 03:00+0100",
    ]


def test_a_day_in_blackout_is_the_day_of_the_zone_also_where_midnight_comes_twice():
    hourly = daily("@hourly", HAVANA, blackouts=["2026-11-01"])

    due = due_in(hourly, utc(2026, 11, 1, 2), utc(2026, 11, 2, 6), HAVANA)

    assert due == ["31.10. 23:00-0400", "02.11. 00:00-0500", "02.11. 01:00-0500"]


def test_a_time_moved_out_of_the_gap_counts_where_it_went():
    in_the_gap = "2026-03-29T02:00/2026-03-29T03:00"
    assert due_in(daily(blackouts=[in_the_gap]), utc(2026, 3, 29), utc(2026, 3, 30)) == ["29.03. 03:00+0200"]
    after_it = "2026-03-29T03:00/2026-03-29T03:01"
    assert due_in(daily(blackouts=[after_it]), utc(2026, 3, 29), utc(2026, 3, 30)) == []


@pytest.mark.parametrize(("bounds", "messages"), FAULTS)
def test_every_fault_of_the_bounds_is_told_at_once(bounds, messages):
    with pytest.raises(ScheduleInvalidError) as caught:
        daily(**bounds)

    problems = caught.value.problems
    assert len(problems) == len(messages), [str(problem) for problem in problems]
    assert all(message in problem.message for problem, message in zip(problems, messages, strict=True))
    assert all(problem.hint for problem in problems)


@pytest.mark.parametrize(
    "bounds",
    [
        {"start": "2026-05-05", "end": "2026-05-04"},
        {"start": "2026-05-02T03:00", "end": "2026-05-03T02:00"},
        {"start": "2026-05-02", "end": "2026-05-04", "blackouts": ["2026-05-01/2026-05-04"]},
    ],
)
def test_bounds_that_leave_nothing_are_a_fault(bounds):
    with pytest.raises(ScheduleInvalidError) as caught:
        daily(**bounds)

    (problem,) = caught.value.problems
    assert problem.code == "schedule_never"
    assert "daily 02:30 has no instant from" in problem.message


@given(
    st.one_of(st.sampled_from(PLAIN), st.integers(0, 2**32).map(lambda seed: some_line(random.Random(seed)))),
    st.sampled_from([BERLIN, HAVANA, zone("Australia/Lord_Howe"), zone("Antarctica/Troll"), zone("America/St_Johns")]),
    st.integers(0, 370),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 400 * 24), st.integers(1, 60)), max_size=6),
)
def test_due_instants_increase_and_keep_within_bounds_and_out_of_blackouts(text, place, first, length, dark):
    start, end = utc(2026) + first * DAY + 1800, utc(2026) + (first + length) * DAY + 3 * 3600
    spans = [(utc(2026) + at * 3600, utc(2026) + (at + hours) * 3600) for at, hours in dark]
    blackouts = ["/".join(in_zone(edge, UTC).isoformat() for edge in span) for span in spans]
    try:
        free = parse_text(text, place)
        calendar = parse_calendar(free, place, in_zone(start, UTC), in_zone(end, UTC), blackouts)
    except ScheduleInvalidError as error:
        assert {problem.code for problem in error.problems} == {"schedule_never"}  # noqa: PT017 -- one way out of two
        return

    due = [at for _, at in zip(range(3000), calendar.between(utc(2025), utc(2028)), strict=False)]

    assert due
    assert all(earlier < later for earlier, later in pairwise(due))
    assert start <= due[0] <= due[-1] <= end
    assert not [at for at in due if any(low <= at < high for low, high in spans)]
    assert calendar.count(utc(2025), due[-1]) == len(due)
    inside = [
        at for at in Calendar(calendar.expression).between(start - 1, due[-1]) if not any(a <= at < b for a, b in spans)
    ]
    assert due == inside


@given(st.sampled_from(PLAIN), st.integers(1, 50), st.integers(0, 400 * DAY), st.lists(st.integers(0, 400), max_size=5))
def test_the_latest_are_the_last_of_all(text, limit, length, dark):
    days = [f"{in_zone(utc(2026) + day * DAY, UTC):%Y-%m-%d}" for day in dark]
    calendar = daily(text, blackouts=days)
    low, high = utc(2026), utc(2026) + length

    found = calendar.latest(low, high, limit)

    total = calendar.count(low, high)
    assert len(found) == min(limit, total)
    if found:
        assert calendar.count(low, found[0]) == total - len(found) + 1
        assert list(calendar.between(found[0], high)) == list(found[1:])


def test_no_limit_no_latest():
    assert daily().latest(utc(2026), utc(2027), 0) == ()


@dataclass(frozen=True)
class Stuck:
    """An expression with the fault that froze other schedulers: it is always due at the same instant."""

    at: float

    def next_after(self, instant):
        return self.at

    def count(self, after, until):
        return 1


def test_an_expression_that_stands_still_is_stopped_and_not_fired_for_ever():
    calendar = Calendar(Stuck(1000.0))

    assert calendar.next_after(999.0) == 1000.0
    with pytest.raises(AssertionError, match=r"is due at 1000\.0, which is not later than 1000\.0"):
        calendar.next_after(1000.0)


def test_counting_years_of_every_minute_does_not_walk_through_them():
    calendar = Calendar(parse_cron("* * * * *", BERLIN))
    quick = Calendar(parse_every("1ms", BERLIN))

    assert calendar.count(utc(1990), utc(2090)) == (utc(2090) - utc(1990)) // 60
    assert quick.count(utc(1990), utc(2090)) == (utc(2090) - utc(1990)) * 1000
    assert calendar.latest(utc(1990), utc(2090), 3) == (utc(2090) - 120, utc(2090) - 60, utc(2090))
