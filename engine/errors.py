"""Every error a person can meet, as one tree; each class has a stable `code` and says what to do.

DropmillError
├── InputError                     exit 2: what was handed in cannot be used
│   ├── DocumentInvalidError       a workflow document or request, with all its problems
│   ├── ParamsInvalidError         the parameters of a submission, with all their problems
│   ├── ConfigInvalidError         the configuration, with all its problems
│   ├── ScheduleInvalidError       when a schedule is due cannot be read, with all its problems
│   ├── ExpressionError            an expression that cannot be read, or not be computed
│   ├── WorkflowUnknownError       no workflow has this name
│   ├── ScheduleUnknownError       no schedule has this name
│   ├── RunUnknownError            no run has this id
│   ├── RunAmbiguousError          more than one run's id starts like this
│   ├── TaskUnknownError           the run has no such task
│   ├── NotWaitingError            what was to be decided waits for nobody
│   ├── DecisionInvalidError       data of an approval that do not fit its form, with all their problems
│   └── RunNotEndedError / RunEndedError / RunNotBegunError
├── StateError                     exit 1: the memory cannot be trusted or written
│   ├── StateBusyError             somebody else owns the state folder
│   ├── StoreLostError             a write could not be made durable
│   ├── RunsLostError              somebody else changed runs that this process owns
│   ├── StoreCorruptError          the database is damaged
│   └── StoreTooNewError           written by a newer version
├── BackendError                   exit 1: worker processes cannot be started
├── ExecutorStoppedError           exit 4: it takes no more requests
├── DaemonAbsentError              exit 3: no daemon answers
└── DaemonRefusedError             exit 4: the daemon said no
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

_SHOWN = 80  # characters of an expression that are shown in a message
_NAMED = 5  # tasks that are named in a message


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Describe one thing that is wrong with an input: what, where, and what to do about it.

    `pointer` is a JSON pointer (RFC 6901) into the document as written; `line` and `column` count from 1.
    """

    code: str
    message: str
    pointer: str = ""
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """Write it on one line, as the command line shows it."""
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        # A pointer is made of keys as somebody wrote them: they may hold line breaks and escapes for terminals.
        signs = (sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in self.pointer)
        where = f" (at {''.join(signs)})" if self.pointer else ""
        return f"{place}{self.message}{where}" + (f". {self.hint}" if self.hint else "")


class DropmillError(Exception):
    """Root of the tree; `code` is stable, `exit_status` is what the command line ends with."""

    code: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = 1


class InputError(DropmillError):
    """What was handed in cannot be used."""

    code = "invalid"
    exit_status = 2


class _ProblemsError(InputError):
    what: ClassVar[str] = "the input"
    verb: ClassVar[str] = "has"

    def __init__(self, problems: Sequence[Problem], source: str | None = None) -> None:
        self.problems = tuple(problems)
        self.source = source
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        name = f"{self.what} {source}" if source else self.what
        super().__init__(f"{name} {self.verb} {count}: " + "; ".join(str(problem) for problem in self.problems[:5]))


class DocumentInvalidError(_ProblemsError):
    """A workflow document or request that cannot be run, with all its problems."""

    code = "document_invalid"
    what = "the workflow document"


class ParamsInvalidError(_ProblemsError):
    """Parameters that the workflow does not accept, with all their problems."""

    code = "params_invalid"
    what = "the parameters"
    verb = "have"


class DecisionInvalidError(_ProblemsError):
    """Data of an approval that do not fit its form, with all their problems."""

    code = "decision_invalid"
    what = "the data of the approval"


class ConfigInvalidError(_ProblemsError):
    """A configuration that cannot be used, with all its problems."""

    code = "config_invalid"
    what = "the configuration"


class ScheduleInvalidError(_ProblemsError):
    """An expression, bound or time zone of a schedule that cannot be used, with all its problems."""

    code = "schedule_invalid"
    what = "the schedule expression"


class ExpressionError(InputError):
    """An expression that cannot be read, or not be computed from the values at hand.

    `problem` is the code it has in a list of problems, `name` what is missing where something is; `pointer` says in
    which field it stands (set by whoever knows the field).
    """

    code = "expression"

    def __init__(
        self,
        message: str,
        expression: str,
        *,
        problem: str = "expression_name",
        name: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.expression, self.problem, self.name, self.hint = message, expression, problem, name, hint
        self.pointer = ""

    def __str__(self) -> str:
        """Say the field, what is wrong, and in which expression."""
        field = f"{self.pointer}: " if self.pointer else ""
        return f"{field}{self.message} (in {self.expression[:_SHOWN]}{'...' if len(self.expression) > _SHOWN else ''})"


class WorkflowUnknownError(InputError):
    """No workflow has this name."""

    code = "workflow_unknown"

    def __init__(self, name: str, near: str | None = None) -> None:
        hint = f"; did you mean {near!r}?" if near else "; `dropmill workflows` lists the known ones"
        super().__init__(f"no workflow is called {name!r}{hint}")
        self.name = name


class ScheduleUnknownError(InputError):
    """No schedule has this name."""

    code = "schedule_unknown"

    def __init__(self, name: str, near: str | None = None) -> None:
        hint = f"; did you mean {near!r}?" if near else "; `dropmill schedules` lists the known ones"
        super().__init__(f"no schedule is called {name!r}{hint}")
        self.name = name


class RunUnknownError(InputError):
    """No run has this id."""

    code = "run_unknown"

    def __init__(self, run: str) -> None:
        super().__init__(f"no run has the id {run!r}; `dropmill runs` lists them")
        self.run = run


class RunAmbiguousError(InputError):
    """More than one run's id starts or ends like this."""

    code = "run_ambiguous"

    def __init__(self, run: str, matches: Sequence[str]) -> None:
        super().__init__(f"{run!r} fits {len(matches)} runs ({', '.join(matches[:3])} ...); give more of the id")
        self.run, self.matches = run, tuple(matches)


class TaskUnknownError(InputError):
    """The run has no such task."""

    code = "task_unknown"

    def __init__(self, run: str, task: str, near: str | None = None) -> None:
        super().__init__(f"run {run} has no task {task!r}" + (f"; did you mean {near!r}?" if near else ""))
        self.run, self.task = run, task


class RunNotEndedError(InputError):
    """What was asked needs a run that has ended."""

    code = "run_not_ended"
    exit_status = 4

    def __init__(self, run: str, state: str) -> None:
        super().__init__(f"run {run} is {state}; wait until it has ended or cancel it first")
        self.run, self.state = run, state


class RunEndedError(InputError):
    """What was asked needs a run that has not ended."""

    code = "run_ended"
    exit_status = 4

    def __init__(self, run: str, state: str) -> None:
        super().__init__(f"run {run} has already ended ({state})")
        self.run, self.state = run, state


class NotWaitingError(InputError):
    """What was to be decided waits for nobody; `waiting` are the tasks of the run that do."""

    code = "not_waiting"
    exit_status = 4

    def __init__(self, run: str, task: str, state: str, waiting: Sequence[str]) -> None:
        more = len(waiting) - _NAMED
        named = ", ".join(waiting[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        others = f"; what waits in this run: {named}" if waiting else "; nothing in this run does"
        super().__init__(f"task {task} of run {run} is {state} and does not wait for a person{others}")
        self.run, self.task, self.state, self.waiting = run, task, state, tuple(waiting)


class RunNotBegunError(InputError):
    """What was asked needs a run that has begun."""

    code = "run_not_begun"
    exit_status = 4

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} has not begun; wait until it has, or cancel it")
        self.run = run


class StateError(DropmillError):
    """The memory cannot be trusted or written."""

    code = "state"


class StateBusyError(StateError):
    """Somebody else owns the state folder."""

    code = "state_busy"

    def __init__(self, folder: str, owner: str) -> None:
        super().__init__(f"the state folder {folder} is in use by {owner}; stop that first or use another --config")
        self.folder, self.owner = folder, owner


class StoreLostError(StateError):
    """A write could not be made durable; nothing after it is acknowledged."""

    code = "store_lost"

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"the database could not be written ({detail}); free disk space or repair it, then start again"
        )
        self.detail = detail


class RunsLostError(StateError):
    """Somebody else changed runs that this process owns; memory and disk disagree."""

    code = "runs_lost"

    def __init__(self, runs: Sequence[str]) -> None:
        names = ", ".join(runs[:3])
        super().__init__(f"another process changed {len(runs)} live runs ({names}); start again to take them up")
        self.runs = tuple(runs)


class StoreCorruptError(StateError):
    """The database is damaged."""

    code = "store_corrupt"

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"the database {path} is damaged ({detail}); restore a backup, or move it away to start empty")
        self.path, self.detail = path, detail


class StoreTooNewError(StateError):
    """The database was written by a newer version."""

    code = "store_too_new"

    def __init__(self, found: str) -> None:
        super().__init__(f"the database has revision {found}, which this version does not know; install the newer one")
        self.found = found


class BackendError(DropmillError):
    """Worker processes cannot be started or kept."""

    code = "backend"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the worker processes cannot be started: {detail}")
        self.detail = detail


class ExecutorStoppedError(DropmillError):
    """It is stopping and takes no more requests."""

    code = "stopping"
    exit_status = 4

    def __init__(self) -> None:
        super().__init__("it is stopping and takes no more requests; try again when it runs")


class DaemonAbsentError(DropmillError):
    """No daemon answers."""

    code = "daemon_absent"
    exit_status = 3

    def __init__(self, where: str, owner: str = "") -> None:
        if owner:
            super().__init__(f"{owner} does not answer at {where}: it starts or stops; call again in a moment")
        else:
            super().__init__(f"no daemon answers at {where}; start one with `dropmill serve`")
        self.where = where


class DaemonRefusedError(DropmillError):
    """The daemon said no."""

    code = "daemon_refused"
    exit_status = 4

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
