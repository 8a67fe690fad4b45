"""The task type `wait_for`: waits for a file, a port, a URL or a time, and holds no worker meanwhile.

Each call looks once and asks by `later` to be called again; what it has to remember is the memo. The operator's
settings are those of http_request.
"""

import logging
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec

from engine.task import fail, later, wall
from plugins._parts.addresses import AddressDeniedError, judged
from plugins._parts.asking import EXPECT_STATUS, is_expected
from plugins._parts.bounds import CONNECT_SECONDS, Bounds, Policy, policy
from plugins._parts.data import DataError
from plugins._parts.dates import zone
from plugins._parts.files import sentences
from plugins._parts.listing import MAX_FILES, describe, is_pattern, matches, split
from plugins._parts.moments import DURATION, bounded, instant, seconds
from plugins._parts.reply import ExchangeError

TASK_TYPE = "wait_for"
DESCRIPTION = "Wait for a file, a port, a URL or a time, without holding a worker."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []

_EVERY_SECONDS, _LEAST_SECONDS = 5.0, 0.1
# Of an answer only the status counts: a long body is not waited for, a slow server not for long.
_LOOK = Bounds(max_bytes=64 * 1024, read_timeout=CONNECT_SECONDS)
_PORTS = {"http": 80, "https": 443}
_SUBJECTS = ("file", "port", "url", "until", "seconds")

PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "minLength": 1,
            "examples": ["/var/spool/orders/*.csv"],
            "description": "Path of a file or folder that is to be there, or a pattern with `*`, `?`, `[…]` and `**` "
            "that something is to match. The output lists what is there as `files`, like `glob` of `file`.",
        },
        "settled": {
            **DURATION,
            "default": 0,
            "description": "For how long the files must not have changed (size, time and which they are).",
        },
        "host": {"type": "string", "minLength": 1, "default": "localhost", "description": "Host of the port."},
        "port": {
            "type": "integer",
            "minimum": 1,
            "maximum": 65535,
            "description": "TCP port that is to accept a connection.",
        },
        "url": {
            "type": "string",
            "minLength": 1,
            "description": "An http or https URL that is to answer a GET with the expected status. Where it may lead "
            "is up to the operator, as for `http_request`; so it is for `host`.",
        },
        "expect_status": {
            **EXPECT_STATUS,
            "description": "Status codes, or classes such as 2xx, that are waited for.",
        },
        "until": {
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^[0-9]{4}-",
            "examples": ["06:30"],
            "description": "The moment to wait for: RFC 3339 with an offset (2027-01-01T00:00:00Z), which is not "
            "waited for when it has passed, or HH:MM, the next time it is so late in `timezone`.",
        },
        "timezone": {
            "type": "string",
            "minLength": 1,
            "default": "UTC",
            "description": "IANA name of the zone whose clock shows HH:MM.",
        },
        "seconds": {
            **DURATION,
            "description": 'How long to wait: a number of seconds, or "250ms", "30s", "5m", "1h30m", "2d".',
        },
        "every": {
            **DURATION,
            "default": _EVERY_SECONDS,
            "description": "How long to wait between two looks, at least 100ms.",
        },
        "within": {
            **DURATION,
            "description": "How long to wait in all: then the task fails with what was last seen. Without it, as long "
            "as the task's `timeout` allows.",
        },
    },
    # One of the subjects, said so that the problem names the field that is missing or too much.
    "if": {"not": {"anyOf": [{"required": [name]} for name in _SUBJECTS[:-1]]}},
    "then": {"required": ["seconds"]},
    "dependentSchemas": {
        name: {"properties": dict.fromkeys(_SUBJECTS[at + 1 :], False)} for at, name in enumerate(_SUBJECTS)
    },
    "dependentRequired": {"settled": ["file"], "host": ["port"], "expect_status": ["url"], "timezone": ["until"]},
    "additionalProperties": False,
    "examples": [
        {"file": "/var/spool/orders/*.csv", "settled": "10s", "within": "2h"},
        {"host": "db.example.org", "port": 5432},
        {"url": "https://example.org/health", "expect_status": 200, "every": "30s"},
        {"until": "06:30", "timezone": "Europe/Berlin"},
    ],
}

_logger = logging.getLogger(__name__)
Memo = dict[str, Any]


class _NotYetError(Exception):
    """What is waited for is not there; the message says what was seen, `seconds` when to look again if not as usual."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def run(task: dict[str, Any]) -> bool:
    """Look once; ask to be called again, or set the output to `{waited, looks}` and what was found."""
    subjects = [name for name in _SUBJECTS if name in task]
    if len(subjects) != 1:
        fail(f"give one of {', '.join(_SUBJECTS)}; there is {' and '.join(subjects) or 'none'}")
    every = seconds("every", task.get("every", _EVERY_SECONDS))
    if every < _LEAST_SECONDS:
        fail(f"`every` is {every:g} s; look every {_LEAST_SECONDS:g} s at most")
    memo: Memo = task.get("memo") or {"since": wall(), "looks": 0}
    memo["looks"] += 1
    try:
        found = _LOOKS[subjects[0]](task, memo)
    except _NotYetError as reason:
        _wait(task, memo, reason, every)
    except DataError as error:
        fail(str(error))
    task["output"] = {"waited": _waited(memo), "looks": memo["looks"], **found}
    return True


def _waited(memo: Memo) -> float:
    # A clock that was set back makes no wait negative.
    since: float = memo["since"]
    return round(max(0.0, wall() - since), 3)


def _wait(task: dict[str, Any], memo: Memo, reason: _NotYetError, every: float) -> NoReturn:
    words = str(reason)
    pause = bounded(every if reason.seconds is None else reason.seconds)
    if "within" in task:
        left = seconds("within", task["within"]) - _waited(memo)
        if left <= 0:
            fail(f"{words}, after {_waited(memo):g} s and {memo['looks']} looks (`within`)", reason="timeout")
        # The last look is when the time is up.
        pause = min(pause, left)
    if memo.get("said") != words:
        _logger.info("waiting: %s", words)
    later(pause, {**memo, "said": words})


def _look_for_file(task: dict[str, Any], memo: Memo) -> dict[str, Any]:
    import hashlib  # noqa: PLC0415 -- every worker would pay for it at its start

    path, settled = task["file"], seconds("settled", task.get("settled", 0))
    with sentences(path):
        found = _files(path)
    if not found:
        memo.pop("seen", None)
        what = "nothing matches" if is_pattern(path) else "there is no file"
        raise _NotYetError(f"{what} {path}")
    seen = hashlib.sha256(msgspec.json.encode(found)).hexdigest()
    if memo.get("seen") != seen:
        memo["seen"], memo["seen_at"] = seen, wall()
    # A clock that was set back begins the time anew.
    quiet = wall() - memo["seen_at"]
    if quiet < 0:
        memo["seen_at"], quiet = wall(), 0.0
    if quiet < settled:
        every = seconds("every", task.get("every", _EVERY_SECONDS))
        raise _NotYetError(f"{path} is there but has not settled", min(every, settled - quiet))
    return {"files": found}


def _files(path: str) -> list[dict[str, Any]]:
    whole = describe(path, follow=True)
    if whole is not None or not is_pattern(path):
        return [] if whole is None else [whole]
    return matches(*split(path), MAX_FILES)


def _look_for_port(task: dict[str, Any], _: Memo) -> dict[str, Any]:
    host, port = task.get("host", "localhost"), task["port"]
    words = ""
    for target in _targets(host, port, policy(task)) or [host]:
        try:
            socket.create_connection((target, port), timeout=CONNECT_SECONDS).close()
        except (OSError, UnicodeError) as error:
            words = getattr(error, "strerror", None) or str(error)
        else:
            return {"host": host, "port": port}
    raise _NotYetError(f"no connection to {host} port {port}: {words}")


def _targets(host: str, port: int, operator: Policy) -> list[str]:
    """Return the addresses that may be connected to, where the operator limits them; fail for a denied one."""
    if not operator.deny_private:
        return []
    try:
        return judged(host, port, operator.allowed_hosts)
    except AddressDeniedError as error:
        fail(str(error))
    except (OSError, UnicodeError) as error:
        raise _NotYetError(f"{host} has no address: {getattr(error, 'strerror', None) or error}") from None


def _look_for_url(task: dict[str, Any], _: Memo) -> dict[str, Any]:
    from plugins._parts.exchange import exchange  # noqa: PLC0415 -- every worker would pay for requests at its start

    url, is_good, operator = task["url"], is_expected(task), policy(task)
    # A denied host is denied for ever; where a redirect leads is judged by the exchange.
    _targets(*_host(url), operator)
    statuses: list[int] = []

    def is_wanted(status: int) -> bool:
        if is_good(status):
            statuses.append(status)
        return bool(statuses)

    try:
        exchange({"method": "GET", "url": url}, _LOOK, operator, is_wanted)
    except ExchangeError as error:
        # An answer with the right status whose body is too long for us is one all the same.
        if not statuses:
            raise _NotYetError(str(error)) from None
    return {"status": statuses[-1]}


def _host(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port, scheme = parts.hostname or "", parts.port, parts.scheme.lower()
    except ValueError:
        host, port, scheme = "", None, ""
    if not host or scheme not in _PORTS:
        fail("`url` is not an http or https URL")
    return host, port or _PORTS[scheme]


def _look_at_until(task: dict[str, Any], memo: Memo) -> dict[str, Any]:
    if "due" not in memo:
        memo["due"] = _due(task["until"], task.get("timezone", "UTC"), memo["since"])
    return _reached(memo["due"], f"it is not yet {task['until']}")


def _due(until: str, place: str, now: float) -> float:
    """Return the instant in wall seconds; HH:MM is the next time the clock of the zone shows it."""
    if len(until) != len("HH:MM"):
        return instant("until", until)
    local = datetime.fromtimestamp(now, zone(place))
    hour, minute = map(int, until.split(":"))
    # A time that the clock skips is taken as if it had not been put forward; of two, the first is meant.
    today = local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    return today.timestamp() if today.timestamp() > now else (today + timedelta(days=1)).timestamp()


def _look_at_seconds(task: dict[str, Any], memo: Memo) -> dict[str, Any]:
    return _reached(memo["since"] + seconds("seconds", task["seconds"]), "the time is not up")


def _reached(due: float, words: str) -> dict[str, Any]:
    left = due - wall()
    if left > 0:
        raise _NotYetError(words, left)
    return {}


_LOOKS: dict[str, Callable[[dict[str, Any], Memo], dict[str, Any]]] = {
    "file": _look_for_file,
    "port": _look_for_port,
    "url": _look_for_url,
    "until": _look_at_until,
    "seconds": _look_at_seconds,
}
