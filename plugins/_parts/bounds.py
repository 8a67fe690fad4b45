"""How far an HTTP exchange may go: what the document asks for, and what the operator allows.

Called by http_request, api_call and ai, which hand both to `exchange`.
"""

from typing import Any, NamedTuple

from plugins._parts import circuit
from plugins._parts.circuit import Circuit
from plugins._parts.settings import is_set, read

MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0

SETTINGS: dict[str, Any] = {
    "deny_private": False,
    "allowed_hosts": [],
    "allow_unverified": False,
    "environment_proxies": False,
    **circuit.SETTINGS,
}
# What came over the API may be anybody's who holds a token: it reaches no private address unless the operator says.
_FAR = frozenset({"api"})


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
    circuit: Circuit | None = None


def policy(task: dict[str, Any]) -> Policy:
    """Read the operator's settings; fail the task where they are wrong."""
    return policy_of(task, read(task, SETTINGS))


def policy_of(task: dict[str, Any], said: dict[str, Any]) -> Policy:
    """Make the policy from settings that were read and may hold others beside these."""
    is_far = task.get("origin") in _FAR and not is_set(task, "deny_private")
    return Policy(
        deny_private=said["deny_private"] or is_far,
        allowed_hosts=frozenset(host.lower() for host in said["allowed_hosts"]),
        allow_unverified=said["allow_unverified"],
        environment_proxies=said["environment_proxies"],
        circuit=Circuit.of(said),
    )
