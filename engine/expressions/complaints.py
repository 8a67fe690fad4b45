"""What the CEL library cannot read or compute, in one plain sentence each: its exceptions, translated.

Names the expression's own words: the path that leads nowhere, the kinds that do not fit. Called by `program` alone.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from engine.errors import ExpressionError
from engine.expressions.paths import AstrayError, kind, select, spelled
from engine.expressions.syntax import DEEPEST, Path
from engine.expressions.words import FUNCTIONS
from engine.problems import meant, quoted, shortened

Scope = Mapping[str, Any]

_AT = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(?!Incomplete|No `)(.*)")
_UNEXPECTED = re.compile(
    r"(?:mismatched input|extraneous input|no viable alternative at input) '(.*?)'(?: expecting.*)?$"
)
_SLIPS = (
    (re.compile(r"\$\{\{"), "It is an expression already: leave out the ${{ }} around it."),
    (re.compile(r"(?<![=!<>])=(?!=)"), "Compare with ==."),
    (re.compile(r"\b(?:and|or|not)\b"), "Write && for and, || for or, ! for not."),
    (re.compile(r"\.\d"), 'A name that begins with a digit needs brackets: tasks["1st"].output.'),
    (re.compile(r"\|(?!\|)"), "There are no filters; see the reference for functions."),
)


def unreadable(text: str, said: str) -> ExpressionError:
    """Say what the library could not compile, and where."""
    if "Recursion limit" in said:
        return too_nested(text)
    if not text.strip():
        return ExpressionError("the expression is empty", text, problem="expression_syntax")
    match = _AT.search(said)
    if match is None:
        return ExpressionError("the expression is not CEL", text, problem="expression_syntax")
    what = match[3]
    unexpected = _UNEXPECTED.match(what)
    if unexpected:
        what = "it ends too early" if unexpected[1] == "<EOF>" else f"{quoted(unexpected[1])} is not expected here"
    elif what.startswith("token recognition error"):
        what = f"{quoted(what.partition(': ')[2].strip(chr(39)))} is not part of CEL"
    line = f"line {match[1]}, " if match[1] != "1" else ""
    hint = next((advice for slip, advice in _SLIPS if slip.search(text)), None)
    return ExpressionError(
        f"{line}character {match[2]}: {shortened(what)}", text, problem="expression_syntax", hint=hint
    )


def too_nested(text: str) -> ExpressionError:
    """Say that brackets stand too deep in each other."""
    message = f"the expression is nested more than {DEEPEST} deep"
    return ExpressionError(message, text, problem="expression_limit", hint="Compute parts of it in tasks of their own.")


def astray(source: str, error: AstrayError) -> ExpressionError:
    """Say which part of a path has no next part."""
    path, part, value = error.reached, error.part, error.value
    if not path:
        return ExpressionError(f"{part} has no value here", source, name=str(part))
    name = spelled(path)
    hint = None
    if isinstance(value, Mapping):
        message = f"{name} has no field {quoted(part)}"
        hint = meant(str(part), (key for key in value if isinstance(key, str)))
    elif isinstance(value, list) and isinstance(part, int):
        message = f"{name} has {len(value)} elements, so none with the index {part} (the first is 0)"
    else:
        what = "element" if isinstance(part, int) else "field"
        message = f"{name} is {kind(value)} and has no {what} {quoted(part)}"
    return ExpressionError(message, source, name=spelled((*path, part)), hint=hint)


_FUNCTION = re.compile(r"Function '(\w+)' error: (.*)|Undefined variable or function: '(\w+)'", re.DOTALL)


def failed(
    source: str, paths: Iterable[Path], scope: Scope, error: Exception, *, has_secrets: bool = False
) -> ExpressionError:
    """Say what the library could not compute; what is missing is searched for along `paths`.

    With `has_secrets` nothing of what the library says is repeated: it quotes the values it met.
    """
    said = str(error)
    if isinstance(error, KeyError | TypeError | RuntimeError | IndexError):
        for path in paths:
            try:
                select(path, scope)
            except AstrayError as missing:
                return astray(source, missing)
    if has_secrets and not isinstance(error, ArithmeticError | TypeError):
        return ExpressionError("it cannot be computed, and since it uses secrets no value of it is shown", source)
    if isinstance(error, KeyError):
        return ExpressionError(f"there is no field {quoted(error.args[0])}", source, name=str(error.args[0]))
    if isinstance(error, IndexError):
        return ExpressionError(f"a list has no such element ({said})", source)
    if isinstance(error, ZeroDivisionError):
        return ExpressionError("it divides by zero", source)
    if isinstance(error, OverflowError):
        return ExpressionError("a number, timestamp or duration in it becomes too large", source)
    if isinstance(error, TypeError):
        return _ill_matched(source, _kinds(paths, scope), said)
    function = _FUNCTION.match(said)
    if function and function[2]:
        why = function[2].partition(". Check function")[0]
        why = why.rpartition("error: ")[2] if function[1] == "matches" else why
        return ExpressionError(f"{function[1]}(...) fails: {shortened(' '.join(why.split()))}", source)
    if function and function[3] in FUNCTIONS:
        message = f"{function[3]}(...) cannot take these values: {_kinds(paths, scope)}"
        return ExpressionError(message, source, name=function[3])
    return ExpressionError(f"it cannot be computed: {shortened(said.partition(chr(10))[0])}", source)


def _ill_matched(source: str, kinds: str, said: str) -> ExpressionError:
    operation = re.match(r"Unsupported operation: (\w+ \S+ \w+)\.", said)
    message = f"{operation[1] if operation else 'this'} cannot be computed" + (f", since {kinds}" if kinds else "")
    return ExpressionError(message, source, hint="CEL does not mix kinds: convert with int(), double() or string().")


def _kinds(paths: Iterable[Path], scope: Scope) -> str:
    """Name what kinds of values the expression met: mostly that explains why it could not be computed."""
    found = []
    for path in islice(paths, 4):
        try:
            found.append(f"{spelled(path)} is {kind(select(path, scope))}")
        except AstrayError:
            continue
    return ", ".join(found)
