"""Task types, prepared for many tasks: schemas compiled once a document, and the field names that were found good.

Called by `tasks`, for the documents inside a document too.
"""

from typing import Any

from engine import natives
from engine.model import ENGINE_TYPES
from engine.schemas import Schema
from engine.task import BrokenPlugin, Catalogue, TaskType


class Kind:
    """One task type; raises ValueError where its schema is none."""

    def __init__(self, known: TaskType) -> None:
        """Compile its schema."""
        self.name, self.required, self.source = known.type, frozenset(known.required_fields), known.source
        self.declared = self.required | frozenset(known.fields or ())
        self.schema = None if known.param_schema is None else Schema(known.param_schema)
        self.good: set[str] = set()
        self.is_native = known.type in ENGINE_TYPES

    def fits(self, fields: dict[str, Any]) -> bool:
        """Tell whether there is nothing to say about these fields: so for nearly every task."""
        return (
            self.good.issuperset(fields)
            and self.required.issubset(fields)
            and (self.schema is None or self.schema.fits(fields))
        )


class Kinds:
    """The task types of a catalogue and the engine's own; without a catalogue, every type there could be."""

    def __init__(self, catalogue: Catalogue | None) -> None:
        """Compile nothing yet."""
        self._is_open = catalogue is None
        known = natives.beside(catalogue or Catalogue())
        self.types: dict[str, TaskType] = known.types
        self.broken: tuple[BrokenPlugin, ...] = known.broken
        self.known: dict[str, Kind] = {}

    def meet(self, name: str) -> Kind | None:
        """Return a task type that no task before had; None where there is none.

        Raises ValueError where its schema is none.
        """
        described = self.types.get(name)
        if self._is_open and name not in ENGINE_TYPES:
            described = TaskType(type=name)
        if described is None:
            return None
        kind = self.known[name] = Kind(described)
        return kind
