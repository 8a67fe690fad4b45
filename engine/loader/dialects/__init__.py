"""Documents written in another way than as a list of `tasks`: recognised, and made into the canonical object.

One module a dialect, with two functions; `DIALECTS` lists them. What a document means is judged afterwards, by
`document`, the same for all: a dialect says only what it cannot translate, and where each part came from.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine.limits import Limits
from engine.loader.dialects.graph import GRAPH
from engine.loader.dialects.keyed import KEYED
from engine.loader.dialects.nodes import NODES
from engine.loader.dialects.ordered import ORDERED
from engine.loader.dialects.translation import Dialect, Translation
from engine.loader.document import judge
from engine.loader.kinds import Kinds
from engine.loader.terms import Terms
from engine.model import Workflow
from engine.problems import Findings, quoted
from engine.task import Catalogue

__all__ = ["DIALECTS", "Dialect", "Translation", "judge_any"]

DIALECTS: tuple[Dialect, ...] = (KEYED, ORDERED, GRAPH, NODES)
# What tasks are written under, one of them a document.
_TASKS = ("tasks", "steps", "nodes")
# Keys that go with nodes alone.
_LINKS = ("edges", "entry")


def judge_any(
    document: Any,
    catalogue: Catalogue | None,
    limits: Limits,
    findings: Findings,
    dialects: tuple[Dialect, ...] = DIALECTS,
    pools: Mapping[str, int] | None = None,
) -> Workflow | None:
    """Judge a document in whatever dialect; problems get pointers into it as it was written."""
    terms = Terms(Kinds(catalogue), limits, partial(_judge, dialects), pools)
    return _judge(dialects, document, terms, findings)


def _judge(dialects: tuple[Dialect, ...], document: Any, terms: Terms, findings: Findings) -> Workflow | None:
    if isinstance(document, dict) and _is_mixed(document, findings):
        return None
    dialect = _dialect_of(document, dialects)
    if dialect is None:
        return judge(document, terms, findings)
    before = findings.count
    translation = dialect.translate(document, findings)
    if translation is None:
        return None
    with findings.moved(translation.place):
        workflow = judge(translation.document, terms, findings)
    return workflow if findings.count == before else None


def _dialect_of(document: Any, dialects: tuple[Dialect, ...]) -> Dialect | None:
    if not isinstance(document, dict):
        return None
    return next((dialect for dialect in dialects if dialect.recognise(document)), None)


def _is_mixed(document: dict[str, Any], findings: Findings) -> bool:
    """Note a document that is written in two ways at once, or in half of one."""
    found = [key for key in _TASKS if key in document]
    links = [key for key in _LINKS if key in document and "nodes" not in document]
    if len(found) > 1:
        message = f"the document has {' and '.join(found)}, which are different ways to write the same"
        findings.add("incompatible", message, f"/{found[-1]}", "Keep one of them.", at_key=True)
    elif links and found:
        hint = 'With "tasks" they go into "routing".' if found == ["tasks"] else "Remove them, or write nodes."
        message = f"{links[0]} goes with nodes, and this document has {found[0]}"
        findings.add("incompatible", message, f"/{links[0]}", hint, at_key=True)
    elif "edges" in links:
        message = 'the document has edges and no "nodes" for them to lead to'
        findings.add("missing_key", message, "/edges", at_key=True)
    elif "steps" in document and not isinstance(document["steps"], list | dict):
        message = f"steps must be a list, or an object by id, not {quoted(document['steps'])}"
        findings.add("wrong_type", message, "/steps")
    else:
        return False
    return True
