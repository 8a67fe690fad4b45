"""Documents written in another way than as a list of `tasks`: recognised, and made into the canonical object.

One module a dialect, with two functions; `DIALECTS` lists them. What a document means is judged afterwards, by
`document`, the same for all: a dialect says only what it cannot translate, and where each part came from.
"""

from typing import Any

from engine.limits import Limits
from engine.loader.dialects.translation import Dialect, Translation
from engine.loader.document import judge
from engine.model import Workflow
from engine.problems import Findings
from engine.task import Catalogue

__all__ = ["DIALECTS", "Dialect", "Translation", "judge_any"]

DIALECTS: tuple[Dialect, ...] = ()


def judge_any(
    document: Any, catalogue: Catalogue, limits: Limits, findings: Findings, dialects: tuple[Dialect, ...] = DIALECTS
) -> Workflow | None:
    """Judge a document in whatever dialect; problems get pointers into it as it was written."""
    dialect = _dialect_of(document, dialects)
    if dialect is None:
        return judge(document, catalogue, limits, findings)
    before = findings.count
    translation = dialect.translate(document, findings)
    with findings.moved(translation.place):
        workflow = judge(translation.document, catalogue, limits, findings)
    return workflow if findings.count == before else None


def _dialect_of(document: Any, dialects: tuple[Dialect, ...]) -> Dialect | None:
    if not isinstance(document, dict):
        return None
    return next((dialect for dialect in dialects if dialect.recognise(document)), None)
