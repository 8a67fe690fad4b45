"""What happens to due instants that passed unwatched, and how jitter spreads starts."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.calendar import CatchUp, Missed, MissedBefore, jitter_seconds, missed, parse_calendar, parse_text
from tests.daemon.cron_walk import utc, zone

BERLIN = zone("Europe/Berlin")
HOUR, DAY = 3600, 86400


def calendar(text="@hourly", **bounds):
    return parse_calendar(parse_text(text, BERLIN), BERLIN, **bounds)


def hours(*numbers):
    return tuple(float(utc(2026, 5, 4) + number * HOUR) for number in numbers)


@pytest.mark.parametrize(
    ("policy", "run", "passed"),
    [
        (CatchUp("skip"), (), (1, 2, 3, 4, 5)),
        (CatchUp("last"), (5,), (1, 2, 3, 4)),
        (CatchUp("all"), (1, 2, 3, 4, 5), ()),
        (CatchUp("all", limit=2), (4, 5), (1, 2, 3)),
        (CatchUp("all", window_seconds=2 * HOUR), (4, 5), (1, 2, 3)),
        (CatchUp("all", window_seconds=2.5 * HOUR), (3, 4, 5), (1, 2)),
        (CatchUp("all", window_seconds=3 * HOUR, limit=1), (5,), (1, 2, 3, 4)),
        (CatchUp("last", window_seconds=60), (), (1, 2, 3, 4, 5)),
        (CatchUp("last", limit=0), (), (1, 2, 3, 4, 5)),
    ],
)
def test_the_policy_says_which_of_the_missed_run_and_the_others_are_named(policy, run, passed):
    now = hours(5)[0] + 0.4 * HOUR

    assert missed(calendar(), hours(0)[0], now, policy) == Missed(hours(*run), hours(*passed))


def test_an_instant_due_just_now_counts_and_the_last_one_seen_does_not():
    assert missed(calendar(), hours(1)[0], hours(2)[0], CatchUp("all")) == Missed(hours(2))


def test_an_instant_exactly_as_old_as_the_window_still_runs():
    policy = CatchUp("all", window_seconds=2.0 * HOUR)

    assert missed(calendar(), hours(0)[0], hours(5)[0], policy) == Missed(hours(3, 4, 5), hours(1, 2))


@pytest.mark.parametrize(("last", "now"), [(2, 2), (2, 1), (1.1, 1.9)])
def test_nothing_is_missed_where_nothing_was_due_or_the_clock_was_set_back(last, now):
    assert missed(calendar(), hours(last)[0], hours(now)[0], CatchUp("all")) == Missed()


def test_a_year_of_every_minute_stays_bounded():
    now = utc(2026, 5, 4, 12) + 30.5

    found = missed(calendar("* * * * *"), now - 365 * DAY, now, CatchUp("all", limit=100), rows=50)

    assert found.run == tuple(float(utc(2026, 5, 4, 12) - 60 * number) for number in reversed(range(100)))
    assert found.passed == tuple(float(utc(2026, 5, 4, 12) - 60 * number) for number in reversed(range(100, 150)))
    assert found.before == MissedBefore(365 * 1440 - 150, utc(2025, 5, 4, 12) + 60, utc(2026, 5, 4, 12) - 150 * 60)


@given(
    st.sampled_from(["@hourly", "30 2 * * *", "* * * * *", "every 7h", "weekly mon 02:30"]),
    st.sampled_from(["skip", "last", "all"]),
    st.integers(0, 5),
    st.integers(0, 5),
    st.floats(0, 4 * DAY),
    st.floats(0, 60 * DAY),
    st.booleans(),
)
def test_each_missed_instant_is_told_once_and_in_order(text, on_missed, limit, rows, window, away, is_dark):
    watched = calendar(text, blackouts=["2026-10-20/2026-10-28"] if is_dark else [])
    now = utc(2026, 11, 1) + 0.25
    policy = CatchUp(on_missed, window, limit)

    found = missed(watched, now - away, now, policy, rows)

    every = list(watched.between(now - away, now))
    told = list(found.passed + found.run)
    older = every[: len(every) - len(told)]
    assert every[len(older) :] == told
    assert found.before == (MissedBefore(len(older), older[0], older[-1]) if older else None)
    allowed = [due for due in every if now - due <= window]
    wanted = {"skip": 0, "last": min(1, limit), "all": limit}[on_missed]
    assert list(found.run) == (allowed[-wanted:] if wanted else [])
    assert len(found.passed) == min(rows, len(every) - len(found.run))


def test_jitter_is_the_same_each_time_and_within_its_bound():
    assert jitter_seconds("nightly-report", 30.0) == jitter_seconds("nightly-report", 30.0) == 25.722465
    assert jitter_seconds("nightly-report", 0.0) == 0.0
    assert jitter_seconds("\udcff", 30.0) <= 30.0


@given(st.text(), st.floats(0, 1e6))
def test_jitter_never_starts_early_and_never_exceeds_its_bound(name, largest):
    assert 0.0 <= jitter_seconds(name, largest) <= largest


def test_jitter_spreads_schedules_evenly():
    starts = [jitter_seconds(f"report-{number}", 60.0) for number in range(2000)]

    assert len(set(starts)) > 1990
    assert statistics.mean(starts) == pytest.approx(30, abs=1.5)
    assert all(sum(low <= start < low + 6 for start in starts) > 140 for low in range(0, 60, 6))
