"""The task types that are the engine's own: `workflow` and `approval`, described as a plugin describes itself.

No plugin runs them and they hold no worker; the run itself knows what they mean. A plugin cannot take their names.
Whoever judges documents or shows task types adds them with `beside`.
"""

from typing import Any

from engine.model import APPROVAL_TYPE, WORKFLOW_TYPE
from engine.task import Catalogue, TaskType

_WORKFLOW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "workflow": {
            "type": ["string", "object"],
            "minLength": 1,
            "examples": ["nightly-report"],
            "description": "Name of a known workflow, path of a document, or the document itself, written out.",
        },
        "params": {"type": "object", "description": "Parameters of its run, by name."},
        "wait": {
            "type": "boolean",
            "default": True,
            "description": "Whether the task lasts as long as that run; if not, it completes with the id of the run.",
        },
    },
    "required": ["workflow"],
    "additionalProperties": False,
}
_APPROVAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "message": {
            "type": "string",
            "minLength": 1,
            "examples": ["Release?"],
            "description": "What the person who decides has to know.",
        },
        "form": {"type": "object", "description": "JSON Schema of the data that an approval has to bring."},
        "within": {
            "type": ["number", "string"],
            "description": "How long to wait for a decision, as a duration; without it, for ever.",
        },
        "on_timeout": {
            "enum": ["reject", "approve"],
            "default": "reject",
            "description": "What it counts as when nobody decided in time.",
        },
        "data": {"description": "Data of the form that count where an approval brings none."},
    },
    "required": ["message"],
    "additionalProperties": False,
}


def task_types() -> dict[str, TaskType]:
    """Return the engine's own task types by name."""
    workflow = "Run another workflow, and complete with its output."
    approval = "Wait for a person to approve or reject, and complete with what was said."
    return {
        WORKFLOW_TYPE: _described(WORKFLOW_TYPE, workflow, _WORKFLOW),
        APPROVAL_TYPE: _described(APPROVAL_TYPE, approval, _APPROVAL),
    }


def beside(catalogue: Catalogue) -> Catalogue:
    """Return a catalogue of plugins with the engine's own task types in it."""
    return Catalogue(dict(sorted({**catalogue.types, **task_types()}.items())), catalogue.broken)


def _described(name: str, description: str, schema: dict[str, Any]) -> TaskType:
    return TaskType(
        type=name,
        description=description,
        required_fields=tuple(schema["required"]),
        param_schema=schema,
        fields=tuple(schema["properties"]),
        is_builtin=True,
    )
