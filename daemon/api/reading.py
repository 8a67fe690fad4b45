"""What a request brings: its body within limits, small JSON objects read strictly, and query parameters.

Called by the handlers in `routes`. Raises BadQueryError and TooLargeError, and ClientDisconnect as starlette does.
"""

import asyncio
from typing import Any

from starlette.requests import Request

from daemon.api.problems import BadQueryError, TooLargeError
from engine import strictjson
from engine.clock import epoch
from engine.errors import DocumentInvalidError
from engine.limits import Limits
from engine.problems import meant, quoted

_BODY_SECONDS = 60.0
_WISH_BYTES = 64 * 1024
_LONGEST_NUMBER = 18


async def document(request: Request) -> bytes:
    """Read a body that is not larger than a document may be."""
    limits: Limits = request.app.state.limits
    return await _body(request, limits.document_bytes, "limits.document_bytes")


async def wish(request: Request) -> dict[str, Any]:
    """Read a small JSON object; an empty body is an empty one."""
    data = await _body(request, _WISH_BYTES, "what such a request takes")
    if not data.strip():
        return {}
    value, problems = strictjson.parse(data, request.app.state.limits)
    if problems:
        raise DocumentInvalidError(problems, "in the body")
    if not isinstance(value, dict):
        raise BadQueryError("the body must be a JSON object")
    return value


def text(wish: dict[str, Any], name: str) -> str | None:
    """Return a text from a wish, None where it is not there."""
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise BadQueryError(f"{name} must be a text")
    return value


def flag(wish: dict[str, Any], name: str, *, default: bool) -> bool:
    """Return a truth value from a wish."""
    value = wish.get(name, default)
    if not isinstance(value, bool):
        raise BadQueryError(f"{name} must be true or false")
    return value


def only(wish: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a wish that has no other keys than these: of what is decided, nothing may go unnoticed."""
    for key in wish:
        if key not in names:
            raise BadQueryError(f"there is no {quoted(key)} here; {meant(key, names) or 'it has ' + ', '.join(names)}")
    return wish


def choice(request: Request, name: str, *, default: bool) -> bool:
    """Return a truth value from the query, written `true` or `false`."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if given not in ("true", "false"):
        raise BadQueryError(f"{name} must be true or false, not {given[:40]!r}")
    return given == "true"


def short(request: Request, name: str, most: int) -> str | None:
    """Return a text of at most so many characters from the query, None where it is not there."""
    given = request.query_params.get(name)
    if given is not None and len(given) > most:
        raise BadQueryError(f"{name} must have at most {most} characters, not {len(given)}")
    return given


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number from the query."""
    given = request.query_params.get(name)
    if given is None:
        return default
    is_number = given.isascii() and given.isdigit() and len(given) <= _LONGEST_NUMBER
    if not is_number or not least <= int(given) <= most:
        raise BadQueryError(f"{name} must be a whole number from {least} to {most}, not {given[:40]!r}")
    return int(given)


def instant(request: Request, name: str) -> float | None:
    """Return an RFC 3339 instant from the query as wall seconds."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        return epoch(given)
    except (ValueError, OverflowError):
        raise BadQueryError(
            f"{name} must be an instant such as 2027-01-31T06:00:00Z (+ is %2B in a query), not {given[:40]!r}"
        ) from None


async def _body(request: Request, most: int, limit: str) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                data += piece
                if len(data) > most:
                    raise TooLargeError(f"the body is larger than the limit of {most} bytes ({limit})")
    except TimeoutError:
        raise BadQueryError(f"the body did not come within {_BODY_SECONDS:g} s") from None
    return bytes(data)
