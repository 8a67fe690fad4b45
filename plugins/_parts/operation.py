"""What one transform is: its function beside the JSON Schema of its options.

`rows`, `values`, `figures`, `dates` and `lists` declare them; `transforms` looks them up and prints their schemas.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Options = dict[str, Any]
Schema = dict[str, Any]


class Operation(NamedTuple):
    """Describe one transform; options that are not in `optional` must be given."""

    apply: Callable[[Any, Options], Any]
    description: str
    options: dict[str, Schema]
    optional: frozenset[str] = frozenset()

    @property
    def required(self) -> list[str]:
        """List the options that must be given."""
        return [name for name in self.options if name not in self.optional]

    def schema(self, name: str) -> Schema:
        """Write the JSON Schema of this transform as an element of `transforms`."""
        return {
            "type": "object",
            "title": name,
            "description": self.description,
            "properties": {"type": {"const": name}, **self.options},
            "required": ["type", *self.required],
            "additionalProperties": False,
        }


def path(description: str) -> Schema:
    """Write the schema of a dotted path."""
    return {"type": "string", "minLength": 1, "maxLength": 256, "description": description}


def paths(description: str) -> Schema:
    """Write the schema of one dotted path or a list of them."""
    one = {"type": "string", "minLength": 1, "maxLength": 256}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}], "description": description}


def each_path(options: Options, name: str = "field") -> list[str]:
    """Return an option made with `paths` as a list."""
    given = options[name]
    return [given] if isinstance(given, str) else given
