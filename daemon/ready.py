"""Talk to systemd: ready, status, reloading, stopping, and a watchdog ping that proves something.

The protocol is one datagram to `$NOTIFY_SOCKET` (sd_notify(3)); without that variable every call does nothing.
"""

import os
import socket
from collections.abc import Callable, Mapping

_MICROSECONDS = 1_000_000


class Notifier:
    """Send state to the service manager that started us, if one did."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the address from the environment."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Say that start-up, recovery included, is done."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """Say in one line how things are."""
        self._send(f"STATUS={_one_line(status)}")

    def reloading(self, ticks: float) -> None:
        """Say that the configuration is being read again; `ready` ends it. `ticks` is monotonic seconds."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(ticks * _MICROSECONDS)}")

    def stopping(self, status: str) -> None:
        """Say that the end has begun."""
        self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start or stop, counted from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * _MICROSECONDS)}")

    def ping(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
                end.settimeout(1.0)
                end.sendto(message.encode(), self._address)
        except OSError:
            # A service manager that does not listen is its own problem; the work goes on.
            return


class Watchdog:
    """Ping only if every part has moved since the last ping; a free-running ping would prove nothing.

    `pulses` maps a part's name to a call that returns a number which changes while the part works.
    """

    def __init__(self, notifier: Notifier, pulses: Mapping[str, Callable[[], int]], environ: Mapping[str, str]) -> None:
        """Read the period from `$WATCHDOG_USEC`; without one, or one meant for another process, nothing is sent."""
        self._notifier, self._pulses = notifier, dict(pulses)
        self._seen: dict[str, int] = {}
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        period = environ.get("WATCHDOG_USEC", "")
        self.interval: float | None = int(period) / _MICROSECONDS / 3 if is_ours and period.isdigit() else None

    def look(self) -> tuple[str, ...]:
        """Ping if all parts moved; return the names of those that did not."""
        pulses = {name: pulse() for name, pulse in self._pulses.items()}
        stuck = tuple(name for name, pulse in pulses.items() if self._seen.get(name) == pulse)
        self._seen |= {name: pulse for name, pulse in pulses.items() if name not in stuck}
        if not stuck and self.interval is not None:
            self._notifier.ping()
        return stuck


def _one_line(text: str) -> str:
    return " ".join(text.split())
