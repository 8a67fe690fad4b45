from hypothesis import given
from hypothesis import strategies as st

from engine.quotas import Quota, Quotas

NOW = 7.5


def taken(quotas, pool, weight, holder, ticks=NOW):
    """Take slots if they are there; tell whether they were."""
    if pool in quotas.closed or not quotas.fits(pool, weight, ticks):
        return False
    quotas.take(pool, weight, ("run", holder), ticks)
    return True


def test_a_full_pool_is_closed_until_somebody_gives_back():
    quotas = Quotas({"db": Quota(size=2)})
    assert [taken(quotas, "db", 1, key) for key in "abc"] == [True, True, False]
    assert quotas.closed == {"db"}
    quotas.give_back(("run", "a"))
    assert quotas.closed == set()
    assert taken(quotas, "db", 1, "c")


def test_nobody_light_passes_by_somebody_heavy_who_was_there_before():
    quotas = Quotas({"db": Quota(size=3)})
    assert taken(quotas, "db", 2, "a")
    assert not taken(quotas, "db", 2, "heavy")
    assert not taken(quotas, "db", 1, "light")
    quotas.give_back(("run", "a"))
    assert taken(quotas, "db", 2, "heavy")
    assert taken(quotas, "db", 1, "light")


def test_what_weighs_more_than_there_is_has_the_pool_to_itself():
    quotas = Quotas({"db": Quota(size=2)})
    assert taken(quotas, "db", 1, "a")
    assert not taken(quotas, "db", 5, "all")
    quotas.give_back(("run", "a"))
    assert taken(quotas, "db", 5, "all")
    assert not taken(quotas, "db", 1, "b")


def test_a_rate_closes_a_pool_until_the_oldest_start_is_long_enough_ago():
    quotas = Quotas({"api": Quota(size=9, rate=2, per=10)})
    assert taken(quotas, "api", 1, "a", NOW)
    assert taken(quotas, "api", 1, "b", NOW + 4)
    assert not taken(quotas, "api", 1, "c", NOW + 5)
    assert quotas.opens_in("api", NOW + 5) == 5
    quotas.refill(NOW + 9)
    assert quotas.closed == {"api"}
    quotas.refill(NOW + 10)
    assert taken(quotas, "api", 1, "c", NOW + 10)
    assert quotas.opens_in("api", NOW + 10) == 4


def test_giving_back_twice_or_what_was_never_taken_is_harmless():
    quotas = Quotas({"db": Quota(size=1)})
    taken(quotas, "db", 1, "a")
    for holder in ("a", "a", "stranger"):
        quotas.give_back(("run", holder))
    assert [taken(quotas, "db", 1, key) for key in "bc"] == [True, False]


def test_a_pool_that_shrinks_lets_nobody_start_until_enough_is_given_back():
    quotas = Quotas({"db": Quota(size=3), "old": Quota()})
    for key in "abc":
        taken(quotas, "db", 1, key)
    taken(quotas, "old", 1, "o")
    quotas.resize({"db": Quota(size=1), "new": Quota()})
    assert (quotas.knows("old"), quotas.knows("new")) == (False, True)
    for key in ("a", "b"):
        quotas.give_back(("run", key))
        assert not taken(quotas, "db", 1, "d")
    quotas.give_back(("run", "o"))
    quotas.give_back(("run", "c"))
    assert taken(quotas, "db", 1, "d")


def test_a_pool_that_stays_as_it_is_keeps_what_it_knows():
    quotas = Quotas({"api": Quota(size=5, rate=1, per=10)})
    taken(quotas, "api", 1, "a")
    quotas.resize({"api": Quota(size=5, rate=1, per=10), "other": Quota()})
    assert not taken(quotas, "api", 1, "b", NOW + 9)
    [api, other] = quotas.standings(NOW + 9)
    assert (api.name, api.held, api.opens_in) == ("api", 1, 1)
    assert (other.held, other.opens_in) == (0, None)


@given(
    st.integers(1, 4),
    st.none() | st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["take", "back", "pass"]), st.integers(0, 5), st.integers(1, 6)), max_size=40),
)
def test_a_pool_never_holds_more_than_its_size_nor_starts_more_than_its_rate(size, rate, steps):
    quotas, per = Quotas({"db": Quota(size=size, rate=rate, per=5)}), 5
    now, held, starts = NOW, {}, []
    for verb, key, number in steps:
        if verb == "pass":
            now += number
            quotas.refill(now)
        elif verb == "back":
            quotas.give_back(("run", key))
            held.pop(key, None)
        elif key not in held:
            weight = min(number, size)
            is_free = sum(held.values()) + weight <= size
            is_slow = rate is None or len([at for at in starts if at > now - per]) < rate
            was_closed = "db" in quotas.closed
            if taken(quotas, "db", number, key, now):
                assert is_free
                assert is_slow
                held[key] = weight
                starts.append(now)
            else:
                # Closed before is closed for all; otherwise there was really no room.
                assert was_closed or not (is_free and is_slow)
    for key in list(held):
        quotas.give_back(("run", key))
    quotas.refill(now + per)
    assert taken(quotas, "db", size, "last", now + per)
