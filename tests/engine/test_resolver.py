"""The graph of dependencies: order, layers, circles, ancestry, by example and against brute force."""

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.resolver import Graph

DIAMOND = Graph("abcd", [[], ["a"], ["a"], ["b", "c"]])


@st.composite
def graphs(draw, *, is_acyclic):
    """Draw ids in document order and dependencies; without circles, along a hidden order unlike the document's."""
    count = draw(st.integers(1, 9))
    ids = [f"t{number}" for number in range(count)]
    hidden = draw(st.permutations(ids))
    pairs = draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=18))
    needs: dict[str, list[str]] = {task: [] for task in ids}
    for task, other in pairs:
        if other in needs[task] or (is_acyclic and hidden.index(other) >= hidden.index(task)):
            continue
        needs[task].append(other)
    return ids, [needs[task] for task in ids]


def reach(ids, needs):
    """Compute by repetition what every task can reach through its dependencies."""
    reached = {task: set(given) for task, given in zip(ids, needs, strict=True)}
    while True:
        wider = {task: found.union(*(reached[other] for other in found)) for task, found in reached.items()}
        if wider == reached:
            return reached
        reached = wider


def shortest_circle(ids, needs, knot):
    """Measure the shortest circle within a knot by searching from every task of it."""
    by_id = dict(zip(ids, needs, strict=True))
    lengths = []
    for start in knot:
        line = deque([(start, 0)])
        seen = set()
        while line:
            task, length = line.popleft()
            if start in by_id[task]:
                lengths.append(length + 1)
                break
            fresh = [other for other in by_id[task] if other in knot and other not in seen]
            seen.update(fresh)
            line.extend((other, length + 1) for other in fresh)
    return min(lengths)


def test_dependants_are_in_the_order_of_the_document():
    assert DIAMOND.dependants == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}
    assert DIAMOND.depends_on == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def test_a_document_in_order_keeps_its_order():
    assert Graph(["a", "b", "c"], [[], ["a"], []]).order == ("a", "b", "c")


def test_a_task_that_stands_too_early_pulls_up_only_what_it_needs():
    assert Graph(["z", "a", "b", "y"], [["b"], [], ["y"], []]).order == ("y", "b", "z", "a")


def test_layers_hold_what_could_run_at_once():
    assert DIAMOND.layers == (("a",), ("b", "c"), ("d",))


def test_a_dependency_named_twice_counts_once():
    assert Graph("ab", [[], ["a", "a"]]).dependants["a"] == ("b",)


def test_a_dependency_that_is_no_task_is_a_key_error():
    with pytest.raises(KeyError, match="q"):
        Graph("a", [["q"]])


def test_every_knot_of_tasks_shows_one_circle_and_the_rest_has_an_order():
    graph = Graph("abcdexy", [["b"], ["c"], ["b"], [], ["d"], ["y"], ["x"]])
    assert graph.cycles == [("b", "c", "b"), ("x", "y", "x")]
    assert graph.order == ("d", "e")


def test_a_task_that_depends_on_itself_is_a_circle():
    assert Graph("ab", [["a"], []]).cycles == [("a", "a")]


def test_a_knot_too_large_to_search_whole_still_shows_a_circle():
    count = 700
    ids = [str(number) for number in range(count)]
    needs = [[ids[(number + 1) % count], ids[(number * 7) % count], ids[0]] for number in range(count)]
    (circle,) = Graph(ids, needs).cycles
    assert circle[0] == circle[-1]
    assert all(after in needs[int(before)] for before, after in pairwise(circle))


def test_a_chain_of_thirty_thousand_needs_no_recursion():
    count = 30_000
    ids = [str(number) for number in range(count)]
    backwards = Graph(ids, [[str(number + 1)] if number + 1 < count else [] for number in range(count)])
    assert backwards.order[0] == ids[-1]
    assert len(backwards.layers) == count
    assert len(backwards.ancestors("0")) == count - 1
    assert backwards.not_upstream([("0", ids[-1]), (ids[-1], "0")]) == [(ids[-1], "0")]
    circle = Graph(ids, [[str((number + 1) % count)] for number in range(count)])
    assert [len(path) for path in circle.cycles] == [count + 1]
    assert circle.order == ()


def test_the_critical_path_is_the_heaviest_way():
    assert DIAMOND.critical_path({"b": 5.0}) == ("a", "b", "d")
    assert DIAMOND.critical_path({"c": 1.5}) == ("a", "c", "d")
    assert Graph((), ()).critical_path({}) == ()


def test_an_empty_graph_has_nothing():
    graph = Graph((), ())
    assert (graph.order, graph.layers, graph.cycles, graph.dependants) == ((), (), [], {})


@given(graphs(is_acyclic=True))
def test_the_order_has_every_task_once_and_behind_what_it_depends_on(drawn):
    ids, needs = drawn
    graph = Graph(ids, needs)
    place = {task: number for number, task in enumerate(graph.order)}
    assert sorted(graph.order) == sorted(ids)
    assert all(place[other] < place[task] for task, given in zip(ids, needs, strict=True) for other in given)
    assert graph.cycles == []
    if all(ids.index(other) < number for number, given in enumerate(needs) for other in given):
        assert list(graph.order) == ids


@given(graphs(is_acyclic=True))
def test_layers_are_as_deep_as_the_longest_way_and_in_order(drawn):
    ids, needs = drawn
    graph = Graph(ids, needs)
    depth = {task: number for number, layer in enumerate(graph.layers) for task in layer}
    for task, needed in zip(ids, needs, strict=True):
        assert depth[task] == max((depth[other] for other in needed), default=-1) + 1
    assert [task for layer in graph.layers for task in layer] == sorted(graph.order, key=depth.__getitem__)


@given(graphs(is_acyclic=False))
def test_ancestors_and_descendants_are_what_brute_force_reaches(drawn):
    ids, needs = drawn
    graph, reached = Graph(ids, needs), reach(ids, needs)
    for task in ids:
        assert graph.ancestors(task) == reached[task]
        assert graph.descendants(task) == {other for other in ids if task in reached[other]}


@given(graphs(is_acyclic=False))
def test_circles_are_found_exactly_where_brute_force_finds_them(drawn):
    ids, needs = drawn
    graph, reached = Graph(ids, needs), reach(ids, needs)
    knots = {frozenset(other for other in ids if other in reached[task] and task in reached[other]) for task in ids}
    knots = {knot for knot in knots if knot}
    assert {
        frozenset(other for other in ids if other in reached[path[0]] and path[0] in reached[other])
        for path in graph.cycles
    } == knots
    assert len(graph.cycles) == len(knots)
    for path in graph.cycles:
        assert path[0] == path[-1]
        assert all(after in needs[ids.index(before)] for before, after in pairwise(path))
        knot = next(knot for knot in knots if path[0] in knot)
        assert len(path) - 1 == shortest_circle(ids, needs, knot)
    held_up = {task for task in ids if any(other in reached[other] for other in {task, *reached[task]})}
    assert set(graph.order) == set(ids) - held_up


@given(graphs(is_acyclic=True), st.data())
def test_what_is_not_upstream_is_what_is_no_ancestor(drawn, data):
    ids, needs = drawn
    graph, reached = Graph(ids, needs), reach(ids, needs)
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), unique=True))
    assert graph.not_upstream(pairs) == [(task, other) for task, other in pairs if other not in reached[task]]


def test_more_tasks_than_one_batch_of_bits_are_followed():
    count = 5_000
    ids = [str(number) for number in range(count)]
    graph = Graph(ids, [[str(number - 1)] if number else [] for number in range(count)])
    far = [(ids[-1], str(number)) for number in range(0, count - 2, 2)]
    wrong = [(str(number), ids[-1]) for number in range(0, count - 2, 500)]
    assert graph.not_upstream([*far, *wrong]) == wrong


@given(graphs(is_acyclic=True), st.data())
def test_the_critical_path_weighs_as_much_as_the_heaviest_way(drawn, data):
    ids, needs = drawn
    weights = {task: data.draw(st.integers(1, 9)) for task in ids}
    by_id = dict(zip(ids, needs, strict=True))

    def heaviest(task):
        return weights[task] + max((heaviest(other) for other in by_id[task]), default=0)

    path = Graph(ids, needs).critical_path(weights)
    assert sum(weights[task] for task in path) == max(heaviest(task) for task in ids)
    assert all(before in by_id[after] for before, after in pairwise(path))
