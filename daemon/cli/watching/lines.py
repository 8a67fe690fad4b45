"""A run in a pipe or a log file: a line with its time for each thing that happens.

Called by whatever follows a run. Of a large run only what is not plain success gets a line of its own, with counts in
between.
"""

import contextlib
from collections.abc import Iterator, Sequence

from daemon.cli.moments import stamp, took
from daemon.cli.output import Output, ReaderGoneError
from daemon.cli.text import why
from daemon.cli.watching.progress import Change, Progress
from engine.clock import wall
from engine.states import Reason, State

_LARGE = 500
_SUMMARY_SECONDS = 5.0
_PLAIN = (State.RUNNING, State.COMPLETED, State.PENDING, State.SKIPPED)


class LineView:
    """Write lines; obeys `View`."""

    patience = 1.0

    def __init__(self, output: Output, progress: Progress, name: str) -> None:
        """Write to this output about the run of this name."""
        self._output, self._progress, self._name = output, progress, name
        self._summed_at = wall()

    @property
    def _is_large(self) -> bool:
        # It may become so as it runs: a task comes to as many instances as its list has elements.
        return len(self._progress.tasks) > _LARGE

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Need nothing."""
        yield

    def take(self, changes: Sequence[Change]) -> None:
        """Write what there is to say about each."""
        for change in changes:
            if not (self._is_large and change.task is not None and change.state in _PLAIN):
                sentence = self._sentence(change)
                if sentence:
                    self._write(change.at, sentence)

    def refresh(self) -> None:
        """Hand on what was written; of a large run, say how far it is from time to time."""
        now = wall()
        if self._is_large and now - self._summed_at >= _SUMMARY_SECONDS:
            self._summed_at = now
            counts = ", ".join(f"{count:,} {at.lower()}" for at, count in self._progress.counts.items() if count)
            self._write(now, f"{len(self._progress.tasks):,} tasks: {counts}")
        with contextlib.suppress(ReaderGoneError, OSError):
            self._output.flush()

    def note(self, sentence: str) -> None:
        """Write a sentence."""
        self._write(wall(), sentence)

    def _sentence(self, change: Change) -> str:
        if change.task is None:
            return self._of_run(change)
        task = self._progress.tasks[change.task]
        again = f" (attempt {change.attempt})" if change.attempt > 1 else ""
        after = f" after {took(task.seconds(change.at))}" if task.started_at is not None else ""
        sentence = why(change.reason, change.message)
        because = f": {sentence}" if sentence else ""
        # The events of a daemon do not say until when.
        pause = "" if change.until is None else took(change.until - change.at)
        match change.state:
            case State.RUNNING:
                return f"{change.task} started{again}"
            case State.RETRYING:
                then = f"next attempt in {pause}" if pause else "another attempt follows"
                return f"{change.task} failed{again}, {then}{because}"
            case State.WAITING:
                asked = f" for a person: {change.message}" if change.reason == Reason.APPROVAL else ""
                return f"{change.task} waits{asked}" + (f", goes on in {pause}" if pause else "")
            case State.PENDING:
                return ""
            case _:
                return f"{change.task} {change.state.lower()}{after}{again}{because}"

    def _of_run(self, change: Change) -> str:
        told = why(change.reason, change.message)
        because = f": {told}" if told else ""
        if change.state is State.RUNNING:
            return f"{self._name} begins" if change.at == self._progress.started_at else f"{self._name} goes on"
        # How it ended is told by whoever follows it.
        return f"{self._name} waits{because}" if change.state is State.WAITING else ""

    def _write(self, at: float, sentence: str) -> None:
        with contextlib.suppress(ReaderGoneError, OSError):
            self._output.line(stamp(at), " ", sentence)
