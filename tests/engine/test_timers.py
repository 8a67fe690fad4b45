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
