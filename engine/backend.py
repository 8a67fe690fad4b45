"""The contract between the executor and whatever runs attempts: a pool of processes, this process, or a remote queue.

Every call comes from the executor's thread except `wake`. Nothing above this contract knows what a process is.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from engine.facts import Report
from engine.states import Reason
from engine.task import Catalogue


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """Hand one attempt over: everything a worker needs, resolved. `timeout` in seconds from its first instruction.

    `origin` is the type of the trigger that the document or its parameters came by ("" where nobody knows).
    """

    run: str
    task: str
    attempt: int
    type: str
    fields: dict[str, Any]
    inputs: dict[str, bytes]
    memo: bytes = b"null"
    timeout: float | None = None
    isolation: str = "worker"
    memory_limit: int | None = None
    cpu_limit: float | None = None
    secrets: tuple[str, ...] = ()
    origin: str = ""


class Backend(Protocol):
    """Run attempts and report their outcomes as facts.

    For each dispatched assignment exactly one report comes back, whatever breaks; when it has come, nothing of the
    attempt is alive.
    """

    def start(self) -> None:
        """Return when attempts can be dispatched; harmless twice.

        Raises BackendError when that cannot be.
        """
        ...

    def stop(self, grace_seconds: float) -> None:
        """Return when nothing is alive; what still runs gets `grace_seconds` to end; harmless twice."""
        ...

    def catalogue(self) -> Catalogue:
        """Return the task types that can be dispatched now; picks up changed plugin files."""
        ...

    def reserve(self, type: str, isolation: str) -> bool:  # noqa: A002 -- the word of the document
        """Set room aside for one attempt of this type, or say that there is none.

        `dispatch` uses it up; what it does not use lapses with the next `collect`.
        """
        ...

    def dispatch(self, assignments: Sequence[Assignment]) -> None:
        """Begin these attempts; each had its `reserve`."""
        ...

    def kill(self, run: str, task: str, attempt: int, reason: Reason) -> None:
        """End this attempt: ask, wait the grace, end the whole tree; Killed comes back unless it had already ended."""
        ...

    def collect(self, timeout: float | None) -> list[tuple[str, Report]]:
        """Wait at most `timeout` seconds (None: until something happens) for reports: pairs of run id and fact.

        Returns early, perhaps with none, when `wake` was called or when there is room that was not there before.
        """
        ...

    def wake(self) -> None:
        """Make a `collect` that is waiting return; safe from any thread and from a signal handler."""
        ...
