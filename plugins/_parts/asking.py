"""What an HTTP request is asked with beside its body: headers, credentials, and which status is a success.

Called by http_request, output and wait_for.
"""

from collections.abc import Callable
from typing import Any

_PLAIN: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_STATUS: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]
}
HEADERS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": _PLAIN,
    "description": "Header values by name.",
}
AUTH: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"bearer": {"type": "string"}},
            "required": ["bearer"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
            "required": ["username", "password"],
            "additionalProperties": False,
        },
    ],
    "description": "`{bearer}` or `{username, password}`; take the values from `secrets`. "
    "A redirect to another host does not get them.",
}
EXPECT_STATUS: dict[str, Any] = {
    "anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 1}],
    "default": "2xx",
    "description": "Status codes, or classes such as 2xx, that are a success.",
}


def plain(value: Any) -> Any:
    """Write numbers and truths as JSON does: Python's `True` is no word of the web."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def headers_of(task: dict[str, Any]) -> dict[str, Any]:
    """Return the field `headers` with values as they are sent."""
    return {name: plain(value) for name, value in (task.get("headers") or {}).items()}


def credentials(auth: dict[str, str] | None, headers: dict[str, str]) -> Any:
    """Return what requests calls `auth` for the field of that name; a bearer token goes into the headers."""
    if not auth:
        return None
    if "bearer" in auth:
        headers["Authorization"] = f"Bearer {auth['bearer']}"
        return None
    return (auth["username"].encode(), auth["password"].encode())


def is_expected(task: dict[str, Any]) -> Callable[[int], bool]:
    """Return what tells whether a status is one of the field `expect_status`."""
    expected = task.get("expect_status", "2xx")
    wanted = expected if isinstance(expected, list) else [expected]
    return lambda status: status in wanted or f"{status // 100}xx" in wanted
