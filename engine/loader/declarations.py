"""Judge what a document declares as its parameters: each a JSON Schema with `default` and `description` beside it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import UNSET

from engine import schemas
from engine.loader.checks import ID, Fault, RefusedError, refuse
from engine.model import Param
from engine.problems import escape, meant, pointer, quoted

# Draft 2020-12, without references (`schemas` says why): a misspelt one would be passed over in silence.
_KEYWORDS = frozenset({
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "maxLength", "minLength", "pattern", "format", "items", "prefixItems", "contains", "maxContains",
    "minContains", "maxItems", "minItems", "uniqueItems", "unevaluatedItems", "properties", "patternProperties",
    "additionalProperties", "propertyNames", "unevaluatedProperties", "maxProperties", "minProperties",
    "required", "dependentRequired", "dependentSchemas", "allOf", "anyOf", "oneOf", "not", "if", "then", "else",
    "title", "$comment", "$schema", "examples", "deprecated", "readOnly", "writeOnly", "contentEncoding",
    "contentMediaType", "contentSchema",
})  # fmt: skip
_OURS = ("default", "description")
_MOST_PARAMS = 1_000
# Compiling a regular expression can take 40 ms, however short it is.
MOST_PATTERNS = 200


def declare(declarations: Any) -> dict[str, Param]:
    """Read `params`.

    Raises RefusedError with every problem, at pointers below it.
    """
    if not isinstance(declarations, dict):
        raise refuse("wrong_type", f"must be an object, not {quoted(declarations)}")
    if len(declarations) > _MOST_PARAMS:
        raise refuse("bad_value", f"must declare at most {_MOST_PARAMS} parameters, not {len(declarations)}")
    if schemas.patterns(declarations) > MOST_PATTERNS:
        raise refuse("bad_value", f"must hold at most {MOST_PATTERNS} regular expressions")
    params, faults = {}, []
    for name, declaration in declarations.items():
        try:
            params[name] = _declaration(name, declaration)
        except RefusedError as refused:
            faults += [fault._replace(below=f"/{escape(name)}{fault.below}") for fault in refused.faults]
    if faults:
        raise RefusedError(*faults)
    return params


def _declaration(name: str, declaration: Any) -> Param:
    if not ID.fullmatch(name):
        message = f"{quoted(name)} is not a name: 1 to 128 letters (a to z), digits, underscores, hyphens and dots"
        raise RefusedError(Fault("bad_value", message, is_key=True))
    if not isinstance(declaration, dict):
        hint = f'Write {{"default": {quoted(declaration)}}}.' if not isinstance(declaration, list) else None
        raise refuse("wrong_type", f"the parameter {name} must be declared by an object", hint)
    faults = [_unknown(name, key) for key in declaration if key not in _KEYWORDS and key not in _OURS]
    description = declaration.get("description", "")
    if not isinstance(description, str):
        faults.append(Fault("wrong_type", f"the description of {name} must be a text", None, "/description"))
    rules = {key: value for key, value in declaration.items() if key not in _OURS}
    if not faults:
        faults += _against_default(name, rules, declaration)
    if faults:
        raise RefusedError(*faults)
    return Param(schema=rules, default=declaration.get("default", UNSET), description=description)


def _unknown(name: str, key: str) -> Fault:
    message = f"the parameter {name} has the unknown keyword {quoted(key)}"
    return Fault("unknown_key", message, partial(_known, key), f"/{escape(key)}", is_key=True)


def _known(key: str) -> str:
    near = meant(key, sorted({*_KEYWORDS, *_OURS}))
    return near or "A parameter is declared by the keywords of JSON Schema, beside default and description."


def _against_default(name: str, rules: Mapping[str, Any], declaration: Mapping[str, Any]) -> list[Fault]:
    try:
        schema = schemas.declared(dict(rules))
    except ValueError as error:
        hint = 'A parameter without "default" is required.' if rules.get("required") in (True, False) else None
        return [Fault("param_schema", f"the declaration of {name} is not a JSON Schema: {error}", hint)]
    if "default" not in declaration:
        return []
    return [
        Fault("param_default", f"the default of {name} {found.message}", None, f"/default{pointer(found.path)}")
        for found in schema.violations(declaration["default"])
    ]
