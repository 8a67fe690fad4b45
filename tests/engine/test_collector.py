"""The cyclic collector, kept still while something large is built."""

import gc
import weakref

import pytest

from engine import collector


@pytest.fixture(autouse=True)
def _collector_on():
    yield
    gc.unfreeze()
    gc.enable()


def test_it_is_off_within_and_on_again_behind():
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off():
    gc.disable()
    with collector.paused():
        pass
    assert not gc.isenabled()


def test_it_is_on_again_after_an_error():
    with pytest.raises(ZeroDivisionError), collector.paused():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_what_is_very_large_counts_as_old():
    gc.collect()
    with collector.paused():
        built = [[] for _ in range(150_000)]
    old = set(map(id, gc.get_objects(generation=2)))
    assert id(built[0]) in old
    assert id(built[-1]) in old


class Ring:
    """Something that holds itself."""

    def __init__(self):
        self.itself = self


def test_what_has_ended_is_collected_however_often_something_small_is_built():
    alive = weakref.WeakSet()
    for _ in range(1000):
        with collector.paused():
            [[] for _ in range(20)]
        for _ in range(20):
            alive.add(Ring())
    assert len(alive) < 10_000


def test_what_a_program_has_frozen_stays_frozen():
    gc.freeze()
    frozen = gc.get_freeze_count()
    with collector.paused():
        pass
    assert gc.get_freeze_count() == frozen
