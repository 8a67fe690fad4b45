"""Who is at the other end of the Unix socket, and how many may be there at once: the connection, below any request.

The kernel lets in who may write to the socket file; here is only learned who that is. Called by `Api`.
"""

import asyncio
import pwd
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

# Each takes a descriptor that runs and files need too; usual limits begin at 1024.
MOST_CONNECTIONS = 200
_SILENT_SECONDS = 30.0
_CREDENTIALS = struct.Struct("3i")


class Connection(H11Protocol):
    """One client; inherits because uvicorn offers no other way in. `client` is (user name, process id)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take the connection, unless there are too many; whoever then asks nothing for long is let go."""
        super().connection_made(transport)
        self.client = peer_of(transport.get_extra_info("socket"))
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_SILENT_SECONDS, self._end_if_silent)

    def _end_if_silent(self) -> None:
        # Once a request was read, uvicorn's own limit for idle connections holds.
        is_silent: bool = self.cycle is None  # which uvicorn's annotation does not foresee
        if is_silent and not self.transport.is_closing():
            self.transport.abort()


def peer_of(connection: socket.socket) -> tuple[str, int]:
    """Return the user name (the number where it has none) and the process id at the other end."""
    size = _CREDENTIALS.size
    pid, user, _group = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        return pwd.getpwuid(user).pw_name, pid
    except KeyError:
        return str(user), pid
