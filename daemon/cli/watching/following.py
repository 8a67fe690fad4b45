"""Following one run to its end: what is heard of it goes to `progress` and to a view, signals become a cancel or a cut.

Called by `run`, with a queue that an executor in this process fills. Draws and writes nothing itself.
"""

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NamedTuple, Protocol, Self

from daemon.cli.watching.progress import Change, Progress

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(NamedTuple):
    """Somebody wants us to end."""

    number: int


class Died(NamedTuple):
    """What runs the run has died."""

    error: BaseException


Item = Iterable[Change] | Signalled | Died
Heard = SimpleQueue[Item]


class View(Protocol):
    """Show a run; `patience` is how long, in seconds, it may go without `refresh`."""

    patience: float

    def shown(self) -> contextlib.AbstractContextManager[None]:
        """Hold what it shows on."""
        ...

    def take(self, changes: Sequence[Change]) -> None:
        """Learn what has changed; `progress` knows already."""
        ...

    def refresh(self) -> None:
        """Show how things stand now."""
        ...

    def note(self, sentence: str) -> None:
        """Tell the person something beside the run."""
        ...


class SilentView:
    """Show nothing; obeys `View`."""

    patience = 1.0

    def shown(self) -> contextlib.AbstractContextManager[None]:
        """Need nothing."""
        return contextlib.nullcontext()

    def take(self, changes: Sequence[Change]) -> None:
        """Be silent."""

    def refresh(self) -> None:
        """Be silent."""

    def note(self, sentence: str) -> None:
        """Be silent."""


class Signals:
    """Turn the signals that ask a process to end into KeyboardInterrupt, or, from `into` on, into entries of a queue.

    A signal that is ignored already (nohup, a background process) stays so.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self._queue: Heard | None = None
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Put back what was there."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def into(self, queue: Heard | None) -> None:
        """Put them into this queue from now on; None: raise again."""
        self._queue = queue

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._queue is None:
            raise KeyboardInterrupt
        # Of all queues this one may be filled by a signal handler that interrupts whoever empties it.
        self._queue.put(Signalled(number))


def follow(
    heard: Heard,
    progress: Progress,
    view: View,
    cancel: Callable[[], object],
    *,
    again: str = "once more kills it at once",
) -> int | None:
    """Follow until the run has ended; return the number of the second signal if one cut it short.

    The first signal calls `cancel`; `again` says what the second will do. Raises what whoever runs the run has died of.
    """
    was_asked = False
    with view.shown():
        view.refresh()
        while not progress.has_ended:
            for item in _waited(heard, view.patience):
                match item:
                    case Signalled(number):
                        if was_asked:
                            return number
                        was_asked = True
                        cancel()
                        view.note(f"{_wish(number)}: cancelling, what runs may finish cleaning up; {again}")
                    case Died(error):
                        raise error
                    case _:
                        view.take([change for change in item if progress.take(change)])
            view.refresh()
    return None


def settle(heard: Heard, progress: Progress) -> None:
    """Take in what was still heard of a run that is followed no longer, the signals left out."""
    for item in _waited(heard, 0.0):
        if not isinstance(item, Signalled | Died):
            for change in item:
                progress.take(change)


def _waited(heard: Heard, seconds: float) -> Iterator[Item]:
    """Yield what comes in: wait for the first, take what is there then, but not what comes in meanwhile."""
    with contextlib.suppress(Empty):
        first = heard.get(timeout=seconds)
        more = heard.qsize()
        yield first
        for _ in range(more):
            yield heard.get_nowait()


def _wish(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
