"""Judge one task after the other: its keys, and its fields by what its plugin says of them. Called by `document`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine import expressions
from engine.limits import Limits
from engine.loader import natives, references
from engine.loader.checks import RefusedError, refuse_at
from engine.loader.control import Needs
from engine.loader.keys import HOOKS, PLUGIN_KEYS, TASK_KEYS, UNROUTED_KEYS
from engine.loader.kinds import Kind
from engine.loader.references import Gathering
from engine.loader.spellings import SPELLINGS, misspelt, respell
from engine.loader.terms import Terms
from engine.model import Foreach, Pool, Retry, Task
from engine.problems import Findings, escape, meant, pointer, quoted
from engine.schemas import Violation
from engine.task import HANDED_FIELDS

_PLAIN = frozenset({"id", "type", "depends_on"})
_SMALLEST = 'The smallest task is {"id": "a", "type": "print", "message": "hi"}.'


class Section:
    """A list of tasks of the document, at a pointer: `tasks`, or a hook.

    Holds what the links between tasks are checked with, one element an entry: in `names` its id, sound or not, in
    `needs` what it depends on; None stands for what is no text.
    """

    def __init__(self, phase: str, limits: Limits, findings: Findings, *, is_routed: bool = False) -> None:
        """Begin an empty one; `is_routed` where a graph says what comes after what."""
        self.phase, self.at, self.is_routed = phase, f"/{phase}", is_routed
        self.names: list[str | None] = []
        self.needs: list[tuple[str | None, ...]] = []
        self.gathering = Gathering(limits, findings)


class TaskReader:
    """Turn entries of a section into tasks; an entry without the engine's keys becomes the plugin's fields."""

    def __init__(self, section: Section, terms: Terms, defaults: dict[str, Any], findings: Findings) -> None:
        """Take what holds for all tasks: the terms, and `defaults` already checked."""
        self._section, self._terms, self._findings = section, terms, findings
        self._kinds = terms.kinds.known
        self._retry: dict[str, Any] = defaults.get("retry", {})
        self._defaults = {**defaults, "retry": Retry(**self._retry)} if "retry" in defaults else defaults
        self._native_defaults = {key: value for key, value in self._defaults.items() if key not in PLUGIN_KEYS}

    def read(self, index: int, entry: Any) -> Task | None:
        """Judge an entry; None where no task can be made of it."""
        section = self._section
        if type(entry) is not dict:
            message = f"a task must be an object, not {quoted(entry)}"
            self._findings.add("wrong_type", message, f"{section.at}/{index}", _SMALLEST)
            section.names.append(None)
            section.needs.append(())
            return None
        own: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        keys = [key for key in entry if key in TASK_KEYS]
        # Nearly every task of a large document is plain: what only the others need costs it nothing.
        is_plain = _PLAIN.issuperset(keys) and not section.is_routed
        written = refused if is_plain else dict(entry)
        for key in keys:
            value = entry.pop(key)
            try:
                own[key] = TASK_KEYS[key](value)
            except RefusedError as error:
                refused[key] = value
                refuse_at(f"{section.at}/{index}/{key}", key, error, self._findings)
        needs = own.get("depends_on", ())
        if type(needs) is Needs:
            own["depends_on"], own["conditions"] = needs
            is_plain = False
        kind = self._kinds.get(own.get("type", "")) or self._meet(index, own, refused)
        if kind is not None and not kind.fits(entry):
            self._judge_fields(index, kind, entry, own)
        if not is_plain:
            self._judge_control(index, own, written)
        if kind is not None and kind.is_native:
            self._judge_native(index, kind, entry, own, written)
        if expressions.holds(entry):
            # Also those of a foreach or loop that was refused: what uses them is not wrong for that.
            names = self._names(refused | own) - (
                references.NOT_KEPT if kind is not None and kind.is_native else frozenset()
            )
            section.gathering.scan(entry, f"{section.at}/{index}", names, index)
        if refused or "id" not in own:
            self._note_unsound(index, own, refused)
        else:
            section.names.append(own["id"])
            section.needs.append(own.get("depends_on", ()))
        return self._made(entry, own, kind) if kind is not None and "id" in own else None

    def _made(self, fields: dict[str, Any], own: dict[str, Any], kind: Kind) -> Task:
        if not self._defaults and own.keys() <= _PLAIN:
            # Nearly every task of a large document; spelled out it takes a quarter of the time.
            return Task(id=own["id"], type=own["type"], depends_on=own.get("depends_on", ()), fields=fields)
        if "retry" in own:
            own["retry"] = Retry(**{**self._retry, **own["retry"]})
        return Task(fields=fields, **{**(self._native_defaults if kind.is_native else self._defaults), **own})

    def _note_unsound(self, index: int, own: dict[str, Any], refused: dict[str, Any]) -> None:
        """Keep an id and dependencies, also what can be kept of refused ones: the rest is still judged."""
        name, needs = own.get("id"), own.get("depends_on", ())
        if name is None:
            if "id" not in refused:
                at = f"{self._section.at}/{index}"
                self._findings.add("missing_key", 'the task has no "id"', at, _SMALLEST)
            elif isinstance(refused["id"], str):
                name = refused["id"]
        given = refused.get("depends_on")
        if isinstance(given, list):
            named = (need.get("task") if isinstance(need, dict) else need for need in given)
            needs = tuple(need if isinstance(need, str) else None for need in named)
        self._section.names.append(name)
        self._section.needs.append(needs)

    def _meet(self, index: int, own: dict[str, Any], refused: dict[str, Any]) -> Kind | None:
        """Look up a task type that no task before had; None, and a problem, where there is none."""
        name = own.get("type")
        at = f"{self._section.at}/{index}"
        if name is None:
            if "type" not in refused:
                self._findings.add("missing_key", 'the task has no "type"', at, _SMALLEST)
            return None
        try:
            kind = self._terms.kinds.meet(name)
        except ValueError as error:
            message = f"the PARAM_SCHEMA of the task type {name} cannot be used: {error}"
            source = self._terms.kinds.types[name].source
            self._findings.add("invalid_field", message, f"{at}/type", f"Mend the plugin {source}.")
            return None
        if kind is None:
            self._unknown_type(f"{at}/type", name)
        return kind

    def _unknown_type(self, at: str, name: str) -> None:
        broken = len(self._terms.kinds.broken)
        otherwise = "`dropmill plugins` lists the types there are."
        if broken:
            otherwise = f"Plugin files that cannot be used: {broken}; `dropmill plugins` says why."
        message = f"no plugin has the task type {quoted(name)}"
        types = self._terms.kinds.types
        self._findings.add("unknown_type", message, at, lambda: meant(name, types) or otherwise)

    def _judge_fields(self, index: int, kind: Kind, fields: dict[str, Any], own: dict[str, Any]) -> None:
        self._respell(index, kind, fields, own)
        for key in fields:
            if key not in kind.good:
                self._vet(index, kind, key)
        for name in sorted(kind.required - fields.keys()):
            message = f"the task type {kind.name} requires the field {quoted(name)}"
            self._findings.add("missing_field", message, f"{self._section.at}/{index}")
        for found in kind.schema.violations(fields, expressions.holds) if kind.schema else ():
            # A key of the engine's that is misspelt has been told, and better.
            if len(found.path) != 1 or found.path[0] in kind.declared or misspelt(str(found.path[0])) is None:
                self._violated(index, kind, found)

    def _respell(self, index: int, kind: Kind, fields: dict[str, Any], own: dict[str, Any]) -> None:
        """Put the values of accepted spellings where they belong."""
        given = {key: fields.pop(key) for key in SPELLINGS if key in fields and key not in kind.declared}
        settings, faults = respell(given, own)
        for fault in faults:
            at = f"{self._section.at}/{index}{fault.below}"
            self._findings.add(fault.code, fault.message, at, fault.hint, at_key=fault.is_key)
        own.update(settings)

    def _vet(self, index: int, kind: Kind, key: str) -> None:
        """Judge the name of a field that this task type was not seen with before."""
        at = f"{self._section.at}/{index}/{escape(key)}"
        near = None if key in kind.declared else misspelt(key)
        if key in HANDED_FIELDS:
            message = f"the engine hands its own {quoted(key)} to the plugin under this name"
            self._findings.add("hidden_field", message, at, "Give the field another name.", at_key=True)
        elif near is not None:
            message = f"{quoted(key)} is no key of the engine's, and the task type {kind.name} declares no such field"
            self._findings.add("near_miss", message, at, f"Did you mean {quoted(near)}?", at_key=True)
        elif key in HOOKS and key not in kind.declared:
            message = f"{quoted(key)} is a key of workflows, and the task type {kind.name} declares no such field"
            self._findings.add("near_miss", message, at, "Write it beside tasks, as a list of tasks.", at_key=True)
        else:
            kind.good.add(key)

    def _violated(self, index: int, kind: Kind, found: Violation) -> None:
        """Note what PARAM_SCHEMA has against the fields; those that hold expressions are judged when they are known."""
        if found.keyword == "required" and not found.path and found.key in kind.required:
            return
        is_of_key = found.keyword in {"additionalProperties", "unevaluatedProperties"}
        message = f"{quoted('.'.join(map(str, found.path))) if found.path else 'the task'} {found.message}"
        at = f"{self._section.at}/{index}{pointer(found.path)}"
        hint = partial(meant, str(found.key), sorted(kind.declared)) if is_of_key and len(found.path) == 1 else None
        self._findings.add("invalid_field", message, at, hint, at_key=is_of_key)

    def _judge_native(
        self, index: int, kind: Kind, fields: dict[str, Any], own: dict[str, Any], written: Mapping[str, Any]
    ) -> None:
        at = f"{self._section.at}/{index}"
        for key in PLUGIN_KEYS & written.keys():
            if own.get(key) is not None:
                message = f"{key} means nothing for a task of the type {kind.name}, which no worker runs"
                self._findings.add("incompatible", message, f"{at}/{key}", "Remove it.", at_key=True)
        inner = natives.judge(kind.name, fields, at, self._terms, self._findings)
        if inner is not None:
            own["inner"] = inner

    def _judge_control(self, index: int, own: dict[str, Any], written: Mapping[str, Any]) -> None:
        """Judge what few tasks have: keys that exclude each other, pools, and the expressions of control flow."""
        at = f"{self._section.at}/{index}"
        if self._section.is_routed:
            for key in UNROUTED_KEYS & written.keys():
                why = "the edges say what comes after what"
                why = "what it gives goes into the state of its run" if key == "cache" else why
                message = f"a task of a graph has no {key}: {why}"
                self._findings.add("incompatible", message, f"{at}/{key}", at_key=True)
        if own.get("foreach") is not None and own.get("loop") is not None:
            hint = "Put the loop into a document, and that into a task of the type workflow with the foreach."
            self._findings.add("incompatible", "a task has foreach or loop, not both", f"{at}/loop", hint, at_key=True)
        if own.get("pool") is not None:
            judge_pool(own["pool"], f"{at}/pool", written.get("pool"), self._terms.pools, self._findings)
        self._gather(index, at, own, written)

    def _gather(self, index: int, at: str, own: dict[str, Any], written: Mapping[str, Any]) -> None:
        gathering = self._section.gathering
        if own.get("when") is not None:
            gathering.condition(own["when"], f"{at}/when", references.USUAL, index)
        conditions = own.get("conditions", {})
        for place, name in enumerate(own["depends_on"] if conditions else ()):
            if name in conditions:
                gathering.condition(conditions[name], f"{at}/depends_on/{place}/when", references.USUAL, index)
        if own.get("foreach") is not None:
            self._gather_items(index, f"{at}/foreach", own["foreach"], is_long=isinstance(written["foreach"], dict))
        loop = own.get("loop")
        if loop is not None:
            word, condition = ("while", loop.while_) if loop.until is None else ("until", loop.until)
            gathering.condition(condition, f"{at}/loop/{word}", references.ITERATION, index)
        if own.get("cache") is not None and own["cache"].key is not None:
            gathering.scan(own["cache"].key, f"{at}/cache/key", self._names(own), index)

    def _gather_items(self, index: int, at: str, foreach: Foreach, *, is_long: bool) -> None:
        gathering = self._section.gathering
        items_at = f"{at}/items" if is_long else at
        names = references.USUAL - references.NOT_KEPT
        gathering.whole(foreach.items, items_at, "items" if is_long else "foreach", names, index)
        most = self._terms.limits.foreach_items
        if isinstance(foreach.items, list | dict) and len(foreach.items) > most:
            message = f"there are {len(foreach.items)} items; the limit is {most}"
            self._findings.add("bad_value", message, items_at, "Raise the limit foreach_items.")
        if foreach.key is not None:
            gathering.condition(foreach.key, f"{at}/key", references.INSTANCE - references.NOT_KEPT, index)

    def _names(self, own: Mapping[str, Any]) -> frozenset[str]:
        """Return the names that are known in the fields of a task."""
        names = references.VISIT if self._section.is_routed else references.USUAL
        if own.get("foreach") is not None:
            names |= references.INSTANCE
        if own.get("loop") is not None:
            names |= references.ITERATION
        return names


def judge_pool(pool: Pool, at: str, written: Any, pools: Mapping[str, int] | None, findings: Findings) -> None:
    """Note a pool that does not exist, or has not as many slots as are asked for."""
    if pools is None:
        return
    if pool.name not in pools:
        there_are = f"There are {', '.join(pools)}." if pools else "The configuration names no pool."
        below = "/name" if isinstance(written, dict) else ""
        message = f"there is no pool {quoted(pool.name)}"
        findings.add("unknown_pool", message, at + below, lambda: meant(pool.name, pools) or there_are)
    elif pool.weight > pools[pool.name]:
        message = f"the pool {pool.name} has {pools[pool.name]} slots, so {pool.weight} are never free"
        findings.add("bad_value", message, f"{at}/weight", "Take fewer, or make the pool larger.")
