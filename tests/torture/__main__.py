"""Torture: `python -m tests.torture [--scale S] [--seed N] [--resume FILE] [--only a,b] [--minutes M] [--write]`.

Carries out every part batch by batch until its goal times `scale` is reached (`--minutes` ends it earlier), says how
far it is, and prints what it came to; `--write` puts that into RELIABILITY.md. Exit status 1 for any violation.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from tests.components import missing
from tests.torture import parts
from tests.torture.part import Part, Tally
from tests.torture.record import Entry, Record
from tests.torture.report import table, write

ROOT = Path(__file__).parents[2]
_SHOWN = 2000


class Torture:
    """Carry out parts, lane beside lane."""

    def __init__(self, record: Record, scale: float, ends_at: float) -> None:
        self._record, self._scale, self._ends_at = record, scale, ends_at
        self._lock = threading.Lock()

    def carry_out(self, chosen: list[Part]) -> None:
        """Return when every part has reached its goal or the time is over."""
        lanes: dict[str, list[Part]] = {}
        for part in chosen:
            lanes.setdefault(part.lane, []).append(part)
        threads = [threading.Thread(target=self._lane, args=(members,), daemon=True) for members in lanes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def goal(self, part: Part) -> int:
        """Return how many cases of a part are wanted."""
        return max(1, round(part.goal * self._scale))

    def _lane(self, members: list[Part]) -> None:
        for part in members:
            goal = self.goal(part)
            while (done := self._record.sum(part.name)).cases < goal and time.monotonic() < self._ends_at:
                entry = self._batch(part, done.next, min(part.batch, goal - done.cases))
                with self._lock:
                    self._record.add(entry)
                    reached = self._record.sum(part.name)
                    trouble = f", {len(reached.violations)} violations" if reached.violations else ""
                    say(f"{part.name}: {reached.cases} of {goal} {part.unit} in {reached.seconds:.0f} s{trouble}")
                if not entry.tally.cases:
                    break  # it cannot get on; the violation says why

    def _batch(self, part: Part, number: int, count: int) -> Entry:
        seed = int(self._record.head["seed"])
        command = [sys.executable, "-m", "tests.torture.batch", part.name, str(seed), str(number), str(count)]
        started = time.monotonic()
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            said, _ = child.communicate(timeout=part.timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            said, _ = child.communicate()
            said += f"\nit took longer than {part.timeout_seconds:g} s".encode()
        tally = _read(said)
        return Entry(part=part.name, seed=seed, number=number, seconds=time.monotonic() - started, tally=tally)


def _read(said: bytes) -> Tally:
    """Return the tally of a batch; one that did not come to its end is a violation."""
    last = said.rstrip().rpartition(b"\n")[2]
    try:
        return msgspec.json.decode(last, type=Tally)
    except msgspec.DecodeError:
        return Tally(cases=0, violations=[f"the batch broke off: {said[-_SHOWN:].decode(errors='replace')}"])


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Carry out what is asked for and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="multiply every goal")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--resume", type=Path, help="a file to take up, or to begin")
    parser.add_argument("--only", default="", help="names of parts, with commas")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--write", action="store_true", help="put the results into RELIABILITY.md")
    given = parser.parse_args(arguments)
    file = given.resume or Path(f"torture-{given.seed}.jsonl")
    record = Record(file, {"seed": given.seed, "version": _version(), "began": time.strftime("%Y-%m-%d %H:%M")})
    names = [name for name in given.only.split(",") if name] or list(parts.MODULES)
    chosen = [parts.load(name) for name in names]
    left_out = {part.name: lacking for part in chosen if (lacking := missing(part.needs))}
    torture = Torture(record, given.scale, time.monotonic() + given.minutes * 60)
    say(f"seed {record.head['seed']}, version {record.head['version']}, record in {file}")
    torture.carry_out([part for part in chosen if part.name not in left_out])
    shown = table(chosen, record, torture.goal, left_out)
    say(shown)
    if given.write:
        write(ROOT / "RELIABILITY.md", shown)
    return 1 if any(record.sum(part.name).violations for part in chosen) else 0


def _version() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, check=False)
    return done.stdout.decode().strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
