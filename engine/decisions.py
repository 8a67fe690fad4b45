"""What a person decides about a task that waits for them: judged, before the run hears of it, by what the task asks.

Pure. Called by the executor, in whose thread nobody else can decide at the same time; what follows is the run's.
"""

from typing import Any

import msgspec

from engine import schemas, strictjson
from engine.errors import DecisionInvalidError, NotWaitingError, Problem, TaskUnknownError
from engine.facts import Decided
from engine.limits import Limits
from engine.problems import nearest, pointer
from engine.run import Question, Run

_EMPTY = "Fill it in: --data JSON of the command, `data` over the API."


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Say yes or no, who and why; `data` fills in the form, None is what the task has for it."""

    is_approved: bool
    actor: str = ""
    note: str = ""
    data: Any = None


def decided(run: Run, task: str, decision: Decision) -> Decided:
    """Make a decision about a task of a run into the fact that the run hears.

    Raises TaskUnknownError, NotWaitingError, or as `judge`.
    """
    question = run.question(task)
    if question is not None:
        return judge(task, question, decision)
    states = {key: state for key, state, *_ in run.states()}
    if task not in states:
        raise TaskUnknownError(run.key, task, nearest(task, states))
    raise NotWaitingError(run.key, task, states[task], [key for key, _ in run.questions()])


def judge(task: str, question: Question, decision: Decision) -> Decided:
    """Make a decision into a fact; what is rejected needs no form.

    Raises DecisionInvalidError with every problem where an approval does not fill it in as asked.
    """
    data = question.data if decision.data is None else decision.data
    _check_json(task, decision)
    if decision.is_approved and question.form is not None:
        try:
            form = schemas.declared(question.form)
        except ValueError as error:
            message = f"the form of the task is no JSON Schema: {error}"
            raise DecisionInvalidError([Problem(code="form_schema", message=message)], task) from None
        problems = [
            Problem(
                code="form_invalid",
                message=f"the data {found.message}",
                pointer=pointer(found.path),
                hint=_EMPTY if data is None else None,
            )
            for found in form.violations(data)
        ]
        if problems:
            raise DecisionInvalidError(problems, task)
    return Decided(task, decision.is_approved, decision.actor, decision.note, msgspec.json.encode(data))


def _check_json(task: str, decision: Decision) -> None:
    """Refuse what could not be written down: half a character, or what only Python has."""
    try:
        said = msgspec.json.encode([decision.actor, decision.note, decision.data])
    except (TypeError, ValueError, RecursionError) as error:
        raise DecisionInvalidError([Problem(code="form_invalid", message=f"it is not JSON: {error}")], task) from None
    _, problems = strictjson.parse(said, Limits())
    if problems:
        message = f"it is not JSON as it is taken here: {problems[0].message}"
        raise DecisionInvalidError([Problem(code="form_invalid", message=message)], task)
