"""Power cuts: a daemon works on a disk that remembers, and goes on with what cuts at many moments leave of it.

A case is a cut. A batch records one daemon under load and cuts that record at several moments: most of them beside a
flush, or right after something was acknowledged. What must then hold is known, since acknowledgements, and the ledger
that tasks keep, stand between the writes of the disk (`tests/whole/disk.py`). Everything mounted is seen, and kept,
by this process and those it starts alone: it goes when they go.
"""

import contextlib
import ctypes
import http.client
import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.torture.part import Batch, Part, Tally
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.disk import Disk, Mode, Record, mount
from tests.whole.mill import LAST_FOLDERS, Mill, mills, names_in

_CLONE_NEWNS, _MS_REC_PRIVATE = 0x20000, 0x4000 | 0x40000
_MARKS_A_LIFE = 60
_PAUSE_SECONDS = 0.03
_MARKS = ("submitted", "ended", "dropped", "filed")
SETTINGS = """
[limits]
max_lost = 1000
"""


class Producer(threading.Thread):
    """Submit, drop and look until told to stop; place among the disk's records what was acknowledged or seen."""

    def __init__(self, mill: Mill, disk: Disk, seed: str) -> None:
        super().__init__(name="producer", daemon=True)
        self._mill, self._disk, self._random, self._numbers = mill, disk, random.Random(f"producer {seed}"), count(1)
        self.documents: dict[str, dict[str, Any]] = {}
        self.dropped: dict[str, bytes] = {}
        self.is_over = threading.Event()
        self.failure: BaseException | None = None
        self.noted = 0
        self._open: list[str] = []
        self._filed: set[str] = set()

    def run(self) -> None:
        try:
            while not self.is_over.wait(self._random.expovariate(1 / _PAUSE_SECONDS)):
                self._random.choice((self._submit, self._drop, self._drop, self._look))()
        except BaseException as error:  # shown by `finish`
            self.failure = error

    def finish(self) -> None:
        """Stop; raise what went wrong."""
        self.is_over.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def _note(self, *words: str) -> None:
        self._disk.note(*words)
        self.noted += 1

    def _document(self) -> dict[str, Any]:
        script = self._random.choice((["ok"], ["ok"], ["fail", "ok"], ["fail"], ["later", "ok"]))
        document = self._mill.chain(
            self._random.choice((1, 2, 3)), seconds=self._random.choice((0, 0.01)), script=script
        )
        return document | {"defaults": {"retry": {"max_retries": 1, "delay": 0.01}}}

    def _submit(self) -> None:
        key = f"key-{next(self._numbers)}"
        self.documents[key] = self._document()
        with contextlib.suppress(OSError, http.client.HTTPException):
            body = {"workflow": self.documents[key], "idempotency_key": key}
            status, answer = self._mill.ask("POST", "/api/v1/runs", body)
            if status in (200, 201):
                self._note("submitted", key, answer["id"])
                self._open.append(answer["id"])

    def _drop(self) -> None:
        name = f"file-{next(self._numbers)}.json"
        document = self._document() if self._random.random() < 0.9 else b"{"  # now and then a broken one
        self.dropped[name] = document if isinstance(document, bytes) else _text(document)
        self._mill.drop(name, self.dropped[name])
        self._note("dropped", name)

    def _look(self) -> None:
        """Note ends that the API tells and files that stand in their last folder."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            for run in self._open[:3]:
                status, answer = self._mill.ask("GET", f"/api/v1/runs/{run}")
                if status == 200 and answer["ended_at"]:  # found
                    self._note("ended", run, answer["state"])
                    self._open.remove(run)
        for folder in LAST_FOLDERS:
            for name in sorted(names_in(self._mill.inbox / folder) & self.dropped.keys() - self._filed):
                self._filed.add(name)
                self._note("filed", name, folder)


def record(mill: Mill, disk: Disk, seed: str) -> Producer:
    """Let a daemon work under load until much was acknowledged, with a second life halfway; the disk remembers."""
    mill.inbox.mkdir(mode=0o750)
    os.sync()
    disk.note("begun")
    producer = Producer(mill, disk, seed)
    producer.start()
    for _ in range(2):
        mill.launch()
        wanted = producer.noted + _MARKS_A_LIFE
        wait_for(partial(_has_noted, producer, mill, wanted), f"a daemon under load; {mill.words()}", 120)
        mill.kill()
    producer.finish()
    return producer


def _has_noted(producer: Producer, mill: Mill, wanted: int) -> bool:
    process = mill.process
    assert process is not None
    assert process.poll() is None, f"the daemon ended by itself with {process.returncode}: {mill.words()}"
    assert producer.failure is None, producer.failure
    return producer.noted >= wanted


def moment(records: Sequence[Record], draws: random.Random) -> int:
    """Draw after how many records the cut comes, not before the load has begun."""
    begun = next(number for number, each in enumerate(records) if each.words[0] == "begun") + 1
    kind = draws.choice(("anywhere", "flush", "flush", "mark", "mark"))
    wanted = [n for n in range(begun, len(records)) if _is_kind(records[n], kind)] or [len(records) - 1]
    at = draws.choice(wanted)
    return at + draws.choice((0, 1)) if kind == "flush" else at + 1


def _is_kind(record_: Record, kind: str) -> bool:
    return (kind == "anywhere") or (record_.is_flush if kind == "flush" else record_.words[0] in _MARKS)


def judge(mill: Mill, producer: Producer, before: Sequence[Record]) -> None:
    """Look at what the cut left, let a daemon go on with it, and check that all that had been told still holds.

    Raises AssertionError.
    """
    told = {kind: [each.words[1:] for each in before if each.words[0] == kind] for kind in _MARKS}
    mill.ledger_path.write_bytes(_ledger(before))
    witnesses = []
    with _looked_at(mill):
        if (mill.state / "state.db").exists() and checker.has_memory(mill):
            _check_rows(mill, told)
            witnesses = [checker.witness(mill)]
        else:
            assert not told["submitted"], "the database is gone"
            assert not told["filed"], "the database is gone"
    mill.start()
    for key, run in told["submitted"]:
        again = mill.submit(producer.documents[key], key)
        assert again == run, f"{key} was acknowledged as run {run} and is now {again}"
    mill.wait_for_quiet(60)
    there = {name for folder in LAST_FOLDERS for name in names_in(mill.inbox / folder)}
    known = {name for (name,) in told["dropped"]} | (there & producer.dropped.keys())
    mill.dropped = {name: producer.dropped[name] for name in known}
    checker.check(mill, tuple(witnesses))
    for name, folder in told["filed"]:
        assert name in names_in(mill.inbox / folder), f"{name} stood in {folder}/ before the cut"
    assert mill.stop() == 0, mill.words()
    assert mill.processes() == []


def _check_rows(mill: Mill, told: dict[str, list[tuple[str, ...]]]) -> None:
    states = dict(mill.rows("SELECT id, state FROM runs"))
    for key, run in told["submitted"]:
        assert run in states, f"{key} was acknowledged as run {run}, which is lost"
    for run, state in told["ended"]:
        assert states.get(run) == state, f"run {run} had ended as {state} and is {states.get(run)}"
    query = "SELECT json_extract(trigger, '$.file'), state FROM runs WHERE trigger_type = 'inbox'"
    files = dict(mill.rows(query))
    for name, folder in told["filed"]:
        if folder in ("done", "failed"):
            found = files.get(name)
            assert found is not None, f"{name} stood in {folder}/, and its run is lost"
            assert (found == "COMPLETED") == (folder == "done"), f"{name} stood in {folder}/, its run is {found}"


def _ledger(before: Sequence[Record]) -> bytes:
    """Return what tasks had written down by then, as `tests/whole/ledgers.py` reads it."""
    entries = [each.words for each in before if each.words[0] not in {"write", "flush", "begun", *_MARKS}]
    lines = [f"{run:<26} {task:<24} {attempt:>4} {phase:<6}\n" for run, task, attempt, phase in entries]
    return "".join(lines).encode()


@contextlib.contextmanager
def _looked_at(mill: Mill) -> Iterator[None]:
    """Let a mill's database be read in a copy: a reader changes what a cut leaves beside it."""
    state, mill.state = mill.state, mill.ledger_path.parent / "looked-at"
    shutil.rmtree(mill.state, ignore_errors=True)
    mill.state.mkdir()
    for path in state.glob("state.db*") if state.exists() else ():
        if not path.name.endswith("-shm"):  # it means nothing after a cut
            shutil.copy(path, mill.state)
    try:
        if (mill.state / "state.db").exists():
            _settle(mill.state / "state.db")
        yield
    finally:
        mill.state = state


def _settle(base: Path) -> None:
    """Let SQLite take up what stands in the log beside a database, as the daemon will."""
    with contextlib.closing(sqlite3.connect(base)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def alone() -> None:
    """Let what this process mounts be seen by it and its children only, and go with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "unshare")


def _carry_out(batch: Batch) -> Tally:
    alone()
    tally = Tally(cases=0)
    draws = random.Random(batch.draws)
    disk = Disk(batch.folder)
    with mills() as folder:
        disk.mount(folder)
        mill = Mill(folder / "m", SETTINGS)
        mill.ledger_path = disk.log
        try:
            producer = record(mill, disk, batch.draws)
        finally:
            mill.close()
            disk.unmount(folder)
        records = disk.records()
        tally.counts = {
            "writes": sum(each.is_write for each in records),
            "flushes": sum(each.is_flush for each in records),
        }
        for _ in range(batch.count):
            at, mode = moment(records, draws), draws.choice(list(Mode))
            _cut(mill, disk, producer, records[:at], mode, draws, tally)
            tally.cases += 1
            tally.counts[f"cuts that leave {mode} of what was not flushed"] = (
                tally.counts.get(f"cuts that leave {mode} of what was not flushed", 0) + 1
            )
    return tally


def _cut(
    mill: Mill, disk: Disk, producer: Producer, before: list[Record], mode: Mode, draws: random.Random, tally: Tally
) -> None:
    folder = mill.folder.parent
    mount(disk.cut(before, mode, draws), folder)
    try:
        judge(mill, producer, before)
        tally.counts["acknowledged"] = tally.counts.get("acknowledged", 0) + sum(
            each.words[0] in _MARKS for each in before
        )
    except (AssertionError, OSError) as error:
        tally.violations.append(f"cut after {len(before)} records, {mode}: {str(error)[:1500]}")
    finally:
        mill.close()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


PART = Part(
    name="power cuts",
    unit="cuts",
    promise="After a power cut at any moment all that was acknowledged is there, and is done once, to the end.",
    goal=300,
    batch=10,
    lane="troubles",
    carry_out=_carry_out,
    needs=("disks",),
)
