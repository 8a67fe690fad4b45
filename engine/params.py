"""The parameters of a submission: what is given, checked against what the workflow declares, with defaults filled in.

Pure. Called by `intake` for every submission, and by the command line for `--param name=text`.
"""

import json
from collections.abc import Mapping
from typing import Any

from engine import schemas, strictjson
from engine.errors import ParamsInvalidError, Problem
from engine.limits import Limits
from engine.model import Param, Workflow
from engine.problems import escape, meant, pointer, quoted


def resolve(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every declared parameter, in the order of the declaration.

    Raises ParamsInvalidError with all that is unknown, missing or unfit, at pointers such as `/day`.
    """
    problems = _problems(workflow, given)
    if problems:
        raise ParamsInvalidError(problems, f"of {workflow.name}")
    return {name: given.get(name, param.default) for name, param in workflow.params.items()}


def from_text(workflow: Workflow, given: Mapping[str, str]) -> dict[str, Any]:
    """Read parameters given as texts: as JSON where the declaration asks for something else than a text.

    What is not JSON stays a text, and `resolve` says that it does not fit. A parameter without `type` is the text where
    that fits, and JSON otherwise.
    """
    return {name: _read(workflow.params.get(name), text) for name, text in given.items()}


def _read(param: Param | None, text: str) -> Any:
    if param is None:
        return text
    wanted = param.schema.get("type", "string")
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if "string" in kinds and schemas.declared(param.schema).fits(text):
        return text
    value, problems = strictjson.parse(text.encode("utf-8", "replace"), Limits())
    return text if problems or (kinds == ["string"] and "type" in param.schema) else value


def _problems(workflow: Workflow, given: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name in given:
        if name not in workflow.params:
            hint = meant(name, workflow.params) or _listed(workflow)
            message = f"the workflow has no parameter {quoted(name)}"
            problems.append(Problem(code="param_unknown", message=message, pointer=f"/{escape(name)}", hint=hint))
    for name, param in workflow.params.items():
        if name in given:
            problems += _misfits(name, param, given[name])
        elif param.is_required:
            message = f"the parameter {quoted(name)} is missing, and has no default"
            problems.append(Problem(code="param_missing", message=message, hint=param.description or None))
    return problems


def _listed(workflow: Workflow) -> str:
    return f"It has {', '.join(workflow.params)}." if workflow.params else "It declares none."


def _misfits(name: str, param: Param, value: Any) -> list[Problem]:
    schema = schemas.declared(param.schema)
    found = [(violation.path, violation.message) for violation in schema.violations(value)]
    if not found:
        found = [((), f"is not JSON: {reason}") for reason in _not_json(value)]
    return [
        Problem(
            code="param_invalid",
            message=f"the parameter {quoted('.'.join(map(str, (name, *path))))} {message}",
            pointer=pointer((name, *path)),
            hint=param.description or None,
        )
        for path, message in found
    ]


def _not_json(value: Any) -> list[str]:
    """Say why a value could not be written down and read again: NaN, half a character, an integer beyond 64 bits."""
    try:
        data = json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return [str(error)]
    return [problem.message for problem in strictjson.parse(data, Limits())[1][:1]]
