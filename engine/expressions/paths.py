"""Ways into a scope, such as `tasks.a.output.rows`: followed, spelled, and cut out of it. Called by `program`."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.expressions.syntax import Path
from engine.problems import quoted


class AstrayError(Exception):
    """A path leads nowhere: what is at `reached` has no `part`."""

    def __init__(self, reached: Path, part: str | int, value: Any) -> None:
        super().__init__(reached, part)
        self.reached, self.part, self.value = reached, part, value


def select(path: Path, scope: Mapping[str, Any]) -> Any:
    """Return what a path leads to, the very object.

    Raises AstrayError.
    """
    value: Any = scope
    for at, part in enumerate(path):
        if isinstance(value, Mapping):
            if part in value:
                value = value[part]
                continue
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            continue
        raise AstrayError(path[:at], part, value)
    return value


def spelled(path: Path) -> str:
    """Write a path as an expression would."""
    text = str(path[0])
    for part in path[1:]:
        is_plain = isinstance(part, str) and part.isidentifier() and part.isascii()
        text += f".{part}" if is_plain else f"[{quoted(part)}]"
    return text


def pruned(paths: Iterable[Path], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Copy out of a scope no more than the paths name: the library converts all that it is handed."""
    result: dict[str, Any] = {}
    for path in paths:
        source: Any = scope
        target = result
        for at, part in enumerate(path):
            if not isinstance(part, str) or not isinstance(source, Mapping) or part not in source:
                break
            value = source[part]
            if part in target and target[part] is value:
                break  # another path has taken all of it
            if at == len(path) - 1 or not isinstance(value, Mapping):
                target[part] = value
                break
            source, target = value, target.setdefault(part, {})
    return result


def kind(value: Any) -> str:
    """Name the kind of a JSON value in a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number with a fraction"
    return "a text" if isinstance(value, str) else "an object" if isinstance(value, Mapping) else "a list"
