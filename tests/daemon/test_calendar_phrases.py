"""The forms beside cron: what each means, how each is written back, and what each refuses with which sentence."""

import datetime as dt
import math
import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.calendar import (
    FORMS,
    At,
    Calendar,
    Every,
    in_zone,
    parse_at,
    parse_cron,
    parse_daily,
    parse_every,
    parse_text,
)
from engine.errors import ScheduleInvalidError
from tests.daemon.cron_walk import some_line, utc, zone

UTC, BERLIN = zone("UTC"), zone("Europe/Berlin")
SAME_AS_CRON = [
    ("hourly :15", "15 * * * *"),
    ("hourly :45,:05", "5,45 * * * *"),
    ("daily 02:30", "30 2 * * *"),
    ("daily 2:30", "30 2 * * *"),
    ("daily 06:15, 18:15", "15 6,18 * * *"),
    ("weekly mon 02:30", "30 2 * * 1"),
    ("weekly mon,thu 02:30", "30 2 * * 1,4"),
    ("weekly sun, sat 02:30", "30 2 * * 0,6"),
    ("weekly mon-fri 08:00, 18:00", "0 8,18 * * 1-5"),
    ("weekly FRI-sun 02:30", "30 2 * * 5-7"),
    ("monthly 1 02:30", "30 2 1 * *"),
    ("monthly 1,15,31 02:30", "30 2 1,15,31 * *"),
    ("cron 30 2 * * *", "30 2 * * *"),
    ("@daily", "0 0 * * *"),
]
WRITTEN = [
    ("daily  2:30 ,14:00,02:30", "daily 02:30,14:00"),
    ("WEEKLY Thu, mon 2:30", "weekly mon,thu 02:30"),
    ("weekly mon-fri 08:00", "weekly mon,tue,wed,thu,fri 08:00"),
    ("monthly last, 15, 01 02:30", "monthly 1,15,last 02:30"),
    ("hourly :45 :05", "hourly :05,:45"),
    ("every 90", "every 1m30s"),
    ("every 250ms", "every 250ms"),
    ("every 1.0005", "every 1s0.5ms"),
    ("every 1.5", "every 1s500ms"),
    ("every 86400s", "every 1d"),
    ("every 1h30m", "every 1h30m"),
    ("at 2027-01-01T00:00:00+01:00", "at 2027-01-01T00:00:00+01:00"),
    ("at 2027-01-01t00:00z", "at 2027-01-01T00:00:00+00:00"),
    ("at 2027-07-01 00:00", "at 2027-07-01T00:00:00+02:00"),
    ("at 2027-01-01T00:00:00.25", "at 2027-01-01T00:00:00.250000+01:00"),
    ("at 2027-01-01T00:00:00.123456789Z", "at 2027-01-01T00:00:00.123456+00:00"),
    ("at 2027-01-01T00:00:00.5Z", "at 2027-01-01T00:00:00.500000+00:00"),
    ("Cron 30 2 * * MON", "30 2 * * mon"),
]
PERIODS = [
    ("250ms", 0.25),
    ("30s", 30),
    ("5m", 300),
    ("1h30m", 5400),
    ("2d", 172_800),
    ("1d2h3m4s5ms", 93_784.005),
    ("1.5h", 5400),
    ("90", 90),
    (90, 90),
    (0.25, 0.25),
]
FAULTS = [
    ("hourly :60", ["hourly: ':60' is not a minute of the hour; allowed are :00-:59"], ["Write :15"]),
    ("hourly 15, :5", ["'15' is not", "':5' is not"], [":15", ":15"]),
    ("hourly", ["hourly says no time"], ['hourly = ":15"']),
    ("daily 24:00", ["daily: '24:00' is not a time of day; allowed are 00:00-23:59"], ["Midnight is 00:00 of the day"]),
    ("daily 2:30pm, 0230", ["'2:30pm' is not", "'0230' is not"], ["24-hour", "24-hour"]),
    ("daily 02:30:15", ["'02:30:15' is not a time of day"], ["hours and minutes"]),
    ("daily", ["daily says no time"], ['daily = "02:30"']),
    ("weekly 02:30", ["weekly: '02:30' names no day"], ["days, then the times"]),
    ("weekly mon", ["weekly: 'mon' names no time of day"], ["days, then the times"]),
    ("weekly mon 02:30, thu 14:00", ["has 'thu' after a time"], ["a second schedule"]),
    ("weekly monday 02:30", ["weekly: 'monday' is not a weekday; allowed are mon, tue"], ["Did you mean mon?"]),
    ("weekly xyz 25:00", ["'xyz' is not a weekday", "'25:00' is not a time"], ["for example mon", "24-hour"]),
    ("weekly fri-mon 02:30", ["'fri-mon' runs backwards"], ["Write fri,sat,sun,mon"]),
    ("weekly mon-xx 02:30", ["'xx' is not a weekday"], ["for example mon"]),
    ("monthly 32 02:30", ["'32' is not a day of the month; allowed are 1-31 and last"], ["last 02:30"]),
    ("monthly 0,first 02:61", ["'0' is", "'first' is", "'02:61' is"], ["last", "last", "24-hour"]),
    ("monthly 02:30", ["names no day"], ['monthly = "1 02:30"']),
    ("every", ["every: '' is not a duration"], ["1h30m"]),
    ("every 5 minutes", ["every: '5 minutes' is not a duration"], ["1h30m"]),
    ("every 30m1h", ["'30m1h' is not a duration"], ["1h30m"]),
    ("every 5m5m", ["'5m5m' is not a duration"], ["1h30m"]),
    ("every -5m", ["'-5m' is not a duration"], ["1h30m"]),
    ("every 0s", ["every: '0s' is too short"], ["The shortest period is 1ms"]),
    ("every 40000d", ["every: '40000d' is too long"], ["The longest period is 36500d"]),
    (
        "at tomorrow",
        ["at: 'tomorrow' is not a date with a time in RFC 3339"],
        ["Write for example 2027-01-01T00:00:00"],
    ),
    ("at 2027-01-01", ["is not a date with a time"], ["2027-01-01T00:00"]),
    ("at 2027-02-30T00:00", ["is no date and time of the calendar (day is out of range"], ["Write for example"]),
    ("at 2027-01-01T25:00", ["is no date and time of the calendar (hour must be"], ["Write for example"]),
    ("at 0001-01-01T00:00Z", ["lies outside the years 3 to 9997"], ["Write for example"]),
    ("at 9999-12-31T23:59-12:00", ["lies outside the years 3 to 9997"], ["Write for example"]),
    ("dayly 02:30", ["'dayly' is not a way to say when"], ["Did you mean daily 02:30?"]),
    ("sometimes", ["'sometimes' is not a way to say when"], ["Write a cron line, or every 15m, at 2027"]),
    ("", ["cron is empty"], ["Write 30 2 * * *"]),
    ("61 * * * *", ["minute: 61"], ["last 59"]),
]
EXAMPLES = st.one_of(
    st.integers(0, 2**32).map(lambda seed: some_line(random.Random(seed))),
    st.lists(st.integers(0, 59), min_size=1).map(lambda minutes: "hourly " + ",".join(f":{one:02}" for one in minutes)),
    st.lists(st.times(), min_size=1, max_size=4).map(
        lambda times: "daily " + ",".join(f"{one:%H:%M}" for one in times)
    ),
    st.tuples(st.sampled_from(["mon", "sun,tue", "mon-fri", "sat"]), st.times()).map(
        lambda x: f"weekly {x[0]} {x[1]:%H:%M}"
    ),
    st.tuples(st.sampled_from(["1", "last", "31,last,2"]), st.times()).map(lambda x: f"monthly {x[0]} {x[1]:%H:%M}"),
    st.integers(1000, 10**13).map(lambda period: f"every {period // 1_000_000}.{period % 1_000_000:06}"),
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)).map(lambda x: f"at {x.isoformat()}"),  # noqa: DTZ001 -- wall times
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)).map(lambda x: f"at {x.isoformat()}-03:30"),  # noqa: DTZ001 -- wall times
)


@pytest.mark.parametrize(("text", "line"), SAME_AS_CRON)
def test_a_form_is_due_as_its_cron_line_also_when_clocks_change(text, line):
    for low, high in (
        (utc(2026, 3, 27), utc(2026, 4, 2)),
        (utc(2026, 10, 23), utc(2026, 11, 2)),
        (utc(2024), utc(2024, 4)),
    ):
        form, cron = Calendar(parse_text(text, BERLIN)), Calendar(parse_cron(line, BERLIN))
        assert list(form.between(low, high)) == list(cron.between(low, high))


def test_a_list_of_times_is_those_times_and_no_others():
    calendar = Calendar(parse_daily("02:30, 14:00", BERLIN))

    due = [f"{in_zone(at, BERLIN):%d %H:%M}" for at in calendar.between(utc(2026, 1, 1), utc(2026, 1, 3))]

    assert due == ["01 02:30", "01 14:00", "02 02:30", "02 14:00"]


def test_the_last_day_of_the_month_is_the_last_whatever_its_number():
    calendar = Calendar(parse_text("monthly 15,last 02:30", UTC))

    due = [f"{in_zone(at, UTC):%d.%m.%y}" for at in calendar.between(utc(2099, 12, 20), utc(2100, 4, 20))]

    assert due == ["31.12.99", "15.01.00", "31.01.00", "15.02.00", "28.02.00", "15.03.00", "31.03.00", "15.04.00"]


@pytest.mark.parametrize(("value", "seconds"), PERIODS)
def test_a_period_is_elapsed_time_from_the_epoch(value, seconds):
    expression = parse_every(value, BERLIN)

    first, second = islice(Calendar(expression).between(1_800_000_000.3, math.inf), 2)

    assert isinstance(expression, Every)
    assert first == pytest.approx((1_800_000_000.3 // seconds + 1) * seconds, abs=1e-6)
    assert second == pytest.approx(first + seconds, abs=1e-6)


@pytest.mark.parametrize("place", [BERLIN, zone("Australia/Lord_Howe"), zone("Antarctica/Troll")])
def test_a_period_takes_no_notice_of_daylight_saving(place):
    calendar = Calendar(parse_every("7h", place))

    due = list(calendar.between(utc(2026), utc(2027)))

    assert {later - earlier for earlier, later in pairwise(due)} == {7 * 3600.0}


@given(st.integers(1000, 10**11), st.floats(0, 4e9))
def test_every_multiple_of_a_period_comes_once_and_none_is_left_out(period, instant):
    expression = Every("every so often", period)

    due = list(islice(Calendar(expression).between(instant, math.inf), 21))

    numbers = [round(at * 1_000_000) // period for at in due]
    assert numbers == list(range(numbers[0], numbers[0] + 21))
    assert due[0] > instant >= (numbers[0] - 1) * period / 1_000_000
    assert expression.count(instant, due[-1]) == 21
    assert expression.count(due[3], due[7]) == 4
    assert expression.next_after(math.nextafter(due[3], -math.inf)) == due[3]
    assert expression.count(due[2], math.nextafter(due[3], -math.inf)) == 0


def test_an_instant_is_due_once_and_never_again():
    calendar = Calendar(parse_at("2027-01-01T00:00:00+01:00", UTC))

    assert list(calendar.between(utc(2000), utc(2100))) == [utc(2026, 12, 31, 23)]
    assert calendar.next_after(utc(2026, 12, 31, 23)) is None
    assert calendar.count(utc(2026), utc(2026, 12, 31, 23)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01T12:00:00", "2026-07-01T12:00:00+02:00"),
        ("2026-03-29T02:30:00.5", "2026-03-29T03:00:00+02:00"),
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00"),
        (dt.datetime(2026, 7, 1, 12), "2026-07-01T12:00:00+02:00"),  # noqa: DTZ001 -- TOML's local date-time
        (dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), "2026-07-01T12:00:00+00:00"),
        ("0027-07-01T00:00:00", "0027-06-30T23:06:32+00:00"),  # by the sun, whose offset of 53:28 cannot be written
    ],
)
def test_an_instant_without_offset_is_wall_time_in_the_zone(text, expected):
    expression = parse_at(text, BERLIN)

    assert str(expression) == f"at {expected}"
    assert expression.instant == dt.datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize(("text", "written"), WRITTEN)
def test_an_expression_is_written_in_one_way(text, written):
    assert str(parse_text(text, BERLIN)) == written


@given(EXAMPLES)
def test_what_is_written_reads_back_as_the_same_and_is_written_the_same(text):
    try:
        expression = parse_text(text, BERLIN)
    except ScheduleInvalidError as error:
        assert {problem.code for problem in error.problems} == {"schedule_never"}, text  # noqa: PT017 -- one way out of two
        return

    again = parse_text(str(expression), BERLIN)

    assert again == expression
    assert str(again) == str(expression)


@pytest.mark.parametrize(("text", "messages", "hints"), FAULTS)
def test_a_fault_is_told_with_place_finding_and_remedy(text, messages, hints):
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_text(text, BERLIN)

    problems = caught.value.problems
    assert len(problems) == len(messages), [str(problem) for problem in problems]
    for problem, message, hint in zip(problems, messages, hints, strict=True):
        assert message in problem.message
        assert hint in (problem.hint or "")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "value", [None, True, [], {"a": 1}, dt.time(2, 30), "", "x" * 100_000, ":" * 5000, 1e400, -1, b"5m"]
)
def test_no_value_of_another_kind_gets_past_any_form(form, value):
    with pytest.raises(ScheduleInvalidError) as caught:
        FORMS[form](value, BERLIN)

    assert all(problem.hint and len(str(problem)) < 500 for problem in caught.value.problems)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_problems(text):
    try:
        assert isinstance(parse_text(text, UTC).count(0, 1e9), int)
    except ScheduleInvalidError as error:
        assert error.problems  # noqa: PT017 -- one way out of two


def test_at_and_every_are_values():
    assert parse_at("2027-01-01T00:00Z", UTC) == At("at 2027-01-01T00:00:00+00:00", utc(2027))
    assert parse_every("15m", UTC) == parse_every(900, UTC) == Every("every 15m", 900_000_000)


def test_control_characters_of_an_expression_are_not_shown_as_they_are():
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_text("eveyr 5m\x1b[31m", zone("UTC"))
    assert [str(problem) for problem in caught.value.problems] == [
        "'eveyr' is not a way to say when. Did you mean every 15m?"
    ]
