"""What stands beside a filed document: the result of its run, or why there is none, as bytes that never vary.

The same claim gives the same bytes in every life of the daemon, so that a note begun before a crash is known again.
"""

from collections.abc import Sequence

import msgspec

from engine.errors import Problem
from engine.views import RunView


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """Say why a dropped file leads to no run of its own; `run` names the first run where it is a duplicate."""

    code: str
    message: str
    problems: tuple[Problem, ...] = ()
    hint: str | None = None
    run: str | None = None


class _ErrorFile(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    hint: str | None
    file: str
    claim: str
    run: str | None
    problems: tuple[Problem, ...]


def error(complaint: Complaint, file: str, claim: str) -> bytes:
    """Write what NAME.error.json holds; `file` is the name as it is shown."""
    return _indented(
        _ErrorFile(
            code=complaint.code,
            message=complaint.message,
            hint=complaint.hint,
            file=file,
            claim=claim,
            run=complaint.run,
            problems=complaint.problems,
        )
    )


def result(run: RunView) -> bytes:
    """Write what NAME.result.json holds: the run as `dropmill show --json` prints it."""
    return _indented(run)


def results(runs: Sequence[RunView]) -> bytes:
    """Write what NAME.result.jsonl holds: the run of each request, one a line, in their order."""
    return b"".join(msgspec.json.encode(run) + b"\n" for run in runs)


def counted(problems: Sequence[Problem]) -> str:
    """Say how many problems there are, and the first of them."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{count}: {problems[0]}" if problems else count


def _indented(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
