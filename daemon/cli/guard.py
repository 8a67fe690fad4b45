"""The outermost guard: whatever a command raises becomes one sentence on stderr and an exit status.

2 for input that cannot be used, 3 for no daemon, 4 for one that refused, 130 for Ctrl-C, 141 where nobody reads on, 1
for the rest. An error nobody foresaw leaves its traceback in a file, or on stderr with --debug. Called by `main`.
"""

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.invocation import Invocation
from daemon.cli.output import ReaderGoneError
from daemon.cli.text import Styled

INTERRUPTED = 130
_FAILED, _INVALID = 1, 2
_READER_GONE = 141  # what a shell shows for a program that SIGPIPE ended
_STANDARD_STREAMS = (0, 1, 2)
TRACEBACKS = "cli-errors.log"


def call(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit status; see `daemon.cli.main`."""
    invocation = Invocation()
    _fill_gaps()
    _be_lenient()
    try:
        return _run(arguments, invocation)
    except Exception as error:
        return _explain(error, invocation)


def _run(arguments: Sequence[str] | None, invocation: Invocation) -> int:
    from daemon.cli.application import application

    try:
        status = application.main(arguments, prog_name="dropmill", standalone_mode=False, obj=invocation)
        invocation.out.flush()
    except click.ClickException as error:
        error.show()
        return _INVALID
    except click.Abort:
        return INTERRUPTED
    except ReaderGoneError:
        return _READER_GONE
    return status or 0


def _fill_gaps() -> None:
    """Open standard streams that the caller has closed, or a file of ours would take their number, and their output."""
    for descriptor in _STANDARD_STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _be_lenient() -> None:
    """Let no character that the terminal's encoding lacks end a command."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # not every stream has it


def _explain(error: Exception, invocation: Invocation) -> int:
    from engine.errors import DropmillError

    err = invocation.err
    if invocation.wants_traceback:
        traceback.print_exception(error)
    with contextlib.suppress(ReaderGoneError):
        if isinstance(error, DropmillError):
            from daemon.cli.problems import complain

            complain(err, error)
            return error.exit_status
        if isinstance(error, OSError):
            what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            err.line(Styled("error: ", "bad"), what)
        else:
            where = "" if invocation.wants_traceback else f"; the traceback is in {_record(error, invocation)}"
            err.line(Styled("internal error: ", "bad"), f"{type(error).__name__}: {error}{where}; please report it")
    return _FAILED


def _record(error: Exception, invocation: Invocation) -> Path:
    """Append the traceback to a file of ours, or write a new one in the temporary folder, and return where."""
    text = "".join(traceback.format_exception(error))
    config = invocation.read_config
    if config is not None:
        path = config.paths.logs / TRACEBACKS
        with contextlib.suppress(OSError):
            _append(path, text)
            return path
    descriptor, name = tempfile.mkstemp(prefix="dropmill-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _append(path: Path, text: str) -> None:
    from engine.clock import rfc3339, wall

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{rfc3339(wall())} dropmill {' '.join(sys.argv[1:])}\n{text}\n")
