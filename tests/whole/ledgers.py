"""Reads the ledger that tasks of the type `ledger` write outside of everything the daemon owns."""

from pathlib import Path
from typing import NamedTuple

RECORD_BYTES = 64
PLUGINS = Path(__file__).parent / "ledger"


class Entry(NamedTuple):
    """Say that an attempt came to a point: `begin`, `asked` to end, or `end`."""

    run: str
    task: str
    attempt: int
    phase: str


def read(path: Path) -> list[Entry]:
    """Return all entries in the order in which they were made."""
    data = path.read_bytes() if path.exists() else b""
    assert len(data) % RECORD_BYTES == 0, f"{path} holds a torn record"
    records = (data[at : at + RECORD_BYTES].decode().split() for at in range(0, len(data), RECORD_BYTES))
    return [Entry(run, task, int(attempt), phase) for run, task, attempt, phase in records]


def check_alone(entries: list[Entry]) -> None:
    """Check that attempts of a task follow one another: each begins once, with a higher number, after all before."""
    last: dict[tuple[str, str], int] = {}
    for entry in entries:
        key = (entry.run, entry.task)
        if entry.phase == "begin":
            assert entry.attempt > last.get(key, 0), f"{entry} came after attempt {last[key]}"
            last[key] = entry.attempt
        else:
            assert entry.attempt == last[key], f"{entry} came after attempt {last[key]} had begun"
