"""The standard library's logging and warnings, led into loguru: what libraries say lands in the same log."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

_NAMES = {logging.CRITICAL: "CRITICAL", logging.ERROR: "ERROR", logging.WARNING: "WARNING", logging.INFO: "INFO"}
_LEAST = {"debug": logging.DEBUG, "error": logging.ERROR}


def intercept(level: str) -> Callable[[], None]:
    """Take over the root logger and the warnings; return what puts everything back as it was.

    Libraries tell of their inner life at `info`, so below warnings they are heard only where the level is debug.
    """
    root = logging.getLogger()
    before, before_level = root.handlers[:], root.level
    root.handlers = [_Handler()]
    root.setLevel(_LEAST.get(level, logging.WARNING))
    logging.captureWarnings(capture=True)

    def undo() -> None:
        logging.captureWarnings(capture=False)
        root.handlers = before
        root.setLevel(before_level)

    return undo


class _Handler(logging.Handler):  # the one way in that the library offers
    def emit(self, record: logging.LogRecord) -> None:
        name = next((name for number, name in _NAMES.items() if record.levelno >= number), "DEBUG")
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg} (logged with arguments that do not fit: {record.args!r})"
        source = record.name

        def patch(into: "Record") -> None:
            into["name"] = source

        logger.patch(patch).opt(exception=record.exc_info).log(name, "{}", message)
