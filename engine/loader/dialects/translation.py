"""What a dialect is, and what it makes of a document: the canonical object, and where its parts were written.

Called by the modules of the dialects and by `judge_any`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.problems import Findings


class Translation(NamedTuple):
    """Hold a document as a canonical object, which is the judge's to take apart, and where it came from.

    `origins` leads from pointers into it to pointers into the document as written; what stands below one of them keeps
    the rest of its pointer, and the longest counts. `keys` are those pointers of `origins` whose value was written as a
    key: the id in `{"steps": {"fetch": {}}}`, at `/steps/fetch`.
    """

    document: dict[str, Any]
    origins: Mapping[str, str]
    keys: frozenset[str] = frozenset()

    def place(self, at: str, *, is_key: bool) -> tuple[str, bool]:
        """Return where that was written which has this pointer here, and whether it is a key there."""
        known, below = at, ""
        while known and known not in self.origins:
            known, _, part = known.rpartition("/")
            below = f"/{part}{below}"
        written = self.origins.get(known, "")
        return written + below, is_key or (not below and known in self.keys)


class Dialect(NamedTuple):
    """Know a way to write documents.

    `recognise` looks at the keys of the object and takes no other dialect's document, nor one with `tasks`.
    `translate` never raises: it notes in the findings, at pointers into the document as written, what it cannot
    translate, and goes on with the rest, or returns None where that makes no sense. It copies what it changes: the
    document is still somebody's.
    """

    name: str
    recognise: Callable[[dict[str, Any]], bool]
    translate: Callable[[dict[str, Any], Findings], Translation | None]
