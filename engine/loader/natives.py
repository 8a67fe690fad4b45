"""Judge what is particular about tasks of the engine's own types: documents inside a document, and approvals.

Their fields were judged by their schemas before. Called by `tasks`.
"""

import json
from typing import Any

from engine import expressions, schemas
from engine.loader import checks
from engine.loader.checks import RefusedError, refuse_at
from engine.loader.declarations import MOST_PATTERNS
from engine.loader.terms import Terms
from engine.model import APPROVAL_TYPE, WORKFLOW_TYPE, Inner, Workflow
from engine.problems import Findings, escape, meant, pointer, quoted


def judge(name: str, fields: dict[str, Any], at: str, terms: Terms, findings: Findings) -> Inner | None:
    """Judge the fields of a task of a type of the engine's own, and take a document inside them out."""
    if name == APPROVAL_TYPE:
        _approval(fields, at, findings)
    if name == WORKFLOW_TYPE and isinstance(fields.get("workflow"), dict):
        return _inner(fields, at, terms, findings)
    return None


def _inner(fields: dict[str, Any], at: str, terms: Terms, findings: Findings) -> Inner | None:
    document = fields.pop("workflow")
    inside = f"{at}/workflow"
    if terms.depth >= terms.limits.workflow_depth:
        message = f"documents stand in each other more than {terms.limits.workflow_depth} deep"
        findings.add("workflow_depth", message, inside, "Raise the limit workflow_depth.")
        return None
    # Before it is judged, which takes it apart; a text that half a character stands in is a problem already.
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    with findings.moved(lambda below, *, is_key: (inside + below, is_key)):
        workflow = terms.judge(document, terms._replace(depth=terms.depth + 1), findings)
    if workflow is None:
        return None
    if isinstance(fields.get("params", {}), dict):
        _params(workflow, fields, at, findings)
    return Inner(workflow, data)


def _params(workflow: Workflow, fields: dict[str, Any], at: str, findings: Findings) -> None:
    """Hold what a document is given against what it declares; values with expressions are not known yet."""
    given = fields.get("params", {})
    for name in given.keys() - workflow.params.keys():
        hint = meant(name, workflow.params) or "Declare it under params of the document inside."
        message = f"the document inside has no parameter {quoted(name)}"
        findings.add("param_unknown", message, f"{at}/params/{escape(name)}", hint, at_key=True)
    for name, param in workflow.params.items():
        if name not in given:
            if param.is_required:
                message = f"the document inside requires the parameter {quoted(name)}"
                place = f"{at}/params" if "params" in fields else at
                findings.add("param_missing", message, place, param.description or None)
            continue
        for found in schemas.declared(param.schema).violations(given[name], expressions.holds):
            message = f"the parameter {quoted('.'.join(map(str, (name, *found.path))))} {found.message}"
            findings.add("param_invalid", message, f"{at}/params{pointer((name, *found.path))}")


def _approval(fields: dict[str, Any], at: str, findings: Findings) -> None:
    within, form = fields.get("within"), fields.get("form")
    if isinstance(within, str | int | float) and not isinstance(within, bool) and not expressions.holds(within):
        try:
            checks.span(within)
        except RefusedError as refused:
            refuse_at(f"{at}/within", "within", refused, findings)
    if not isinstance(form, dict) or expressions.holds(form):
        return
    if schemas.patterns(form) > MOST_PATTERNS:
        findings.add("bad_value", f"form must hold at most {MOST_PATTERNS} regular expressions", f"{at}/form")
        return
    try:
        schema = schemas.declared(form)
    except ValueError as error:
        findings.add("invalid_field", f"the form is not a JSON Schema: {error}", f"{at}/form")
        return
    for found in schema.violations(fields["data"], expressions.holds) if "data" in fields else ():
        what = quoted(".".join(map(str, ("data", *found.path))))
        findings.add("invalid_field", f"{what} {found.message}", f"{at}/data{pointer(found.path)}")
