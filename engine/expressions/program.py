"""One expression: compiled, looked through for what it names, and evaluated with values handed in.

The only place that speaks to the CEL library. What only selects (`tasks.a.output.rows`) is done without it: nothing is
converted, and nine of ten expressions are of that kind. Called by `template`, and by `loader` and `run` for conditions.
"""

import datetime as dt
import functools
import math
import re
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.errors import ExpressionError
from engine.expressions import complaints
from engine.expressions.cost import Estimate, TooMuchError
from engine.expressions.paths import AstrayError, kind, pruned, select
from engine.expressions.syntax import Names, Path, Row, TooNestedError, UnreadableError, read
from engine.expressions.words import FUNCTIONS, MACROS, NAMES, TYPES
from engine.limits import Limits
from engine.problems import meant

_NO_NAMES = frozenset({"true", "false", "null", "in"})
_HIDDEN_FIRST = ("tasks", "secrets")

_PART = r"""\.[A-Za-z_][A-Za-z0-9_]*|\["[^"\\\n]*"\]|\['[^'\\\n]*'\]|\[(?:0|[1-9][0-9]{0,8})\]"""
_SELECTION = re.compile(rf"\s*([A-Za-z_][A-Za-z0-9_]*)((?:{_PART})*)\s*")
_PARTS = re.compile(_PART)
_HYPHEN = re.compile(r"\b(?:tasks|params)\.\w+-\w")
_LIMITS = Limits()
_DEEPEST_RESULT = 200
_FOREIGN = {
    bytes: "bytes",
    float: "an infinite number or NaN",
    int: "an integer beyond 64 bits",
    dict: "an object with keys that are not texts",
    list: "lists nested too deep",
}


class Expression(msgspec.Struct, frozen=True, gc=False):
    """Hold a compiled expression and what it needs of a scope.

    `roots` are the names it uses (`tasks`, `params`, ...), `tasks` the ids of the tasks it refers to, `paths` every
    constant way into the scope, such as `("tasks", "a", "output", "rows")`.
    """

    source: str
    roots: frozenset[str]
    tasks: frozenset[str]
    paths: tuple[Path, ...]
    selection: Path | None = None
    program: Any = None
    row: Row | None = None
    guarded: frozenset[Path] = frozenset()
    most_work: int = _LIMITS.expression_steps

    def named(self, root: str) -> frozenset[str]:
        """Return the names it selects from a root: of `params`, the parameters it uses."""
        return frozenset(str(path[1]) for path in self.paths if path[0] == root and len(path) > 1)


@functools.lru_cache(maxsize=4096)
def compile_text(text: str, limits: Limits = _LIMITS) -> Expression:
    """Compile an expression without its `${{ }}`.

    Raises ExpressionError for one that is too long or nested too deep, is not CEL, calls what is not a function, uses a
    name that is none of NAMES, or refers to tasks or secrets in a way that hides which ones.
    """
    if len(text) > limits.expression_chars:
        message = f"the expression has {len(text)} characters; the limit is {limits.expression_chars}"
        raise ExpressionError(message, text, problem="expression_limit", hint="Compute the value in a task of its own.")
    selection = _selection(text)
    if selection is not None:
        paths: tuple[Path, ...] = (selection,)
        _check_names(text, paths, ())
        return Expression(text, *_uses(paths), paths, selection)
    program = _compile(text)
    try:
        row = read(text)
    except TooNestedError:
        raise complaints.too_nested(text) from None
    except UnreadableError:
        message = "the expression uses a part of CEL that is not supported"
        raise ExpressionError(message, text, problem="expression_syntax") from None
    names = Names(row)
    _check_names(text, names.paths, names.functions)
    paths = tuple(path for path in names.paths if path[0] not in TYPES)
    return Expression(
        text,
        *_uses(paths),
        paths,
        None,
        program,
        row if names.can_grow else None,
        frozenset(names.guarded),
        limits.expression_steps,
    )


def _selection(text: str) -> Path | None:
    """Take an expression apart that only selects from a scope; None for any other."""
    match = _SELECTION.fullmatch(text)
    if match is None or match[1] in _NO_NAMES or match[1] in TYPES:
        return None
    parts: list[str | int] = [match[1]]
    for part in _PARTS.findall(match[2]):
        name = part[1:] if part[0] == "." else part[2:-2] if part[1] in "\"'" else int(part[1:-1])
        if part[0] == "." and name in _NO_NAMES:
            return None
        parts.append(name)
    return tuple(parts)


def _uses(paths: Iterable[Path]) -> tuple[frozenset[str], frozenset[str]]:
    roots = frozenset(str(path[0]) for path in paths)
    return roots, frozenset(str(path[1]) for path in paths if path[0] == "tasks")


def _check_names(text: str, paths: Iterable[Path], functions: Iterable[str]) -> None:
    for name in sorted(functions):
        if name not in FUNCTIONS:
            known = [*FUNCTIONS, *MACROS]
            hint = meant(name, known) or f"There are {', '.join(known[:9])} and more; see the reference."
            if name in MACROS:
                hint = f"It is written {MACROS[name].partition(':')[0]}."
            raise ExpressionError(f"there is no function {name} that is called like this", text, name=name, hint=hint)
    for path in paths:
        root = str(path[0])
        if root not in NAMES and root not in TYPES:
            hint = meant(root, NAMES) or f"Expressions know {', '.join(NAMES)}."
            if _HYPHEN.search(text):
                hint = 'A name with a hyphen needs brackets, or it is a subtraction: tasks["my-task"].output.'
            raise ExpressionError(f"nothing is called {root}", text, name=root, hint=hint)
        if root in _HIDDEN_FIRST and (len(path) == 1 or not isinstance(path[1], str)):
            message = f"{root} is used without saying which of them"
            example = f'Write {root}.NAME or {root}["NAME"], the name in plain letters.'
            raise ExpressionError(message, text, problem="expression_reference", name=root, hint=example)


def _cel() -> Any:
    # The package imports its interactive command line (typer, prompt_toolkit: 0.3 s) along with itself; an empty module
    # in its place keeps that out of every process of ours.
    sys.modules.setdefault("cel.cli", types.ModuleType("cel.cli"))
    import cel  # noqa: PLC0415 -- only expressions that compute pay for it

    return cel


def _compile(text: str) -> Any:
    try:
        return _cel().compile(text)
    except ValueError as error:
        raise complaints.unreadable(text, str(error)) from None


def evaluate(expression: Expression, scope: Mapping[str, Any]) -> Any:
    """Compute an expression; what it only selects is the very object of the scope, not a copy.

    Only what the expression names is read from `scope`. Raises ExpressionError.
    """
    if expression.selection is not None:
        try:
            return select(expression.selection, scope)
        except AstrayError as error:
            raise complaints.astray(expression.source, error) from None
    if expression.row is not None:
        try:
            Estimate(expression.row, scope, expression.most_work)
        except TooMuchError:
            message = f"it would take more than {expression.most_work} steps with these values"
            hint = "Give its lists to a task (data_transform, python, shell), or raise the limit expression_steps."
            raise ExpressionError(message, expression.source, problem="expression_limit", hint=hint) from None
    try:
        result = expression.program.execute(pruned(expression.paths, scope))
    except (KeyError, IndexError, TypeError, ArithmeticError, ValueError, RuntimeError) as error:
        # What is asked for in has(a.b) may be missing, what it is asked of may not.
        paths = [path[:-1] if path in expression.guarded else path for path in expression.paths]
        has_secrets = "secrets" in expression.roots
        raise complaints.failed(expression.source, paths, scope, error, has_secrets=has_secrets) from None
    return _json(result, expression, 0)


def evaluate_condition(expression: Expression, scope: Mapping[str, Any]) -> bool:
    """Compute an expression that must be true or false.

    Raises ExpressionError, also for any other result: CEL has no truth in numbers, texts or null.
    """
    result = evaluate(expression, scope)
    if not isinstance(result, bool):
        message = f"a condition must be true or false, not {kind(result)}"
        raise ExpressionError(message, expression.source, hint='Compare it with something: "... > 0", "... != null".')
    return result


def _json(value: Any, expression: Expression, depth: int) -> Any:
    """Turn a result of the library into JSON values: timestamps to RFC 3339 in UTC, durations to seconds.

    Raises ExpressionError for what has no place in JSON.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list) and depth < _DEEPEST_RESULT:
        return [_json(item, expression, depth + 1) for item in value]
    if isinstance(value, dict) and depth < _DEEPEST_RESULT and all(isinstance(key, str) for key in value):
        return {key: _json(item, expression, depth + 1) for key, item in value.items()}
    if isinstance(value, dt.datetime):
        return _rfc3339(value, expression)
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    what = _FOREIGN.get(type(value), f"a value of the kind {type(value).__name__}")
    raise ExpressionError(f"its result is, or holds, {what}, which JSON does not have", expression.source)


def _rfc3339(moment: dt.datetime, expression: Expression) -> str:
    try:
        return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        raise ExpressionError("its result is before the year 1 or after the year 9999", expression.source) from None
