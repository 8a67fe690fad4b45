"""Expressions in documents: `${{ ... }}` in fields and bare CEL in `when`. Pure.

The rooms, lowest first: `words` (the language as data), `syntax` (what an expression names), `paths` (ways into a
scope), `cost` (how much work it may take), `complaints` (the library errs, in plain words), `program` (one expression,
compiled and evaluated), `template` (values with expressions in them). `plan` compiles with it, `run` evaluates.
"""

from engine.errors import ExpressionError
from engine.expressions.program import Expression, compile_text, evaluate, evaluate_condition
from engine.expressions.template import Template, find, holds, scan
from engine.expressions.words import FUNCTIONS, MACROS, NAMES, SEMANTICS, TASK_NAMES

__all__ = [
    "FUNCTIONS",
    "MACROS",
    "NAMES",
    "SEMANTICS",
    "TASK_NAMES",
    "Expression",
    "ExpressionError",
    "Template",
    "compile_text",
    "evaluate",
    "evaluate_condition",
    "find",
    "holds",
    "scan",
]
