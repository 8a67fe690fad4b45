from hypothesis import given
from hypothesis import strategies as st

from engine.clock import epoch, rfc3339
from engine.ids import LENGTH, new_id

MOMENTS = st.floats(0, 4e9)


@given(MOMENTS, MOMENTS, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_identifiers_sort_by_time(early, late, one, other):
    early, late = sorted((early, late))
    if int(early * 1000) < int(late * 1000):
        assert new_id(early, one) < new_id(late, other)


@given(MOMENTS, st.binary(min_size=10, max_size=10))
def test_an_identifier_is_26_safe_characters(now, entropy):
    key = new_id(now, entropy)
    assert len(key) == LENGTH
    assert key.isascii()
    assert key.isalnum()
    assert key == key.lower()


@given(st.integers(0, 4_000_000_000_000_000))
def test_an_instant_survives_being_written_and_read_to_the_microsecond(microseconds):
    seconds = microseconds / 1e6
    assert abs(epoch(rfc3339(seconds)) - seconds) < 1e-6
