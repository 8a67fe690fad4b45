import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gates import Gates
from engine.model import Concurrency

GROUP = ("report", "eu")


def asked(gates, run, policy="queue", limit=1, priority=0, group=GROUP):
    return gates.ask(run, group, Concurrency(limit=limit, policy=policy), priority)


def test_as_many_begin_as_the_limit_says_and_the_others_wait_their_turn():
    gates = Gates()
    answers = [asked(gates, run, limit=2) for run in "abcd"]
    assert [answer.may_begin for answer in answers] == [True, True, False, False]
    assert answers[2].ahead == "a"
    assert list(gates.waiting()) == [("c", GROUP, 0), ("d", GROUP, 1)]
    assert gates.leave("b") == ["c"]
    assert gates.leave("a") == ["d"]
    assert gates.leave("c") == []


def test_the_more_urgent_begins_first_and_then_the_older():
    gates = Gates()
    for run, priority in (("a", 0), ("low", -1), ("old", 5), ("young", 5)):
        asked(gates, run, priority=priority)
    assert [gates.leave(run) for run in ("a", "old", "young")] == [["old"], ["young"], ["low"]]


def test_other_keys_and_other_workflows_are_in_nobodys_way():
    gates = Gates()
    assert asked(gates, "a").may_begin
    assert asked(gates, "b", group=("report", "us")).may_begin
    assert asked(gates, "c", group=("import", "eu")).may_begin


def test_one_too_many_is_skipped_and_leaves_nothing_behind():
    gates = Gates()
    asked(gates, "a", "skip")
    answer = asked(gates, "b", "skip")
    assert (answer.is_skipped, answer.ahead) == (True, "a")
    assert gates.leave("a") == []
    assert len(gates) == 0
    assert asked(gates, "c", "skip").may_begin


def test_the_newest_replaces_the_oldest_and_waits_for_its_end():
    gates = Gates()
    asked(gates, "a", "replace")
    answer = asked(gates, "b", "replace")
    assert (answer.may_begin, answer.replaced) == (False, ("a",))
    assert asked(gates, "c", "replace").replaced == ("b",)
    assert gates.leave("b") == []
    assert gates.leave("a") == ["c"]


def test_a_run_that_is_to_make_way_does_not_begin_first():
    gates = Gates()
    for run in "abc":
        asked(gates, run, "replace")
    assert gates.leave("a") == ["c"]


def test_runs_that_had_begun_before_a_restart_count_however_many_they_are():
    gates = Gates()
    for run in "ab":
        gates.enter(run, GROUP)
    assert not asked(gates, "c").may_begin
    assert gates.leave("a") == []
    assert gates.leave("b") == ["c"]


def test_one_that_waits_may_ask_again_and_a_stranger_may_leave():
    gates = Gates()
    asked(gates, "a")
    asked(gates, "b")
    assert asked(gates, "b").ahead == "a"
    assert gates.leave("nobody") == []
    assert list(gates.waiting()) == [("b", GROUP, 0)]


@pytest.mark.parametrize("policy", ["queue", "skip", "replace"])
@given(
    limit=st.integers(1, 3),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(-1, 1)), max_size=40),
)
def test_never_more_than_the_limit_go_on_and_whoever_waits_begins_in_the_end(policy, limit, steps):
    gates, begun, waiting, doomed, seen = Gates(), [], {}, set(), set()
    for comes, number, priority in steps:
        run = f"r{number}"
        if comes and run not in seen:
            seen.add(run)
            answer = asked(gates, run, policy, limit, priority)
            doomed.update(answer.replaced)
            assert answer.may_begin or begun
            if answer.may_begin:
                begun.append(run)
            elif not answer.is_skipped:
                waiting[run] = (-priority, len(seen))
            if policy == "replace":
                assert len((set(begun) | set(waiting)) - doomed) <= limit
        elif run in begun or run in waiting:
            called = gates.leave(run)
            begun = [other for other in begun if other != run]
            waiting.pop(run, None)
            wanted = sorted(set(waiting) - doomed, key=waiting.__getitem__)
            assert called == wanted[: max(0, limit - len(begun))]
            begun += called
            for other in called:
                del waiting[other]
        assert len(begun) <= limit
    while begun:
        run = begun.pop(0)
        begun += gates.leave(run)
    for run in waiting:
        gates.leave(run)
    assert len(gates) == 0
