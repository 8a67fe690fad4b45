from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.slots import FREE, PLAIN, Slots


def serve(slots, ready, rounds):
    """Start one task a turn; forget a run that has none left."""
    served = []
    for run, _ in slots.offers():
        if not ready[run]:
            slots.forget(run)
            continue
        if len(served) == rounds:
            break
        ready[run] -= 1
        served.append(run)
    return served


def test_runs_of_one_priority_take_turns():
    slots, ready = Slots(), {"a": 3, "b": 3, "c": 1}
    for run in ready:
        slots.mark(run, 0)
    assert serve(slots, ready, 7) == ["a", "b", "c", "a", "b", "a", "b"]


def test_a_higher_priority_goes_first_until_it_has_nothing_left():
    slots, ready = Slots(), {"low": 2, "high": 2}
    slots.mark("low", 0)
    slots.mark("high", 5)
    assert serve(slots, ready, 4) == ["high", "high", "low", "low"]
    assert len(slots) == 0


def test_a_run_that_gets_something_urgent_moves_up():
    slots = Slots()
    slots.mark("a", 0)
    slots.mark("b", 0)
    slots.mark("b", 9)
    slots.mark("b", 1)
    assert next(slots.offers()) == ("b", "")


def test_forgetting_a_stranger_is_harmless():
    Slots().forget("nobody")


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.tuples(st.integers(0, 6), st.integers(-2, 2))))
def test_everything_ready_is_served_once_and_by_priority(wanted):
    slots, ready = Slots(), {run: count for run, (count, _) in wanted.items()}
    for run, (_, priority) in wanted.items():
        slots.mark(run, priority)
    served = serve(slots, ready, 10_000)
    assert Counter(served) == Counter({run: count for run, (count, _) in wanted.items() if count})
    priorities = [wanted[run][1] for run in served]
    assert priorities == sorted(priorities, reverse=True)


def test_a_run_whose_next_task_is_less_urgent_lets_others_go_first():
    slots = Slots()
    slots.mark("a", 5)
    slots.mark("b", 3)
    offers = slots.offers()
    assert next(offers) == ("a", "")
    assert not slots.has_moved("a", 5)
    assert next(offers) == ("a", "")
    assert slots.has_moved("a", 1)
    assert next(offers) == ("b", "")


def test_lines_of_equal_urgency_take_turns_and_a_closed_one_is_passed_over():
    slots, closed = Slots(), set()
    slots.mark("a", 0, PLAIN)
    slots.mark("b", 0, "db")
    slots.mark("c", 9, "mail")
    closed.add("mail")
    offers = slots.offers(lambda line: line not in closed)
    assert [next(offers) for _ in range(4)] == [("a", ""), ("b", "db"), ("a", ""), ("b", "db")]
    closed.clear()
    assert next(offers) == ("c", "mail")


def test_what_needs_no_room_comes_first_even_where_every_line_is_closed():
    slots = Slots()
    slots.mark("busy", 9, PLAIN)
    slots.mark("person", 0, FREE)
    offers = slots.offers(lambda _line: False)
    assert next(offers) == ("person", FREE)
    slots.forget("person", FREE)
    assert list(offers) == []


def test_a_run_stands_in_several_lines_and_leaves_them_one_by_one_or_all():
    slots = Slots()
    for line in (PLAIN, "db", "mail"):
        slots.mark("a", 0, line)
    slots.forget("a", "db")
    assert [slots.is_empty(line) for line in (PLAIN, "db", "mail")] == [False, True, False]
    slots.forget("a")
    assert slots.is_empty("mail")
    assert len(slots) == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-2, 2)), max_size=12))
def test_a_line_is_shown_by_priority_and_then_in_the_order_of_arrival(marks):
    slots, known = Slots(), {}
    for at, (run, priority) in enumerate(marks):
        slots.mark(run, priority, "db")
        if run not in known or known[run][0] > -priority:
            known[run] = (-priority, at)
    assert list(slots.waiting("db")) == sorted(known, key=known.__getitem__)
