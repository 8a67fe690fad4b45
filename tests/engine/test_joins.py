import itertools

import pytest

from engine.joins import Join, Outcome, Verdict, outcome
from engine.model import TRIGGER_RULES
from engine.states import Reason, State

GOOD, BAD, SKIPPED = Outcome.GOOD, Outcome.BAD, Outcome.SKIPPED

MET = {
    "all_success": lambda good, bad, skipped: not bad and not skipped,
    "all_done": lambda good, bad, skipped: True,
    "always": lambda good, bad, skipped: True,
    "all_failed": lambda good, bad, skipped: not good and not skipped,
    "one_success": lambda good, bad, skipped: good > 0,
    "one_failed": lambda good, bad, skipped: bad > 0,
    "none_failed": lambda good, bad, skipped: not bad,
    "none_failed_min_one_success": lambda good, bad, skipped: not bad and good > 0,
}


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_each_rule_comes_to_one_verdict_whatever_the_order_in_which_its_dependencies_end(rule):
    for results in itertools.product(Outcome, repeat=3):
        join = Join(rule, 3)
        verdicts = [join.hear(f"t{n}", result) for n, result in enumerate(results)]
        given = [verdict for verdict in verdicts if verdict is not None]
        good, bad = results.count(GOOD), results.count(BAD)
        met = MET[rule](good, bad, len(results) - good - bad)
        assert given == [Verdict.READY if met else Verdict.NEVER]


@pytest.mark.parametrize(
    ("rule", "first", "verdict"),
    [
        ("all_success", BAD, Verdict.NEVER),
        ("all_success", SKIPPED, None),
        ("all_failed", GOOD, Verdict.NEVER),
        ("one_success", GOOD, Verdict.READY),
        ("one_failed", BAD, Verdict.READY),
        ("none_failed", BAD, Verdict.NEVER),
        ("all_done", BAD, None),
        ("none_failed", SKIPPED, None),
    ],
)
def test_a_rule_is_decided_as_soon_as_it_can_be(rule, first, verdict):
    assert Join(rule, 2).hear("a", first) is verdict


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_why_a_task_is_skipped_does_not_depend_on_the_order_in_which_its_dependencies_end(rule):
    for kinds in itertools.combinations_with_replacement(Outcome, 3):
        reasons = set()
        for results in itertools.permutations(kinds):
            join = Join(rule, 3)
            verdicts = [join.hear(f"t{n}", result) for n, result in enumerate(results)]
            reasons.add(join.explain()[0] if Verdict.NEVER in verdicts else None)
        assert len(reasons) == 1, (kinds, reasons)


def test_the_culprit_is_named_and_a_failure_counts_more_than_a_skip():
    join = Join("none_failed", 3)
    join.hear("skipped", SKIPPED)
    assert join.hear("broken", BAD) is Verdict.NEVER
    assert join.explain() == (Reason.UPSTREAM_FAILED, "task broken did not complete")


@pytest.mark.parametrize(
    ("state", "reason", "is_good", "expected"),
    [
        (State.COMPLETED, None, True, GOOD),
        (State.FAILED, Reason.ERROR, False, BAD),
        (State.FAILED, Reason.ERROR, True, GOOD),
        (State.CANCELLED, Reason.USER, False, BAD),
        (State.SKIPPED, Reason.CONDITION_FALSE, False, SKIPPED),
        (State.SKIPPED, Reason.UPSTREAM_FAILED, False, BAD),
        (State.SKIPPED, Reason.UPSTREAM_SKIPPED, False, SKIPPED),
    ],
)
def test_a_skip_that_comes_from_a_failure_travels_as_a_failure(state, reason, is_good, expected):
    assert outcome(state, reason, is_good=is_good) is expected
