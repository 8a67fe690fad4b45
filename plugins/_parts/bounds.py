"""How far an HTTP exchange may go: what the document asks for, and what the operator allows.

Called by http_request and api_call, which hand both to `exchange`.
"""

from typing import Any, NamedTuple

MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0


class Bounds(NamedTuple):
    """Limit one exchange: bytes of the decoded body, redirects, seconds; `verify` is a flag or a CA file's path."""

    max_bytes: int = MAX_BYTES
    max_redirects: int = MAX_REDIRECTS
    connect_timeout: float = CONNECT_SECONDS
    read_timeout: float = READ_SECONDS
    verify: bool | str = True


class Policy(NamedTuple):
    """Hold what the operator says in the settings of the task type; made by `policy`."""

    deny_private: bool
    allowed_hosts: frozenset[str]
    allow_unverified: bool
    environment_proxies: bool


def policy(settings: dict[str, Any] | None) -> Policy:
    """Read the operator's settings; what they do not say is the default."""
    said = settings or {}
    return Policy(
        deny_private=bool(said.get("deny_private", False)),
        allowed_hosts=frozenset(str(host).lower() for host in said.get("allowed_hosts", ())),
        allow_unverified=bool(said.get("allow_unverified", False)),
        environment_proxies=bool(said.get("environment_proxies", False)),
    )
