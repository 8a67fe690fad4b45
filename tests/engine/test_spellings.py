"""Which keys of a task are taken for misspelt ones of the engine's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.loader.keys import TASK_KEYS
from engine.loader.spellings import SPELLINGS, misspelt

LONG = sorted(key for key in [*TASK_KEYS, *SPELLINGS] if len(key.replace("_", "")) > 5)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("depend_on", "depends_on"),
        ("dependsOn", "depends_on"),
        ("depends-on", "depends_on"),
        ("needs", "depends_on"),
        ("timout", "timeout"),
        ("time_out", "timeout"),
        ("Timeout", "timeout"),
        ("max_retires", "max_retries"),
        ("max_retry", "max_retries"),
        ("retry_cont", "retry_count"),
        ("timeout_second", "timeout_seconds"),
        ("triggerRule", "trigger_rule"),
        ("for_each", "foreach"),
        ("ID", "id"),
        ("typ", "type"),
        ("tpye", "type"),
        ("wehn", "when"),
        ("rety", "retry"),
        ("lop", "loop"),
        ("dead_line", "deadline"),
        ("if", "when"),
    ],
)
def test_a_slip_is_seen(key, meant):
    assert misspelt(key) == meant


@pytest.mark.parametrize(
    "key",
    [
        "url", "ids", "types", "tool", "tools", "pole", "poll", "then", "than", "core", "code", "loops", "caches",
        "text", "message", "method", "headers", "path", "timestamp", "timeout_ms", "time", "condition", "trigger",
        "rule", "isolated", "prior", "memory", "limit", "", "_", "x" * 10_000, "describe", "retrieve", "entry",
        "headline",
    ],
)  # fmt: skip
def test_an_ordinary_field_is_left_alone(key):
    assert misspelt(key) is None


@given(st.sampled_from(LONG), st.data())
def test_one_slip_in_a_long_key_is_always_seen(key, data):
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from("abcxyz"))
    slips = [key[:at] + key[at + 1 :], key[:at] + letter + key[at:], key[:at] + letter + key[at + 1 :]]
    slips.append(key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :])
    slip = data.draw(st.sampled_from(slips))
    if slip not in TASK_KEYS and slip not in SPELLINGS:
        assert misspelt(slip) is not None
