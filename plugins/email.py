"""The task type `email`: one message over SMTP, with text, HTML and files.

It reads the fields; `letter` writes the message, `post` sends it. The operator's settings are `host`, `port`,
`security`, `user`, `password`, `sender` and `ca_file`.
"""

import logging
from typing import TYPE_CHECKING, Any

from engine.task import fail
from plugins._parts.settings import read

if TYPE_CHECKING:
    from email.message import EmailMessage

    from plugins._parts.post import Server

_logger = logging.getLogger(__name__)

TASK_TYPE = "email"
DESCRIPTION = "Send an e-mail over SMTP, with attachments where there are any."
VERSION = "1.0"
REQUIRED_FIELDS = ["to", "subject"]

_MAX_BYTES = 20 * 1024 * 1024
_SECURITY = ["starttls", "tls", "none"]
_ADDRESSES: dict[str, Any] = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}],
}
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "to": {
            **_ADDRESSES,
            "examples": ["ops@example.org"],
            "description": "Who gets it: an address such as `a@example.org` or `Ann <a@example.org>`, or a list.",
        },
        "cc": {**_ADDRESSES, "description": "Who gets a copy that everybody sees."},
        "bcc": {**_ADDRESSES, "description": "Who gets a copy that nobody else sees."},
        "sender": {"type": "string", "minLength": 1, "description": "From whom; without it that of the settings."},
        "reply_to": {**_ADDRESSES, "description": "Where answers go, where not to the sender."},
        "subject": {
            "type": "string",
            "examples": ["The report is ready"],
            "description": "What it is about, on one line.",
        },
        "text": {"type": "string", "examples": ["See above."], "description": "The message as plain text."},
        "html": {"type": "string", "description": "The message as HTML; with `text`, readers choose between the two."},
        "attachments": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Paths of files that go along under their names; relative ones start at the folder in which "
            "tasks run.",
        },
        "max_bytes": {
            "type": "integer",
            "minimum": 1,
            "default": _MAX_BYTES,
            "description": "Most bytes that the attachments may have together.",
        },
        "host": {
            "type": "string",
            "minLength": 1,
            "description": "The SMTP server; without it that of the settings, whose `port`, `security`, `user` and "
            "`password` belong to it alone.",
        },
        "port": {
            "type": "integer",
            "minimum": 1,
            "maximum": 65535,
            "description": "Its port; without it 587, 465 or 25, as `security` has it.",
        },
        "security": {
            "enum": _SECURITY,
            "default": "starttls",
            "description": "`starttls` asks for TLS on a plain connection and sends nothing without it, `tls` begins "
            "with it, `none` has none.",
        },
        "user": {"type": "string", "description": "Name to log in with; without it there is no login."},
        "password": {"type": "string", "description": "Its password; take it from `secrets`."},
        "connect_timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 30.0,
            "description": "Seconds to wait for the server's next word; the task's `timeout` bounds the whole.",
        },
    },
    "additionalProperties": False,
}
_TIMEOUT = 30.0
SETTINGS: dict[str, Any] = {
    "host": "",
    "port": 0,
    "security": "starttls",
    "user": "",
    "password": "",
    "sender": "",
    "ca_file": "",
}


def run(task: dict[str, Any]) -> bool:
    """Send the message and set the output to `{"message_id", "accepted", "refused"}`; fail where anybody is refused."""
    from plugins._parts.post import PostError, deliver  # noqa: PLC0415 -- every worker would pay for smtplib

    said = read(task, SETTINGS)
    server = _server(task, said)
    message, receivers = _message(task, said)
    try:
        refused = deliver(server, message, receivers)
    except PostError as error:
        fail(str(error), reason="invalid" if error.is_final else None)
    accepted = [address for address in receivers if address not in refused]
    task["output"] = {"message_id": message["Message-ID"], "accepted": accepted, "refused": refused}
    if refused:
        # It went out to the others: another attempt would send it to them again.
        fail(f"the server refused {'; '.join(f'{who} ({why})' for who, why in refused.items())}", reason="invalid")
    _logger.info("sent to %s", ", ".join(accepted))
    return True


def _server(task: dict[str, Any], said: dict[str, Any]) -> "Server":
    """Say where to send it; what belongs to the operator's server goes to no other."""
    from plugins._parts.post import PORTS, Server  # noqa: PLC0415 -- see `run`

    usual: dict[str, Any] = {"port": 0, "security": "starttls", "user": "", "password": ""} if "host" in task else said
    own: dict[str, Any] = {name: task[name] for name in ("port", "security", "user", "password") if name in task}
    given = usual | own
    host = task.get("host") or said["host"]
    if not host:
        fail("there is no `host`; give one, or let the operator set one in [plugins.email]", reason="invalid")
    if given["security"] not in _SECURITY:
        fail(f"the setting `security` in [plugins.email] is none of {', '.join(_SECURITY)}", reason="invalid")
    return Server(
        host=host,
        port=given["port"] or PORTS[given["security"]],
        security=given["security"],
        user=given["user"],
        password=given["password"].rstrip("\r\n"),  # a file that holds a secret ends with a line break
        ca_file=said["ca_file"],
        seconds=task.get("connect_timeout", _TIMEOUT),
    )


def _message(task: dict[str, Any], said: dict[str, Any]) -> "tuple[EmailMessage, list[str]]":
    from plugins._parts.letter import LetterError, addresses, attach, letter  # noqa: PLC0415 -- see `run`

    try:
        named = {name: addresses(name, task[name]) for name in ("to", "cc", "bcc", "reply_to") if task.get(name)}
        sender = task.get("sender") or said["sender"]
        if not sender:
            fail("there is no `sender`; give one, or let the operator set one in [plugins.email]", reason="invalid")
        (author,) = addresses("sender", [sender])
        message = letter(author, task["subject"], named, text=task.get("text"), html=task.get("html"))
        attach(message, task.get("attachments") or [], task.get("max_bytes", _MAX_BYTES))
    except LetterError as error:
        fail(str(error), reason="invalid")
    receivers = [each.addr_spec for name in ("to", "cc", "bcc") for each in named.get(name, [])]
    return message, list(dict.fromkeys(receivers))
