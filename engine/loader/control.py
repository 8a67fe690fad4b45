"""The keys that hold control flow: what a condition on a dependency, a `foreach`, a `loop`, a graph and so on may be.

One check a key, which returns the value of the model. Expressions in them are compiled by whoever knows what may be
named there. Called by `keys` for its tables.
"""

from typing import Any, NamedTuple

from engine.loader import checks
from engine.loader.checks import Check, Fault, RefusedError, checked, refuse
from engine.model import (
    CONCURRENCY_POLICIES,
    DEADLINE_OUTCOMES,
    LIMIT_OUTCOMES,
    Cache,
    Concurrency,
    Deadline,
    Edge,
    Foreach,
    Loop,
    Pool,
    Routing,
)
from engine.problems import quoted

_MOST_ITERATIONS = 1_000_000
_MOST_BACKOFF = 1_000.0
_MOST_SLOTS = 1_000_000
_HUNDRED = 100
_ITEMS = "a list, an object, or a text that is one ${{ }}"
_SHARES = 'all, any, a share from 0 to 1, or a text like "80%"'


class Needs(NamedTuple):
    """Hold dependencies of which some have conditions."""

    ids: tuple[str, ...]
    conditions: dict[str, str]


def dependencies(value: Any) -> tuple[str, ...] | Needs:
    """Check `depends_on`; a plain tuple of ids where there is no condition."""
    if type(value) is list:
        found = tuple(value)
        for name in found:
            if type(name) is not str:
                break
        else:
            if len(found) < len("ab") or len(set(found)) == len(found):
                return found
    return _needs(checks.each(_dependency, "task ids")(value))


def _dependency(value: Any) -> tuple[str, str | None]:
    if isinstance(value, str):
        return value, None
    if not isinstance(value, dict):
        raise refuse("wrong_type", f"must be a task id, or an object with task and when, not {quoted(value)}")
    found = checked(value, _DEPENDENCY, "a dependency", ("task",))
    return found["task"], found.get("when")


def _needs(given: tuple[tuple[str, str | None], ...]) -> tuple[str, ...] | Needs:
    conditions: dict[str, str | None] = {}
    faults: list[Fault] = []
    for index, (name, condition) in enumerate(given):
        if name in conditions and len(faults) < checks.MOST_FAULTS:
            faults.append(
                Fault("duplicate_dependency", f"{quoted(name)} is named twice", "Remove one of them.", f"/{index}")
            )
        conditions.setdefault(name, condition)
    if faults:
        raise RefusedError(*faults)
    conditional = {name: condition for name, condition in conditions.items() if condition is not None}
    return Needs(tuple(conditions), conditional) if conditional else tuple(conditions)


def foreach(value: Any) -> Foreach:
    """Check `foreach`, in its short form (what to iterate over) or its long one (an object with `items`)."""
    if isinstance(value, dict):
        if "items" not in value and not value.keys() & _FOREACH.keys():
            hint = 'An object to iterate over is written {"items": {...}}.'
            raise refuse("missing_key", 'foreach has no "items"', hint)
        return Foreach(**checked(value, _FOREACH, "foreach", ("items",)))
    return Foreach(items=_items(value))


def _items(value: Any) -> Any:
    if isinstance(value, list | dict) or (isinstance(value, str) and value):
        return value
    raise refuse("wrong_type", f"must be {_ITEMS}, not {quoted(value)}")


def _require(value: Any) -> str | float:
    if value in ("all", "any"):
        return str(value)
    share: Any = value
    if isinstance(value, str) and value.endswith("%"):
        try:
            share = float(value[:-1]) / _HUNDRED
        except ValueError:
            share = None
    if isinstance(share, bool) or not isinstance(share, int | float):
        code = "bad_value" if isinstance(value, str) else "wrong_type"
        raise refuse(code, f"must be {_SHARES}, not {quoted(value)}")
    if not 0 <= share <= 1:
        raise refuse("bad_value", f"must be {_SHARES}, not {quoted(value)}", "A number of instances cannot be given.")
    return float(share)


def loop(value: Any) -> Loop:
    """Check `loop`."""
    try:
        found = checked(value, _LOOP, "loop", ("max_iterations",))
    except RefusedError as refused:
        hint = 'The bound is required: write "max_iterations": 100, for example.'
        faults = [fault._replace(hint=hint) if fault.code == "missing_key" else fault for fault in refused.faults]
        raise RefusedError(*faults) from None
    given = [key for key in ("until", "while") if found.get(key) is not None]
    if len(given) != 1:
        message = "a loop has until or while, not both" if given else 'loop has neither "until" nor "while"'
        raise refuse("incompatible" if given else "missing_key", message)
    return Loop(while_=found.pop("while", None), **found)


def pool(value: Any) -> Pool:
    """Check `pool`: a name, or an object with name and weight."""
    if isinstance(value, dict):
        return Pool(**checked(value, _POOL, "pool", ("name",)))
    if isinstance(value, str):
        return Pool(name=checks.filled(value))
    raise refuse("wrong_type", f"must be the name of a pool, or an object with name and weight, not {quoted(value)}")


def cache(value: Any) -> Cache | None:
    """Check `cache`; false is as null."""
    if isinstance(value, bool):
        return Cache() if value else None
    if isinstance(value, dict):
        return Cache(**checked(value, _CACHE, "cache"))
    raise refuse("wrong_type", f"must be true, false, or an object with key and ttl, not {quoted(value)}")


def deadline(value: Any) -> Deadline:
    """Check `deadline`: a duration, or an object with within and on_miss."""
    if isinstance(value, dict):
        return Deadline(**checked(value, _DEADLINE, "deadline", ("within",)))
    return Deadline(within=checks.span(value))


def concurrency(value: Any) -> Concurrency:
    """Check `concurrency`."""
    return Concurrency(**checked(value, _CONCURRENCY, "concurrency"))


def outputs(value: Any) -> dict[str, Any]:
    """Check `outputs`, whose values may be anything."""
    if isinstance(value, dict):
        return value
    hint = 'Write {"result": "${{ ... }}"}.' if isinstance(value, str) else None
    raise refuse("wrong_type", f"must be an object, not {quoted(value)}", hint)


def routing(value: Any) -> Routing:
    """Check `routing`, but not yet whether there are such tasks."""
    return Routing(**checked(value, _ROUTING, "routing", ("entry",)))


def _edge(value: Any) -> Edge:
    found = checked(value, _EDGE, "an edge", ("from", "to"))
    return Edge(source=found["from"], target=found["to"], condition=found.get("condition"))


def _state(value: Any) -> Any:
    if isinstance(value, dict) or (isinstance(value, str) and value):
        return value
    raise refuse("wrong_type", f"must be an object, or a text that is one ${{{{ }}}}, not {quoted(value)}")


_maybe_text = checks.or_null(checks.filled)

_DEPENDENCY: dict[str, Check] = {"task": checks.text, "when": _maybe_text}
_FOREACH: dict[str, Check] = {
    "items": _items,
    "key": _maybe_text,
    "max_parallel": checks.or_null(checks.integer(1)),
    "require": _require,
}
_LOOP: dict[str, Check] = {
    "until": _maybe_text,
    "while": _maybe_text,
    "max_iterations": checks.integer(1, _MOST_ITERATIONS),
    "delay": checks.duration,
    "backoff": checks.number(1.0, _MOST_BACKOFF),
    "max_delay": checks.duration,
    "at_limit": checks.choice(LIMIT_OUTCOMES),
}
_POOL: dict[str, Check] = {"name": checks.filled, "weight": checks.integer(1, _MOST_SLOTS)}
_CACHE: dict[str, Check] = {"key": _maybe_text, "ttl": checks.or_null(checks.span)}
_DEADLINE: dict[str, Check] = {"within": checks.span, "on_miss": checks.choice(DEADLINE_OUTCOMES)}
_CONCURRENCY: dict[str, Check] = {
    "key": checks.filled,
    "limit": checks.integer(1),
    "policy": checks.choice(CONCURRENCY_POLICIES),
}
_EDGE: dict[str, Check] = {"from": checks.text, "to": checks.text, "condition": _maybe_text}
_ROUTING: dict[str, Check] = {
    "entry": checks.text,
    "edges": checks.each(_edge, "edges"),
    "max_iterations": checks.integer(1, _MOST_ITERATIONS),
    "state": _state,
}
