"""Decide whether a failed attempt is followed by another, and when. Pure: policy, outcome and now come in.

Called by `run` alone.
"""

import zlib

from engine.model import Retry
from engine.states import Reason

# Another attempt would meet the same document, plugin and limits again.
_BEYOND_REPAIR = frozenset(
    {Reason.INVALID, Reason.BAD_OUTPUT, Reason.OUTPUT_TOO_LARGE, Reason.PLUGIN_MISSING, Reason.EXPRESSION}
)


def next_start(
    policy: Retry, *, failures: int, reason: Reason, exit_code: int | None, now: float, seed: str
) -> float | None:
    """Return the wall time of the next attempt, or None when there is none.

    `failures` counts the attempts that have failed so far, this one included; `seed` makes the jitter repeatable.
    """
    if failures > policy.max_retries or not is_retried(policy, reason, exit_code):
        return None
    return now + delay(policy, failures, seed)


def is_retried(policy: Retry, reason: Reason, exit_code: int | None) -> bool:
    """Tell whether the policy retries this kind of failure at all."""
    if reason is Reason.EXIT_CODE and policy.exit_codes is not None:
        return exit_code in policy.exit_codes
    if policy.on is not None:
        return reason in policy.on
    return reason not in _BEYOND_REPAIR


def delay(policy: Retry, failures: int, seed: str) -> float:
    """Return the seconds between failure number `failures` (from 1) and the next attempt: capped, then jittered."""
    try:
        grown = policy.delay * policy.backoff ** (failures - 1)
    except OverflowError:
        grown = policy.max_delay
    capped = min(grown, policy.max_delay)
    if not policy.jitter:
        return capped
    share = zlib.crc32(f"{seed}#{failures}".encode()) / 0xFFFFFFFF * 2 - 1
    return min(max(capped * (1 + policy.jitter * share), 0.0), policy.max_delay)
