"""Prints REFERENCE.md from the code: `python -m tests.rules.handbook > REFERENCE.md`; a rule test compares the two."""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from daemon import exits
from daemon.api.routes import ROUTES
from daemon.cli.registry import ENTRIES
from daemon.config.manual import reference
from engine import errors, natives, states
from engine.expressions import words
from engine.limits import Limits
from engine.loader import keys
from engine.model import Cache, Concurrency, Deadline, Edge, Foreach, Loop, Pool, Retry, Routing, Task, Workflow
from engine.problems import PROBLEMS
from engine.registry import Registry
from engine.task import TaskType
from tests.rules.designs import DESIGNS, DIALECTS
from tests.rules.examples import EXAMPLES

_OTHER_KEYS = """\
Every other key of a task belongs to its plugin. A duration is a number of seconds or a text such as `250ms`, `30s`,
`5m`, `1h30m`, `2d`. Accepted spellings from elsewhere: `max_retries`, `retry_count` (for `retry.max_retries`) and
`timeout_seconds` (for `timeout`). An entry of `depends_on` may be an object with a condition in CEL:
`{"task": "a", "when": "tasks.a.output > 0"}`. A task of the types `workflow` and `approval` has none of {plugin_keys};
a task of a graph has none of {unrouted_keys}."""

# The objects that keys of tasks and workflows may be.
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "retry": Retry,
    "foreach": Foreach,
    "loop": Loop,
    "pool": Pool,
    "cache": Cache,
    "deadline": Deadline,
    "concurrency": Concurrency,
    "routing": Routing,
    "routing.edges": Edge,
}
# What the document calls a field that Python has another name for.
WRITTEN = {"while_": "while", "finally_": "finally", "source": "from", "target": "to"}
_INSIDE = ("fields", "inner", "conditions")

_DEFAULTS = """\
Beside these, `defaults` is an object of what holds for every task that does not say otherwise: {keys}."""

_DIALECTS = """\
A document may also be written in one of these ways, of which it takes one. Keys of workflows and of tasks that are not
named here mean what they mean everywhere, and problems stand where they were written."""

_DESIGNS = """\
Dropmill grew out of five designs of others. Documents of all of them are run by `tests/hands/test_designs.py`."""

_REQUESTS = """\
A dropped file, or a line of a `*.jsonl`, may ask for a known workflow instead of being one; `POST /api/v1/runs` takes
both.

| key | default | meaning |
|---|---|---|
| `workflow` | required | Name of a known workflow; over the API also a document. |
| `params` | `{}` | Parameters of the run, by name. |
| `idempotency_key` | none | Text; a second submission with it leads to the first run. |
| `priority` | the workflow's | Runs with a higher number start their tasks first. |
| `run_at` | none | Not before this moment: RFC 3339 with an offset, such as `2027-01-31T06:00:00Z`. |
| `use_cache` | `true` | `false` leaves the cache alone: nothing is taken from it, and nothing put into it. |"""


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
        _DEFAULTS.format(keys=names_of(keys.DEFAULT_KEYS)),
        "### A task",
        fields_table(Task),
        _OTHER_KEYS.replace("{plugin_keys}", names_of(sorted(keys.PLUGIN_KEYS))).replace(
            "{unrouted_keys}", names_of(sorted(keys.UNROUTED_KEYS))
        ),
        *(part for key, struct in STRUCTS.items() for part in (f"### Keys of `{key}`", fields_table(struct))),
        "## Examples",
        *(part for title, example in EXAMPLES.items() for part in example_parts(title, *example)),
        "## Other ways to write a document",
        _DIALECTS,
        *(
            part
            for title, (document, sentence) in DIALECTS.items()
            for part in example_parts(title, sentence, document)
        ),
        "## Requests",
        _REQUESTS,
        "## Expressions",
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
        "## Where the features of the five designs live",
        _DESIGNS,
        *(part for title, rows in DESIGNS.items() for part in (f"### {title}", places_table(rows))),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def example_parts(title: str, sentence: str, document: str) -> Iterator[str]:
    """Print an example."""
    yield f"### {title}"
    yield sentence
    yield f"```json\n{document}\n```"


def places_table(rows: list[tuple[str, str]]) -> str:
    """Print features and where they live."""
    table = (f"| {cell(feature)} | {cell(place)} |" for feature, place in rows)
    return "\n".join(["| feature | where it lives |", "|---|---|", *table])


def names_of(names: Iterable[str]) -> str:
    """Print names in a row."""
    return ", ".join(f"`{name}`" for name in names)


def fields_table(struct: type[msgspec.Struct]) -> str:
    """Print the fields of a struct with defaults and descriptions."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    hints = inspect.get_annotations(struct, eval_str=True)
    for field in msgspec.structs.fields(struct):
        if field.name in _INSIDE:
            continue
        notes = [note for note in get_args(hints[field.name]) if isinstance(note, msgspec.Meta)]
        meaning = next((note.description for note in notes if note.description), "")
        rows.append(f"| `{WRITTEN.get(field.name, field.name)}` | {default_of(field)} | {cell(meaning)} |")
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
    known = set[str]()
    for task_type in natives.beside(Registry().load()).types.values():
        yield f"### `{task_type.type}`"
        yield task_type.description
        yield fields_of(task_type)
        for example in (task_type.param_schema or {}).get("examples", ()):
            task = {"id": "a", "type": task_type.type, **example}
            yield f"```json\n{json.dumps(task, ensure_ascii=False)}\n```"
        yield from tables_of(task_type, known)


def tables_of(task_type: TaskType, known: set[str]) -> Iterator[str]:
    """Print what the elements of a list may be, where each has a type with options of its own; each type once."""
    for name, field in (task_type.param_schema or {}).get("properties", {}).items():
        kinds = [part.get("then", {}) for part in field.get("items", {}).get("allOf", ())]
        rows = {label: row for kind in kinds if "title" in kind for label, row in [options_of(kind)]}
        if new := {label: row for label, row in rows.items() if label not in known}:
            more = "" if len(new) == len(rows) else ", beside those above"
            yield f"What `{name}` may hold{more}:"
            yield "\n".join(["| type | options | meaning |", "|---|---|---|", *new.values()])
            known.update(new)


def options_of(kind: dict[str, Any]) -> tuple[str, str]:
    """Print one of them as a row, under the name it goes by; what need not be given stands in brackets."""
    properties = kind["properties"]
    operation = properties.get("operation", {}).get("const")
    label = f"`{kind['title']}`" + (f" `{operation}`" if operation else "")
    names = [option for option in properties if option not in ("type", "operation", "at")]
    options = ", ".join(f"`{option}`" if option in kind["required"] else f"[`{option}`]" for option in names)
    return label, f"| {label} | {options} | {cell(kind['description'])} |"


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
