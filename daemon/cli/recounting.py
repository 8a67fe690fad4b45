"""The log of a run: its events in order, with what each attempt said between its beginning and its end.

Lines of attempts carry no time of their own: those of an attempt that has ended stand before the event that ended it.
Called by `logs`.
"""

import threading
from collections.abc import Sequence

from daemon.cli import memory
from daemon.cli.invocation import Invocation
from daemon.cli.moments import stamp
from daemon.cli.tailing import Tail
from daemon.cli.text import Styled, escaped_lines, state
from engine.attemptlog import LogReader
from engine.clock import epoch, wall
from engine.history import History
from engine.states import ENDED, Reason, State
from engine.views import EventView, RunView

_LOOK_SECONDS = 0.25
_GONE = 1


class RunLog:
    """Tell the story of one run."""

    def __init__(self, call: Invocation, history: History, run: RunView) -> None:
        """Begin at its beginning."""
        self._call, self._history, self._run = call, history, run.id
        self._out = call.out
        self._reader = LogReader(call.config.paths.logs)
        self._tails: dict[tuple[str, int], Tail] = {}
        self._width = min(max((len(task.id) for task in run.tasks or ()), default=0), 24)
        self._last, self._margin = 0, 0
        self._has_ended = False

    def show(self) -> int:
        """Tell what has happened so far; return the exit status."""
        was_owned = memory.is_owned(self._call.config)
        self._tell_new()
        self._tell_lines(is_over=True)
        if not (self._has_ended or was_owned or memory.is_owned(self._call.config)):
            self._call.err.line(Styled("note: ", "odd"), memory.ORPHANED)
        return 0

    def follow(self) -> int:
        """Tell what has happened and go on until the run has ended, or nobody is left who could end it."""
        pause = threading.Event()
        while True:
            was_owned = memory.is_owned(self._call.config)
            self._tell_new()
            self._tell_lines()
            self._out.flush()
            if self._has_ended:
                return 0
            if not was_owned and not memory.is_owned(self._call.config):
                self._call.err.line(Styled("note: ", "odd"), memory.ORPHANED)
                return _GONE
            pause.wait(_LOOK_SECONDS)

    def _tell_new(self) -> None:
        for event in self._history.events(self._run, after=self._last):
            self._last = event.id
            self._tell(event)

    def _tell(self, event: EventView) -> None:
        if event.task is not None and event.attempt is not None:
            key = (event.task, event.attempt)
            if event.state == State.RUNNING:
                self._tails.setdefault(key, Tail(self._reader.path(self._run, *key)))
            elif key in self._tails and event.state != State.WAITING:
                self._say(event.task, self._tails.pop(key).lines(is_over=True))
        if event.task is None and event.state in ENDED:
            self._has_ended = True
        again = f" (attempt {event.attempt})" if event.attempt and event.attempt > 1 else ""
        parts = [part for part in (event.reason, event.message) if part]
        actor = f" by {event.actor}" if event.actor and event.task is None else ""
        self._out.line(
            Styled(self._stamp(epoch(event.at)), "faint"),
            " ",
            Styled((event.task or "run").ljust(self._width), "head"),
            " ",
            state(event.state or _stateless(event)),
            f"{again}{actor}",
            Styled(f"  {': '.join(parts)}" if parts else "", "bad" if event.state == State.FAILED else "faint"),
        )

    def _stamp(self, moment: float) -> str:
        text = stamp(moment, wall())
        self._margin = len(text)
        return text

    def _tell_lines(self, *, is_over: bool = False) -> None:
        for (task, _), tail in self._tails.items():
            self._say(task, tail.lines(is_over=is_over))

    def _say(self, task: str, lines: Sequence[str]) -> None:
        for line in lines:
            for part in escaped_lines(line):
                self._out.line(
                    " " * self._margin, " ", Styled(task.ljust(self._width), "faint"), Styled(" | ", "faint"), part
                )


def _stateless(event: EventView) -> str:
    """Name what changed no state; a deadline that is passed may end the run, or be only a warning."""
    return "deadline passed" if event.reason == Reason.DEADLINE and event.attempt is None else "asked to end"


class TaskLog:
    """Show what the attempts of one task said, as they said it."""

    def __init__(self, call: Invocation, history: History, run: str, task: str) -> None:
        """Name the task."""
        self._call, self._history, self._run, self._task = call, history, run, task
        self._reader = LogReader(call.config.paths.logs)
        self._last, self._begun = 0, 0
        self._ended: set[int] = set()
        self._is_over = False

    def show(self, attempt: int) -> None:
        """Print the log of one attempt; where there is none, say so on stderr."""
        path = self._reader.path(self._run, self._task, attempt)
        lines = Tail(path).lines(is_over=True) if attempt else []
        if not lines:
            what = f"attempt {attempt} of {self._task} has said nothing" if attempt else f"{self._task} has not begun"
            self._call.err.line(f"{what}, or its log was deleted" if attempt and not path.exists() else what)
        self._print(lines)

    def follow(self, attempt: int | None) -> int:
        """Print one attempt, or one after the other, as they go, until it, or the task, has ended."""
        pause, number = threading.Event(), attempt or 1
        tail = Tail(self._reader.path(self._run, self._task, number))
        while True:
            was_owned = memory.is_owned(self._call.config)
            self._hear()
            is_over = self._is_over or number in self._ended
            self._print(tail.lines(is_over=is_over))
            self._call.out.flush()
            if is_over and (attempt is not None or (self._is_over and number >= self._begun)):
                return 0
            if is_over:
                number += 1
                tail = Tail(self._reader.path(self._run, self._task, number))
            elif not was_owned and not memory.is_owned(self._call.config):
                self._call.err.line(Styled("note: ", "odd"), memory.ORPHANED)
                return _GONE
            else:
                pause.wait(_LOOK_SECONDS)

    def _hear(self) -> None:
        """Learn which attempts have begun and ended since the last time."""
        for event in self._history.events(self._run, after=self._last):
            self._last = event.id
            if event.task == self._task and event.attempt is not None:
                self._begun = max(self._begun, event.attempt)
                if event.state not in (State.RUNNING, State.WAITING):
                    self._ended.add(event.attempt)
            if event.task in (self._task, None) and event.state in ENDED:
                self._is_over = True

    def _print(self, lines: Sequence[str]) -> None:
        for line in lines:
            for part in escaped_lines(line):
                self._call.out.line(part)
