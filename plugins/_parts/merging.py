"""The data a task starts from: its field `data`, else what the tasks before it gave, put together by kind.

Objects are merged as RFC 7396 does, but for a null, which takes nothing away. Called by input, process and output.
"""

from typing import Any

from plugins._parts.data import ONTO, DataError, kind, laid_over, short
from plugins._parts.data import key as comparable

FIELDS: dict[str, Any] = {
    "merge": {
        "enum": ["deep", "shallow", "by_id", "list"],
        "description": "How the outputs of the tasks it depends on become one, in the order of `depends_on`: `deep` "
        "merges objects key by key (a list or a text of a later one takes the place of the earlier), `shallow` only "
        "their first level, `by_id` makes an object of the outputs by task id, `list` one list of all lists and "
        "values. Outputs that are null are left out but by `by_id`. Without it: one output is taken as it is, objects "
        "are merged deep, lists become one list, and anything mixed is taken by id.",
    },
    "on_conflict": {
        "enum": ["last", "first", "error"],
        "default": "last",
        "description": "Which value stays where merged objects differ: that of the last task, of the first, or none, "
        "which fails.",
    },
    "onto": ONTO,
}
# A merge is about what comes from other tasks.
DEPENDENT: dict[str, Any] = {
    "data": {"properties": {"merge": False, "on_conflict": False, "onto": False}},
    "onto": {"properties": {"merge": False, "on_conflict": False}},
}


def gathered(task: dict[str, Any]) -> Any:
    """Return the field `data`, else the outputs of the tasks it depends on, merged as `merge` or `onto` says.

    Raises DataError where there is neither, or where they cannot be merged so.
    """
    if "data" in task:
        return task["data"]
    inputs: dict[str, Any] = task.get("inputs") or {}
    if "onto" in task:
        return laid_over(task["onto"], inputs)
    if not inputs:
        raise DataError("there is no data: give `data`, or name a task in `depends_on`")
    present = {name: output for name, output in inputs.items() if output is not None}
    match task.get("merge") or _fitting(present):
        case "by_id":
            return dict(inputs) if len(inputs) > 1 or "merge" in task else None
        case "list":
            return [item for output in present.values() for item in (output if isinstance(output, list) else [output])]
        case "one":
            return next(iter(present.values()))
        case mode:
            return _folded(present, deep=mode == "deep", on_conflict=task.get("on_conflict", "last"))


def _fitting(present: dict[str, Any]) -> str:
    if len(present) == 1:
        return "one"
    for kind_of, mode in ((dict, "deep"), (list, "list")):
        if present and all(isinstance(output, kind_of) for output in present.values()):
            return mode
    return "by_id"


def _folded(present: dict[str, Any], *, deep: bool, on_conflict: str) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for name, output in present.items():
        if not isinstance(output, dict):
            raise DataError(
                f"the output of {name!r} is {kind(output)}, which cannot be merged with objects; `by_id` can"
            )
        try:
            whole = merged(whole, output, deep=deep, on_conflict=on_conflict)
        except DataError as error:
            raise DataError(f"the output of {name!r} contradicts one before it: {error}") from None
    return whole


def _is_equal(one: Any, other: Any) -> bool:
    # As JSON sees it: Python takes 1 and true for equal.
    return bool(one == other) and comparable(one) == comparable(other)


def merged(
    first: dict[str, Any], second: dict[str, Any], *, deep: bool = True, on_conflict: str = "last", at: str = ""
) -> dict[str, Any]:
    """Merge two objects into a new one; `on_conflict` (last, first, error) decides where both have a value.

    Raises DataError with `error` at the first place where they differ.
    """
    whole = dict(first)
    for key, value in second.items():
        mine = whole.get(key)
        if key not in whole or _is_equal(mine, value):
            whole[key] = value
        elif deep and isinstance(mine, dict) and isinstance(value, dict):
            whole[key] = merged(mine, value, on_conflict=on_conflict, at=f"{at}{key}.")
        elif on_conflict == "error":
            raise DataError(f"{at + key!r} is {short(mine)} and {short(value)}; set `on_conflict`")
        elif on_conflict == "last":
            whole[key] = value
    return whole
