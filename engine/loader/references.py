"""The expressions of a document, gathered with where they stand and what may be named there.

Compiles each, so that no plan of a document that passed can fail. Called by `tasks` and `document`; what they refer to
is judged in `links`, when all tasks are known.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from engine import expressions
from engine.errors import ExpressionError
from engine.expressions import Expression
from engine.limits import Limits
from engine.problems import Findings, quoted

# Known before a run has begun, in all of its fields, and beside that in some.
BEFORE = frozenset({"params", "run", "trigger"})
ABOVE = BEFORE | {"env", "secrets"}
USUAL = ABOVE | {"tasks"}
INSTANCE = USUAL | {"item", "index"}
ITERATION = USUAL | {"iteration", "output"}
VISIT = USUAL | {"state", "iteration"}
EDGE = ABOVE | {"state", "output", "iteration"}
# Not known in what is kept and shown: instances, a state, parameters and outputs of runs, what a person is asked.
NOT_KEPT = frozenset({"secrets"})


class Reference(NamedTuple):
    """An expression, the pointer of the text it stands in, the names known there, and the number of its task."""

    at: str
    expression: Expression
    names: frozenset[str]
    number: int | None


class Gathering:
    """Compile expressions, and keep those that are sound in `references`; the others are problems."""

    def __init__(self, limits: Limits, findings: Findings) -> None:
        self._limits, self._findings = limits, findings
        self.references: list[Reference] = []

    def scan(self, value: Any, at: str, names: frozenset[str], number: int | None = None) -> None:
        """Take the expressions out of a value at any depth."""
        template, errors = expressions.scan(value, self._limits)
        for below, expression in template.expressions if template else ():
            self.references.append(Reference(at + below, expression, names, number))
        self._note(errors, at)

    def whole(self, value: Any, at: str, what: str, names: frozenset[str], number: int | None = None) -> None:
        """Take the expressions out of a value that, if it is a text, has to be a single one."""
        if isinstance(value, str):
            template, errors = expressions.scan(value, self._limits)
            if not errors and not (template is not None and template.is_whole):
                message = f"{what} must be {_WHOLE[what]}, or a text that is one ${{{{ }}}}, not {quoted(value)}"
                hint = f'Write "${{{{ {value} }}}}".' if not template and value.isprintable() else None
                self._findings.add("bad_value", message, at, hint)
        self.scan(value, at, names, number)

    def condition(self, text: str, at: str, names: frozenset[str], number: int | None = None) -> None:
        """Take a text that is CEL."""
        try:
            self.references.append(Reference(at, expressions.compile_text(text, self._limits), names, number))
        except ExpressionError as error:
            self._note([error], at)

    def _note(self, errors: Iterable[ExpressionError], at: str) -> None:
        for wrong in errors:
            message = f"{wrong.message}, in {quoted(wrong.expression)}"
            self._findings.add(wrong.problem, message, at + wrong.pointer, wrong.hint)


_WHOLE = {"items": "a list, an object", "foreach": "a list", "state": "an object"}
