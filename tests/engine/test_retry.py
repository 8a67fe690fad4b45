import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Retry
from engine.retry import delay, is_retried, next_start
from engine.states import Reason


def start(policy, failures, reason=Reason.ERROR, exit_code=None):
    return next_start(policy, failures=failures, reason=reason, exit_code=exit_code, now=100.0, seed="r/a")


def test_the_delay_grows_by_the_factor_up_to_the_cap():
    policy = Retry(max_retries=9, delay=1.0, backoff=3.0, max_delay=20.0)
    assert [delay(policy, n, "s") for n in (1, 2, 3, 4, 5)] == [1.0, 3.0, 9.0, 20.0, 20.0]


def test_there_are_as_many_retries_as_the_policy_says():
    policy = Retry(max_retries=2, delay=0.5)
    assert [start(policy, n) for n in (1, 2, 3)] == [100.5, 101.0, None]


def test_without_a_policy_nothing_is_retried():
    assert start(Retry(), 1) is None


@pytest.mark.parametrize("reason", [Reason.INVALID, Reason.BAD_OUTPUT, Reason.PLUGIN_MISSING, Reason.EXPRESSION])
def test_what_another_attempt_cannot_mend_is_retried_only_when_asked_for_by_name(reason):
    assert not is_retried(Retry(max_retries=1), reason, None)
    assert is_retried(Retry(max_retries=1, on=(reason,)), reason, None)


def test_exit_codes_can_be_told_apart():
    policy = Retry(max_retries=1, exit_codes=(75,))
    assert is_retried(policy, Reason.EXIT_CODE, 75)
    assert not is_retried(policy, Reason.EXIT_CODE, 1)
    assert is_retried(policy, Reason.TIMEOUT, None)


def test_a_huge_backoff_is_capped_and_not_an_overflow():
    assert delay(Retry(delay=1e300, backoff=1e300, max_delay=60.0), 5000, "s") == 60.0


@given(
    st.floats(0, 1e6),
    st.floats(1, 100),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.integers(1, 200),
    st.text(max_size=20),
)
def test_a_jittered_delay_is_repeatable_and_stays_within_its_share_and_the_cap(
    base, factor, cap, jitter, failures, seed
):
    policy = Retry(max_retries=500, delay=base, backoff=factor, max_delay=cap, jitter=jitter)
    plain = delay(Retry(max_retries=500, delay=base, backoff=factor, max_delay=cap), failures, seed)
    drawn = delay(policy, failures, seed)
    assert drawn == delay(policy, failures, seed)
    assert 0 <= drawn <= cap
    assert abs(drawn - plain) <= plain * jitter * (1 + 1e-9)
