"""One attempt, inside the process that runs it: validate, call, classify, report.

Nothing that a plugin does or returns comes out of `Runner.run` as an exception but the engine's own interruption.
What the attempt says is `capture`'s, its deadline `pool`'s, its limits `worker`'s. Called by `worker` and `inline`.
"""

import contextlib
import reprlib
import resource
import sys
import traceback
from collections.abc import Mapping
from math import isfinite
from types import CoroutineType, TracebackType
from typing import Any, NamedTuple, TextIO

import msgspec

from engine.clock import ticks
from engine.limits import Limits
from engine.messages import Dispatch, Done
from engine.redaction import escape_controls, redact, redact_json
from engine.registry import Registry
from engine.runner import payload
from engine.runner.surroundings import Surroundings, Visit
from engine.states import Reason
from engine.task import FailedError, InterruptedByEngineError, LaterError

MESSAGE_CHARS = 2000
TRACE_CHARS = 100_000
_KIB = 1024
# Address space that costs nothing as long as nobody writes to it; some times what the interpreter asks for at once.
_RESERVE_BYTES = 4 * 1024 * 1024
# Beyond it no program and no database speaks of exit codes; what cannot be written would stop the executor.
_MOST_EXIT_CODE = 2**31 - 1
_OURS = __file__.removesuffix("runner/__init__.py")


class Ending(msgspec.Struct, frozen=True):
    """Say how an attempt ended, before secrets are taken out; `outcome` is the name of the fact it becomes."""

    outcome: str
    output: bytes = b"null"
    reason: Reason | None = None
    message: str = ""
    exit_code: int | None = None
    delay: float = 0.0
    trace: str = ""


class Runner:
    """Run attempts: one at a time where the process is the engine's own, in any number of threads where it is not."""

    def __init__(
        self,
        registry: Registry,
        settings: Mapping[str, Mapping[str, Any]],
        limits: Limits,
        *,
        owns_process: bool = True,
    ) -> None:
        """Take the plugins, the operator's settings for each task type, and the limits.

        In a process that is not the engine's own, environment, working directory and all else around an attempt are
        left alone.
        """
        self._registry, self._limits = registry, limits
        self._settings = {name: msgspec.json.encode(value) for name, value in settings.items() if value}
        self._surroundings = Surroundings() if owns_process else None
        # From the start, so that it is there before the limit of an attempt counts: the limit is all the attempt's.
        self._reserve: bytearray | None = bytearray(_RESERVE_BYTES)

    def run(self, dispatch: Dispatch) -> Done:
        """Run one attempt and return its report, whatever the plugin does.

        Raises InterruptedByEngineError only if that comes while the report is made.
        """
        before, stderr = _Usage.now(), sys.stderr
        if self._reserve is None:
            self._reserve = bytearray(_RESERVE_BYTES)
        around = self._surroundings or Visit()
        task: dict[str, Any] = {}
        try:
            around.enter(dispatch)
            ending = self._validate(dispatch, task)
            if ending is None:
                ending = self._classify(self._call(dispatch, task), task, around)
        except BaseException as error:  # the plugin's call, and what its values do while they are looked at
            self._reserve = None  # before the first call: it may be all the memory there is to make a report with
            ending = self._classify_error(error, task, dispatch)
        finally:
            around.leave()
        return _report(dispatch, ending, before, stderr)

    def _validate(self, dispatch: Dispatch, task: dict[str, Any]) -> Ending | None:
        """Fill the task that the plugin will see, or say why it is not called."""
        if dispatch.type not in self._registry.tasks:
            return self._missing(dispatch.type)
        fields = msgspec.json.decode(dispatch.fields)
        if problems := self._registry.problems(dispatch.type, fields):
            return Ending("Failed", reason=Reason.INVALID, message="; ".join(problems))
        settings = self._settings.get(dispatch.type)
        task |= fields
        task["id"], task["type"] = dispatch.task, dispatch.type
        task["run"], task["attempt"], task["origin"] = dispatch.run, dispatch.attempt, dispatch.origin
        task["inputs"] = {name: msgspec.json.decode(data) for name, data in dispatch.inputs.items()}
        task["timeout"] = dispatch.timeout
        task["memo"] = None if dispatch.memo == b"null" else msgspec.json.decode(dispatch.memo)
        task["settings"] = msgspec.json.decode(settings) if settings else {}
        task["output"] = None
        return None

    def _missing(self, task_type: str) -> Ending:
        broken = self._registry.broken_plugin_of(task_type)
        if broken is None:
            return Ending("Broke", reason=Reason.PLUGIN_MISSING, message=f"no plugin has the task type {task_type!r}")
        message = f"the plugin {broken.source} cannot be used: {broken.message}"
        return Ending("Broke", reason=Reason.PLUGIN_BROKEN, message=message)

    def _call(self, dispatch: Dispatch, task: dict[str, Any]) -> object:
        answer: object = self._registry.tasks[dispatch.type]["run"](task)
        return answer

    def _classify(self, answer: object, task: dict[str, Any], around: Surroundings | Visit) -> Ending:
        if answer is True:
            return self._succeeded(task)
        if answer is False:
            message = around.words.last_error() or "the plugin returned False"
            return Ending("Failed", self._kept(task), Reason.ERROR, message)
        if isinstance(answer, CoroutineType):
            answer.close()  # or Python complains that nobody awaited it
        message = f"run(task) returned {reprlib.repr(answer)} ({type(answer).__name__}); return True or False"
        return Ending("Failed", self._kept(task), Reason.BAD_OUTPUT, message)

    def _classify_error(self, error: BaseException, task: dict[str, Any], dispatch: Dispatch) -> Ending:
        if isinstance(error, InterruptedByEngineError):
            return Ending("Interrupted")
        if isinstance(error, LaterError):
            return self._deferred(error)
        if isinstance(error, FailedError):
            return self._refused(error, task)
        if isinstance(error, MemoryError):
            return _out_of_memory(error, task, dispatch.memory_limit)
        message, code = _sentence(error), None
        if isinstance(error, SystemExit):
            message = f"the plugin called sys.exit({reprlib.repr(error.code)}); return True or False instead"
            code = _exit_code(error.code)
        return Ending("Failed", self._kept(task), Reason.ERROR, message, code, trace=_trace(error))

    def _succeeded(self, task: dict[str, Any]) -> Ending:
        try:
            return Ending("Succeeded", self._encoded(task.get("output"), "output"))
        except _OutputError as error:
            return Ending("Broke", reason=error.reason, message=str(error))

    def _deferred(self, error: LaterError) -> Ending:
        seconds: object = error.seconds
        if type(seconds) not in {int, float} or not isfinite(error.seconds) or error.seconds < 0:
            message = f"later({reprlib.repr(seconds)}) was called; it takes a number of seconds, zero or more"
            return Ending("Failed", reason=Reason.BAD_OUTPUT, message=message)
        try:
            return Ending("Deferred", self._encoded(error.memo, "memo"), delay=float(error.seconds))
        except _OutputError as problem:
            return Ending("Broke", reason=problem.reason, message=str(problem))

    def _refused(self, error: FailedError, task: dict[str, Any]) -> Ending:
        code = _exit_code(error.exit_code)
        usual = Reason.ERROR if code is None else Reason.EXIT_CODE
        try:
            reason = usual if error.reason is None else Reason(error.reason)
        except ValueError:
            reason = usual
        return Ending("Failed", self._kept(task), reason, _said(error) or "the plugin failed and gave no reason", code)

    def _kept(self, task: dict[str, Any]) -> bytes:
        """Return the output of an attempt that failed: one that cannot be kept must not hide why it failed."""
        try:
            return self._encoded(task.get("output"), "output")
        except _OutputError:
            return b"null"

    def _encoded(self, value: object, name: str) -> bytes:
        try:
            data = payload.encode(value, name)
        except payload.NotJsonError as error:
            raise _OutputError(Reason.BAD_OUTPUT, str(error)) from None
        most = self._limits.output_bytes
        if len(data) > most:
            advice = "write it to a file and give back its path"
            message = f"the {name} is {len(data):,} bytes, the limit is {most:,} (limits.output_bytes); {advice}"
            raise _OutputError(Reason.OUTPUT_TOO_LARGE, message)
        return data


class _OutputError(Exception):
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Usage(NamedTuple):
    """What this process and the children it has waited for have taken so far, in seconds and KiB."""

    ticks: float
    cpu: float
    memory: int
    memory_of_children: int

    @classmethod
    def now(cls) -> "_Usage":
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        return cls(ticks(), cpu, own.ru_maxrss, children.ru_maxrss)


def _report(dispatch: Dispatch, ending: Ending, before: _Usage, stderr: TextIO | None) -> Done:
    """Take the secrets out, write the traceback to the log, and say what it took."""
    secrets, output, message = dispatch.secrets, ending.output, ending.message
    if ending.trace:
        _write(stderr, _shorten(escape_controls(redact(ending.trace, secrets)), TRACE_CHARS))
    if message:
        message = _shorten(escape_controls(redact(message, secrets)), MESSAGE_CHARS)
    if secrets and output != b"null":
        output = redact_json(output, secrets)
    reason = ending.reason.value if ending.reason else ""
    after = _Usage.now()
    # The kernel keeps one high-water mark a process: this is the attempt's own only if it is the largest so far.
    memory = max(after.memory, after.memory_of_children * (after.memory_of_children > before.memory_of_children))
    return Done(
        dispatch.seq,
        ending.outcome,
        output,
        reason,
        message,
        ending.exit_code,
        ending.delay,
        after.ticks - before.ticks,
        after.cpu - before.cpu,
        memory * _KIB,
    )


def _out_of_memory(error: MemoryError, task: dict[str, Any], limit: int | None) -> Ending:
    # What filled the memory hangs on the frames and on the task; let go of it before anything else is made.
    task.clear()
    traceback.clear_frames(error.__traceback__)
    message = _sentence(error)
    if limit is None:
        return Ending("Failed", reason=Reason.ERROR, message=message, trace=_trace(error))
    message += f" (its memory limit is {limit:,} bytes)"
    return Ending("Failed", reason=Reason.MEMORY_LIMIT, message=message, trace=_trace(error))


def _said(error: BaseException) -> str:
    """Return the exception's text; its own `str` may fail, which TracebackException knows."""
    return str(traceback.TracebackException(type(error), error, None))


def _sentence(error: BaseException) -> str:
    """Write the last line of a traceback."""
    said = _said(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _trace(error: BaseException) -> str:
    """Write the traceback without our own frames at its beginning, and without any local variable."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OURS):
        frame = frame.tb_next
    with contextlib.suppress(MemoryError):  # the sentence has to be enough then
        return "".join(traceback.TracebackException(type(error), error, frame).format())
    return ""


def _write(stderr: TextIO | None, text: str) -> None:
    """Write to the standard error that the attempt began with; it may have closed it."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        if stderr is not None:
            stderr.write(text)
            stderr.flush()


def _shorten(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters left out) ... {text[-half:]}"


def _exit_code(code: object) -> int | None:
    if not isinstance(code, int) or isinstance(code, bool) or abs(code) > _MOST_EXIT_CODE:
        return None
    return int(code)
