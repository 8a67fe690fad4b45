"""A circuit breaker for each host: after so many failures nobody calls it until it has had time to recover.

Its state lies in files, one a host, because worker processes share nothing else and are replaced now and then. A file
is read and written under its lock (flock); the one trial call that ends a cool-down holds the lock of a second file, so
that a trial whose process is killed is over too. Called by `exchange`, for every hop of a redirect again.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.task import wall
from plugins._parts.settings import Seconds

# 0 failures: no circuit breaker.
SETTINGS: dict[str, Any] = {"failures": 0, "window": Seconds(60), "cool_down": Seconds(30), "circuit_folder": ""}
_LONGEST_NAME = 200
_logger = logging.getLogger(__name__)


class CircuitOpenError(Exception):
    """A host that is not called at the moment; `until` is wall seconds."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class CircuitBrokenError(Exception):
    """The state of the circuits cannot be kept."""


class Circuit(NamedTuple):
    """When a host is given time to recover: so many failures within so many seconds, and for how long."""

    failures: int
    window: float
    cool_down: float
    folder: str

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Circuit | None":
        """Make it from the operator's settings; None where there is to be none."""
        if not settings["failures"]:
            return None
        return cls(*(settings[name] for name in SETTINGS))


class Call:
    """One call: who makes it says whether the host is well (None: nothing was learnt)."""

    is_well: bool | None = None


class _State(msgspec.Struct):
    """What is known of a host: when calls failed, and until when it is left alone (0: the circuit is closed)."""

    host: str = ""
    failed_at: list[float] = []
    until: float = 0.0
    cool_down: float = 0.0


@contextmanager
def calling(circuit: Circuit | None, host: str, faults: tuple[type[BaseException], ...]) -> Iterator[Call]:
    """Let a call to a host through and remember how it went; an exception of the kind `faults` is a failure.

    Raises CircuitOpenError where the host is left alone, CircuitBrokenError where the files cannot be used.
    """
    call = Call()
    if circuit is None:
        yield call
        return
    try:
        name = _folder(circuit.folder) / _file_name(host)
        trial = _admitted(circuit, host, name)
    except OSError as error:
        raise CircuitBrokenError(
            f"the state of the circuit breaker cannot be kept ({error}); the operator can set `circuit_folder`"
        ) from None
    try:
        yield call
    except faults:
        call.is_well = False
        raise
    finally:
        try:
            _settle(circuit, host, name, is_well=call.is_well, is_trial=trial is not None)
        except OSError as error:
            # How the call went matters more than that nobody will know of it.
            _logger.warning("the circuit breaker could not remember how a call of %s went: %s", host, error)
        finally:
            if trial is not None:
                os.close(trial)


def _file_name(host: str) -> str:
    return "".join(each if each.isalnum() or each in ".-" else "_" for each in host)[:_LONGEST_NAME]


def _folder(setting: str) -> Path:
    """Find the folder and make it where it is missing; raise OSError for one that others may write to."""
    place = Path(setting).expanduser() if setting else _usual_place()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{place} is not a folder of our own that nobody else can write to")
    return place


def _usual_place() -> Path:
    """Name a folder that every worker of this user finds and that does not outlive the machine."""
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        given = os.environ.get(variable, "").partition(":")[0]
        if given and os.access(given, os.W_OK):
            return Path(given) / "dropmill-circuits"
    return Path(os.environ.get("TMPDIR") or "/tmp", f"dropmill-circuits-{os.geteuid()}")  # noqa: S108 -- checked for being ours


def _admitted(circuit: Circuit, host: str, name: Path) -> int | None:
    """Return None for an ordinary call, an open file for the trial; raise CircuitOpenError for no call at all."""
    if not name.exists():
        return None
    with _locked(name) as file:
        state, now = _read(file), wall()
        # A clock that was set back must not keep a host out for longer than it was to be.
        if not state.until or state.until - now > state.cool_down:
            return None
        count = len(state.failed_at)
        if now < state.until:
            raise CircuitOpenError(_refusal(host, state.until, count), state.until)
        trial = os.open(f"{name}.trial", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(trial, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(trial)
            until = now + circuit.cool_down
            raise CircuitOpenError(f"{_refusal(host, until, count)}; a trial call is under way", until) from None
        except BaseException:
            os.close(trial)
            raise
        return trial


def _refusal(host: str, until: float, count: int) -> str:
    moment = datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"circuit open for host {host} until {moment} after {count} failures"


def _settle(circuit: Circuit, host: str, name: Path, *, is_well: bool | None, is_trial: bool) -> None:
    if is_well is None or (is_well and not is_trial):
        return
    with _locked(name) as file:
        state, now = _read(file), wall()
        if is_well:
            state = _State(host)
        else:
            recent = [moment for moment in state.failed_at if is_trial or now - circuit.window <= moment <= now]
            state.host, state.failed_at = host, [*recent, now][-max(circuit.failures, len(recent)) :]
            if is_trial or (len(state.failed_at) >= circuit.failures and now >= state.until):
                state.until, state.cool_down = now + circuit.cool_down, circuit.cool_down
        data = msgspec.json.encode(state)
        os.pwrite(file, data, 0)
        os.ftruncate(file, len(data))


@contextmanager
def _locked(name: Path) -> Iterator[int]:
    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _read(file: int) -> _State:
    """Read a state; one that was cut off while it was written knows nothing."""
    try:
        return msgspec.json.decode(os.pread(file, os.fstat(file).st_size, 0), type=_State)
    except msgspec.DecodeError:
        return _State()
