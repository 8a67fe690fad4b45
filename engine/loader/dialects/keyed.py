"""`steps` as an object by id, each with `type`, `depends_on` and `input`, which holds the fields of its task type.

Data of the tasks it depends on reaches a task as it always does: as its inputs. Called by `judge_any`.
"""

from typing import Any

from engine.loader.dialects.draft import Draft, Words
from engine.loader.dialects.translation import Dialect, Translation
from engine.problems import Findings

_OWN = ("steps", "id")
_WORDS = Words("input", others={"config": "input", "task_type": "type", "dependencies": "depends_on"})


def _recognise(document: dict[str, Any]) -> bool:
    return isinstance(document.get("steps"), dict) and "tasks" not in document and "nodes" not in document


def _translate(document: dict[str, Any], findings: Findings) -> Translation:
    draft = Draft(document, findings)
    draft.take_keys(_OWN)
    if "id" in document and "name" in document:
        draft.note("conflict", "id says again what name says", "/id", "Keep one of the two.", at_key=True)
    elif "id" in document:
        draft.document["name"] = document["id"]
        draft.came_from("/name", "/id")
    draft.take_tasks("steps", _WORDS)
    return draft.done()


KEYED = Dialect("steps by id", _recognise, _translate)
