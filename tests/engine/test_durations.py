"""Durations as documents write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (90, 90.0),
        (1.5, 1.5),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172_800.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        ("1.5h", 5400.0),
        ("90m", 5400.0),
    ],
)
def test_a_number_is_seconds_and_a_text_names_its_units(written, seconds):
    assert durations.parse(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "5", "m", "5 m", "30m1h", "1h1h", "5M", "5min", "1.h", ".5h", "1,5h", "s5", "\u0665m", "5m\n", "1e3s",
        True, False, None, [], {}, math.nan, "nan", "inf", b"5m", "9" * 400 + "s",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(written):
    with pytest.raises(ValueError, match="1h30m"):
        durations.parse(written)


@pytest.mark.parametrize("written", [-1, -0.001, "-5s", "-1h30m", -math.inf, -(10**400)])
def test_a_negative_one_is_refused(written):
    with pytest.raises(ValueError, match="negative"):
        durations.parse(written)


@pytest.mark.parametrize("written", ["36501d", 1e300, math.inf, 10**400, "999999999999999d"])
def test_one_that_no_date_could_hold_is_refused(written):
    with pytest.raises(ValueError, match="100 years"):
        durations.parse(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.25, "250ms"), (30, "30s"), (90, "1m30s"), (5400, "1h30m"), (172_800, "2d"), (86_461, "1d1m1s"),
        (1.5, "1s500ms"), (0.0005, "0.5ms"), (1e-9, "0s"), (59.9999999, "1m"),
    ],
)  # fmt: skip
def test_seconds_are_written_for_a_person(seconds, text):
    assert durations.text(seconds) == text


@given(st.floats(min_value=0, max_value=1e8))
def test_what_is_written_reads_back_to_the_microsecond(seconds):
    assert durations.parse(durations.text(seconds)) == pytest.approx(seconds, abs=1e-6, rel=1e-12)


@given(st.one_of(st.text(), st.text("0123456789.dhms- "), st.floats(), st.integers()))
def test_whatever_is_written_is_seconds_or_a_value_error(written):
    try:
        seconds = durations.parse(written)
    except ValueError as error:
        assert str(error).startswith("must ")  # noqa: PT017 -- either way is right, and this is what it says
    else:
        assert 0 <= seconds <= durations.LONGEST_SECONDS
