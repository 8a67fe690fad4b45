"""The log file of each attempt: made when it first says something, with secrets masked and control characters visible.

`AttemptLogs` writes (one thread, that of the backend), `LogReader` reads, from any process. The text arrives in pieces
of any size; it is written line by line, since a secret that is cut in two is not found. What the logs of the daemon and
of a run are, and how long any of them is kept, is decided elsewhere.
"""

import codecs
import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.limits import Limits
from engine.redaction import escape_controls, longest, redact

_MOST_OPEN = 64
# A line without an end is held back this long, in characters; then all of it is written that no secret can reach.
_LONGEST_LINE = 1 << 16
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]|^\.")
_LONGEST_NAME = 200
_KEPT_OF_LONG_NAME = 120
_READ_BYTES = 1 << 18


def log_path(folder: Path, run: str, task: str, attempt: int) -> Path:
    """Return where the log of an attempt is, whether it exists or not; characters that are no file name's are %XX."""
    return folder / "runs" / _file_name(run) / f"{_file_name(task)}.{attempt}.log"


def _file_name(key: str) -> str:
    name = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), key)
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{name[:_KEPT_OF_LONG_NAME]}~{digest}"  # no other name holds a `~`


class _Text:
    """Turn the bytes of one attempt into lines that may be shown."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets, self._longest_secret = secrets, longest(secrets)
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def take(self, data: bytes) -> str:
        """Return what is complete now."""
        text = self._held + self._decoder.decode(data)
        end = len(text) - text.endswith("\r")  # the other half of a \r\n may be still to come
        cut = max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1
        ready, self._held = self._masked(text[:cut]), text[cut:]
        if len(self._held) > _LONGEST_LINE:
            held = redact(self._held, self._secrets)
            cut = max(0, len(held) - max(1, self._longest_secret - 1))  # 1: a \r may be half of a \r\n
            ready, self._held = ready + self._shown(held[:cut]), held[cut:]
        return ready

    def rest(self) -> str:
        """Return what was held back."""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return self._masked(text)

    def _masked(self, text: str) -> str:
        return self._shown(redact(text, self._secrets)) if text else ""

    def _shown(self, text: str) -> str:
        # A lone carriage return overwrites the line on a terminal; in a file each of its versions gets its own line.
        return escape_controls(text.replace("\r\n", "\n").replace("\r", "\n"))


class _Log:
    """One attempt that has said something."""

    __slots__ = ("dropped", "is_at_line_start", "path", "text", "written")

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        self.path, self.text = path, _Text(secrets)
        self.written, self.dropped, self.is_at_line_start = 0, 0, True


class AttemptLogs:
    """Write the logs of all attempts that run, keeping few files open.

    A log that cannot be written fails no attempt: the rest of it is dropped, and `problem` says why until one works.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Write below `folder`, at most `limits.log_bytes` a file."""
        self._folder, self._most_bytes = folder, limits.log_bytes
        self._logs: dict[tuple[str, str, int], _Log] = {}
        self._open: OrderedDict[Path, int] = OrderedDict()
        self.problem: str | None = None

    def path(self, run: str, task: str, attempt: int) -> Path:
        """Return where the log of an attempt is, or would be."""
        return log_path(self._folder, run, task, attempt)

    def write(self, run: str, task: str, attempt: int, data: bytes, secrets: Sequence[str] = ()) -> None:
        """Add what an attempt said; `secrets` as in its first call."""
        log = self._logs.get((run, task, attempt))
        if log is None:
            log = self._logs[run, task, attempt] = _Log(self.path(run, task, attempt), secrets)
        self._add(log, log.text.take(data))

    def end(self, run: str, task: str, attempt: int, dropped: int = 0) -> None:
        """Write what was held back, say what was dropped (here, and `dropped` bytes before), and close the file."""
        log = self._logs.pop((run, task, attempt), None)
        if log is None:
            if not dropped:
                return
            log = _Log(self.path(run, task, attempt), ())
        self._add(log, log.text.rest())
        dropped += log.dropped
        last = "" if log.is_at_line_start else "\n"
        if dropped:
            last += f"[{dropped} bytes dropped: a log holds at most {self._most_bytes}]\n"
        if last:
            self._put(log.path, last.encode())
        self._close_file(log.path)

    def close(self) -> None:
        """End every log; harmless twice."""
        for run, task, attempt in list(self._logs):
            self.end(run, task, attempt)

    def _add(self, log: _Log, text: str) -> None:
        if not text:
            return
        data = text.encode("utf-8", "backslashreplace")
        room = self._most_bytes - log.written
        if len(data) > room:
            data, before = data[:room].decode("utf-8", "ignore").encode(), len(data)
            log.dropped += before - len(data)
            log.written = self._most_bytes
        else:
            log.written += len(data)
        if data and self._put(log.path, data):
            log.is_at_line_start = data.endswith(b"\n")
        elif data:
            log.dropped += len(data)

    def _put(self, path: Path, data: bytes) -> bool:
        try:
            descriptor = self._descriptor(path)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            self.problem = f"the log {path} cannot be written: {error.strerror}"
            return False
        self.problem = None
        return True

    def _descriptor(self, path: Path) -> int:
        descriptor = self._open.get(path)
        if descriptor is not None:
            self._open.move_to_end(path)
            return descriptor
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags, 0o640)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(path, flags, 0o640)
        self._open[path] = descriptor
        if len(self._open) > _MOST_OPEN:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)
        return descriptor

    def _close_file(self, path: Path) -> None:
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


class LogReader:
    """Read the logs of attempts, also while they are written."""

    def __init__(self, folder: Path) -> None:
        """Read below `folder`."""
        self._folder = folder

    def path(self, run: str, task: str, attempt: int) -> Path:
        """Return where the log of an attempt is, or would be."""
        return log_path(self._folder, run, task, attempt)

    def read(self, run: str, task: str, attempt: int) -> str:
        """Return the whole log; empty if the attempt has said nothing."""
        try:
            return self.path(run, task, attempt).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def follow(self, run: str, task: str, attempt: int, wait: Callable[[], bool]) -> Iterator[str]:
        """Yield the log in pieces as it grows.

        `wait` is called when there is nothing new: it returns True after a while to have another look, False when the
        attempt has ended; what came in meanwhile is still yielded.
        """
        path, position, goes_on = self.path(run, task, attempt), 0, True
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            data = _read_from(path, position)
            position += len(data)
            if text := decoder.decode(data):
                yield text
            if not data:
                if not goes_on:
                    return
                goes_on = wait()


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(_READ_BYTES)
    except FileNotFoundError:
        return b""
