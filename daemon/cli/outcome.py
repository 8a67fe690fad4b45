"""How a run ended, told once: what came of it, or what failed, what it said last, and where to read on.

Called by `run` when the run has ended and the live picture is gone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from daemon.cli.counting import counted
from daemon.cli.moments import took
from daemon.cli.output import Output
from daemon.cli.tailing import last_lines
from daemon.cli.text import Piece, Styled, escaped_lines, laid_out, readable, state
from daemon.cli.watching.frame import Frame
from daemon.cli.watching.progress import Progress
from engine.attemptlog import LogReader
from engine.clock import epoch, wall
from engine.plan import Plan
from engine.states import Reason, State
from engine.views import RunView, TaskView

_ROWS_SHOWN = 40
_FAILURES_SHOWN = 5
_OUTPUTS_SHOWN = 10
_LINES_SHOWN = 10
_LINES_OF_OUTPUT = 20
_WIDTH_OF_OUTPUT = 100
_CHARACTERS_SHOWN = 1000


class Outcome:
    """Tell the end of one run on one output."""

    def __init__(self, out: Output, run: RunView, logs: Path) -> None:
        """Take the run as it is recorded; `logs` is the folder of the attempts' logs."""
        self._out, self._run = out, run
        self._tasks = {task.id: task for task in run.tasks or ()}
        self._logs = LogReader(logs)

    def gap(self) -> None:
        """Leave a line free between the parts, on a terminal."""
        if self._out.is_terminal:
            self._out.line()

    def rows(self, progress: Progress, frame: Frame) -> None:
        """Leave the last picture of the tasks on a terminal; of many tasks, those that are worth a look."""
        shown = list(progress.tasks.values())
        if len(shown) > _ROWS_SHOWN:
            shown = [task for task in shown if task.state is not State.COMPLETED][:_ROWS_SHOWN]
        width = self._out.console.width
        for row in frame.rows(shown, wall(), width):
            text = self._out.styled(row)
            text.truncate(width, overflow="ellipsis")
            self._out.console.print(text, no_wrap=True)
        if shown:
            self.gap()

    def headline(self, *, is_kept: bool) -> None:
        """Say in a line how the run ended."""
        run = self._run
        begun, ended = (None if time is None else epoch(time) for time in (run.started_at, run.ended_at))
        seconds = None if begun is None or ended is None else ended - begun
        word = Styled(run.state.lower(), state(run.state).style)
        after = f" in {took(seconds)}" if seconds is not None else ""
        line: list[Piece] = [Styled(run.workflow, "head"), " ", word, after, f" ({self._counts()})"]
        # Which tasks failed stands above.
        if run.message and run.state is not State.COMPLETED and run.reason != Reason.TASK_FAILED:
            line.append(f": {run.message}")
        self._out.line(*line)
        if is_kept:
            self._out.line(Styled(f"run {run.id}", "faint"))

    def outputs(self, plan: Plan) -> None:
        """Show what the run gives back, else what its last tasks handed on: those nothing depends on."""
        if not isinstance(self._run.output, msgspec.UnsetType):
            self._say(Styled("output", "head"), bytes(self._run.output))
            return
        last = [self._tasks[key] for key in plan.graph.order if not plan.graph.dependants[key]]
        telling = [task for task in last if task.state is State.COMPLETED and readable(bytes(task.output))]
        for task in telling[:_OUTPUTS_SHOWN]:
            self._say(Styled(task.id, "head"), bytes(task.output))
        if len(telling) > _OUTPUTS_SHOWN:
            self._out.line(Styled(f"and {len(telling) - _OUTPUTS_SHOWN:,} more outputs", "faint"))

    def failures(self, *, is_kept: bool) -> None:
        """Show what failed, what it said last, and where the whole log is."""
        failed = [task for task in self._tasks.values() if task.state is State.FAILED]
        # Of a task that came to instances, those that failed say what went wrong.
        parents = {task.id.partition("[")[0] for task in failed if "[" in task.id}
        failed = [task for task in failed if task.id not in parents]
        for task in failed[:_FAILURES_SHOWN]:
            self._failure(task, is_kept=is_kept)
            self.gap()
        if len(failed) > _FAILURES_SHOWN:
            self._out.line(Styled(f"and {len(failed) - _FAILURES_SHOWN:,} more failed tasks", "bad"))

    def _failure(self, task: TaskView, *, is_kept: bool) -> None:
        again = f" on attempt {task.attempts}" if task.attempts > 1 else ""
        reason = f" ({task.reason})" if task.reason else ""
        first, *rest = escaped_lines(task.message) or [""]
        self._out.line(Styled(task.id, "head"), f" ({task.type})", Styled(f" failed{again}{reason}: ", "bad"), first)
        for line in rest:
            self._out.line("  ", line)
        path = self._logs.path(self._run.id, task.id, task.attempts)
        lines = last_lines(path, _LINES_SHOWN)
        for line in lines:
            self._out.line(Styled("  | ", "faint"), *escaped_lines(line))
        if lines and is_kept:
            self._out.line(Styled(f"  log: {path}", "faint"))

    def _say(self, name: Styled, output: bytes) -> None:
        """Show an output on its task's line if it fits there, else below it, indented, as much as a screen takes."""
        text = readable(output)
        if "\n" not in text and (
            not self._out.is_terminal or len(name.text) + 4 + len(text) <= self._out.console.width
        ):
            self._out.line(name, Styled(" -> ", "faint"), text)
            return
        value = msgspec.json.decode(output)
        width = self._out.console.width if self._out.is_terminal else _WIDTH_OF_OUTPUT
        lines = escaped_lines(value) if isinstance(value, str) else laid_out(value, width - 2)
        self._out.line(name, Styled(" ->", "faint"))
        for line in lines[:_LINES_OF_OUTPUT]:
            self._out.line("  ", line[:_CHARACTERS_SHOWN])
        if len(lines) > _LINES_OF_OUTPUT:
            self._out.line(Styled(f"  … {len(lines):,} lines in all; `dropmill show --json` has them", "faint"))

    def _counts(self) -> str:
        """Count the tasks, and apart from them the instances they came to."""
        tasks = ", ".join(_counted(task.state for task in self._tasks.values() if "[" not in task.id))
        instances = [task.state for task in self._tasks.values() if "[" in task.id]
        return (
            f"{tasks}; {counted(len(instances), 'instance')}: {', '.join(_counted(instances))}" if instances else tasks
        )


def _counted(states: Iterable[State]) -> Iterator[str]:
    found = Counter(states)
    return (f"{found[at]:,} {at.lower()}" for at in State if found[at])
