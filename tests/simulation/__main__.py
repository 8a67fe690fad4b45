"""Play histories: `python -m tests.simulation SEED [COUNT]`. Prints each, and shrinks the first that fails.

With `--json` one line of JSON a history, for programs. `--bug` switches one of the seeded bugs on. What a seed leads to
depends on the order of sets of texts, so the hash seed is fixed: the process starts itself anew if it is not.
"""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec

from tests.simulation.bugs import BUGS
from tests.simulation.course import Course, draw
from tests.simulation.shrinking import shrink
from tests.simulation.world import Result, play


def main(arguments: list[str]) -> int:
    """Do what is asked for; 1 if a history failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--bug", choices=BUGS, help="switch a seeded bug on")
    parser.add_argument("--course", type=Path, help="play the history in this file, as printed by a shrink")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--until-violation", action="store_true", help="stop at the first history that fails")
    given = parser.parse_args(arguments)
    if given.course is not None:
        courses = iter([msgspec.json.decode(given.course.read_bytes(), type=Course)])
    else:
        courses = (draw(seed, given.days) for seed in range(given.seed, given.seed + given.count))
    failed: tuple[Course, Result] | None = None
    with BUGS[given.bug]() if given.bug else contextlib.nullcontext():
        for course in courses:
            began = time.process_time()
            result = play(course)
            _show(course, result, time.process_time() - began, is_json=given.json)
            if result.violations:
                failed = failed or (course, result)
                if given.until_violation or not given.json:
                    break
        if failed is not None and not given.json:
            _explain(*failed, given.bug)
    return 1 if failed else 0


def _show(course: Course, result: Result, seconds: float, *, is_json: bool) -> None:
    if is_json:
        line = {"seed": course.seed, "seconds": seconds, "replay": replay(course)} | msgspec.to_builtins(result)
        print(msgspec.json.encode(line).decode(), flush=True)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
        print(f"seed {course.seed}: {counts}; {seconds:.2f} s; trace {result.trace[:12]}", flush=True)


def replay(course: Course) -> str:
    """Return the command that plays a drawn history again."""
    days = "" if course.days == 30 else f" --days {course.days}"
    return f"python -m tests.simulation {course.seed}{days}"


def _explain(course: Course, result: Result, bug: str | None) -> None:
    print("\n".join(result.violations[:10]))
    print(f"again: {replay(course)}{f' --bug {bug}' if bug else ''}\nshrinking ...", flush=True)
    small, result = shrink(course, result, play)
    print("\n".join(result.violations[:5]))
    print(f"{len(small.events)} events, {len(small.schedules)} schedules, {small.days} days; --course takes it:")
    print(msgspec.json.encode(small).decode())


def _fix_hashes() -> None:
    if os.environ.get("PYTHONHASHSEED") != "0":
        environ = os.environ | {"PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], environ)  # noqa: S606 -- ourselves


if __name__ == "__main__":
    _fix_hashes()
    sys.exit(main(sys.argv[1:]))
