"""The engine's own keys in a document, one row each: what its value may be, and what the model gets for it.

Tables; no state, no catalogue. A check takes the JSON value and returns the value of the model, or raises RefusedError
with what is wrong at or below it. Called by `document` and `tasks`.
"""

from typing import Any

from engine.loader import control
from engine.loader.checks import (
    Check,
    checked,
    choice,
    duration,
    each,
    filled,
    integer,
    name,
    number,
    or_null,
    refuse,
    span,
    task_id,
    text,
    truth,
)
from engine.model import ISOLATIONS, TRIGGER_RULES
from engine.problems import quoted
from engine.states import Reason

_MOST_RETRIES = 1_000_000
_MOST_BACKOFF = 1_000.0
_MOST_EXIT_CODE = 255
_MOST_PRIORITY = 2**31 - 1

# What an attempt can end with; the other reasons are of tasks that never started, or of runs.
RETRIABLE = (
    Reason.ERROR,
    Reason.EXIT_CODE,
    Reason.TIMEOUT,
    Reason.WORKER_LOST,
    Reason.BAD_OUTPUT,
    Reason.OUTPUT_TOO_LARGE,
    Reason.PLUGIN_MISSING,
    Reason.PLUGIN_BROKEN,
    Reason.MEMORY_LIMIT,
    Reason.CPU_LIMIT,
    Reason.CIRCUIT_OPEN,
    Reason.CHILD_FAILED,
    Reason.INVALID,
)


def _retry(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        hint = f'Write {{"max_retries": {value}}}.' if isinstance(value, int) and not isinstance(value, bool) else None
        raise refuse("wrong_type", f"must be an object, not {quoted(value)}", hint)
    return checked(value, RETRY_KEYS, "retry")


retries = integer(0, _MOST_RETRIES)

RETRY_KEYS: dict[str, Check] = {
    "max_retries": retries,
    "delay": duration,
    "backoff": number(1.0, _MOST_BACKOFF),
    "max_delay": duration,
    "jitter": number(0.0, 1.0),
    "on": or_null(each(lambda value: Reason(choice(RETRIABLE)(value)), "reason codes")),
    "exit_codes": or_null(each(integer(0, _MOST_EXIT_CODE), "exit codes")),
}

DEFAULT_KEYS: dict[str, Check] = {
    "trigger_rule": choice(TRIGGER_RULES),
    "timeout": or_null(span),
    "retry": _retry,
    "pool": or_null(control.pool),
    "priority": integer(-_MOST_PRIORITY, _MOST_PRIORITY),
    "deadline": or_null(control.deadline),
    "continue_on_failure": truth,
    "cache": or_null(control.cache),
    "isolation": choice(ISOLATIONS),
    "memory_limit": or_null(integer(1)),
    "cpu_limit": or_null(span),
}

TASK_KEYS: dict[str, Check] = {
    "id": task_id,
    "type": filled,
    "description": text,
    "depends_on": control.dependencies,
    "when": or_null(filled),
    "foreach": or_null(control.foreach),
    "loop": or_null(control.loop),
    **DEFAULT_KEYS,
}

# What a task that no plugin runs cannot have.
PLUGIN_KEYS = frozenset({"pool", "cache", "isolation", "memory_limit", "cpu_limit"})
# What a task cannot have where a graph says what comes after what, and what a task gives is part of its state.
UNROUTED_KEYS = frozenset({"depends_on", "when", "trigger_rule", "foreach", "loop", "cache"})

WORKFLOW_KEYS: dict[str, Check] = {
    "name": name,
    "description": text,
    "timeout": or_null(span),
    "max_parallel": or_null(integer(1)),
    "fail_fast": truth,
    "priority": integer(-_MOST_PRIORITY, _MOST_PRIORITY),
    "deadline": or_null(control.deadline),
    "concurrency": or_null(control.concurrency),
    "outputs": or_null(control.outputs),
    "routing": or_null(control.routing),
}
HOOKS = ("on_success", "on_failure", "on_cancel", "finally")
