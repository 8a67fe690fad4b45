"""What a document is judged under, beside itself; handed on, one deeper, to the documents inside it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.limits import Limits
from engine.loader.kinds import Kinds
from engine.model import Workflow
from engine.problems import Findings


class Terms(NamedTuple):
    """Hold task types, limits, the sizes of the pools there are (None: unknown), and how deep the document stands.

    `judge` is what judges a document inside another, in whatever dialect.
    """

    kinds: Kinds
    limits: Limits
    judge: Callable[[Any, "Terms", Findings], Workflow | None]
    pools: Mapping[str, int] | None = None
    depth: int = 1
