"""Where and how a run is presented: live on a terminal, as lines in a pipe, or only at the end.

Called by `run`. People are told on stdout, but on stderr where stdout is for a program (`--json`) or nothing is wanted
there unless it fails (`--quiet`).
"""

from pathlib import Path

from daemon.cli.invocation import Invocation
from daemon.cli.memory import ORPHANED, has_ended, shown_id
from daemon.cli.outcome import Outcome
from daemon.cli.running import Ended
from daemon.cli.tailing import last_lines
from daemon.cli.text import Piece, Styled, escaped_lines
from daemon.cli.watching.following import SilentView, View
from daemon.cli.watching.frame import Frame
from daemon.cli.watching.lines import LineView
from daemon.cli.watching.live import LiveView
from daemon.cli.watching.progress import Progress
from engine.attemptlog import LogReader
from engine.plan import Plan
from engine.states import State
from engine.submission import Receipt


class Stage:
    """Present one run."""

    def __init__(self, call: Invocation, logs: Path, *, as_json: bool, is_quiet: bool, is_kept: bool) -> None:
        """Choose the stream; `logs` is where the attempts' logs are, `is_kept` whether they will be there tomorrow."""
        self._call, self._logs = call, logs
        self._as_json, self._is_kept = as_json, is_kept
        self._out = call.err if as_json or is_quiet else call.out
        self._is_silent = is_quiet or (as_json and not self._out.is_terminal)
        self._frame: Frame | None = None

    def say(self, sentence: str) -> None:
        """Tell the person why nothing happens yet."""
        if not self._is_silent:
            self._out.line(sentence)
            self._out.flush()

    def show(self, receipt: Receipt, plan: Plan, progress: Progress) -> View:
        """Return the view to follow the run with."""
        if self._is_silent:
            return SilentView()
        if not self._out.is_terminal:
            return LineView(self._out, progress, f"run {receipt.run} of {plan.workflow.name}")
        reader = LogReader(self._logs)

        def tail(task: str, attempt: int) -> str:
            lines = last_lines(reader.path(receipt.run, task, attempt), 1)
            return escaped_lines(lines[0])[0] if lines else ""

        title: list[Piece] = [
            Styled(plan.workflow.name, "head"),
            "  ",
            Styled(shown_id(self._out, receipt.run), "faint"),
        ]
        self._frame = Frame(progress, title, has_symbols=self._out.has_symbols, tail=tail)
        return LiveView(self._out, self._frame)

    def tell(self, ended: Ended) -> None:
        """Tell how it ended."""
        run = ended.run
        if ended.trouble is not None:
            self._call.err.line(Styled("note: ", "odd"), ended.trouble)
        has_completed = run.state is State.COMPLETED
        if self._as_json:
            self._call.out.json(run)
        if self._as_json or (self._is_silent and has_completed):
            return
        outcome = Outcome(self._out, run, self._logs)
        if not ended.is_new:
            self._out.line(f"An earlier run had this idempotency key, and answers for this one: {run.id}")
            if not has_ended(run):
                # The folder was ours meanwhile, so nobody else can have been running it.
                self._out.line(Styled("note: ", "odd"), ORPHANED)
        elif self._frame is not None:
            outcome.rows(ended.progress, self._frame)
        if has_completed:
            outcome.outputs(ended.plan)
        else:
            outcome.failures(is_kept=self._is_kept)
        outcome.headline(is_kept=self._is_kept)
