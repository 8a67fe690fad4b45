"""A real SMTP server on loopback with as much of the protocol as a client needs, and some of its bad manners.

`mail.seen` holds what it took. A receiver whose name is a number is answered with it; so is a sender.
"""

import base64
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

_ADDRESS = re.compile(r"<([^>]*)>")


class Seen(NamedTuple):
    sender: str
    receivers: list[str]
    message: EmailMessage
    user: str
    is_secure: bool


class Handler(socketserver.StreamRequestHandler):
    """Hold one conversation."""

    def handle(self) -> None:
        self.is_secure, self.user, self.sender, self.receivers = False, "", "", list[str]()
        # Who hangs up or refuses our certificate is part of the test.
        with suppress(ssl.SSLError, ConnectionError, ValueError):
            self.converse()
        if self.is_secure:
            self.connection.close()

    def converse(self) -> None:
        if self.mail.is_tls:
            self.secure()
        if self.mail.is_silent:
            self.mail.is_closing.wait(60)
        self.say("220 mail.example ready")
        while line := self.rfile.readline():
            word, _, rest = line.decode().strip().partition(" ")
            if word.upper() == "QUIT":
                return self.say("221 bye")
            getattr(self, f"on_{word.lower()}")(rest)
        return None

    @property
    def mail(self) -> "MailServer":
        assert isinstance(self.server, MailServer)
        return self.server

    def secure(self) -> None:
        assert self.mail.context is not None
        self.connection = self.mail.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.is_secure = True

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def on_ehlo(self, _: str) -> None:
        offers = ["mail.example", "AUTH PLAIN"]
        if self.mail.context is not None and not self.is_secure:
            offers.append("STARTTLS")
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def on_starttls(self, _: str) -> None:
        self.say("220 go on")
        self.secure()

    def on_auth(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
        if password != self.mail.password:
            return self.say(f"535 {password} is wrong")
        self.user = user
        return self.say("235 welcome")

    def on_mail(self, rest: str) -> None:
        self.sender, self.receivers = _ADDRESS.search(rest)[1], []
        self.answer(self.sender)

    def on_rcpt(self, rest: str) -> None:
        address = _ADDRESS.search(rest)[1]
        if self.answer(address):
            self.receivers.append(address)

    def answer(self, address: str) -> bool:
        code = address.partition("@")[0]
        self.say(f"{code} not here" if code.isdigit() else "250 ok")
        return not code.isdigit()

    def on_rset(self, _: str) -> None:
        self.say("250 ok")

    def on_data(self, _: str) -> None:
        self.say("354 go on")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        message: Any = message_from_bytes(b"".join(lines), policy=policy.default)
        self.mail.seen.append(Seen(self.sender, self.receivers, message, self.user, self.is_secure))
        self.say("250 taken")


class MailServer(socketserver.ThreadingTCPServer):
    """A server with its record of what it took."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext | None, *, is_tls: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.context, self.is_tls, self.is_silent, self.password = context, is_tls, False, "pa55-w0rd"
        self.is_closing = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a handshake that the client refuses is part of the test."""


@contextmanager
def mailing(context: ssl.SSLContext | None = None, *, is_tls: bool = False) -> Iterator[MailServer]:
    """Serve until the block ends."""
    server = MailServer(context, is_tls=is_tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
