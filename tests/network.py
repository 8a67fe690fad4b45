"""Keeps tests on this machine: a connection to any address but loopback is refused, and the test fails.

It hooks the interpreter's own audit events, so it holds for every library in the test process; processes that a test
starts are not covered. Installed once by conftest.
"""

import ipaddress
import sys

_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
# What was refused in the running test: a plugin under test may swallow the error, conftest looks here afterwards.
refused: list[str] = []


class FarConnectionError(RuntimeError):
    """A test spoke to another machine."""

    def __init__(self, address: str) -> None:
        super().__init__(f"a test connected to {address}; tests speak to loopback only: start a local server")


def stays_here(address: object) -> bool:
    """Tell whether a socket address is this machine: loopback, unspecified, a Unix path, or no internet address."""
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
        return True
    host = address[0].partition("%")[0]
    if host in {"", "localhost"}:
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_unspecified


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event in _EVENTS and not stays_here(arguments[1]):
        refused.append(str(arguments[1]))
        raise FarConnectionError(str(arguments[1]))


def keep_here() -> None:
    """Refuse far addresses from now on; an audit hook cannot be taken back, so call this once a process."""
    sys.addaudithook(_audit)
