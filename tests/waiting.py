"""How a test waits for an event: ask until the answer is true, or fail at a deadline. The only sleep in the tests."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.005


def wait_for(question: Callable[[], T | None], what: str, seconds: float = 40.0) -> T:
    """Ask until the answer is true and return it; raise AssertionError that names `what` after the deadline.

    The default deadline is long on purpose: it is reached only by a failing test, never by a busy machine.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            message = f"waited {seconds} s in vain for {what}; the last answer was {answer!r}"
            raise AssertionError(message)
        time.sleep(_PAUSE_SECONDS)


def wait_for_file(path: Path, seconds: float = 40.0) -> Path:
    """Wait until something of this name exists and return the path."""
    return wait_for(lambda: path if path.exists() else None, f"the file {path}", seconds)
