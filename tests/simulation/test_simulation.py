"""Simulated months: a few with everything in them, and the proof that the simulation sees, repeats and shrinks."""

import msgspec
import pytest

from tests.draws import draw_seed
from tests.simulation.bugs import BUGS
from tests.simulation.course import Course, Event, draw
from tests.simulation.part import carry_out, played
from tests.simulation.shrinking import shrink
from tests.simulation.world import Result
from tests.torture.part import Batch

HISTORIES = 10
# As many histories as a bug may take to be seen; each took less than half of them.
ENOUGH = 40
# Where to begin, so that it does not take half of them: only time is saved by it.
SEEN_SOON_FROM = {
    "no-compare-and-set": 1,
    "forgotten-timers": 2,
    "unbounded-catchup": 2,
    "keys-not-kept": 1,
    "successes-forgotten": 1,
    "claims-not-taken-up": 8,
    "lost-attempts-left": 1,
}
FIRST = draw_seed()


@pytest.mark.timeout(300)  # months, beside whatever else the machine does
@pytest.mark.parametrize("part", [0, 1])
def test_in_simulated_months_all_that_was_accepted_ends_once_as_the_rules_say(part):
    told = played(str(FIRST + part * HISTORIES), str(HISTORIES))
    assert {each["replay"]: each["violations"] for each in told if each["violations"]} == {}
    assert len(told) == HISTORIES
    assert sum(each["counts"]["crashes"] for each in told) > 0


@pytest.mark.timeout(300)  # a bug that is seldom met takes some months to show
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_on_purpose_is_seen(bug):
    first = SEEN_SOON_FROM.get(bug, 0)
    assert played(str(first), str(ENOUGH), "--bug", bug, "--until-violation")[-1]["violations"]


@pytest.mark.timeout(120)  # two processes, beside whatever else the machine does
def test_a_seed_leads_to_the_same_history_to_the_last_seam_whatever_was_played_before():
    before, first = played("7", "2", "--days", "9")
    [second] = played("8", "1", "--days", "9")
    assert first["trace"] == second["trace"] != before["trace"]


def test_a_history_is_written_as_json_and_read_back():
    course = draw(3)
    assert msgspec.json.decode(msgspec.json.encode(course), type=Course) == course


def test_a_history_that_fails_shrinks_to_what_it_takes():
    culprit = Event(86_400.0, "cancel", count=3)
    course = draw(5)
    events = tuple(sorted([*course.events, culprit], key=lambda event: event.at))

    def play(course: Course) -> Result:
        violations = ["run 5 is lost"] if culprit in course.events and len(course.schedules) > 0 else []
        return Result(violations=violations, trace="", counts={})

    course = msgspec.structs.replace(course, events=events)
    small, result = shrink(course, play(course), play)
    assert small.events == (culprit,)
    assert len(small.schedules) == 1
    assert small.days == 2
    assert result.violations


def test_a_batch_of_the_torture_counts_its_histories(tmp_path):
    tally = carry_out(Batch(seed=1, number=3, count=2, folder=tmp_path))
    assert tally.cases == 2
    assert tally.violations == []
    assert tally.counts["runs"] > 0
