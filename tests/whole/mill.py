"""A real daemon in a folder of its own, as a user and an operator meet it: a process, folders, a socket, a database.

Everything here looks from outside: drops files, asks the socket, reads the database without writing, sends signals.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine import tree
from tests.rules.source import ROOT
from tests.waiting import wait_for
from tests.whole import ledgers
from tests.whole.ledgers import Entry

READY_SECONDS = 30.0
PROGRAM = (sys.executable, "-c", "import sys; from daemon.cli import main; sys.exit(main())")
_SETTINGS = f"""
[paths]
plugins = ["{ledgers.PLUGINS}"]
[executor]
workers = 2
grace = "300ms"
[inbox]
settle = "50ms"
[api]
enabled = false
"""
LAST_FOLDERS = ("done", "failed", "rejected", "duplicate")


class _Line(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Mill:
    """A configuration and what grows around it; daemons come and go, one after the other as a rule."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        """Write the configuration; nothing is started."""
        self.folder = folder
        self.config = folder / "etc" / "dropmill.toml"
        self.inbox, self.state = folder / "inbox", folder / "var"
        self.ledger_path = folder / "ledger"
        self.dropped: dict[str, bytes] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._notices: socket.socket | None = None
        self._address = ""
        self.config.parent.mkdir(parents=True)
        self.configure(settings)

    def configure(self, settings: str) -> None:
        """Put settings in force from the next start on; tables of ours that they name replace ours."""
        ours = _SETTINGS
        for table in ("[executor]", "[inbox]", "[api]", "[paths]"):
            if table in settings.splitlines():
                head, _, rest = ours.partition(table)
                ours = head + "".join(rest.partition("\n[")[1:])
        self.config.write_text(ours + settings)

    def launch(self, *before: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a daemon and do not wait for it; what it prints goes to the file `said`.

        `before` are words that stand before its command (strace, say).
        """
        if self._notices is not None:
            self._notices.close()
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = f"mill-{uuid.uuid4().hex}"
        self._notices.bind(f"\0{self._address}")
        self.process = self.spawn(*before, **environ)
        return self.process

    def spawn(self, *before: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a daemon beside the one that there may be; words as for `launch`."""
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [*before, *PROGRAM, "--config", str(self.config), "serve"],
                cwd=self.folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "PYTHONPATH": str(ROOT),
                    "NOTIFY_SOCKET": f"@{self._address}",
                }
                | environ,
                stdout=said,
                stderr=said,
            )

    def start(self, **environ: str) -> "Mill":
        """Start a daemon and wait until it says that it is ready."""
        self.launch(**environ)
        wait_for(self.is_ready, f"a daemon that is ready; {self.words()}", READY_SECONDS)
        return self

    def is_ready(self) -> bool:
        """Tell whether the daemon has said READY since this was last asked."""
        assert self.process is not None
        assert self._notices is not None
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}: {self.words()}"
        return self.has_said_ready()

    def has_said_ready(self) -> bool:
        """Tell whether a daemon, dead or alive, has said READY since this was last asked."""
        return any(b"READY=1" in notice for notice in self.notices())

    def notices(self) -> list[bytes]:
        """Take what the daemon has told its service manager."""
        assert self._notices is not None
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._notices.recv(4096, socket.MSG_DONTWAIT))
        return found

    def words(self) -> str:
        """Return the last that daemons have printed."""
        said = self.folder / "said"
        return said.read_text(errors="replace")[-4000:] if said.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End the daemon as by `kill -9` or a lack of memory; what it started is left alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ended(self, seconds: float = 30.0) -> int:
        """Wait for the end of the daemon and return its exit status, negative for a signal."""
        assert self.process is not None
        process = self.process
        wait_for(lambda: process.poll() is not None, f"the end of the daemon; {self.words()}", seconds)
        return process.returncode

    def stop(self, seconds: float = 30.0) -> int:
        """Ask the daemon to stop and return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended(seconds)

    def close(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.kill()
        left = tree.end_marked(self.mark, 10.0)
        assert not left, f"these cannot be ended: {left}"
        if self._notices is not None:
            self._notices.close()

    @property
    def mark(self) -> str:
        """Return what stands in the environment of every process that belongs to the state folder."""
        return f"DROPMILL_STATE={self.state}"

    def processes(self) -> list[tree.Process]:
        """List what daemons of this folder have started and what still lives."""
        return tree.marked(self.mark)

    def ask(self, method: str, path: str, body: Any = None, seconds: float = 30.0) -> tuple[int, Any]:
        """Ask the API; return status and answer. Raises OSError or HTTPException where nobody answers."""
        line = _Line(self.state / "dropmill.sock", seconds)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            line.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = line.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            line.close()

    def submit(self, document: Mapping[str, Any], key: str | None = None) -> str:
        """Submit a document and return the id of its run."""
        body = document if key is None else {"workflow": document, "idempotency_key": key}
        status, answer = self.ask("POST", "/api/v1/runs", body)
        assert status in (200, 201), (status, answer)
        return answer["id"]

    def drop(self, name: str, document: Any) -> None:
        """Drop a file as a careful producer does: beside the inbox, durable, then renamed in; and remember it."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        part = self.folder / f"part-{uuid.uuid4().hex}"
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(self.inbox / name)
        descriptor = os.open(self.inbox, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self.dropped[name] = data

    def task(self, name: str, after: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
        """Write a task that keeps the ledger."""
        return {"id": name, "type": "ledger", "ledger": str(self.ledger_path), "depends_on": list(after), **fields}

    def chain(self, length: int = 3, name: str = "chain", **fields: Any) -> dict[str, Any]:
        """Write a workflow of tasks that follow one another."""
        tasks = [self.task(f"t{n}", (f"t{n - 1}",) if n else (), **fields) for n in range(length)]
        return {"name": name, "tasks": tasks}

    def ledger(self) -> list[Entry]:
        """Return what tasks have written down."""
        return ledgers.read(self.ledger_path)

    def wait_for_begin(self, task: str, attempt: int = 1, run: str | None = None) -> Entry:
        """Wait until an attempt has begun."""

        def found() -> Entry | None:
            wanted = (task, attempt, "begin")
            return next((e for e in self.ledger() if e[1:] == wanted and run in (None, e.run)), None)

        return wait_for(found, f"attempt {attempt} of {task}; {self.words()}")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database without writing to it."""

        def read() -> tuple[list[tuple[Any, ...]]] | None:
            try:
                place = f"file:{self.state}/state.db?mode=ro"
                with contextlib.closing(sqlite3.connect(place, uri=True, timeout=30)) as base:
                    return (base.execute(query, values).fetchall(),)
            except sqlite3.OperationalError as error:
                # A reader that may not write cannot open what its last owner is closing at this very moment.
                if "unable to open" not in str(error):
                    raise
                return None

        return wait_for(read, "the database to be open or closed")[0]

    def run(self, key: str) -> dict[str, Any]:
        """Ask the daemon for a run."""
        status, answer = self.ask("GET", f"/api/v1/runs/{key}")
        assert status == 200, answer
        return answer

    def wait_for_end(self, key: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait for the end of a run and return it."""
        query = "SELECT state FROM runs WHERE id = ? AND ended_at IS NOT NULL"
        wait_for(lambda: self.rows(query, key), f"the end of run {key}; {self.words()}", seconds)
        return self.run(key)

    def is_quiet(self) -> bool:
        """Tell whether every run has ended and no file lies in the inbox or is claimed."""
        if self.rows("SELECT 1 FROM runs WHERE ended_at IS NULL LIMIT 1"):
            return False
        if self.rows("SELECT 1 FROM claims WHERE settled_at IS NULL LIMIT 1"):
            return False
        claimed = names_in(self.inbox / ".claimed")
        return not claimed and names_in(self.inbox) <= {".claimed", *LAST_FOLDERS}

    def wait_for_quiet(self, seconds: float = 60.0) -> None:
        """Wait until nothing is left to do."""
        wait_for(self.is_quiet, f"quiet; {self.words()}", seconds)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call `dropmill` on this configuration as a person would."""
        return subprocess.run(
            [*PROGRAM, "--config", str(self.config), *words],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )


def names_in(folder: Path) -> set[str]:
    """Name what a folder holds; one that is not there holds nothing."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@contextlib.contextmanager
def mills() -> Iterator[Path]:
    """Yield a folder whose path is short (a socket's path may have 108 bytes) and remove it, if all went well."""
    folder = Path(tempfile.mkdtemp(prefix="mill-"))
    try:
        yield folder
    except BaseException as error:
        error.add_note(f"what is left of it is in {folder}")
        raise
    shutil.rmtree(folder)
