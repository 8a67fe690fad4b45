"""An e-mail as bytes on the wire have it: addresses checked, headers of one line, parts and attachments.

Whatever would begin a new header is refused: a subject may come from anywhere. Called by email.
"""

import mimetypes
import re
import secrets
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

from engine.task import wall

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# `a@b`, or `Name <a@b>` with the name in quotes or not; nothing that could be two addresses.
_NAMED = re.compile(r'\s*(?:"(?P<quoted>[^"\\]*)"|(?P<plain>[^"<>,;:@\\]*?))\s*<(?P<address>[^<>]*)>\s*')
_LOCAL = r"""[^\s@<>()\[\],;:"\\]+"""
_ADDRESS = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>{_LOCAL}|\[[0-9A-Fa-f.:]+\])")
_HEADERS = {"to": "To", "cc": "Cc", "reply_to": "Reply-To"}


class LetterError(Exception):
    """A message that cannot be written; the text is for the person who reads it."""


def addresses(field: str, given: str | Sequence[str]) -> list[Address]:
    """Read the addresses of a field, one a text; raise LetterError for what is not one address."""
    return [_address(field, text) for text in ([given] if isinstance(given, str) else given)]


def _address(field: str, text: str) -> Address:
    named = _NAMED.fullmatch(text)
    name = (named["quoted"] or named["plain"] or "") if named else ""
    found = _ADDRESS.fullmatch((named["address"] if named else text).strip())
    if found is None or _CONTROLS.search(text):
        raise LetterError(f"`{field}`: {text!r} is not an address, such as a@example.org or Ann <a@example.org>")
    return Address(display_name=name, username=found["local"], domain=found["domain"])


def letter(
    author: Address, subject: str, named: Mapping[str, Sequence[Address]], *, text: str | None, html: str | None
) -> EmailMessage:
    """Write a message; who is named under `bcc` stands in no header."""
    if _CONTROLS.search(subject):
        raise LetterError("`subject` holds a line break or another control character; it has to be one line")
    message = EmailMessage()
    message["From"] = author
    for field, header in _HEADERS.items():
        if named.get(field):
            message[header] = list(named[field])
    message["Subject"] = subject
    message["Date"] = formatdate(wall())
    message["Message-ID"] = f"<{secrets.token_hex(16)}@{author.domain.strip('[]')}>"
    # So that no answering machine answers one (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    _fill(message, text, html)
    return message


def _fill(message: EmailMessage, text: str | None, html: str | None) -> None:
    try:
        if html is None:
            message.set_content(text or "")
        elif text is None:
            message.set_content(html, subtype="html")
        else:
            message.set_content(text)
            message.add_alternative(html, subtype="html")
    except UnicodeEncodeError as error:
        raise LetterError(f"the message cannot be written as UTF-8: {error.reason}") from None


def attach(message: EmailMessage, paths: Sequence[str], max_bytes: int) -> None:
    """Add files under their names; raise LetterError for one that cannot be read, or where all are too much."""
    left = max_bytes
    for path in paths:
        data = _content(path, left, max_bytes)
        left -= len(data)
        name = Path(path).name
        if _CONTROLS.search(name):
            raise LetterError(f"the name of the attachment {path!r} holds control characters")
        kind, packed = mimetypes.guess_type(name)
        main, _, sub = (kind if kind and not packed else "application/octet-stream").partition("/")
        options: dict[str, Any] = {"maintype": main, "subtype": sub, "filename": name}
        message.add_attachment(data, **options)


def _content(path: str, left: int, max_bytes: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(left + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise LetterError(f"the attachment {path!r} cannot be read: {why}") from None
    if len(data) > left:
        raise LetterError(f"the attachments have more than {max_bytes} bytes (`max_bytes`)")
    return data
