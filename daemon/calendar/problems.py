"""How the calendar says that something cannot be read: what was found, what is allowed, what to write instead.

Owns nothing but the shape of those sentences. Called by the rooms that read text.
"""

from engine.errors import Problem, ScheduleInvalidError

_SHOWN = 60  # characters of what was found; the rest of an overlong text helps nobody


class Complaints:
    """Collect the problems of one expression, so that all of them are told at once."""

    def __init__(self, source: object) -> None:
        self._source = shown(source)
        self._problems: list[Problem] = []

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, message: str, hint: str, code: str = "schedule_invalid") -> None:
        """Note one problem: what is wrong, and what to write instead."""
        self._problems.append(Problem(code=code, message=message, hint=hint))

    def settle(self) -> None:
        """Raise ScheduleInvalidError with every problem that was noted; return if there is none."""
        if self._problems:
            raise ScheduleInvalidError(self._problems, self._source)


def refusal(source: object, message: str, hint: str, code: str = "schedule_invalid") -> ScheduleInvalidError:
    """Make the error for a single problem, to be raised."""
    return ScheduleInvalidError([Problem(code=code, message=message, hint=hint)], shown(source))


def shown(value: object) -> str:
    """Quote what was found, as much of it as a message can bear."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
