"""The task type `api_call`: an HTTP request written as the arguments of `requests.request`, its JSON as output.

Unlike http_request it logs what went wrong and returns False, and takes an answer of 400 or more as failure.
`exchange` does the exchange, under the same bounds and the same operator's settings.
"""

import logging
from typing import Any

from engine.task import fail
from plugins._parts.bounds import CONNECT_SECONDS, MAX_REDIRECTS, READ_SECONDS, Bounds, policy
from plugins._parts.reply import ExchangeError, as_json

TASK_TYPE = "api_call"
DESCRIPTION = "Make an HTTP request with the arguments of Python's requests and hand on the JSON it answers."
VERSION = "1.0"
REQUIRED_FIELDS = ["url"]
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
        "params": {
            "type": "object",
            "description": "Arguments of `requests.request` by name; those that need Python objects are left out.",
            "properties": {
                "params": {"type": ["object", "string"], "description": "The query by name, or as text."},
                "headers": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Header values by name.",
                },
                "json": {"description": "The body: any value, sent as JSON."},
                "data": {"type": ["object", "string"], "description": "The body: a form by name, or text as it is."},
                "auth": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 2,
                    "maxItems": 2,
                    "description": "User and password; take them from `secrets`.",
                },
                "cookies": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Cookie values by name, for the first request only.",
                },
                "timeout": {
                    "anyOf": [
                        {"type": "number", "exclusiveMinimum": 0},
                        {
                            "type": "array",
                            "items": {"type": "number", "exclusiveMinimum": 0},
                            "minItems": 2,
                            "maxItems": 2,
                        },
                    ],
                    "description": "Seconds to wait for the connection and for the next bytes: one number or two.",
                },
                "allow_redirects": {
                    "type": "boolean",
                    "default": True,
                    "description": f"Whether redirects are followed, {MAX_REDIRECTS} at most.",
                },
                "verify": {
                    "type": ["boolean", "string"],
                    "default": True,
                    "description": "Whether the server's certificate is checked, or the path of the CA file to check "
                    "it with; false needs the setting `allow_unverified = true`.",
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}

_OF_THE_REQUEST = ("params", "headers", "json", "data", "cookies")
_FIRST_ERROR = 400
_logger = logging.getLogger(__name__)


def run(task: dict[str, Any]) -> bool:
    """Make the request and set the output to the JSON that came back; log what went wrong and return False."""
    from plugins._parts.exchange import exchange  # noqa: PLC0415 -- every worker would pay for requests at its start

    params = task.get("params") or {}
    arguments = {name: params[name] for name in _OF_THE_REQUEST if name in params}
    arguments |= {"method": task.get("method", "GET").upper(), "url": task["url"]}
    if "auth" in params:
        arguments["auth"] = tuple(part.encode() for part in params["auth"])
    if isinstance(arguments.get("data"), str):
        arguments["data"] = arguments["data"].encode()
    try:
        reply = exchange(arguments, _bounds(params), policy(task), _is_answer)
        task["output"] = as_json(reply)
    except ExchangeError as error:
        _logger.error("API call failed: %s", error)  # noqa: TRY400 -- a sentence, no traceback
        if error.reason is not None:
            fail(str(error), reason=error.reason)
        return False
    return True


def _bounds(params: dict[str, Any]) -> Bounds:
    timeout = params.get("timeout", (CONNECT_SECONDS, READ_SECONDS))
    connect, read = timeout if isinstance(timeout, list | tuple) else (timeout, timeout)
    return Bounds(
        max_redirects=MAX_REDIRECTS if params.get("allow_redirects", True) else 0,
        connect_timeout=connect,
        read_timeout=read,
        verify=params.get("verify", True),
    )


def _is_answer(status: int) -> bool:
    return status < _FIRST_ERROR
