"""What a torture has done so far, in a file: one line of JSON a batch, so that it can be taken up again."""

from pathlib import Path
from typing import Any

import msgspec

from tests.torture.part import Tally


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Say what became of a batch."""

    part: str
    seed: int
    number: int
    seconds: float
    tally: Tally


class Sum(msgspec.Struct, kw_only=True):
    """Hold what all batches of a part come to."""

    cases: int = 0
    next: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    violations: list[str] = msgspec.field(default_factory=list)


class Record:
    """Append entries to a file and read them back; the first line names seed and version."""

    def __init__(self, file: Path, head: dict[str, Any]) -> None:
        """Take up the file if it is there (its head then holds), else begin it."""
        self._file = file
        if file.exists():
            lines = file.read_bytes().splitlines()
            self.head: dict[str, Any] = msgspec.json.decode(lines[0])
            self.entries = [msgspec.json.decode(line, type=Entry) for line in lines[1:]]
        else:
            self.head, self.entries = head, []
            file.write_bytes(msgspec.json.encode(head) + b"\n")

    def add(self, entry: Entry) -> None:
        """Keep what became of a batch."""
        self.entries.append(entry)
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")

    def sum(self, part: str) -> Sum:
        """Add up the batches of a part."""
        total = Sum()
        for entry in self.entries:
            if entry.part == part:
                total.cases += entry.tally.cases
                total.next = max(total.next, entry.number + 1)
                total.seconds += entry.seconds
                total.violations += [
                    f"seed {entry.seed}, batch {entry.number}: {one}" for one in entry.tally.violations
                ]
                for name, count in entry.tally.counts.items():
                    total.counts[name] = total.counts.get(name, 0) + count
        return total
