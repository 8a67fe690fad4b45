"""The task type `notify`: a short message to chats, phones and hooks, by the library apprise.

A target is a URL that holds its secrets, so no message of ours names more of it than its scheme, and what the library
logs about it is not kept.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.task import fail

_logger = logging.getLogger(__name__)

TASK_TYPE = "notify"
DESCRIPTION = "Send a short message to chats, phones, hooks and many other services, each named by a URL."
VERSION = "1.0"
REQUIRED_FIELDS = ["urls", "body"]

_KINDS = ["info", "success", "warning", "failure"]
_FORMATS = ["text", "markdown", "html"]
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "urls": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ],
            "examples": ["jsons://hooks.example.org/dropmill"],
            "description": "Where it goes: one apprise URL or a list, such as `slack://...`, `tgram://...`, "
            "`mailto://...` or `jsons://host/path`; take them from `secrets`.",
        },
        "title": {"type": "string", "description": "A line above it, where the service has one."},
        "body": {
            "type": "string",
            "minLength": 1,
            "examples": ["The report is ready."],
            "description": "The message itself.",
        },
        "kind": {
            "enum": _KINDS,
            "default": "info",
            "description": "What sort of news it is; services show it as a colour or a sign.",
        },
        "format": {"enum": _FORMATS, "default": "text", "description": "How the message is written."},
    },
    "additionalProperties": False,
}

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,20})://", re.IGNORECASE)
_STATUS = re.compile(r"error=(\d{3})\b")


def run(task: dict[str, Any]) -> bool:
    """Send it to every target and set the output to `{"sent": [schemes]}`; fail where one of them did not take it."""
    urls = [task["urls"]] if isinstance(task["urls"], str) else task["urls"]
    with _quiet() as heard:
        targets = [_target(number, url, len(urls)) for number, url in enumerate(urls, start=1)]
        sent, failed = [], []
        for name, scheme, target in targets:
            heard.statuses.clear()
            if _has_taken(target, task):
                sent.append(scheme)
            else:
                failed.append(
                    f"{name} did not take the message" + (f" ({heard.statuses[-1]})" if heard.statuses else "")
                )
    task["output"] = {"sent": sent}
    if failed:
        also = f"; it was sent to {', '.join(sent)}" if sent else ""
        fail(f"{'; '.join(failed)}{also}")
    _logger.info("sent to %s", ", ".join(sent))
    return True


def _target(number: int, url: str, count: int) -> tuple[str, str, Any]:
    """Make a target; return it with its name for messages and its scheme."""
    from apprise import Apprise  # noqa: PLC0415 -- every worker would pay for it at its start

    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else "?"
    name = f"the target {scheme}" if count == 1 else f"target {number} of {count} ({scheme})"
    try:
        target = Apprise.instantiate(url)
    except (TypeError, ValueError):
        target = None
    if target is None or found is None:
        fail(f"`urls`: {name} cannot be notified: no service has such a URL", reason="invalid")
    return name, scheme, target


def _has_taken(target: Any, task: dict[str, Any]) -> bool:
    try:
        return bool(
            target.notify(
                body=task["body"],
                title=task.get("title", ""),
                notify_type=task.get("kind", _KINDS[0]),
                body_format=task.get("format", _FORMATS[0]),
            )
        )
    except (TypeError, ValueError, OSError):
        # What the library does not turn into "no" itself, for some services.
        return False


class _Ear(logging.Handler):
    """Keep the HTTP status of what went wrong; the rest of the library's words may hold a secret."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.statuses: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.statuses += _STATUS.findall(record.getMessage())


@contextmanager
def _quiet() -> Iterator[_Ear]:
    """Let nobody but an ear of ours hear what the library logs."""
    ear, logger = _Ear(), logging.getLogger("apprise")
    propagates = logger.propagate
    logger.propagate = False
    logger.addHandler(ear)
    try:
        yield ear
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagates
