"""Retention: what has ended and is too old goes away, in small transactions, with the files that belong to it.

Owns how old is too old, in which order things go (files before the rows that know of them, so that nothing is left
behind that nobody finds), and the pace. What is old in the database is `history`'s to say. A service; `prune` is for
the command line too.
"""

import contextlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from loguru import logger

from daemon.config import Config, Retention
from engine.attemptlog import log_path
from engine.clock import Clock
from engine.errors import DropmillError
from engine.history import History
from engine.store import Store
from engine.values import Values
from engine.views import EndedRun

T = TypeVar("T")
Progress = Callable[["Pruned"], None]

# A pass holds the write lock for one of these at a time.
_RUNS, _TASKS, _ROWS, _PAGES = 100, 2_000, 1_000, 1_000
_PAGE_OF_RUNS, _PAGE_OF_ROWS = 500, 50_000
# A value file is older than the row that is about to refer to it, but never by as much.
_VALUE_SECONDS = 3_600.0
_FIRST_SECONDS, _BEAT_SECONDS = 60.0, 5.0
_DAY_SECONDS = 86_400.0
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Pruned(msgspec.Struct):
    """Count what was deleted (or would be), and name what could not be."""

    runs: int = 0
    due_times: int = 0
    claims: int = 0
    values: int = 0
    files: int = 0
    problems: list[str] = []

    def __str__(self) -> str:
        return (
            f"{self.runs} runs, {self.files} files of the inbox, {self.values} large outputs,"
            f" {self.due_times} due times, {self.claims} claims"
        )


class Janitor:
    """Delete what is too old, from time to time; what still lives is never touched."""

    def __init__(self, config: Config, *, store: Store, history: History, values: Values, clock: Clock) -> None:
        """Compose it; nothing happens before `start` or `prune`."""
        self._config, self._store, self._history = config, store, history
        self._values, self._clock = values, clock
        self._stopping, self._pruning = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self.pulse = 0

    def start(self) -> None:
        """Begin in a thread; the first pass waits until the start of the daemon is over. Harmless twice."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, name="janitor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Return when what was being deleted is deleted; harmless twice."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def reload(self, config: Config) -> None:
        """Go by other settings from the next pass on."""
        self._config = config

    @property
    def wishes(self) -> dict[str, Callable[[Mapping[str, Any]], "Pruned"]]:
        """Return what can be asked over the API: `prune`, with `dry_run` only to count."""
        return {"prune": lambda wish: self.prune(dry_run=bool(wish.get("dry_run")))}

    def prune(self, *, dry_run: bool = False, progress: Progress = lambda _pruned: None) -> Pruned:
        """Delete everything that is too old now, or with `dry_run` only count it; `progress` hears after each part.

        A file that cannot be deleted is a problem in the answer. Raises StoreLostError as the store does.
        """
        with self._pruning:
            return self._prune(progress, is_dry=dry_run)

    def _prune(self, progress: Progress, *, is_dry: bool) -> Pruned:
        done = Pruned(problems=[])
        report = _Report(done, progress, self._beat, is_dry=is_dry)
        config, now = self._config, self._clock.wall()
        age = config.history.retention
        if age:
            self._prune_runs(lambda after: self._history.old_runs(now - age, _PAGE_OF_RUNS, after), report)
            self._prune_rows(now - age, report)
        if config.history.retention_runs:
            most = config.history.retention_runs
            self._prune_runs(lambda after: self._history.surplus_runs(most, _PAGE_OF_RUNS, after), report)
        self._prune_values(now, report)
        for folder in _folders(config):
            self._prune_folder(folder, config.inbox.retention, now, report)
        if config.history.vacuum and not is_dry:
            while not self._stopping.is_set() and self._store.shrink(_PAGES):
                self._beat()
        return done

    def _loop(self) -> None:
        due = self._clock.ticks() + min(_FIRST_SECONDS, self._config.history.prune_interval)
        while not self._stopping.wait(max(0.0, min(_BEAT_SECONDS, due - self._clock.ticks()))):
            self._beat()
            if self._clock.ticks() < due:
                continue
            due = self._clock.ticks() + self._config.history.prune_interval
            try:
                self._look_after()
            except Exception as error:
                trace = None if isinstance(error, DropmillError) else error
                logger.opt(exception=trace).error("what is too old could not be deleted: {}", error)

    def _look_after(self) -> None:
        done = self.prune()
        if any((done.runs, done.files, done.values, done.due_times, done.claims)):
            logger.info("deleted what is too old: {}", done)
        for problem in done.problems:
            logger.warning("{}", problem)

    def _beat(self) -> None:
        self.pulse += 1

    def _prune_runs(self, page: Callable[[tuple[float, int]], list[EndedRun]], report: "_Report") -> None:
        """Delete runs page by page; where logs cannot go, the run stays for the next time and others follow."""
        after = (0.0, 0)
        while not self._stopping.is_set() and (found := page(after)):
            after = found[-1].place
            for batch in _batches(found):
                if report.is_dry:
                    report.note_runs(batch)
                else:
                    bare = [run.id for run in batch if self._delete_logs(run.id, report)]
                    report.done.runs += self._store.delete_runs(bare)
                report.tell()

    def _delete_logs(self, run: str, report: "_Report") -> bool:
        return report.attempt(log_path(self._config.paths.logs, run, "", 0).parent, _delete)

    def _prune_rows(self, before: float, report: "_Report") -> None:
        """Delete what is known of old due instants and claims; the newest instant of a schedule is never old."""
        while not self._stopping.is_set():
            dues = self._history.old_dues(before, _PAGE_OF_ROWS)
            claims = self._history.old_claims(before, _PAGE_OF_ROWS)
            if report.is_dry:
                report.done.due_times, report.done.claims = len(dues), len(claims)
            else:
                for some in _portions(dues):
                    report.done.due_times += self._store.delete_dues(some)
                    report.tell()
                for names in _portions(claims):
                    report.done.claims += self._store.delete_claims(names)
                    report.tell()
            if report.is_dry or max(len(dues), len(claims)) < _PAGE_OF_ROWS:
                return

    def _prune_values(self, now: float, report: "_Report") -> None:
        """Delete large outputs that no row speaks of; a young one may be about to be spoken of."""
        # In this order: a file that is old now and of which no row speaks yet is made young before one does.
        used = self._history.references()
        for ref, written in self._values.stored():
            if ref not in used and written < now - _VALUE_SECONDS:
                if not report.is_dry:
                    self._values.delete(ref)
                report.done.values += 1
                report.tell()

    def _prune_folder(self, folder: Path, retention: Retention, now: float, report: "_Report") -> None:
        """Delete old files in the last folders of an inbox, each of which has the name of its setting."""
        for name in Retention.__struct_fields__:
            age = getattr(retention, name)
            for path in _old(folder / name, now - age) if age else ():
                report.done.files += report.attempt(path, _delete)
                report.tell()
            for day in _old_days(folder / name, now - age) if age and not report.is_dry else ():
                with contextlib.suppress(OSError):
                    day.rmdir()  # only if nothing is left in it


class _Report:
    """Count, tell, and keep what went wrong with a file, so that the rest goes on."""

    def __init__(self, done: Pruned, progress: Progress, beat: Callable[[], None], *, is_dry: bool) -> None:
        self.done, self._progress, self._beat, self.is_dry = done, progress, beat, is_dry
        self._seen: set[str] = set()

    def note_runs(self, runs: Sequence[EndedRun]) -> None:
        """Count runs that would go, those once that are too old and too many as well."""
        self._seen.update(run.id for run in runs)
        self.done.runs = len(self._seen)

    def tell(self) -> None:
        """Let the watchdog and the person see that it goes on."""
        self._beat()
        self._progress(self.done)

    def attempt(self, path: Path, delete: Callable[[Path], None]) -> bool:
        """Delete a file or folder, but not in earnest on a dry pass; what cannot be deleted is a problem."""
        try:
            if not self.is_dry:
                delete(path)
        except OSError as error:
            self.done.problems.append(f"{path} is too old but cannot be deleted: {error.strerror or error}")
            return False
        return True


def _folders(config: Config) -> list[Path]:
    """List every folder that is dropped into; routes may share one."""
    further = [inbox.path for inbox in config.inboxes.values()]
    return list(dict.fromkeys([config.paths.inbox, *further, *(route.path for route in config.routes)]))


def _old(folder: Path, before: float) -> Iterator[Path]:
    """Find what was filed before this moment, also in the folders of days."""
    for path in _inside(folder):
        if _is_day(path):
            yield from (inner for inner in _inside(path) if _is_filed_before(inner, before))
        elif _is_filed_before(path, before):
            yield path


def _old_days(folder: Path, before: float) -> Iterator[Path]:
    """Find the folders of days so long ago that nothing is filed there any more, whatever the time zone."""
    last = datetime.fromtimestamp(before - _DAY_SECONDS, UTC).date().isoformat()
    return (path for path in _inside(folder) if _is_day(path) and path.name < last)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_day(path: Path) -> bool:
    return bool(_DAY.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _is_filed_before(path: Path, before: float) -> bool:
    try:
        # A move keeps the time of the content, which may be as old as it likes, and renews this one.
        return path.lstat().st_ctime < before
    except FileNotFoundError:
        return False


def _delete(path: Path) -> None:
    """Delete a file or a folder and what is in it, never what a link points to; harmless twice."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        if path.is_symlink() or not path.is_dir():
            raise
        shutil.rmtree(path)


def _batches(found: Sequence[EndedRun]) -> Iterator[list[EndedRun]]:
    """Cut a list of runs where a transaction would become long; a run is deleted as a whole."""
    batch: list[EndedRun] = []
    size = 0
    for run in found:
        if batch and (len(batch) >= _RUNS or size + run.tasks > _TASKS):
            yield batch
            batch, size = [], 0
        batch.append(run)
        size += run.tasks
    if batch:
        yield batch


def _portions(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    return (keys[at : at + _ROWS] for at in range(0, len(keys), _ROWS))
