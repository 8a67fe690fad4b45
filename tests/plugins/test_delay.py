import pytest

from engine.clock import rfc3339, wall
from engine.task import LaterError
from plugins import delay
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal


def asked(fields, memo=None):
    """Return the seconds that the plugin asks to wait, and the memo."""
    with pytest.raises(LaterError) as caught:
        call(delay, fields, memo=memo)
    return caught.value.seconds, caught.value.memo


class TestDelay(PluginContract):
    task_type = "delay"

    @pytest.fixture
    def good(self):
        return {"seconds": 5}

    @pytest.fixture
    def bad(self):
        return [
            Bad({}, "seconds"),
            Bad({"seconds": 1, "until": "2027-01-01T00:00:00Z"}, "until"),
            Bad({"seconds": -1}, "seconds"),
            Bad({"seconds": "soon"}, "1h30m"),
            Bad({"until": "2027-01-01T00:00:00"}, "offset"),
        ]

    def test_it_is_deferred_and_holds_no_worker(self, attempt):
        tried = attempt({"seconds": "1m"})
        assert (tried.outcome, tried.done.delay) == ("Deferred", 60.0)

    def test_when_called_again_it_succeeds_with_what_it_waited(self, attempt):
        first = attempt({"seconds": 5})
        again = attempt({"seconds": 5}, memo=first.output)
        assert (again.outcome, again.output) == ("Succeeded", {"waited": 5.0})


@pytest.mark.parametrize(
    ("seconds", "waits"),
    [(5, 5.0), (0.25, 0.25), ("250ms", 0.25), ("30s", 30.0), ("1h30m", 5400.0), ("2d", 172800.0), ("1.5m", 90.0)],
)
def test_a_duration_is_a_number_of_seconds_or_text_with_units(seconds, waits):
    assert asked({"seconds": seconds})[0] == pytest.approx(waits)


@pytest.mark.parametrize("seconds", [0, "0s"])
def test_no_time_is_not_waited_for(seconds):
    assert call(delay, {"seconds": seconds}) == {"waited": 0.0}


@pytest.mark.parametrize("seconds", ["", "5", "s", "1 h", "-5s", "1h 30m", "1e3s", "1..5s", "1hs", True, None, [], -1])
def test_what_is_no_duration_is_refused_with_examples(seconds):
    assert '"1h30m"' in refusal(delay, {"seconds": seconds})


def test_a_wait_of_more_than_a_year_belongs_to_a_schedule():
    assert "schedule" in refusal(delay, {"seconds": "400d"})
    assert "schedule" in refusal(delay, {"until": "9999-01-01T00:00:00Z"})


def test_a_moment_is_waited_for():
    seconds, memo = asked({"until": rfc3339(wall() + 100)})
    assert 90 < seconds <= 100
    assert memo == {"waited": seconds}


def test_an_offset_counts():
    assert call(delay, {"until": "2001-01-01T00:00:00+01:00"}) == {"waited": 0.0}


def test_a_clock_that_was_set_back_meanwhile_makes_it_wait_for_the_rest():
    seconds, memo = asked({"until": rfc3339(wall() + 50)}, memo={"waited": 100.0})
    assert memo == {"waited": 100.0 + seconds}


@pytest.mark.parametrize("until", ["2027-01-01T00:00:00", "tomorrow", "", "0001-01-01T00:00:00+14:00x", 5])
def test_what_is_no_instant_with_an_offset_is_refused(until):
    assert "offset" in refusal(delay, {"until": until})
