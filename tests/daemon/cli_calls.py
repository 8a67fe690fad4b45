"""How a test calls the command line: arguments in, status and what was printed out, in a state folder of its own.

Also calls it as a process on a terminal of its own, for what only a real terminal shows.
"""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any, NamedTuple

from daemon.cli import main
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "import sys; from daemon.cli import main; sys.exit(main())"]


class Answer(NamedTuple):
    """What one call came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read what it printed as JSON."""
        return json.loads(self.out)


class Site:
    """A folder with a configuration, and the command line called in it."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.folder, self._capsys = folder, capsys
        self.config = folder / "dropmill.toml"
        self.config.write_text('[paths]\nstate = "var"\nlogs = "var/log"\n[executor]\nworkers = 1\ngrace = "1s"\n')

    def call(self, *arguments: str) -> Answer:
        """Call the command line in this process."""
        self._capsys.readouterr()
        status = main(["--config", str(self.config), *arguments])
        captured = self._capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    def write(self, name: str, *tasks: dict[str, Any], **more: Any) -> str:
        """Write a workflow document and return its path."""
        path = self.folder / name
        path.write_text(json.dumps({"name": path.stem, "tasks": tasks, **more}, indent=1))
        return str(path)

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        """Start the command line as a process."""
        command = [*PROGRAM, "--config", str(self.config), *arguments]
        return subprocess.Popen(command, cwd=ROOT, **more)


class Terminal:
    """A process of the command line on a terminal of its own; everything it has written so far is `text`."""

    def __init__(self, site: Site, *arguments: str, columns: int = 80, lines: int = 24, **environ: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # What the test runner says of its own terminal is not true of this one.
        inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        environment = {**inherited, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ}
        environment.pop("NO_COLOR", None) if "NO_COLOR" not in environ else None
        self.process = site.start(
            *arguments,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            # The terminal becomes the one that Ctrl-C is typed at.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self._data = b""

    @property
    def text(self) -> str:
        """Read what has come and return all of it."""
        # A terminal whose other side is closed answers with EIO.
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self._master, 65536):
                self._data += data
        return self._data.decode("utf-8", "replace")

    def wait_for(self, what: str) -> str:
        """Wait until this has been written."""
        return wait_for(lambda: self.text if what in self.text else None, f"{what!r} on the terminal")

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as closing its window does."""
        os.close(self._master)
        self._master = -1

    def end(self) -> int:
        """Wait for the end and return the exit status."""

        def status() -> tuple[int] | None:
            _ = self.text  # whoever writes waits for a reader
            code = self.process.poll()
            return None if code is None else (code,)

        return wait_for(status, "the end of the process")[0]

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self._master >= 0:
            os.close(self._master)
