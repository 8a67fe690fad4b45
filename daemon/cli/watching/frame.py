"""One picture of a run on a terminal: a bar, and as many tasks as there is room for. Pure.

Called by `live` many times a second, and once at the end by `outcome`.
"""

from collections.abc import Callable, Iterable, Sequence

from daemon.cli.moments import ticking, took
from daemon.cli.text import Piece, Styled, state, why
from daemon.cli.watching.progress import Progress, Watched
from engine.states import ENDED, Reason, State

Tail = Callable[[str, int], str]
Line = list[Piece]

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SYMBOLS = {
    State.PENDING: ("·", "."),
    State.WAITING: ("◌", "w"),
    State.RUNNING: ("●", "*"),
    State.RETRYING: ("↻", "r"),
    State.COMPLETED: ("✓", "+"),
    State.FAILED: ("✗", "x"),
    State.CANCELLED: ("⊘", "c"),
    State.SKIPPED: ("↷", "-"),
}
_SAID = (State.RUNNING, State.RETRYING, State.WAITING, State.FAILED, State.CANCELLED, State.SKIPPED)
_WIDTH_FOR_TYPES = 64
_LONGEST_TYPE = 14
_LONGEST_BAR = 40
_SPINS_PER_SECOND = 8


class Frame:
    """Draw a run for a terminal of a given size; `has_symbols` says whether it can show more than ASCII."""

    def __init__(
        self, progress: Progress, title: Sequence[Piece], *, has_symbols: bool, tail: Tail | None = None
    ) -> None:
        """Keep what stays the same; `tail` tells the last line that a task's attempt has said."""
        self._progress, self._title = progress, title
        self._has_symbols, self._tail = has_symbols, tail

    def draw(self, now: float, width: int, height: int, notice: str = "") -> list[Line]:
        """Return at most `height` lines; the caller cuts what is wider than the terminal."""
        foot: list[Line] = [[Styled(notice, "odd")]] if notice else []
        head = [self._headline(now), self.bar(width)][: max(0, height - len(foot))]
        room = height - len(head) - len(foot)
        shown = self._progress.focus(room if len(self._progress.tasks) <= room else room - 1)
        rows = self.rows(shown, now, width)
        hidden = self._hidden(shown)
        if hidden and len(rows) < room:
            rows.append([Styled(f"  and {hidden}", "faint")])
        return [*head, *rows, *foot][:height]

    def rows(self, tasks: Sequence[Watched], now: float, width: int) -> list[Line]:
        """Return a line a task, in columns."""
        names = min(max((len(task.id) for task in tasks), default=0), max(12, width // 3))
        types = (
            min(max((len(task.type) for task in tasks), default=0), _LONGEST_TYPE) if width >= _WIDTH_FOR_TYPES else 0
        )
        return [self._row(task, now, names, types) for task in tasks]

    def bar(self, width: int) -> Line:
        """Return the bar and the counts beside it."""
        progress, total = self._progress, len(self._progress.tasks)
        cells = max(4, min(_LONGEST_BAR, width // 3))
        ended = cells * progress.ended // total if total else cells
        running = min(cells - ended, -(-cells * progress.counts[State.RUNNING] // total)) if total else 0
        full, empty = ("━", "━") if self._has_symbols else ("#", ".")
        return [
            Styled(full * ended, "bad" if progress.counts[State.FAILED] else "good"),
            Styled(full * running, "busy"),
            Styled(empty * (cells - ended - running), "faint"),
            f" {progress.ended:,} of {total:,}",
            *self._counts(),
        ]

    def symbol(self, at: State, now: float | None = None) -> Styled:
        """Return the sign of a state; that of RUNNING turns as time passes."""
        if at is State.RUNNING and self._has_symbols and now is not None:
            return Styled(_SPINNER[int(now * _SPINS_PER_SECOND) % len(_SPINNER)], "busy")
        return Styled(_SYMBOLS[at][0 if self._has_symbols else 1], state(at).style)

    def _headline(self, now: float) -> Line:
        progress = self._progress
        elapsed = "" if progress.started_at is None else ticking((progress.ended_at or now) - progress.started_at)
        return [*self._title, "  ", state(progress.state), "  ", elapsed]

    def _counts(self) -> Iterable[Piece]:
        for at in _SAID:
            count = self._progress.counts[at]
            if count:
                yield "  "
                yield Styled(f"{count:,} {at.lower()}", state(at).style)

    def _row(self, task: Watched, now: float, names: int, types: int) -> Line:
        row: Line = [self.symbol(task.state, now), " ", Styled(_fit(task.id, names), _name_style(task))]
        if types:
            row += ["  ", Styled(_fit(task.type, types), "faint")]
        seconds = task.seconds(now)
        spent = "" if seconds is None else took(seconds) if task.ended_at is not None else ticking(seconds)
        row += ["  ", f"{spent:>9}", "  ", *self._detail(task, now)]
        return row

    def _detail(self, task: Watched, now: float) -> Iterable[Piece]:
        match task.state:
            case State.RUNNING if task.instances:
                yield Styled(tally(task), "faint")
            case State.RUNNING:
                if task.attempt > 1:
                    yield Styled(f"attempt {task.attempt}  ", "odd")
                yield Styled(self._tail(task.id, task.attempt) if self._tail else "", "faint")
            case State.RETRYING:
                wait = "soon" if task.until is None else f"in {ticking(task.until - now)}"
                yield Styled(f"attempt {task.attempt + 1} {wait}: ", "odd")
                yield why(task.reason, task.message)
            case State.WAITING:
                asks = f"asks: {task.message}  " if task.reason == Reason.APPROVAL else ""
                goes_on = "waits" if task.until is None else f"goes on in {ticking(task.until - now)}"
                yield Styled(asks + (goes_on if task.until is not None or not asks else ""), "odd")
            case State.COMPLETED:
                again = f"on attempt {task.attempt}" if task.attempt > 1 else ""
                yield Styled(tally(task) if task.instances else again, "faint")
            case State.FAILED:
                yield Styled(why(task.reason, task.message), "bad")
            case _:
                yield Styled(why(task.reason, task.message), "faint")

    def _hidden(self, shown: Sequence[Watched]) -> str:
        counts = dict(self._progress.counts)
        for task in shown:
            counts[task.state] -= 1
        total = sum(counts.values())
        parts = ", ".join(f"{count:,} {at.lower()}" for at, count in counts.items() if count)
        return f"{total:,} more: {parts}" if total else ""


def tally(task: Watched) -> str:
    """Say how the instances of a task stand."""
    counts = ", ".join(f"{count:,} {at.lower()}" for at, count in sorted(task.tally.items()) if count)
    return f"{len(task.instances):,} instances: {counts}"


def _name_style(task: Watched) -> str:
    if task.state in ENDED:
        return "bad" if task.state is State.FAILED else "faint" if task.state is not State.COMPLETED else ""
    return "head" if task.state is State.RUNNING else "" if task.state is not State.PENDING else "faint"


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
