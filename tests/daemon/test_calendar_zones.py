"""Time zones: found by name or with the nearest names, and cut into stretches exactly where their clocks change."""

import datetime as dt
import importlib.resources
import struct
import zoneinfo
from itertools import pairwise

import pytest

from daemon.calendar import parse_zone, zones
from engine.errors import ScheduleInvalidError
from tests.daemon.cron_walk import changes, offset, utc, zone

DAY = 86400
NAMES = sorted(zoneinfo.available_timezones())


def recorded_changes(name):
    """Read from the zone's file in the tzdata package at which instants its offset changes, and to what."""
    data = importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
    header = struct.Struct(">4s1s15x6l")
    magic, version, *counts = header.unpack_from(data)
    assert (magic, version >= b"2") == (b"TZif", True)
    utc_flags, standard_flags, leaps, times, types, letters = counts
    start = header.size + times * 5 + types * 6 + letters + leaps * 8 + standard_flags + utc_flags
    *_, leaps, times, types, _ = header.unpack_from(data, start)
    instants = struct.unpack_from(f">{times}q", data, start + header.size)
    kinds = struct.unpack_from(f">{times}B", data, start + header.size + times * 8)
    offsets = [
        struct.unpack_from(">l", data, start + header.size + times * 9 + number * 6)[0] for number in range(types)
    ]
    befores = [offsets[0], *(offsets[kind] for kind in kinds)]
    return [
        (at, offsets[kind])
        for at, kind, before in zip(instants, kinds, befores, strict=False)
        if offsets[kind] != before
    ]


def test_no_zone_ever_changed_its_offset_twice_within_a_day():
    found = {name: recorded_changes(name) for name in NAMES if name != "localtime"}
    assert sum(map(len, found.values())) > 10_000
    close = [
        (name, at) for name, all_of_it in found.items() for (at, _), (to, _) in pairwise(all_of_it) if to - at <= DAY
    ]
    assert close == []


@pytest.mark.parametrize(
    "name", ["Africa/Casablanca", "Africa/Monrovia", "America/St_Johns", "Asia/Gaza", "Europe/Berlin", "Pacific/Apia"]
)
def test_a_stretch_begins_at_every_change_on_record(name):
    place = zone(name)
    record = [(at, to) for at, to in recorded_changes(name) if at > utc(1850)]
    assert record
    for at, to in record:
        if offset(place, at) != dt.timedelta(seconds=to):
            continue  # the system's data are of another release
        stretch = zones.stretch_at(place, at)
        assert (stretch.start, stretch.offset) == (at, to)
        before = zones.stretch_at(place, at - 1)
        assert (before.end, before.offset) == (at, stretch.before)


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC"])
def test_stretches_follow_one_another_and_have_the_offset_of_the_zone(name):
    place, instant, found = zone(name), utc(2020), []
    while instant < utc(2045):
        stretch = zones.stretch_at(place, instant)
        assert stretch.start <= instant < stretch.end
        assert {offset(place, instant), offset(place, stretch.end - 1)} == {dt.timedelta(seconds=stretch.offset)}
        if stretch.before != stretch.offset:
            found.append(instant)
        instant = stretch.end
    assert found == changes(place, utc(2020), utc(2045))


@pytest.mark.parametrize(
    ("name", "wall", "expected"),
    [
        ("Europe/Berlin", utc(2026, 3, 29, 1, 59), utc(2026, 3, 29, 0, 59)),
        ("Europe/Berlin", utc(2026, 3, 29, 2, 30), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", utc(2026, 3, 29, 3, 0), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", utc(2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30)),
        ("Europe/Berlin", utc(2026, 10, 25, 3, 0), utc(2026, 10, 25, 2, 0)),
        ("Pacific/Apia", utc(2011, 12, 30, 12, 0), utc(2011, 12, 30, 10, 0)),
        ("America/Havana", utc(2026, 11, 1, 0, 0), utc(2026, 11, 1, 4, 0)),
        ("Asia/Beirut", utc(2026, 3, 29, 0, 0), utc(2026, 3, 28, 22, 0)),
    ],
)
def test_the_first_instant_of_a_wall_time(name, wall, expected):
    assert zones.first_instant(zone(name), wall) == expected


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        ((utc(2026, 10, 25, 2, 10), utc(2026, 10, 25, 2, 20)), [(10, 20), (70, 80)]),
        ((utc(2026, 10, 25, 1, 50), utc(2026, 10, 25, 2, 20)), [(-10, 20), (60, 80)]),
        ((utc(2026, 10, 25, 2, 50), utc(2026, 10, 25, 3, 20)), [(50, 60), (110, 140)]),
        ((utc(2026, 10, 25, 1, 0), utc(2026, 10, 25, 4, 0)), [(-60, 180)]),
        ((utc(2026, 3, 29, 2, 0), utc(2026, 3, 29, 3, 0)), []),
    ],
)
def test_a_time_on_the_wall_is_where_the_wall_shows_it_also_twice_or_not_at_all(wall, expected):
    since = utc(2026, 10, 25, 0)
    found = [
        ((start - since) / 60, (end - since) / 60) for start, end in zones.spans_between(zone("Europe/Berlin"), *wall)
    ]
    assert found == expected


@pytest.mark.parametrize("name", ["Europe/Berlin", "Pacific/Apia", "America/St_Johns", "Australia/Lord_Howe"])
@pytest.mark.parametrize("days", [1, 3, 5, 40, 4000])
def test_a_span_on_the_wall_holds_exactly_the_instants_at_which_the_wall_shows_it(name, days):
    place = zone(name)
    for change in changes(place, utc(2009), utc(2013))[:6]:
        for near in (change - 3 * DAY, change - DAY // 2, change + DAY // 3, change - days * DAY):
            low = near - near % 1800
            spans = zones.spans_between(place, low, low + days * DAY)
            for probe in range(low - 2 * DAY, low + days * DAY + 2 * DAY, 1800 if days < 6 else 7 * 1800):
                wall = probe + offset(place, probe).total_seconds()
                assert any(start <= probe < end for start, end in spans) == (low <= wall < low + days * DAY)


def test_a_known_zone_is_found():
    assert parse_zone("Europe/Berlin") is zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "Did you mean Europe/Berlin"),
        ("europe/berlin", "Did you mean Europe/Berlin"),
        ("Berlin", "Did you mean Europe/Berlin"),
        ("new york", "Did you mean America/New_York"),
        ("America/NewYork", "Did you mean America/New_York"),
        ("UTC+2", "write Etc/GMT-2;"),
        ("-05:00", "write Etc/GMT+5;"),
        ("Europe", "Write a name of the IANA database"),
        ("../../../etc/passwd", "Write a name of the IANA database"),
        ("/etc/passwd", "Write a name"),
        ("Europe/Berlin\0", "Did you mean Europe/Berlin"),
        ("\udcff", "Write a name"),
        ("", "Write a name"),
        ("x" * 100_000, "Write a name"),
        (None, "Write a name"),
        (5, "Write a name"),
    ],
)
def test_an_unknown_zone_is_told_with_the_nearest_names(name, hint):
    with pytest.raises(ScheduleInvalidError) as caught:
        parse_zone(name)

    (problem,) = caught.value.problems
    assert problem.code == "zone_unknown"
    assert "is not a time zone that this machine knows" in problem.message
    assert hint in (problem.hint or "")
    assert len(str(caught.value)) < 400
