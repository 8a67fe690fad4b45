"""Errors as HTTP answers: problem details (RFC 9457) with the codes and problems that the reject file holds too."""

from typing import Any

import msgspec
from starlette.responses import Response

from engine.errors import (
    DaemonRefusedError,
    DropmillError,
    ExecutorStoppedError,
    InputError,
    RunEndedError,
    RunNotEndedError,
    RunUnknownError,
    StateError,
    TaskUnknownError,
    WorkflowUnknownError,
)

_UNKNOWN = (RunUnknownError, TaskUnknownError)
_CONFLICT = (RunEndedError, RunNotEndedError, DaemonRefusedError)


def status_of(error: DropmillError) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, _UNKNOWN):
        return 404
    if isinstance(error, _CONFLICT):
        return 409
    if isinstance(error, WorkflowUnknownError | InputError):
        return 422
    if isinstance(error, ExecutorStoppedError | StateError):
        return 503
    return 500


def answer(error: DropmillError) -> Response:
    """Write an error as a problem document."""
    return problem(status_of(error), error.code, str(error), problems=getattr(error, "problems", ()))


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """Write a problem document; `code` is stable, `detail` is for a person."""
    body = {"type": f"urn:dropmill:{code}", "title": code.replace("_", " "), "status": status, "code": code}
    body |= {"detail": detail} | {key: value for key, value in more.items() if value}
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")
