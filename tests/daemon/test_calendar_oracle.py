"""The calendar against an oracle that walks through real time minute by minute (`cron_walk`)."""

import random
import zoneinfo

import pytest

from daemon.calendar import Calendar, in_zone, parse_cron, zones
from engine.errors import ScheduleInvalidError
from tests.daemon.cron_walk import CronLine, Walk, changes, offset, some_line, utc, zone

HOUR, DAY = 3600, 86400
CHUNKS, WALKS, LINES = 8, 50, 50  # 20,000 cases in all
ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Havana",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Chatham",
    "UTC",
]
# Each with the hours around midnight, one, two and three, where clocks are changed.
LINES_AT_NIGHT = [
    "* * * * *",
    "*/7 * * * *",
    "15 * * * *",
    "*/20 2 * * *",
    "*/20 0,23 * * *",
    "0 */2 * * *",
    "59 */1 * * *",
    "0 0 * * *",
    "1 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "59 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "59 2 * * *",
    "0 3 * * *",
    "0,30 2,3 * * *",
    "0-59 0-23 * * *",
    "0-59/10 0-4 * * *",
    "30 2 * * 0",
    "30 0 * * 7",
    "*/30 1-3 * * sun",
    "30 2 25-31 3,10 *",
    "30 2 */2 * 0",
    "30 2 1-7 * sun",
    "0 0 1 * fri",
]
# Moves of the wall clock of another kind than summer time, with what is odd about them.
ODD_MOVES = {
    "the day that Apia left out": ("Pacific/Apia", utc(2011, 12, 30, 10)),
    "the day that Fakaofo left out": ("Pacific/Fakaofo", utc(2011, 12, 30, 11)),
    "the last day of 1994, left out on Kiritimati": ("Pacific/Kiritimati", utc(1994, 12, 31, 10)),
    "the day that Kwajalein left out": ("Pacific/Kwajalein", utc(1993, 8, 21, 12)),
    "three hours forward in Casey": ("Antarctica/Casey", utc(2018, 10, 6, 20)),
    "three hours back in Casey": ("Antarctica/Casey", utc(2018, 3, 10, 17)),
    "two hours back in Vostok": ("Antarctica/Vostok", utc(2023, 12, 17, 19)),
    "seven hours forward when Davis was manned again": ("Antarctica/Davis", utc(1969, 2, 1)),
    "half an hour forward for good in Caracas": ("America/Caracas", utc(2016, 5, 1, 7)),
    "half an hour back for good in Pyongyang": ("Asia/Pyongyang", utc(2015, 8, 14, 15)),
    "midnight shown twice in Sao Paulo": ("America/Sao_Paulo", utc(2018, 2, 18, 2)),
    "midnight left out in Sao Paulo": ("America/Sao_Paulo", utc(2018, 11, 4, 3)),
    "a minute after midnight in St Johns": ("America/St_Johns", utc(2010, 11, 7, 2, 31)),
    "a change close to a seam of our bookkeeping, in Santiago": ("America/Santiago", 939528000),
}


def compare(walk, lines):
    """Hold the calendar to the oracle for each of these lines, in what is due, in how much, and in what comes next."""
    rng = random.Random(walk.low)
    for text in lines:
        codes = []
        expected = walk.due(CronLine(text))
        try:
            calendar = Calendar(parse_cron(text, walk.zone))
        except ScheduleInvalidError as error:
            codes = [problem.code for problem in error.problems]
            calendar = None
        if calendar is None:
            assert (codes, expected) == (["schedule_never"], []), text
            continue
        case = f"{text} in {walk.zone} from {walk.low} to {walk.high}"
        assert list(calendar.between(walk.low, walk.high)) == expected, case
        assert calendar.count(walk.low, walk.high) == len(expected), case
        instant = rng.uniform(walk.low, walk.high)
        later = [due for due in expected if due > instant]
        assert calendar.count(instant, walk.high) == len(later), f"{case}: {instant}"
        due = calendar.next_after(instant)
        assert due == later[0] if later else due is None or due > walk.high, f"{case}: {instant}"


@pytest.mark.parametrize("seed", range(CHUNKS))
def test_any_line_in_any_zone_at_any_time_is_due_as_the_oracle_says(seed):
    rng = random.Random(seed)
    names = sorted(zoneinfo.available_timezones())
    for _ in range(WALKS):
        place, low = zone(rng.choice(names)), rng.randrange(utc(1975), utc(2045))
        near = changes(place, low, low + 200 * DAY)
        if near and rng.random() < 0.75:
            low = rng.choice(near) - rng.randrange(20 * HOUR)
        compare(Walk(place, low, low + 26 * HOUR), [some_line(rng) for _ in range(LINES)])


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_a_clock_until_2030_goes_as_the_oracle_says(name):
    place = zone(name)
    found = changes(place, utc(2024), utc(2031))
    assert len(found) == 0 if name in {"UTC", "America/Sao_Paulo"} else len(found) >= 14
    for change in found or [utc(2025, 3, 1)]:
        compare(Walk(place, change - 12 * HOUR, change + 14 * HOUR), LINES_AT_NIGHT)


@pytest.mark.parametrize("move", ODD_MOVES)
def test_a_clock_that_is_moved_otherwise_goes_as_the_oracle_says(move):
    name, change = ODD_MOVES[move]
    place = zone(name)
    assert offset(place, change - 1) != offset(place, change), "the move is not where the test thinks it is"
    compare(Walk(place, change - 30 * HOUR, change + 30 * HOUR), [*LINES_AT_NIGHT, "30 5 * * *", "0 7 * * *"])


@pytest.mark.parametrize("name", ["Europe/Berlin", "Antarctica/Troll", "Australia/Lord_Howe"])
def test_where_our_bookkeeping_cuts_time_makes_no_difference(name, monkeypatch):
    place = zone(name)
    for bits in (11, 12, 13):  # seams every 34, 68 and 137 minutes, some of them inside gaps and repeated hours
        zones._block.cache_clear()
        monkeypatch.setattr(zones, "_BLOCK_BITS", bits)
        for change in changes(place, utc(2024), utc(2025)):
            compare(Walk(place, change - 4 * HOUR, change + 5 * HOUR), LINES_AT_NIGHT)
    zones._block.cache_clear()


def test_every_zone_there_is_goes_as_the_oracle_says_at_its_changes_until_2030():
    seen = set()
    for name in sorted(zoneinfo.available_timezones()):
        place = zone(name)
        found = tuple((change, offset(place, change)) for change in changes(place, utc(2024), utc(2031)))
        if found in seen:
            continue  # an alias, or a neighbour with the same clock
        seen.add(found)
        for change, _ in found:
            walk = Walk(place, change - 3 * HOUR, change + 4 * HOUR)
            compare(walk, ["*/20 * * * *", "0-59/20 0-23 * * *", "15 0,1,2,3 * * *", "0 3 * * *"])
    assert len(seen) > 20


def test_sparse_lines_are_found_across_years_as_a_walk_through_the_days_finds_them():
    place, rng = zone("UTC"), random.Random(7)
    days = [in_zone(utc(2090) + number * DAY, place).date() for number in range(16 * 366)]  # 2100 has no 29 February
    sparse = ["29 2 *", "29 2 */7", "31 */2 *", "30 4,6,9,11 */3", "13 * 5", "*/31 1 */6", "1 1 *", "29 feb mon"]
    for day in sparse + [" ".join(some_line(rng).split()[2:]) for _ in range(300)]:
        line = CronLine(f"30 2 {day}")
        expected = [utc(date.year, date.month, date.day, 2, 30) for date in days if line.has_day(date)]
        try:
            calendar = Calendar(parse_cron(f"30 2 {day}", place))
        except ScheduleInvalidError:
            assert expected == []
            continue
        low, high = utc(2090) - 1, utc(2090) + len(days) * DAY - 1
        assert calendar.count(low, high) == len(expected), day
        assert calendar.next_after(low) == expected[0] if expected else calendar.next_after(low) > high, day
        for _ in range(5):
            instant = rng.uniform(low, high)
            later = next((due for due in expected if due > instant), None)
            due = calendar.next_after(instant)
            assert due == later if later else due is not None and due > high, (day, instant)
