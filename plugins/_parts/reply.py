"""What an HTTP exchange gave: the answer, its body read as JSON or text, or the sentence why there is none.

Called by `exchange`, which makes it, and by http_request and api_call, which shape it into outputs.
"""

import codecs
import logging
from typing import Any, NamedTuple

import msgspec

_logger = logging.getLogger(__name__)


class ExchangeError(Exception):
    """An exchange that did not give what was wanted; the message is for the person who reads it.

    `reason` is the reason code where it is another than the usual one.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Reply(NamedTuple):
    """What came back in the end: header names in small letters, the body decompressed, redirects in the seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    charset: str | None
    seconds: float


def as_json(reply: Reply) -> Any:
    """Read the body as JSON; raise ExchangeError where it is none."""
    try:
        return msgspec.json.decode(reply.body.removeprefix(codecs.BOM_UTF8).decode(reply.charset or "utf-8"))
    except (ValueError, RecursionError, LookupError) as error:
        kind = reply.headers.get("content-type", "no content type")
        raise ExchangeError(f"the body ({len(reply.body)} bytes, {kind}) is not JSON: {error}") from None


def as_text(reply: Reply) -> str:
    """Read the body as text in its own charset, UTF-8 where it names none.

    Bytes that do not fit become replacement characters, which the log says; raise ExchangeError for binary data.
    """
    kind = reply.headers.get("content-type", "no content type")
    if b"\0" in reply.body and not (reply.charset or "").lower().startswith(("utf-16", "utf-32")):
        raise ExchangeError(
            f"the body ({len(reply.body)} bytes, {kind}) is not text; `response: none` does not read it"
        )
    try:
        text = reply.body.decode(reply.charset or "utf-8", errors="replace")
    except LookupError:
        raise ExchangeError(f"the body is text in a charset that is not known: {reply.charset}") from None
    if "\ufffd" in text:
        _logger.warning("the body (%s) holds bytes that are not text; they were replaced", kind)
    return text
