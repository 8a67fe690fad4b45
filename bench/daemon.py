"""The daemon as its own process: from drop to accepted, many files at once, lateness of schedules, idle load, READY.

Absolute times beside a baseline taken in the same minutes where one says something: a bare commit, one file alone.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DOCUMENT = json.dumps({"tasks": [{"id": "a", "type": "print", "message": ""}]})


class Mill:
    """A daemon in a folder of its own."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder, self.inbox, self.state = folder, folder / "inbox", folder / "var"
        self.inbox.mkdir(exist_ok=True)
        self.config = folder / "dropmill.toml"
        self.config.write_text(
            f'[paths]\ninbox = "{self.inbox}"\nstate = "{self.state}"\nlogs = "{self.state}/log"\n'
            f'workflows = ["{folder}"]\n[executor]\nworkers = 2\n[log]\nlevel = "warning"\n{settings}'
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[float]:
        """Run it and yield the seconds it took to be READY, as it told its service manager."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self.folder / "notify"))
            manager.settimeout(60)
            begin = time.perf_counter()
            self.process = subprocess.Popen(  # noqa: S603 -- our own program
                [Path(sys.executable).parent / "dropmill", "--config", str(self.config), "serve"],
                env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in manager.recv(4096):
                pass
            ready = time.perf_counter() - begin
            try:
                yield ready
            finally:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait()
                (self.folder / "notify").unlink()

    def drop(self, name: str) -> float:
        """Drop a file by rename and return the wall time just before."""
        fresh = self.inbox / f".{name}.tmp"
        fresh.write_text(DOCUMENT)
        moment = time.time()
        fresh.rename(self.inbox / f"{name}.json")
        return moment

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Look into the daemon's memory from outside; each look sees what is committed by then."""
        place = f"file:{self.state / 'state.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True, isolation_level=None)) as memory:
            yield memory

    def ask(self, query: str) -> list[tuple[float, ...]]:
        """Read from the daemon's memory."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state / 'state.db'}?mode=ro", uri=True)) as memory:
            return memory.execute(query).fetchall()

    def wait(self, query: str, count: int) -> None:
        """Wait until a count in the memory has come."""
        while self.ask(query)[0][0] < count:
            time.sleep(0.02)


ENDED = "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL"


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 2),
    }


def drop_latency(count: int = 200) -> dict[str, object]:
    """Drop renamed-in files one by one at rest; from the rename until another process can read the run, and its start.

    Seen from outside: a time that the daemon stamps on a row is taken before the commit that makes it durable.
    """
    accepted, started = [], []
    with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
        mill = Mill(Path(folder))
        with mill.running(), mill.open() as memory:
            for number in range(count):
                moment = mill.drop(f"f{number:04}")
                accepted.append(_seen(memory, "SELECT count(*) FROM runs", number + 1)[-1][0] - moment)
                started.append(_seen(memory, "SELECT count(*) FROM attempts", number + 1)[-1][0] - moment)
                mill.wait(ENDED, number + 1)
    return {"accepted": percentiles(accepted), "started": percentiles(started)}


def _seen(memory: sqlite3.Connection, query: str, count: int) -> list[tuple[float, int]]:
    """Ask for a count until it has come; return every look that saw it grow, as (wall time, count)."""
    looks = [(0.0, -1)]
    while looks[-1][1] < count:
        found = memory.execute(query).fetchone()[0]
        if found > looks[-1][1]:
            looks.append((time.time(), found))
        else:
            time.sleep(0.0002)
    return looks[1:]


def many_files(counts: tuple[int, ...] = (100, 1000, 10_000)) -> dict[str, object]:
    """Drop many files at once; seconds a file until all have ended and are filed, beside the smallest count."""
    found: dict[str, object] = {}
    first = 0.0
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
            mill = Mill(Path(folder))
            with mill.running():
                begin = time.perf_counter()
                for number in range(count):
                    mill.drop(f"f{number:05}")
                while len(os.listdir(mill.inbox / "done")) < 2 * count:  # noqa: PTH208 -- a count, ten times a second
                    time.sleep(0.1)
                each = (time.perf_counter() - begin) / count
        first = first or each
        found[str(count)] = {"ms_a_file": round(each * 1e3, 3), "beside_the_first": round(each / first, 2)}
    return found


def schedules(counts: tuple[int, ...] = (1000, 10_000)) -> dict[str, object]:
    """Let many schedules be due at the same second; how late half, and 99 of 100, of their runs could be read."""
    found: dict[str, object] = {}
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
            due = int(time.time()) + 8 + count // 1000
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
            settings = "".join(
                f'[[schedules]]\nname = "s{number}"\nworkflow = "nap"\nat = "{moment}"\n' for number in range(count)
            )
            (Path(folder) / "nap.json").write_text(DOCUMENT)
            mill = Mill(Path(folder), settings)
            with mill.running() as ready, mill.open() as memory:
                looks = _seen(memory, "SELECT count(*) FROM runs", count)
        late = {
            f"p{share}_ms": round((next(at for at, seen in looks if seen * 100 >= count * share) - due) * 1e3, 1)
            for share in (50, 99)
        }
        found[str(count)] = late | {"ready_s": round(ready, 2)}
    return found


def idle(seconds: float = 20.0) -> dict[str, object]:
    """Leave a daemon alone; its share of one core and its memory (PSS), all processes together."""
    with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
        mill = Mill(Path(folder))
        with mill.running() as ready:
            time.sleep(3)
            pids = _tree(mill.process.pid)
            before = sum(map(_cpu, pids))
            time.sleep(seconds)
            spent = sum(map(_cpu, pids)) - before
            memory = sum(map(_pss, pids))
    return {
        "ready_s": round(ready, 3),
        "cpu_percent": round(spent / seconds * 100, 3),
        "pss_mb": round(memory / 1024, 1),
        "processes": len(pids),
    }


def history(runs: int = 1_000_000) -> dict[str, object]:
    """Start on a long history; seconds to READY, and how long `dropmill runs` and `show` take beside an empty one."""
    with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
        mill = Mill(Path(folder))
        with mill.running() as empty:
            mill.drop("first")
            mill.wait(ENDED, 1)
        with contextlib.closing(sqlite3.connect(mill.state / "state.db")) as memory:
            names = ", ".join(row[1] for row in memory.execute("PRAGMA table_info(runs)") if row[1] not in ("pk", "id"))
            copy = f"INSERT INTO runs (id, {names}) SELECT printf('%026d', ?), {names} FROM runs WHERE pk = 1"  # noqa: S608 -- names of columns, from the database itself
            task = (
                "INSERT INTO tasks SELECT ?, key, position, type, state, attempt, reason, message, started_at,"
                " ended_at, due_at, memo, output, output_ref, instance, instances, is_warned"
                " FROM tasks WHERE run_pk = 1"
            )
            memory.execute("DROP INDEX IF EXISTS runs_by_claim")
            memory.executemany(copy, ((number,) for number in range(2, runs + 1)))
            memory.executemany(task, ((number,) for number in range(2, runs + 1)))
            memory.execute("CREATE UNIQUE INDEX runs_by_claim ON runs (id, claim) WHERE claim IS NOT NULL")
            memory.commit()
        found: dict[str, object] = {"ready_empty_s": round(empty, 3)}
        with mill.running() as ready:
            found["ready_s"] = round(ready, 3)
            for words in (["runs"], ["runs", "--state", "FAILED"], ["show", "last"]):
                begin = time.perf_counter()
                program = [Path(sys.executable).parent / "dropmill", "--config", str(mill.config), *words]
                subprocess.run(program, check=True, capture_output=True)  # noqa: S603 -- our own program
                found["_".join(words)] = round(time.perf_counter() - begin, 3)
    return found


def _tree(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(below for child in children for below in _tree(child))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def measure() -> dict[str, object]:
    """Measure all of it and print a line each."""
    found: dict[str, object] = {}
    for name, take in (
        ("idle", idle),
        ("drop", drop_latency),
        ("files", many_files),
        ("schedules", schedules),
        ("history", history),
    ):
        found[name] = take()
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
