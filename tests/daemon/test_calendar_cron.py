"""Cron lines: what is read as Debian's cron reads it, and what is refused with which sentence."""

from itertools import islice

import pytest

from daemon.calendar import Calendar, in_zone, parse_cron
from engine.errors import ScheduleInvalidError
from tests.daemon.cron_walk import utc, zone

UTC = zone("UTC")
# What crontab of Debian's cron 3.0pl1-162 said to each line, with a command behind it.
TAKEN_BY_DEBIAN = [
    "* * * * *",
    "1-30/7 * * * *",
    "*/100 * * * *",
    "1-30/100 * * * *",
    "0 0 * * mon-fri",
    "0 0 * * sun-fri",
    "0 0 * * MON,tue,Wed",
    "0 0 * JAN-mar *",
    "0 0 * * 7",
    "0 0 * * 5-7",
    "0 0 * * 0-7",
    "*,5 * * * *",
    "5,* * * * *",
    "0-59/5,7 * * * *",
    "005 * * * *",
    "1-1 * * * *",
    "0 0 * * */2",
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
]
REFUSED_BY_DEBIAN = [
    "5/10 * * * *",
    "*/0 * * * *",
    "1-5/0 * * * *",
    "0 0 * january *",
    "0 0 * * monday",
    "0 0 * * 8",
    "0 0 0 * *",
    "0 0 32 * *",
    "0 0 * 13 *",
    "0 0 * 0 *",
    "60 * * * *",
    "0 24 * * *",
    "5, * * * *",
    ",5 * * * *",
    "5,,6 * * * *",
    "-5 * * * *",
    "+5 * * * *",
    "5x * * * *",
    "5- * * * *",
    "*/ * * * *",
    "0 0 ? * *",
    "0 0 L * *",
    "0 0 $ * *",
    "0 0 1W * *",
    "0 0 * * 5L",
    "H * * * *",
    "~ * * * *",
    "99999999999999999999 * * * *",
    "jan * * * *",
    "0 0 * mon *",
    "0 0 jan * *",
    "0 0 * * mon/2",
    "@Daily",
    "@every 5m",
    "@fortnightly",
]
# Debian takes these, and then never starts the command, or at other times than are written there.
TAKEN_BY_DEBIAN_IN_VAIN = [
    "30-10 * * * *",
    "0 22-2 * * *",
    "0 0 * * fri-sun",
    "*-5 * * * *",
    "1-2-3 * * * *",
    "*/5/5 * * * *",
    "0 0 * * 5#2",
    "0~30 * * * *",
    "*/5* * * * *",
    "** * * * *",
    "*/4294967297 * * * *",
    "0 0 30 2 *",
    "0 0 31 4,6 *",
    "@reboot",
]
FAULTS = [
    ("", ["cron is empty; it has five fields: minute, hour,"], ["Write 30 2 * * *"]),
    ("* * * *", ["found 4: '* * * *'"], ["Add day of week; * stands for any"]),
    ("5", ["found 1: '5'"], ["Add hour, day of month, month, day of week"]),
    ("0 30 2 * * *", ["found 6"], ["no field for seconds"]),
    ("30 2 * * * ./report.sh", ["found 6"], ["no command"]),
    ("61 * * * *", ["minute: 61 is out of range; allowed are 0-59"], ["The first is 0, the last 59"]),
    ("0 24 * * *", ["hour: 24 is out of range; allowed are 0-23"], ["Midnight is hour 0"]),
    ("0 0 0 * *", ["day of month: 0 is out of range; allowed are 1-31"], ["The first is 1, the last 31"]),
    ("0 0 * 13 *", ["month: 13 is out of range; allowed are 1-12 or jan-dec"], ["The first is 1, the last 12"]),
    ("0 0 * * 8", ["day of week: 8 is out of range; allowed are 0-7 or sun-sat"], ["Sunday is 0 or 7"]),
    ("0 0 * * 1-9", ["day of week: 9 is out of range"], ["Sunday is 0 or 7"]),
    (
        "0 0 * * monday",
        ["day of week: found 'monday'; allowed are 0-7"],
        ["Did you mean mon? Names have three letters"],
    ),
    ("0 0 * * mno-fri", ["day of week: found 'mno' in 'mno-fri'"], ["Did you mean mon?"]),
    ("0 0 * sept *", ["month: found 'sept'"], ["Did you mean sep?"]),
    ("x * * * *", ["minute: found 'x'; allowed are 0-59"], ["Write *, a value such as 0, a range such as 0-59"]),
    ("٣ * * * *", ["minute: found '٣'"], ["Write *"]),
    ("-5 * * * *", ["minute: found '' in '-5'"], ["Write *"]),
    ("5- * * * *", ["minute: found '' in '5-'"], ["Write *"]),
    ("5,,6 * * * *", ["minute: '5,,6' has a comma with nothing"], ["Write one comma"]),
    ("5/10 * * * *", ["minute: '5/10' counts on from a single value"], ["Write 5-59/10, or */10"]),
    ("0 0 * * mon/2", ["day of week: 'mon/2' counts on"], ["Write mon-7/2, or */2"]),
    (
        "*/0 * * * *",
        ["minute: '*/0' needs a whole number from 1 after the slash, found '0'"],
        ["Write for example */15"],
    ),
    ("0 */x * * *", ["hour: '*/x' needs a whole number"], ["Write for example */6"]),
    ("0 */ * * *", ["found ''"], ["Write for example */6"]),
    ("*/5/5 * * * *", ["found '5/5'"], ["Write for example */15"]),
    ("30-10 * * * *", ["minute: '30-10' runs backwards"], ["Write 30-59,0-10"]),
    ("0 22-2 * * *", ["hour: '22-2' runs backwards"], ["Write 22-23,0-2"]),
    ("0 0 * * fri-sun", ["day of week: 'fri-sun' runs backwards"], ["Write 5-7"]),
    ("0 0 * * sat-mon", ["day of week: 'sat-mon' runs backwards"], ["Write 6-7,1"]),
    ("0 0 ? * *", ["day of month: '?' is not cron as Debian reads it"], ["Write * for any value"]),
    ("0 0 L * *", ["day of month: 'L' is not cron"], ['monthly = "last 02:30"']),
    ("0 0 15W * *", ["day of month: '15W' is not cron"], ["nearest weekday"]),
    ("0 0 * * 5#2", ["day of week: '5#2' is not cron"], ["nth weekday"]),
    ("0 0 * * 5L", ["day of week: '5L' is not cron"], ["last day"]),
    ("H/15 * * * *", ["minute: 'H/15' is not cron"], ["set jitter"]),
    ("0~30 * * * *", ["minute: '0~30' is not cron"], ["set jitter"]),
    ("@reboot", ["@reboot names no time"], ["Let whatever starts the daemon"]),
    ("@every 5m", ["'@every 5m' is not cron"], ['Write every = "5m"']),
    ("@Daily", ["'@Daily' is none of @hourly, @daily"], ["Did you mean @daily, with nothing after it?"]),
    ("@daily 5", ["'@daily 5' is none of"], ["Did you mean @daily, with nothing after it?"]),
    ("@fortnight", ["'@fortnight' is none of"], ["Write the five fields instead"]),
    (
        "30 2 30 2 *",
        ["never due: day of month 30 does not exist in feb, which has 29 days at most"],
        ["a day up to 29"],
    ),
    ("0 0 31 4,6 *", ["day of month 31 does not exist in apr, jun, which has 30"], ["a day up to 30 or another month"]),
    ("0 0 30,31 2 */2", ["day of month 30 does not exist in feb"], ["a day up to 29"]),
    (
        "61 25 0 foo 1/2,9",
        ["minute: 61", "hour: 25", "day of month: 0", "month: found 'foo'", "day of week: '1/2'", "day of week: 9"],
        ["last 59", "last 23", "first is 1", "Write *", "1-7/2", "Sunday"],
    ),
    ("0 " * 600, ["cron has 1200 characters, at most 1000 are read"], ["Write ranges"]),
    (5, ["cron is text, found int '5'"], ['Write cron = "30 2 * * *"']),
    (None, ["cron is text, found NoneType"], ["Write cron"]),
]


def due_days(text, count, low, place=UTC):
    calendar = Calendar(parse_cron(text, place))
    return [f"{in_zone(at, place):%a %d.%m.%y %H:%M}" for at in islice(calendar.between(low, utc(2200)), count)]


@pytest.mark.parametrize("line", TAKEN_BY_DEBIAN)
def test_what_debian_takes_is_taken(line):
    assert Calendar(parse_cron(line, UTC)).next_after(utc(2026)) is not None


@pytest.mark.parametrize("line", REFUSED_BY_DEBIAN + TAKEN_BY_DEBIAN_IN_VAIN)
def test_what_debian_refuses_or_takes_in_vain_is_refused(line):
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_cron(line, UTC)

    assert all(problem.message and problem.hint for problem in caught.value.problems)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(("text", "messages", "hints"), FAULTS)
def test_a_fault_is_told_with_place_finding_and_remedy(text, messages, hints):
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_cron(text, UTC)

    problems = caught.value.problems
    assert len(problems) == len(messages), [str(problem) for problem in problems]
    for problem, message, hint in zip(problems, messages, hints, strict=True):
        assert message in problem.message
        assert hint in (problem.hint or "")
        assert len(str(problem)) < 400


def test_an_impossible_date_has_its_own_code():
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_cron("30 2 30 2 *", UTC)

    assert [problem.code for problem in caught.value.problems] == ["schedule_never"]


@pytest.mark.parametrize("line", ["0 0 30 2 1", "0 0 31 4,6 fri", "0 0 29 2 *", "0 0 29 2 */7", "0 0 30,1 2 *"])
def test_a_date_that_exists_sometimes_or_has_a_weekday_beside_it_is_taken(line):
    assert Calendar(parse_cron(line, UTC)).next_after(utc(2026)) is not None


def test_monday_is_one_and_sunday_both_nought_and_seven():
    assert due_days("0 0 * * 1", 1, utc(2026)) == ["Mon 05.01.26 00:00"]
    assert due_days("0 0 * * 0", 1, utc(2026)) == due_days("0 0 * * 7", 1, utc(2026)) == ["Sun 04.01.26 00:00"]
    assert due_days("0 0 * * 5-7", 3, utc(2026)) == ["Fri 02.01.26 00:00", "Sat 03.01.26 00:00", "Sun 04.01.26 00:00"]


def test_day_of_month_or_weekday_when_both_are_restricted():
    assert due_days("0 0 13 * fri", 3, utc(2026)) == ["Fri 02.01.26 00:00", "Fri 09.01.26 00:00", "Tue 13.01.26 00:00"]


@pytest.mark.parametrize("line", ["0 0 13 * */5", "0 0 */12 * fri"])
def test_day_of_month_and_weekday_when_one_begins_with_a_star(line):
    assert due_days(line, 1, utc(2026, 2)) == ["Fri 13.02.26 00:00"]


def test_a_list_that_only_holds_a_star_later_is_restricted():
    assert due_days("0 0 1,* * fri", 2, utc(2026)) == ["Fri 02.01.26 00:00", "Sat 03.01.26 00:00"]
    assert due_days("0 0 *,1 * fri", 2, utc(2026)) == ["Fri 02.01.26 00:00", "Fri 09.01.26 00:00"]


def test_strides_count_from_the_start_of_the_range():
    assert due_days("1-30/7 5 * * *", 5, utc(2026)) == [f"Thu 01.01.26 05:{minute:02}" for minute in (1, 8, 15, 22, 29)]
    assert due_days("*/100 5 * * *", 2, utc(2026)) == ["Thu 01.01.26 05:00", "Fri 02.01.26 05:00"]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_an_at_word_is_due_as_its_line(word, line):
    place = zone("Europe/Berlin")
    assert due_days(word, 30, utc(2026, 3, 28), place) == due_days(line, 30, utc(2026, 3, 28), place)


def test_blanks_and_letter_case_do_not_matter():
    assert parse_cron("  30\t2  * JAN   Mon ", UTC) == parse_cron("30 2 * jan mon", UTC)
    assert str(parse_cron("  30\t2  * JAN   Mon ", UTC)) == "30 2 * jan mon"


def test_29_february_is_found_across_the_century_without_it():
    assert due_days("0 0 29 2 *", 3, utc(2093)) == ["Wed 29.02.96 00:00", "Fri 29.02.04 00:00", "Wed 29.02.08 00:00"]


def test_a_line_that_daylight_saving_always_skips_is_never_due_and_the_search_ends():
    always_in_the_gap = (
        "*/5 2 25-31 3 */7"  # the last Sunday of March, two o'clock and a minute that begins with a star
    )
    assert Calendar(parse_cron(always_in_the_gap, zone("Europe/Berlin"))).next_after(utc(2026)) is None
    assert Calendar(parse_cron(always_in_the_gap, UTC)).next_after(utc(2026)) == utc(2026, 3, 29, 2)


@pytest.mark.parametrize("instant", [-1e300, -1e12, utc(1), utc(9999), 1e300])
def test_instants_outside_any_calendar_end_the_search_and_do_not_break_it(instant):
    due = Calendar(parse_cron("30 2 * * *", zone("Europe/Berlin"))).next_after(instant)
    assert due is None if instant >= utc(9999) else due > instant
