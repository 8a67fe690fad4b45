"""One round with a chat completion endpoint as OpenAI defined it and others copied it: a body out, an answer in.

What is asked, and what becomes of an answer that does not fit, is the caller's: ai. The key is taken out of whatever
comes back before anybody reads it.
"""

from typing import Any, NamedTuple

import msgspec

from plugins._parts.bounds import Bounds, Policy
from plugins._parts.exchange import exchange
from plugins._parts.reply import ExchangeError, Reply, as_json

_MASK = b"***"
_SHORTEST_KEY = 8
_PATH = "/chat/completions"
_QUOTED_CHARS = 500
_FIRST_ERROR = 300
# Of the refusals these may be over the next time; any other would come again.
_PASSING = frozenset({408, 409, 425, 429})
_FIRST_SERVER_ERROR = 500


class Endpoint(NamedTuple):
    """Where to ask: the base URL, and the key or "" for none."""

    url: str
    key: str


class Answer(NamedTuple):
    """What came back: the text, why it ended, which model spoke, and the tokens it took (0 where it does not say)."""

    text: str
    finish_reason: str | None
    model: str
    input_tokens: int
    output_tokens: int
    total_tokens: int


def ask(endpoint: Endpoint, body: dict[str, Any], bounds: Bounds, operator: Policy) -> Answer:
    """Ask once; raise ExchangeError for every answer that holds no text of the model.

    Its reason is `invalid` where the endpoint refused the request and would refuse it again.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    base = endpoint.url.rstrip("/")
    url = base if base.endswith(_PATH) else base + _PATH
    arguments = {"method": "POST", "url": url, "headers": headers, "data": msgspec.json.encode(body)}
    reply = _masked(exchange(arguments, bounds, operator, lambda _: True), endpoint.key)
    if reply.status >= _FIRST_ERROR:
        raise ExchangeError(_refusal(reply), "invalid" if _is_final(reply.status) else None)
    return _answer(as_json(reply), str(body["model"]))


def _masked(reply: Reply, key: str) -> Reply:
    """Take the key out: an endpoint may quote it in an error, and one that repeats the request's headers in a text."""
    if len(key) < _SHORTEST_KEY:
        return reply
    return reply._replace(body=reply.body.replace(key.encode(), _MASK))


def _is_final(status: int) -> bool:
    return status < _FIRST_SERVER_ERROR and status not in _PASSING


def _refusal(reply: Reply) -> str:
    wait = reply.headers.get("retry-after")
    asked = f" (Retry-After: {wait[:_QUOTED_CHARS]})" if wait else ""
    return f"the endpoint {reply.url} answered {reply.status}{asked}: {_message(reply)}"


def _message(reply: Reply) -> str:
    """Find the sentence in an error: under `error` and there under `message`, under `message`, or under `detail`."""
    try:
        found = as_json(reply)
    except ExchangeError:
        found = reply.body[: 4 * _QUOTED_CHARS].decode(errors="replace")
    if isinstance(found, list) and found:
        found = found[0]
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    text = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    return " ".join(text.split())[:_QUOTED_CHARS] or "it gave no reason"


def _answer(data: Any, model: str) -> Answer:
    choices = data.get("choices") if isinstance(data, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ExchangeError("the endpoint's answer is no chat completion: it has no `choices[0].message`")
    if message.get("refusal"):
        raise ExchangeError(f"the model refused: {str(message['refusal'])[:_QUOTED_CHARS]}")
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    given, made = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    finish = choice.get("finish_reason")
    return Answer(
        text=_text(message.get("content")),
        finish_reason=finish if isinstance(finish, str) else None,
        model=data["model"] if isinstance(data.get("model"), str) else model,
        input_tokens=given,
        output_tokens=made,
        total_tokens=_count(usage.get("total_tokens")) or given + made,
    )


def _text(content: Any) -> str:
    """Return the text, which some endpoints send in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
