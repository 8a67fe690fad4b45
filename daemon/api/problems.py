"""Errors as HTTP answers: problem details (RFC 9457) with the codes and problems that the reject file holds too."""

from typing import Any

import msgspec
from starlette.responses import Response

from engine.errors import (
    DaemonRefusedError,
    DropmillError,
    ExecutorStoppedError,
    InputError,
    NotWaitingError,
    RunEndedError,
    RunNotEndedError,
    RunUnknownError,
    ScheduleUnknownError,
    StateError,
    TaskUnknownError,
)


class BadQueryError(InputError):
    """A query parameter or a small body cannot be read."""

    code = "bad_query"


class TooLargeError(InputError):
    """A body is larger than the limit."""

    code = "too_large"


class WishUnknownError(InputError):
    """No part of the daemon understands this."""

    code = "wish_unknown"

    def __init__(self, part: str, verb: str) -> None:
        super().__init__(f"nothing here can {verb} {part}")


# The first that fits; what is left is ours to mend.
_STATUSES: tuple[tuple[type[DropmillError], int], ...] = (
    (RunUnknownError, 404),
    (TaskUnknownError, 404),
    (ScheduleUnknownError, 404),
    (WishUnknownError, 404),
    (BadQueryError, 400),
    (TooLargeError, 413),
    (RunEndedError, 409),
    (RunNotEndedError, 409),
    (NotWaitingError, 409),
    (DaemonRefusedError, 409),
    (InputError, 422),
    (ExecutorStoppedError, 503),
    (StateError, 503),
)


def status_of(error: DropmillError) -> int:
    """Return the HTTP status for an error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def answer(error: DropmillError) -> Response:
    """Write an error as a problem document."""
    return problem(status_of(error), error.code, str(error), problems=getattr(error, "problems", ()))


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """Write a problem document; `code` is stable, `detail` is for a person."""
    body = {"type": f"urn:dropmill:{code}", "title": code.replace("_", " "), "status": status, "code": code}
    body |= {"detail": detail} | {key: value for key, value in more.items() if value}
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")
