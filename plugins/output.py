"""The task type `output`: delivers data to the log, a file, a folder or a URL.

A file appears in one piece or not at all. The operator's settings are those of http_request.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.task import fail
from plugins._parts import formats
from plugins._parts.asking import AUTH, EXPECT_STATUS, HEADERS, credentials, headers_of, is_expected
from plugins._parts.bounds import Bounds, policy
from plugins._parts.data import DataError
from plugins._parts.files import contents, make_folder, sentences, write_file
from plugins._parts.merging import DEPENDENT, FIELDS, gathered
from plugins._parts.reply import ExchangeError

TASK_TYPE = "output"
DESCRIPTION = "Deliver data: to the task's log, a file, a folder or a URL."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []

Fields = dict[str, Any]
_FORMATS = ("json", "jsonl", "csv", "text")
_KINDS = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}
_ENDINGS = {"json": ".json", "jsonl": ".jsonl", "csv": ".csv", "text": ".txt"}


def run(task: Fields) -> bool:
    """Deliver the data; the output is the data itself for stdout, else what was delivered where."""
    to = task.get("to", "stdout")
    try:
        data = gathered(task)
        written = formats.write(data, _format(task, data), delimiter=task.get("delimiter", ","))
        task["output"] = _WAYS[to](task, data, written)
    except DataError as error:
        fail(f"{to}: {error}")
    except ExchangeError as error:
        fail(str(error), reason=error.reason)
    except RecursionError:
        fail("the data is nested too deeply")
    return True


def _format(task: Fields, data: Any) -> str:
    usual = "text" if isinstance(data, str) else "json"
    if "format" in task:
        return str(task["format"])
    return formats.by_ending(task.get("path") or task.get("name") or "", usual)


def _print(_: Fields, data: Any, written: bytes) -> Any:
    text = written.decode()
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
    return data


def _to_file(task: Fields, _: Any, written: bytes) -> Fields:
    return _put(task, Path(_needed(task, "path")), written)


def _to_folder(task: Fields, data: Any, written: bytes) -> Fields:
    """Drop a file under a name of its own; one that is there already with the same bytes was dropped before."""
    name = task.get("name") or f"{task['run']}-{task['id']}{_ENDINGS[_format(task, data)]}"
    if "/" in name or name in {".", ".."}:
        raise DataError(f"`name` is {name!r}; it is the name of a file in `folder`, without one of its own")
    path = Path(_needed(task, "folder"), name)
    with sentences(str(path)):
        if not task.get("overwrite", False) and os.path.lexists(path) and _holds(path, written):
            return {"to": "folder", "path": str(path), "bytes": len(written)}
    return _put({"overwrite": False, **task}, path, written)


def _holds(path: Path, written: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(written) and contents(str(path), len(written)) == written


def _put(task: Fields, path: Path, written: bytes) -> Fields:
    with sentences(str(path)):
        if task.get("parents", False):
            make_folder(path.parent)
        mode = int(task["mode"], 8) if "mode" in task else None
        write_file(str(path), written, overwrite=task.get("overwrite", True), mode=mode)
    return {"to": task["to"], "path": str(path), "bytes": len(written)}


def _send(task: Fields, data: Any, written: bytes) -> Fields:
    from plugins._parts.exchange import exchange  # noqa: PLC0415 -- every worker would pay for requests at its start

    headers = headers_of(task)
    given = {name.lower() for name in headers}
    usual = {"Content-Type": _KINDS[_format(task, data)], "Idempotency-Key": f"{task['run']}/{task['id']}"}
    headers |= {name: value for name, value in usual.items() if name.lower() not in given}
    arguments = {
        "method": task.get("method", "POST").upper(),
        "url": _needed(task, "url"),
        "headers": headers,
        "data": written,
        "auth": credentials(task.get("auth"), headers),
    }
    limits = Bounds(**{name: task[name] for name in Bounds._fields if name in task})
    reply = exchange(arguments, limits, policy(task), is_expected(task))
    return {"to": "http", "url": reply.url, "status": reply.status, "bytes": len(written), "seconds": reply.seconds}


def _needed(task: Fields, name: str) -> str:
    if name not in task:
        raise DataError(f"it needs `{name}`")
    return str(task[name])


_WAYS: dict[str, Callable[[Fields, Any, bytes], Any]] = {
    "stdout": _print,
    "file": _to_file,
    "folder": _to_folder,
    "http": _send,
}

_TEXT: Fields = {"type": "string", "minLength": 1}
_PROPERTIES: dict[str, Fields] = {
    "to": {
        "enum": list(_WAYS),
        "default": "stdout",
        "description": "Where the data goes: `stdout` is the task's log, and the data is the task's output; `file` is "
        "a path, `folder` a new file in a folder (an inbox, say), `http` a request; their output says what went where.",
    },
    "data": {"description": "What is delivered. Without it the outputs of the tasks it depends on, merged."},
    **FIELDS,
    "format": {
        "enum": list(_FORMATS),
        "description": "How it is written; without it by the ending of `path` or `name`, else text for text and JSON "
        "for the rest.",
    },
    "delimiter": formats.DELIMITER,
    "path": {**_TEXT, "description": "The file. A relative path begins in the worker's working folder."},
    "folder": {**_TEXT, "description": "The folder in which a file is to appear."},
    "name": {
        **_TEXT,
        "pattern": "^[^/]+$",
        "description": "The name of that file; without it one made of the run and the task.",
    },
    "overwrite": {
        "type": "boolean",
        "description": "Whether a file that is there is replaced. Without it `file` does; `folder` fails, unless the "
        "file holds the same bytes already.",
    },
    "parents": {"type": "boolean", "default": False, "description": "Whether missing folders above it are made."},
    "mode": {
        "type": "string",
        "pattern": "^[0-7]{3,4}$",
        "examples": ["0640"],
        "description": "Permissions of the file in octal; without it as the worker's umask has it.",
    },
    "url": {
        **_TEXT,
        "description": "An http or https URL; where it may lead is up to the operator, as for `http_request`.",
    },
    "method": {"enum": ["POST", "PUT", "PATCH"], "default": "POST", "description": "How it is sent."},
    "headers": {
        **HEADERS,
        "description": "Header values by name; without them `Content-Type` is that of the format and `Idempotency-Key` "
        "names the run and the task.",
    },
    "auth": AUTH,
    "expect_status": EXPECT_STATUS,
    "connect_timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds to wait for a connection."},
    "read_timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds to wait for the next bytes."},
    "verify": {
        "type": ["boolean", "string"],
        "default": True,
        "description": "Whether the server's certificate is checked, or the path of the CA file to check it with; "
        "false needs the setting `allow_unverified = true`.",
    },
}
_OF_A_FILE = ("overwrite", "parents", "mode")
# Which field must be there for a way, and which belong to it beside that.
_BELONGING: dict[str, tuple[str, tuple[str, ...]]] = {
    "file": ("path", _OF_A_FILE),
    "folder": ("folder", ("name", *_OF_A_FILE)),
    "http": ("url", ("method", "headers", "auth", "expect_status", "connect_timeout", "read_timeout", "verify")),
}
_OF_SOME_WAY = {name for needed, others in _BELONGING.values() for name in (needed, *others)}


def _way(to: str) -> Fields:
    needed, others = _BELONGING.get(to, ("", ()))
    refused: Fields = dict.fromkeys(sorted(_OF_SOME_WAY - {needed, *others}), False)
    is_it: Fields = {"properties": {"to": {"const": to}}}
    # Without `to` it is stdout.
    return {
        "if": is_it if to == "stdout" else {**is_it, "required": ["to"]},
        "then": {"properties": refused, "required": [needed] if needed else []},
    }


PARAM_SCHEMA = {
    "type": "object",
    "properties": _PROPERTIES,
    "allOf": [_way(to) for to in _WAYS],
    "dependentSchemas": DEPENDENT,
    "additionalProperties": False,
    "examples": [
        {"data": {"message": "done"}},
        {"depends_on": ["process"], "to": "file", "path": "reports/today.csv", "parents": True},
        {"depends_on": ["process"], "to": "http", "url": "https://example.org/results", "format": "jsonl"},
    ],
}
