"""The task type `shell`: runs a program, hands on what it printed, logs it line by line while it runs.

It reads the fields, makes the environment, keeps the output and judges the exit code; `child` runs the program. The
operator's settings are `allow_command` and `inherit` (further names of the environment that programs see).
"""

import errno
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from engine.task import fail
from plugins._parts.child import OUT, Child
from plugins._parts.printed import Echo, Kept, Tail
from plugins._parts.settings import read

_logger = logging.getLogger(__name__)

TASK_TYPE = "shell"
DESCRIPTION = "Run a program and hand on what it prints, as text, lines or JSON."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []
_MAX_OUTPUT = 1024 * 1024
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "argv": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "examples": [["echo", "hello"]],
            "description": "The program and its arguments; no shell reads them. Either this or `command`.",
        },
        "command": {
            "type": "string",
            "minLength": 1,
            "description": "A line for /bin/sh; needs the setting `allow_command = true`. Never write an expression "
            'into it: hand values over in `env` and quote them there, as in `"$NAME"`.',
        },
        "cwd": {"type": "string", "minLength": 1, "description": "Folder it runs in; without it the worker's."},
        "env": {
            "type": "object",
            "description": "Environment by name, over PATH, HOME, USER, LOGNAME, SHELL, LANG, LANGUAGE, LC_*, TZ, "
            "TMPDIR, what the setting `inherit` names, and DROPMILL_RUN_ID, DROPMILL_TASK_ID, DROPMILL_ATTEMPT, "
            "DROPMILL_IDEMPOTENCY_KEY; a value that is not text is written as JSON.",
        },
        "stdin": {"description": "What it reads: text as it is, any other value as JSON; without it nothing."},
        "expect_exit": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": 255},
            "minItems": 1,
            "default": [0],
            "description": "Exit codes that are a success; 128 + N where signal N ended it.",
        },
        "stdout": {
            "enum": ["text", "lines", "json", "none"],
            "default": "text",
            "description": "What becomes of its standard output: text without the line breaks at its end, a list of "
            "lines, parsed JSON, or null.",
        },
        "max_output": {
            "type": "integer",
            "minimum": 0,
            "default": _MAX_OUTPUT,
            "description": "How much of its standard output is kept, in bytes. Longer text is cut, and its last line "
            "says so; longer JSON fails the task.",
        },
    },
    # One of the two, said so that the problem names the field that is missing or too much.
    "if": {"not": {"required": ["command"]}},
    "then": {"required": ["argv"]},
    "dependentSchemas": {"argv": {"properties": {"command": False}}},
    "additionalProperties": False,
}

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
_SIGNALLED = 128
SETTINGS: dict[str, Any] = {"allow_command": False, "inherit": []}


def run(task: dict[str, Any]) -> bool:
    """Run the program and set the output to what it printed; fail on an exit code that is not expected."""
    settings = read(task, SETTINGS)
    argv, env = _argv(task, settings), _environment(task, settings)
    feed = _text("stdin", task["stdin"]).encode() if "stdin" in task else None
    kept, tail, echoes = Kept(task.get("max_output", _MAX_OUTPUT)), Tail(), (Echo(sys.stdout), Echo(sys.stderr))

    def hear(stream: str, data: bytes) -> None:
        (kept if stream == OUT else tail).add(data)
        echoes[stream != OUT].add(data)

    child = Child(feed, hear)
    try:
        _start(child, argv, task.get("cwd"), env)
        code = child.wait()
    finally:
        child.end()
        for echo in echoes:
            echo.end()
    _judge(code, task.get("expect_exit", [0]), str(tail))
    task["output"] = _output(kept, task.get("stdout", "text"))
    return True


def _argv(task: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    if ("argv" in task) == ("command" in task):
        fail("give either `argv` or `command`")
    if "argv" in task:
        argv = task["argv"]
        if not isinstance(argv, list) or not argv or not all(isinstance(part, str) for part in argv):
            fail("`argv` must be a list of texts, the program first; a number is written in quotes")
        if not argv[0]:
            fail("`argv` begins with an empty text; the first is the program")
        return [_whole("argv", part) for part in argv]
    if not settings["allow_command"]:
        fail("`command` is not allowed; use `argv`, or let the operator set `allow_command = true` in [plugins.shell]")
    return ["/bin/sh", "-c", _whole("command", task["command"])]


def _environment(task: dict[str, Any], settings: dict[str, Any]) -> dict[str, str]:
    inherited = {*_INHERITED, *settings["inherit"]}
    env = {name: value for name, value in os.environ.items() if name in inherited or name.startswith("LC_")}
    run_id, task_id = str(task.get("run", "")), str(task.get("id", ""))
    env |= {
        "DROPMILL_RUN_ID": run_id,
        "DROPMILL_TASK_ID": task_id,
        "DROPMILL_ATTEMPT": str(task.get("attempt", 1)),
        "DROPMILL_IDEMPOTENCY_KEY": f"{run_id}/{task_id}",
    }
    for name, value in (task.get("env") or {}).items():
        if not name or "=" in name:
            fail(f"`env` holds the name {name!r}; a name is not empty and has no `=`")
        env[_whole("env", name)] = _whole(f"env.{name}", _text(f"env.{name}", value))
    return env


def _text(field: str, value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        fail(f"`{field}` cannot be written as UTF-8: {error.reason}")
    return text


def _whole(field: str, text: str) -> str:
    if "\0" in text:
        fail(f"`{field}` holds a NUL character, which no program can be handed")
    return _text(field, text)


def _start(child: Child, argv: list[str], cwd: str | None, env: dict[str, str]) -> None:
    if cwd is not None and not Path(_whole("cwd", cwd)).is_dir():
        fail(f"there is no folder {cwd!r} to run in (`cwd`)")
    try:
        child.start(argv, cwd, env)
    except OSError as error:
        fail(_why_not(argv[0], cwd, env.get("PATH", os.defpath), error))


def _why_not(program: str, cwd: str | None, search: str, error: OSError) -> str:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        found = Path(cwd or ".", program).exists() if "/" in program else shutil.which(program, path=search)
        if found:
            return f"the program {program!r} cannot start: the interpreter its first line names does not exist"
        return f"there is no program {program!r}" + ("" if "/" in program else f" in {search}")
    if error.errno == errno.EACCES:
        return f"{program!r} may not be run: it is not an executable file (chmod +x)"
    if error.errno == errno.ENOEXEC:
        return f"{program!r} is no program; a script needs a first line such as #!/bin/sh"
    if error.errno == errno.E2BIG:
        return f"the arguments and the environment for {program!r} are too long; hand large values over in `stdin`"
    return f"the program {program!r} cannot start: {error.strerror}"


def _judge(code: int, expected: list[int], tail: str) -> None:
    # The number a shell gives: who runs the same program through /bin/sh sees the same.
    number = code if code >= 0 else _SIGNALLED - code
    if number in expected:
        return
    what = f"it ended with exit code {code}" if code >= 0 else f"it was ended by {_signal_name(-code)}"
    wanted = "" if expected == [0] else f" (expected: {', '.join(map(str, expected))})"
    fail(f"{what}{wanted}" + (f": {tail}" if tail else ""), reason="exit_code", exit_code=number)


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _output(kept: Kept, form: str) -> Any:
    if form != "none" and kept.notice:
        _logger.warning("%s", kept.notice)
    match form:
        case "none":
            return None
        case "lines":
            return kept.lines()
        case "json":
            return _json(kept)
        case _:
            return kept.text()


def _json(kept: Kept) -> Any:
    try:
        return kept.json()
    except ValueError as error:
        fail(f"its standard output is not JSON: {error}")
