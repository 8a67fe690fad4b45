"""Calling a plugin's `run` with nothing around it: for tables of cases, and for seeing exactly what it raises.

What the registry and the runner add (checks, JSON, the log) is tested by `PluginContract`.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from engine.task import FailedError


def call(
    plugin: ModuleType,
    fields: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    memo: Any = None,
    attempt: int = 1,
    origin: str = "",
) -> Any:
    """Call `run` with a task of these fields and return the output; the plugin must succeed."""
    task = {"id": "tried", "type": plugin.TASK_TYPE, **fields}
    task |= {"inputs": dict(inputs or {}), "memo": memo, "run": "r1", "attempt": attempt, "settings": settings or {}}
    task["origin"] = origin
    assert plugin.run(task) is True
    return task.get("output")


def refusal(plugin: ModuleType, fields: Mapping[str, Any], **more: Any) -> str:
    """Call `run`, which must fail by `fail`, and return the sentence."""
    with pytest.raises(FailedError) as caught:
        call(plugin, fields, **more)
    return caught.value.message
