"""How far an HTTP exchange may go: what the document asks for, and what the operator allows.

Called by http_request and api_call, which hand both to `exchange`.
"""

from typing import Any, NamedTuple

from plugins._parts.settings import read

MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0

SETTINGS: dict[str, Any] = {
    "deny_private": False,
    "allowed_hosts": [],
    "allow_unverified": False,
    "environment_proxies": False,
}


class Bounds(NamedTuple):
    """Limit one exchange: bytes of the decoded body, redirects, seconds; `verify` is a flag or a CA file's path."""

    max_bytes: int = MAX_BYTES
    max_redirects: int = MAX_REDIRECTS
    connect_timeout: float = CONNECT_SECONDS
    read_timeout: float = READ_SECONDS
    verify: bool | str = True


class Policy(NamedTuple):
    """Hold what the operator says; made by `policy`."""

    deny_private: bool
    allowed_hosts: frozenset[str]
    allow_unverified: bool
    environment_proxies: bool


def policy(task: dict[str, Any]) -> Policy:
    """Read the operator's settings; fail the task where they are wrong."""
    said = read(task, SETTINGS)
    return Policy(**{**said, "allowed_hosts": frozenset(host.lower() for host in said["allowed_hosts"])})
