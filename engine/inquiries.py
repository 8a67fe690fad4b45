"""What other threads ask of a loop: put into a queue, carried out in its turn, answered through a future.

Every question that got in is answered, also when the loop ends or dies. `executor` owns one.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from engine.errors import ExecutorStoppedError

CarryOut = Callable[[float, "Future[Any]"], None]


class Inquiries:
    """Keep what was asked and not answered; `wake` makes the loop look."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Start with nothing asked."""
        self._wake = wake
        self._queue: deque[Callable[[float], None]] = deque()
        self._unanswered: dict[int, Future[Any]] = {}
        self._refusing = threading.Lock()
        self._is_closed = self._is_over = False
        self.failure: BaseException | None = None

    def ask(self, carry_out: CarryOut) -> "Future[Any]":
        """Have the loop carry something out with (wall time, answer), and return the answer to come."""
        answer: Future[Any] = Future()
        if self.failure is not None or self._is_closed:
            answer.set_exception(self.failure or ExecutorStoppedError())
            return answer
        # An asker may stop waiting, but not take the question back: the loop gives every answer it owes.
        answer.set_running_or_notify_cancel()
        self._unanswered[id(answer)] = answer
        answer.add_done_callback(lambda done: self._unanswered.pop(id(done), None))
        self._queue.append(lambda now: carry_out(now, answer))
        self._wake()
        if self._is_over:
            # It ended after the look above and before it could know of this one.
            self._refuse_all()
        return answer

    def tell(self, carry_out: Callable[[float], None]) -> None:
        """Have the loop carry something out that nobody waits for; lost when it ends before."""
        self._queue.append(carry_out)
        self._wake()

    def carry_out(self, now: float) -> None:
        """Carry out everything that was asked; the loop calls this once a turn."""
        while self._queue:
            self._queue.popleft()(now)

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True

    def fail(self, failure: BaseException) -> None:
        """Refuse with this from now on."""
        self.failure, self._is_closed = failure, True

    def end(self, failure: BaseException | None) -> None:
        """Refuse whatever was not answered, now and from now on; harmless twice."""
        self.failure, self._is_closed, self._is_over = failure, True, True
        self._refuse_all()

    def _refuse_all(self) -> None:
        with self._refusing:
            for answer in list(self._unanswered.values()):
                answer.set_exception(self.failure or ExecutorStoppedError())

    def __len__(self) -> int:
        """Count what was not carried out yet."""
        return len(self._queue)
