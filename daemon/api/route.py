"""One way to ask the API something: a row of the table in `routes`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from daemon.api.desk import Desk

Handler = Callable[[Desk, Request], Awaitable[Response]]


class Route(NamedTuple):
    """Say what is answered and how: types of answer and body for msgspec, query parameters with a sentence."""

    method: str
    path: str
    purpose: str
    handler: Handler
    answer: Any = None
    body: Any = None
    query: Mapping[str, str] = {}
