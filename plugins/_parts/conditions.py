"""Conditions on data: the operators, and how they combine.

Strict on purpose: comparing values of different kinds, or a field that is not there, is an error and not `false`.
Called by conditional (whole conditions) and by the filter of data_transform (one comparison).
"""

import re
from collections.abc import Callable
from typing import Any

from plugins._parts.data import ABSENT, DataError, find, key, kind, short

Check = Callable[[Any, Any], bool]

# A regular expression can take exponential time: bounds make that harder, the attempt's timeout does the rest.
_PATTERN_CHARS, _MATCHED_CHARS = 512, 65_536

SYMBOLS = {"==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def _equal(found: Any, value: Any) -> bool:
    if found is not None and value is not None and kind(found) != kind(value):
        raise DataError(f"{kind(found)} cannot be compared with {kind(value)}: {short(found)} and {short(value)}")
    return key(found) == key(value)


def _order(found: Any, value: Any) -> int:
    if kind(found) != kind(value) or kind(found) not in {"a number", "text"}:
        raise DataError(
            f"{kind(found)} and {kind(value)} have no order: {short(found)} and {short(value)}; "
            "compare two numbers or two texts"
        )
    return int(found > value) - int(found < value)


def _among(found: Any, value: Any) -> bool:
    if not isinstance(value, list):
        raise DataError(f"`value` must be a list, not {kind(value)}: {short(value)}")
    return key(found) in map(key, value)


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, list):
        return key(value) in map(key, found)
    if isinstance(found, str | dict) and isinstance(value, str):
        return value in found
    raise DataError(f"{kind(found)} cannot contain {kind(value)}: {short(found)} and {short(value)}")


def _texts(found: Any, value: Any) -> tuple[str, str]:
    for side in (found, value):
        if not isinstance(side, str):
            raise DataError(f"both sides must be text; {short(side)} is {kind(side)}")
    return found, value


def _starts(found: Any, value: Any) -> bool:
    whole, part = _texts(found, value)
    return whole.startswith(part)


def _ends(found: Any, value: Any) -> bool:
    whole, part = _texts(found, value)
    return whole.endswith(part)


def pattern(given: str, subject: str) -> re.Pattern[str]:
    """Compile a regular expression for a subject; raise DataError for a bad one, or where either is too long."""
    if len(given) > _PATTERN_CHARS or len(subject) > _MATCHED_CHARS:
        raise DataError(
            f"a regular expression may have {_PATTERN_CHARS} characters and the text {_MATCHED_CHARS}; "
            f"these have {len(given)} and {len(subject)}"
        )
    try:
        return re.compile(given)
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"{given!r} is not a regular expression: {error}") from None


def _matches(found: Any, value: Any) -> bool:
    subject, expression = _texts(found, value)
    return pattern(expression, subject).search(subject) is not None


def _is_true(found: Any, _: Any) -> bool:
    if not isinstance(found, bool):
        raise DataError(f"{short(found)} is {kind(found)}, not true or false")
    return found


def _is_empty(found: Any, _: Any) -> bool:
    if found is None:
        return True
    if not isinstance(found, str | list | dict):
        raise DataError(f"{short(found)} is {kind(found)}; only text, lists, objects and null can be empty")
    return not found


def _never(check: Check) -> Check:
    return lambda found, value: not check(found, value)


# Operators that compare with `value`, and those that need none.
COMPARISONS: dict[str, Check] = {
    "eq": _equal,
    "ne": _never(_equal),
    "gt": lambda found, value: _order(found, value) > 0,
    "gte": lambda found, value: _order(found, value) >= 0,
    "lt": lambda found, value: _order(found, value) < 0,
    "lte": lambda found, value: _order(found, value) <= 0,
    "in": _among,
    "not_in": _never(_among),
    "contains": _contains,
    "not_contains": _never(_contains),
    "starts_with": _starts,
    "ends_with": _ends,
    "matches": _matches,
}
QUESTIONS: dict[str, Check] = {
    "exists": lambda found, _: found is not ABSENT,
    "not_exists": lambda found, _: found is ABSENT,
    "is_true": _is_true,
    "is_false": _never(_is_true),
    "is_empty": _is_empty,
}
NEED_VALUE = (*COMPARISONS, *SYMBOLS)
OPERATORS = (*NEED_VALUE, *QUESTIONS)


def compare(data: Any, test: dict[str, Any]) -> bool:
    """Tell whether `{field, operator, value}` holds for the data; without `field` the data itself is compared."""
    name = SYMBOLS.get(test["operator"], test["operator"])
    found = find(data, test["field"]) if "field" in test else data
    if found is ABSENT and name not in {"exists", "not_exists"}:
        raise DataError(f"there is no field {test['field']!r}; ask with the operator `exists` first")
    if name in COMPARISONS:
        if "value" not in test:
            raise DataError(f"the operator {test['operator']!r} needs a `value`")
        return COMPARISONS[name](found, test["value"])
    if name not in QUESTIONS:
        raise DataError(f"there is no operator {test['operator']!r}; there are {', '.join(OPERATORS)}")
    return QUESTIONS[name](found, None)


def holds(data: Any, condition: dict[str, Any]) -> bool:
    """Tell whether a condition holds: a comparison, or `all`, `any` or `not` of conditions.

    Left to right and no further than needed, so that `exists` can guard what stands behind it.
    """
    if "all" in condition:
        return all(holds(data, part) for part in condition["all"])
    if "any" in condition:
        return any(holds(data, part) for part in condition["any"])
    if "not" in condition:
        return not holds(data, condition["not"])
    return compare(data, condition)
