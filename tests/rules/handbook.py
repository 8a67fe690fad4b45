"""Prints REFERENCE.md from the code: `python -m tests.rules.handbook > REFERENCE.md`; a rule test compares the two."""

import inspect
import sys
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from daemon import exits
from daemon.api.routes import ROUTES
from daemon.cli.registry import ENTRIES
from daemon.config.manual import reference
from engine import errors, states
from engine.expressions import words
from engine.limits import Limits
from engine.model import Retry, Task, Workflow
from engine.problems import PROBLEMS
from engine.registry import Registry
from engine.task import TaskType

_OTHER_KEYS = """\
Every other key of a task belongs to its plugin. A duration is a number of seconds or a text such as `250ms`, `30s`,
`5m`, `1h30m`, `2d`. Accepted spellings from elsewhere: `max_retries`, `retry_count` (for `retry.max_retries`) and
`timeout_seconds` (for `timeout`)."""


_HTTP = """\
The daemon answers on the Unix socket `dropmill.sock` in its state folder: `curl --unix-socket var/dropmill.sock
http://localhost/api/v1/status`. Refusals are problem documents (RFC 9457) with the codes above. `/api/v1/openapi.json`
describes parameters, bodies and answers."""


def page() -> str:
    """Print the whole reference."""
    parts = [
        "# Reference",
        "Printed from the code by `python -m tests.rules.handbook`; a test compares. README says how it fits together.",
        "## The workflow document",
        fields_table(Workflow),
        "### A task",
        fields_table(Task, skip=("fields",)),
        _OTHER_KEYS,
        "### `retry`",
        fields_table(Retry),
        "### Names and functions in expressions",
        two_columns("name", words.NAMES),
        two_columns("function", words.FUNCTIONS),
        two_columns("macro", words.MACROS),
        "## Task types",
        *task_types(),
        "## Limits",
        fields_table(Limits),
        "## States and reasons",
        "States: " + ", ".join(f"`{state}`" for state in states.State) + ".",
        two_columns("reason", {str(reason): sentence for reason, sentence in states.MEANING.items()}),
        "## Problems of documents and parameters",
        two_columns("code", PROBLEMS),
        "## Errors",
        error_table(),
        "## Commands",
        two_columns("command", {f"dropmill {name}": entry.sentence for name, entry in ENTRIES.items()}),
        "## HTTP",
        _HTTP,
        two_columns("route", {f"{route.method} {route.path}": route.purpose for route in ROUTES}),
        "## Exit statuses of `dropmill serve`",
        two_columns("status", {str(int(status)): text for status, text in exits.MEANING.items()}),
        "## Configuration",
        reference(),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def fields_table(struct: type[msgspec.Struct], skip: tuple[str, ...] = ()) -> str:
    """Print the fields of a struct with defaults and descriptions."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    hints = inspect.get_annotations(struct, eval_str=True)
    for field in msgspec.structs.fields(struct):
        if field.name in skip:
            continue
        notes = [note for note in get_args(hints[field.name]) if isinstance(note, msgspec.Meta)]
        meaning = next((note.description for note in notes if note.description), "")
        rows.append(f"| `{field.name}` | {default_of(field)} | {cell(meaning)} |")
    return "\n".join(rows)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Print a default as a document would write it."""
    if field.default_factory is not msgspec.NODEFAULT:
        return "none"
    if field.default is msgspec.NODEFAULT:
        return "required"
    value = field.default
    if value is None or isinstance(value, tuple | msgspec.Struct) or value == "":
        return "none"
    return f"`{msgspec.json.encode(value).decode()}`"


def two_columns(head: str, rows: dict[str, str]) -> str:
    """Print names with their sentences."""
    return "\n".join([f"| {head} | meaning |", "|---|---|", *(f"| `{cell(k)}` | {cell(v)} |" for k, v in rows.items())])


def cell(text: Any) -> str:
    """Keep a table a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def task_types() -> Iterator[str]:
    """Print every built-in task type with its fields."""
    registry = Registry()
    for task_type in sorted(registry.load().types.values(), key=lambda each: each.type):
        yield f"### `{task_type.type}`"
        yield task_type.description
        yield fields_of(task_type)


def fields_of(task_type: TaskType) -> str:
    """Print the fields of a task type from its PARAM_SCHEMA."""
    properties = (task_type.param_schema or {}).get("properties", {})
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, schema in properties.items():
        kind = schema.get("type", "any")
        kinds = kind if isinstance(kind, str) else " or ".join(kind)
        mark = ", required" if name in task_type.required_fields else ""
        rows.append(f"| `{name}` | {kinds}{mark} | {cell(schema.get('description', ''))} |")
    return "\n".join(rows) if properties else "It has no fields."


def error_table() -> str:
    """Print every error a person can meet."""
    rows = ["| code | exit status | meaning |", "|---|---|---|"]
    seen = set()
    for each in error_classes(errors.DropmillError):
        if each.code not in seen and not each.__name__.startswith("_"):
            seen.add(each.code)
            rows.append(f"| `{each.code}` | {each.exit_status} | {cell((each.__doc__ or '').splitlines()[0])} |")
    return "\n".join(rows)


def error_classes(root: type[errors.DropmillError]) -> Iterator[type[errors.DropmillError]]:
    """Walk the tree of errors."""
    yield root
    for below in root.__subclasses__():
        yield from error_classes(below)


if __name__ == "__main__":
    sys.stdout.write(page())
