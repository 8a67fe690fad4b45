"""One message handed to an SMTP server, and a sentence for each way this can fail. Called by email.

Without TLS a password goes to this machine alone.
"""

import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from typing import NamedTuple

PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = ("localhost", "127.", "::1")
_FIRST_FINAL = 500
_SHOWN_CHARS = 300


class PostError(Exception):
    """A message that was not taken by anybody; `is_final` where it would be refused again."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Server(NamedTuple):
    """Where to send it and as whom; `security` is a key of PORTS, `seconds` bounds each answer."""

    host: str
    port: int
    security: str
    user: str
    password: str
    ca_file: str
    seconds: float

    @property
    def place(self) -> str:
        """Name it for messages."""
        return f"{self.host}:{self.port}"


def deliver(server: Server, message: EmailMessage, receivers: Sequence[str]) -> dict[str, str]:
    """Send it and return who was refused, with the reason; raise PostError where nobody got it."""
    if server.user and server.security == "none" and not server.host.startswith(_LOOPBACK):
        raise PostError("a password is not sent without TLS; `security` can be `starttls` or `tls`", is_final=True)
    try:
        with _connected(server) as client:
            if server.security == "starttls":
                client.starttls(context=_trust(server))
            if server.user:
                client.login(server.user, server.password)
            refused = client.send_message(message, to_addrs=list(receivers))
            return {address: _answer(code, words) for address, (code, words) in refused.items()}
    except smtplib.SMTPRecipientsRefused as error:
        answers = {address: _answer(code, words) for address, (code, words) in error.recipients.items()}
        shown = "; ".join(f"{address} ({words})" for address, words in answers.items())
        is_final = all(code >= _FIRST_FINAL for code, _ in error.recipients.values())
        raise PostError(f"{server.place} refused everybody: {shown}", is_final=is_final) from None
    except smtplib.SMTPResponseException as error:
        words = _masked(_answer(error.smtp_code, error.smtp_error), server.password)
        raise PostError(f"{server.place} answered {words}", is_final=error.smtp_code >= _FIRST_FINAL) from None
    except smtplib.SMTPNotSupportedError as error:
        raise PostError(f"{server.place} cannot do what is needed: {error}", is_final=True) from None
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise PostError(f"no secure connection to {server.place}: {why}") from None
    except (OSError, smtplib.SMTPException) as error:
        # smtplib makes a lost connection of a silence in the middle of a conversation.
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise PostError(f"{server.place} said nothing for {server.seconds:g} s") from None
        why = getattr(error, "strerror", None) or str(error)
        raise PostError(f"no connection to {server.place}: {_masked(why, server.password)}") from None
    except UnicodeError as error:
        # A login with letters that the mechanism cannot carry, a host name with an empty label.
        raise PostError(f"{server.place} cannot be asked: {error.__class__.__name__}", is_final=True) from None


def _connected(server: Server) -> smtplib.SMTP:
    # The name of this machine, and not the one that the network would have to be asked for.
    name = socket.gethostname()
    if server.security == "tls":
        context = _trust(server)
        return smtplib.SMTP_SSL(server.host, server.port, name, timeout=server.seconds, context=context)
    return smtplib.SMTP(server.host, server.port, name, timeout=server.seconds)


def _trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file or None)


def _answer(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())}"[:_SHOWN_CHARS]


def _masked(text: str, secret: str) -> str:
    return text.replace(secret, "***") if secret else text
