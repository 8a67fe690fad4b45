"""Do something: see `_acts`."""

from _acts import run  # type: ignore[import-not-found]  # stands beside this file in the plugin folder

TASK_TYPE = "act"
REQUIRED_FIELDS = ["do"]

__all__ = ["REQUIRED_FIELDS", "TASK_TYPE", "run"]
