"""The task type `http_request`: one HTTP request, its answer as output.

It reads the fields and shapes the output; `exchange` does the exchange. The operator's settings are `deny_private`,
`allowed_hosts`, `allow_unverified`, `environment_proxies`, and those of `circuit`: `failures`, `window`, `cool_down`
and `circuit_folder`.
"""

from typing import Any

import msgspec

from engine.task import fail
from plugins._parts.asking import AUTH, EXPECT_STATUS, HEADERS, credentials, headers_of, is_expected, plain
from plugins._parts.bounds import CONNECT_SECONDS, MAX_BYTES, MAX_REDIRECTS, READ_SECONDS, Bounds, policy
from plugins._parts.reply import ExchangeError, Reply, as_json, as_text

TASK_TYPE = "http_request"
DESCRIPTION = "Make an HTTP request and hand on what it answers, as JSON or text."
VERSION = "1.0"
REQUIRED_FIELDS = ["url"]

_PLAIN: dict[str, Any] = {"type": ["string", "number", "boolean"]}
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://example.org/data.json"],
            "description": "An http or https URL. Where it may lead is up to the operator: with the setting "
            "`deny_private`, and without it where the run was asked for over the API, to no address of a private "
            "network but those of `allowed_hosts`; with `environment_proxies` through the proxies that the environment "
            "names. With `failures` (and `window`, `cool_down`) a host that gave no answer or a 5xx so often within "
            "the window is left alone for the cool-down: attempts fail at once with the reason `circuit_open`.",
        },
        "method": {
            "type": "string",
            "pattern": "^[A-Za-z]+$",
            "default": "GET",
            "description": "GET, HEAD, POST, PUT, PATCH, DELETE or another.",
        },
        "headers": HEADERS,
        "params": {
            "type": "object",
            "additionalProperties": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}, {"type": "null"}]},
            "description": "The query by name; a list repeats the name, null leaves it out.",
        },
        "json": {"description": "The body: any value, sent as JSON."},
        "body": {"description": "The body: text as it is, any other value as JSON."},
        "form": {
            "type": "object",
            "additionalProperties": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]},
            "description": "The body: fields by name, sent as a web form.",
        },
        "auth": AUTH,
        "expect_status": EXPECT_STATUS,
        "response": {
            "enum": ["auto", "json", "text", "none", "full"],
            "default": "auto",
            "description": "The output: the body as JSON or text; auto chooses by the content type; none is null; "
            "full is `{status, headers, body, url, seconds}` with the body as auto takes it.",
        },
        "max_bytes": {
            "type": "integer",
            "minimum": 0,
            "default": MAX_BYTES,
            "description": "Largest body that is accepted, in bytes after decompression.",
        },
        "max_redirects": {
            "type": "integer",
            "minimum": 0,
            "maximum": 30,
            "default": MAX_REDIRECTS,
            "description": "How many redirects are followed; with 0 a redirect is an answer like any other.",
        },
        "connect_timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": CONNECT_SECONDS,
            "description": "Seconds to wait for a connection.",
        },
        "read_timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": READ_SECONDS,
            "description": "Seconds to wait for the next bytes; the task's `timeout` bounds the whole.",
        },
        "verify": {
            "type": ["boolean", "string"],
            "default": True,
            "description": "Whether the server's certificate is checked, or the path of the CA file to check it with; "
            "false needs the setting `allow_unverified = true`.",
        },
    },
    # Of json, body and form there is one at most; the problem is reported at the one too many.
    "dependentSchemas": {
        "json": {"properties": {"body": False, "form": False}},
        "body": {"properties": {"form": False}},
    },
    "additionalProperties": False,
}


def run(task: dict[str, Any]) -> bool:
    """Make the request and set the output as `response` asks; fail with a sentence otherwise."""
    from plugins._parts.exchange import exchange  # noqa: PLC0415 -- every worker would pay for requests at its start

    limits = Bounds(**{name: task[name] for name in Bounds._fields if name in task})
    try:
        reply = exchange(_arguments(task), limits, policy(task), is_expected(task))
        task["output"] = _output(reply, task.get("response", "auto"))
    except ExchangeError as error:
        fail(str(error), reason=error.reason)
    return True


def _arguments(task: dict[str, Any]) -> dict[str, Any]:
    headers = headers_of(task)
    params = {name: plain(value) for name, value in (task.get("params") or {}).items()}
    return {
        "method": task.get("method", "GET").upper(),
        "url": task["url"],
        "headers": headers,
        "params": params,
        "data": _body(task, headers),
        "auth": credentials(task.get("auth"), headers),
    }


def _body(task: dict[str, Any], headers: dict[str, str]) -> Any:
    given = [name for name in ("json", "body", "form") if name in task]
    if len(given) > 1:
        fail(f"a request has one body; give one of {', '.join(given)}")
    if not given:
        return None
    value = task[given[0]]
    if "form" in task:
        return {name: plain(field) for name, field in value.items()}
    if "body" in task and isinstance(value, str):
        return value.encode()
    if "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "application/json"
    return msgspec.json.encode(value)


def _output(reply: Reply, response: str) -> Any:
    match response:
        case "none":
            return None
        case "json":
            return as_json(reply)
        case "text":
            return as_text(reply)
        case "full":
            return {
                "status": reply.status,
                "headers": reply.headers,
                "body": _body_of(reply),
                "url": reply.url,
                "seconds": reply.seconds,
            }
        case _:
            return _body_of(reply)


def _body_of(reply: Reply) -> Any:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return as_text(reply)
    return as_json(reply) if reply.body else None
