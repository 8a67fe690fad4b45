"""Transforms of a list as a whole: filter, sort, limit, unique, aggregate, flatten, query.

Order is kept wherever the transform is not about order. Called by `transforms`.
"""

from collections.abc import Callable
from typing import Any

from plugins._parts.conditions import NEED_VALUE, OPERATORS, compare
from plugins._parts.data import ABSENT, DataError, find, key, kind, short, sound
from plugins._parts.operation import Operation, Options, Schema, each_path, path, paths


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise DataError(f"it works on a list; the data is {kind(data)}: {short(data)}")
    return data


def _filter(data: Any, options: Options) -> list[Any]:
    return [item for at, item in enumerate(_list(data)) if _kept(item, at, options)]


def _kept(item: Any, at: int, options: Options) -> bool:
    try:
        return compare(item, options)
    except DataError as error:
        raise DataError(str(error), row=at) from None


def _sort(data: Any, options: Options) -> list[Any]:
    items = _list(data)
    fields = each_path(options, "by") if "by" in options else [None]
    for field in fields:
        _check_order([_at(item, field) for item in items])
    # From the least important field to the most: each pass is stable, so ties keep the order of the pass before.
    for field in reversed(fields):
        keyed = [(_at(item, field), item) for item in items]
        first = [entry for entry in keyed if entry[0] is not None]
        first.sort(key=lambda entry: entry[0], reverse=options.get("descending", False))
        items = [item for _, item in first] + [item for value, item in keyed if value is None]
    return items


def _at(item: Any, field: str | None) -> Any:
    found = item if field is None else find(item, field)
    return None if found is ABSENT else found


def _check_order(values: list[Any]) -> None:
    present = [(row, value) for row, value in enumerate(values) if value is not None]
    for row, value in present:
        if kind(value) != kind(present[0][1]) or isinstance(value, list | dict):
            raise DataError(f"{short(value)} has no order beside {short(present[0][1])}", row=row)


def _limit(data: Any, options: Options) -> list[Any]:
    start = options.get("offset", 0)
    return _list(data)[start : start + options["count"]]


def _unique(data: Any, options: Options) -> list[Any]:
    fields = each_path(options) if "field" in options else None
    seen: dict[Any, Any] = {}
    for item in _list(data):
        seen.setdefault(key(item) if fields is None else _group(item, fields), item)
    return list(seen.values())


def _group(item: Any, fields: list[str]) -> tuple[Any, ...]:
    return tuple(key(_at(item, field)) for field in fields)


def _numbers(values: list[Any]) -> list[Any]:
    for value in values:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise DataError(f"{short(value)} is {kind(value)}, not a number")
    return values


def _sum(values: list[Any]) -> float:
    return sound(_total(values))


def _average(values: list[Any]) -> float | None:
    return sound(_total(values) / len(values)) if values else None


def _total(values: list[Any]) -> float:
    total: float = sum(_numbers(values))
    return total


def _extreme(pick: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def extreme(values: list[Any]) -> Any:
        _check_order(values)
        return pick(values) if values else None

    return extreme


# Each takes the values that are there and not null, in order; `first`, `last` and `list` see nulls too.
FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "sum": _sum,
    "min": _extreme(min),
    "max": _extreme(max),
    "avg": _average,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "list": list,
}
_SEE_NULLS = frozenset({"first", "last", "list"})


def _aggregate(data: Any, options: Options) -> Any:
    fields = each_path(options, "group_by") if "group_by" in options else []
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for item in _list(data):
        groups.setdefault(_group(item, fields), []).append(item)
    if not fields:
        return _measured(_list(data), {}, options["metrics"])
    return [_measured(members, _names(members[0], fields), options["metrics"]) for members in groups.values()]


def _names(member: Any, fields: list[str]) -> dict[str, Any]:
    return {field: _at(member, field) for field in fields}


def _measured(members: list[Any], measured: dict[str, Any], metrics: list[Options]) -> dict[str, Any]:
    for metric in metrics:
        name = metric.get("as") or "_".join([metric["function"], *([metric["field"]] if "field" in metric else [])])
        if name in measured:
            raise DataError(f"there are two results called {name!r}; set `as`")
        measured[name] = _measure(members, metric)
    return measured


def _measure(members: list[Any], metric: Options) -> Any:
    function, field = metric["function"], metric.get("field")
    if field is None and function != "count":
        raise DataError(f"the metric {function!r} needs a `field`")
    values = members if field is None else [find(member, field) for member in members]
    present = [value for value in values if value is not ABSENT and (value is not None or function in _SEE_NULLS)]
    try:
        return FUNCTIONS[function](members if field is None else present)
    except DataError as error:
        raise DataError(f"{function} of {field!r}: {error}") from None
    except OverflowError:
        raise DataError(f"{function} of {field!r}: the result is too large for a number") from None


def _flatten(data: Any, options: Options) -> Any:
    if isinstance(data, list) and any(isinstance(item, list) for item in data):
        return [inner for item in data for inner in (item if isinstance(item, list) else [item])]
    separator = options.get("separator", ".")
    if isinstance(data, dict):
        return _flat(data, separator)
    return [_flat(item, separator) if isinstance(item, dict) else item for item in _list(data)]


def _flat(row: dict[str, Any], separator: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    left = list(reversed(row.items()))
    while left:
        name, value = left.pop()
        if isinstance(value, dict) and value:
            left += [(f"{name}{separator}{inner}", deeper) for inner, deeper in reversed(value.items())]
        elif name in flat:
            raise DataError(f"two fields become {name!r}; choose another `separator`")
        else:
            flat[name] = value
    return flat


def _query(data: Any, options: Options) -> Any:
    import jmespath  # noqa: PLC0415 -- every worker would pay for it at its start
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415 -- likewise

    try:
        found = jmespath.search(options["expression"], data)
    except (JMESPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Beside its own errors the library lets some of Python's through, for instance from sort_by over mixed values.
        raise DataError(f"{options['expression']!r} failed: {' '.join(str(error).split())}") from None
    if not _is_json(found):
        raise DataError(f"{options['expression']!r} gives something that is not JSON")
    return found


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(inner) for name, inner in value.items())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return sound(value) == value
    return value is None or isinstance(value, str | bool)


_METRIC: Schema = {
    "type": "object",
    "properties": {
        "function": {
            "enum": list(FUNCTIONS),
            "description": "What is computed; nulls count only for first, last, list.",
        },
        "field": path("Field whose values are taken; `count` without it counts the items."),
        "as": path("Name of the result; without it `FUNCTION_FIELD`."),
    },
    "required": ["function"],
    "additionalProperties": False,
}

OPERATIONS: dict[str, Operation] = {
    "filter": Operation(
        _filter,
        "Keep the items of a list for which a comparison holds.",
        {
            "field": path("Field that is compared; without it the item itself."),
            "operator": {"enum": list(OPERATORS), "description": "How it is compared, as in `conditional`."},
            "value": {"description": f"What it is compared with; needed by {', '.join(NEED_VALUE)}."},
        },
        frozenset({"field", "value"}),
    ),
    "sort": Operation(
        _sort,
        "Order a list; ties keep their order, items without the field or with null come last.",
        {
            "by": paths("Field, or list of fields, the most important first; without it the items themselves."),
            "descending": {"type": "boolean", "default": False, "description": "Whether the largest comes first."},
        },
        frozenset({"by", "descending"}),
    ),
    "limit": Operation(
        _limit,
        "Keep the first items of a list.",
        {
            "count": {"type": "integer", "minimum": 0, "description": "How many are kept."},
            "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "How many are left out before."},
        },
        frozenset({"offset"}),
    ),
    "unique": Operation(
        _unique,
        "Keep the first of equal items of a list.",
        {"field": paths("Field, or list of fields, that is compared; without it the whole item.")},
        frozenset({"field"}),
    ),
    "aggregate": Operation(
        _aggregate,
        "Compute figures over a list: one object in all, or one for each group in the order the groups appear.",
        {
            "group_by": paths("Field, or list of fields, that tells the groups apart; without it there is one group."),
            "metrics": {"type": "array", "items": _METRIC, "minItems": 1, "description": "The figures."},
        },
        frozenset({"group_by"}),
    ),
    "flatten": Operation(
        _flatten,
        "Make one list of a list of lists, or one level of nested objects.",
        {"separator": {"type": "string", "default": ".", "description": "What joins the names of nested fields."}},
        frozenset({"separator"}),
    ),
    "query": Operation(
        _query,
        "Take what a JMESPath expression finds in the data, of any shape.",
        {"expression": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "A JMESPath expression."}},
    ),
}
