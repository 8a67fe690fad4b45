"""What an attempt logs through the standard `logging`: shown on standard error, and the last error remembered.

A plugin logs its error and returns False: that error is the sentence a person wants to read. Called by `surroundings`.
"""

import logging
import sys
import threading

FORMAT = "%(levelname)s %(message)s"


class LastWords:
    """Remember the last record of level ERROR or above; `handler` is what a logger is given."""

    def __init__(self, *, only_this_thread: bool = False) -> None:
        """Show what is logged, or only listen to the calling thread and show nothing."""
        self._record: logging.LogRecord | None = None
        self._thread = threading.get_ident() if only_this_thread else None
        self.handler: logging.Handler = logging.StreamHandler(_StandardError())
        self.handler.setFormatter(logging.Formatter(FORMAT))
        self.handler.addFilter(self._hear)

    def forget(self) -> None:
        """Start anew with the next attempt."""
        self._record = None

    def last_error(self) -> str:
        """Return the last error, with the exception that was logged with it, or "".

        Raises what the arguments of the record raise when they are written.
        """
        if self._record is None:
            return ""
        message = self._record.getMessage()
        error = self._record.exc_info[1] if self._record.exc_info else None
        return f"{message}: {type(error).__name__}: {error}" if error else message

    def _hear(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR and self._thread in {None, record.thread}:
            self._record = record
        return self._thread is None


class _StandardError:
    """Write to whatever standard error is at the moment: it is replaced now and then."""

    def write(self, text: str) -> None:
        """Write."""
        if sys.stderr is not None:
            sys.stderr.write(text)

    def flush(self) -> None:
        """Write what is held back."""
        if sys.stderr is not None:
            sys.stderr.flush()
