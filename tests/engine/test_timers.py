from hypothesis import given
from hypothesis import strategies as st

from engine.facts import Due
from engine.timers import Timers


def test_nothing_is_due_before_its_moment():
    timers = Timers()
    assert timers.next_in(0.0) is None
    timers.add(5.0, "r", Due("a", 1))
    assert timers.next_in(2.0) == 3.0
    assert timers.due(4.999) == []
    assert timers.due(5.0) == [("r", Due("a", 1))]
    assert len(timers) == 0


def test_a_moment_that_has_passed_is_due_at_once():
    timers = Timers()
    timers.add(1.0, "r", Due("a", 1))
    assert timers.next_in(9.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 5)), max_size=60), st.lists(st.floats(0, 110), max_size=8))
def test_everything_comes_once_in_order_and_never_early(entries, looks):
    timers = Timers()
    for number, (moment, task) in enumerate(entries):
        timers.add(moment, f"r{number}", Due(str(task), 1))
    taken = []
    for ticks in [*sorted(looks), 200.0]:
        for run, _ in timers.due(ticks):
            moment = entries[int(run[1:])][0]
            assert moment <= ticks
            taken.append((moment, int(run[1:])))
    assert taken == sorted((moment, number) for number, (moment, _) in enumerate(entries))


def test_what_is_forgotten_is_never_due_and_does_not_pile_up():
    timers = Timers()
    timers.add(500.0, "lives", Due("a", 1))
    for number in range(10_000):
        timers.add(1000.0, f"r{number}", Due("a", 1))
        timers.add(100.0, f"r{number}", Due("b", 1))
        timers.forget(f"r{number}")
        timers.forget(f"r{number}")
        assert len(timers) < 200
    assert timers.due(2000.0) == [("lives", Due("a", 1))]
    assert timers.next_in(0.0) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.floats(0, 9)), max_size=200))
def test_forgetting_a_run_touches_no_other(steps):
    timers, expected = Timers(), []
    for is_end, run, moment in steps:
        if is_end:
            timers.forget(str(run))
            expected = [entry for entry in expected if entry[1] != str(run)]
        else:
            timers.add(moment, str(run), Due("a", 1))
            expected.append((moment, str(run)))
    assert [run for run, _ in timers.due(5.0)] == [run for moment, run in sorted(expected, key=at) if moment <= 5.0]
    assert [run for run, _ in timers.due(9.0)] == [run for moment, run in sorted(expected, key=at) if moment > 5.0]


def at(entry):
    return entry[0]
