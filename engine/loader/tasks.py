"""Judge one task after the other: its keys, and its fields by what its plugin says of them. Called by `document`."""

from functools import partial
from typing import Any, NamedTuple

from engine import expressions
from engine.errors import ExpressionError
from engine.expressions import Expression
from engine.limits import Limits
from engine.loader.keys import TASK_KEYS, RefusedError, refuse_at
from engine.loader.spellings import SPELLINGS, misspelt, respell
from engine.model import Retry, Task
from engine.problems import Findings, escape, meant, pointer, quoted
from engine.schemas import Schema, Violation
from engine.task import HANDED_FIELDS, Catalogue, TaskType

_PLAIN = frozenset({"id", "type", "depends_on"})
_SMALLEST = 'The smallest task is {"id": "a", "type": "print", "message": "hi"}.'


class Reference(NamedTuple):
    """An expression of the task with this number, and the pointer of the text it stands in."""

    number: int
    at: str
    expression: Expression


class _Kind:
    """A task type, prepared for many tasks: its schema compiled, and the field names that were found good.

    Raises ValueError where its schema is none.
    """

    def __init__(self, known: TaskType) -> None:
        self.name, self.required = known.type, frozenset(known.required_fields)
        self.declared = self.required | frozenset(known.fields or ())
        self.schema = None if known.param_schema is None else Schema(known.param_schema)
        self.good: set[str] = set()

    def fits(self, fields: dict[str, Any]) -> bool:
        """Tell whether there is nothing to say about these fields: so for nearly every task."""
        return (
            self.good.issuperset(fields)
            and self.required.issubset(fields)
            and (self.schema is None or self.schema.fits(fields))
        )


class TaskReader:
    """Turn entries of `tasks` into tasks; an entry without the engine's keys becomes the plugin's fields.

    Keeps what the links between tasks are checked with, one element an entry: in `names` its id, sound or not, in
    `needs` what it depends on; None stands for what is no text. `references` holds the expressions of all of them.
    """

    def __init__(self, catalogue: Catalogue, defaults: dict[str, Any], limits: Limits, findings: Findings) -> None:
        """Take what holds for all tasks: the task types, and `defaults` already checked."""
        self._catalogue, self._limits, self._findings = catalogue, limits, findings
        self._retry: dict[str, Any] = defaults.get("retry", {})
        self._defaults = {**defaults, "retry": Retry(**self._retry)} if "retry" in defaults else defaults
        self._kinds: dict[str, _Kind] = {}
        self.names: list[str | None] = []
        self.needs: list[tuple[str | None, ...]] = []
        self.references: list[Reference] = []

    def read(self, index: int, entry: Any) -> Task | None:
        """Judge an entry; None where no task can be made of it."""
        if type(entry) is not dict:
            message = f"a task must be an object, not {quoted(entry)}"
            self._findings.add("wrong_type", message, f"/tasks/{index}", _SMALLEST)
            self.names.append(None)
            self.needs.append(())
            return None
        own: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        for key in [key for key in entry if key in TASK_KEYS]:
            value = entry.pop(key)
            try:
                own[key] = TASK_KEYS[key](value)
            except RefusedError as error:
                refused[key] = value
                refuse_at(f"/tasks/{index}/{key}", key, error, self._findings)
        kind = self._kinds.get(own.get("type", "")) or self._meet(index, own, refused)
        if kind is not None and not kind.fits(entry):
            self._judge_fields(index, kind, entry, own)
        if own.get("when") is not None or expressions.holds(entry):
            self._find_expressions(index, entry, own)
        if refused or "id" not in own:
            self._note_unsound(index, own, refused)
        else:
            self.names.append(own["id"])
            self.needs.append(own.get("depends_on", ()))
        return self._made(entry, own) if "id" in own and "type" in own else None

    def _made(self, fields: dict[str, Any], own: dict[str, Any]) -> Task:
        if not self._defaults and own.keys() <= _PLAIN:
            # Nearly every task of a large document; spelled out it takes a quarter of the time.
            return Task(id=own["id"], type=own["type"], depends_on=own.get("depends_on", ()), fields=fields)
        if "retry" in own:
            own["retry"] = Retry(**{**self._retry, **own["retry"]})
        return Task(fields=fields, **{**self._defaults, **own})

    def _note_unsound(self, index: int, own: dict[str, Any], refused: dict[str, Any]) -> None:
        """Keep an id and dependencies, also what can be kept of refused ones: the rest is still judged."""
        name, needs = own.get("id"), own.get("depends_on", ())
        if name is None:
            if "id" not in refused:
                self._findings.add("missing_key", 'the task has no "id"', f"/tasks/{index}", _SMALLEST)
            elif isinstance(refused["id"], str):
                name = refused["id"]
        if "depends_on" in refused and isinstance(refused["depends_on"], list):
            needs = tuple(need if isinstance(need, str) else None for need in refused["depends_on"])
        self.names.append(name)
        self.needs.append(needs)

    def _meet(self, index: int, own: dict[str, Any], refused: dict[str, Any]) -> _Kind | None:
        """Look up a task type that no task before had; None, and a problem, where there is none."""
        name = own.get("type")
        if name is None:
            if "type" not in refused:
                self._findings.add("missing_key", 'the task has no "type"', f"/tasks/{index}", _SMALLEST)
            return None
        plugin = self._catalogue.types.get(name)
        if plugin is None:
            self._unknown_type(index, name)
            return None
        try:
            kind = self._kinds[name] = _Kind(plugin)
        except ValueError as error:
            message = f"the PARAM_SCHEMA of the task type {name} cannot be used: {error}"
            self._findings.add("invalid_field", message, f"/tasks/{index}/type", f"Mend the plugin {plugin.source}.")
            return None
        return kind

    def _unknown_type(self, index: int, name: str) -> None:
        broken = len(self._catalogue.broken)
        otherwise = "`dropmill plugins` lists the types there are."
        if broken:
            otherwise = f"Plugin files that cannot be used: {broken}; `dropmill plugins` says why."
        message = f"no plugin has the task type {quoted(name)}"
        types = self._catalogue.types
        self._findings.add("unknown_type", message, f"/tasks/{index}/type", lambda: meant(name, types) or otherwise)

    def _judge_fields(self, index: int, kind: _Kind, fields: dict[str, Any], own: dict[str, Any]) -> None:
        self._respell(index, kind, fields, own)
        for key in fields:
            if key not in kind.good:
                self._vet(index, kind, key)
        for name in sorted(kind.required - fields.keys()):
            message = f"the task type {kind.name} requires the field {quoted(name)}"
            self._findings.add("missing_field", message, f"/tasks/{index}")
        for found in kind.schema.violations(fields, expressions.holds) if kind.schema else ():
            self._violated(index, kind, found)

    def _respell(self, index: int, kind: _Kind, fields: dict[str, Any], own: dict[str, Any]) -> None:
        """Put the values of accepted spellings where they belong."""
        given = {key: fields.pop(key) for key in SPELLINGS if key in fields and key not in kind.declared}
        settings, faults = respell(given, own)
        for fault in faults:
            at = f"/tasks/{index}{fault.below}"
            self._findings.add(fault.code, fault.message, at, fault.hint, at_key=fault.is_key)
        own.update(settings)

    def _vet(self, index: int, kind: _Kind, key: str) -> None:
        """Judge the name of a field that this task type was not seen with before."""
        at = f"/tasks/{index}/{escape(key)}"
        near = None if key in kind.declared else misspelt(key)
        if key in HANDED_FIELDS:
            message = f"the engine hands its own {quoted(key)} to the plugin under this name"
            self._findings.add("hidden_field", message, at, "Give the field another name.", at_key=True)
        elif near is not None:
            message = f"{quoted(key)} is no key of the engine's, and the task type {kind.name} declares no such field"
            self._findings.add("near_miss", message, at, f"Did you mean {quoted(near)}?", at_key=True)
        else:
            kind.good.add(key)

    def _violated(self, index: int, kind: _Kind, found: Violation) -> None:
        """Note what PARAM_SCHEMA has against the fields; those that hold expressions are judged when they are known."""
        if found.keyword == "required" and not found.path and found.key in kind.required:
            return
        is_of_key = found.keyword in {"additionalProperties", "unevaluatedProperties"}
        message = f"{quoted('.'.join(map(str, found.path))) if found.path else 'the task'} {found.message}"
        at = f"/tasks/{index}{pointer(found.path)}"
        hint = partial(meant, str(found.key), sorted(kind.declared)) if is_of_key and len(found.path) == 1 else None
        self._findings.add("invalid_field", message, at, hint, at_key=is_of_key)

    def _find_expressions(self, index: int, fields: dict[str, Any], own: dict[str, Any]) -> None:
        at = f"/tasks/{index}"
        template, errors = expressions.scan(fields, self._limits)
        for below, expression in template.expressions if template else ():
            self.references.append(Reference(index, at + below, expression))
        if own.get("when") is not None:
            try:
                condition = expressions.compile_text(own["when"], self._limits)
                self.references.append(Reference(index, f"{at}/when", condition))
            except ExpressionError as error:
                error.pointer = "/when"
                errors.append(error)
        for wrong in errors:
            message = f"{wrong.message}, in {quoted(wrong.expression)}"
            self._findings.add(wrong.problem, message, at + wrong.pointer, wrong.hint)
