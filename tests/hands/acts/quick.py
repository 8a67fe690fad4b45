"""Do something that is quick as a rule, so that several stand in the line of one worker: see `_acts`."""

from _acts import run  # type: ignore[import-not-found]  # stands beside this file in the plugin folder

TASK_TYPE = "quick"
REQUIRED_FIELDS = ["do"]

__all__ = ["REQUIRED_FIELDS", "TASK_TYPE", "run"]
