"""Large outputs: content-addressed files beside the database, whole and durable before a row refers to them.

`store`, `history` and the executor's outputs put and get; `stored` and `delete` serve the janitor, which must spare
files younger than its patience: a file is written, or touched, before the row that refers to it.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from engine.errors import StoreCorruptError, StoreLostError
from engine.limits import Limits

_NULL = b"null"
_INLINE_BYTES = Limits().inline_bytes


class Values:
    """Keep bytes under their SHA-256 in `folder`/ab/; safe from any thread and from several processes."""

    def __init__(self, folder: Path, inline_bytes: int = _INLINE_BYTES) -> None:
        """Touch nothing yet; what is larger than `inline_bytes` does not belong into a row."""
        self._folder, self._inline_bytes = folder, inline_bytes

    def put(self, data: bytes) -> str:
        """Keep these bytes, durably, and return their reference.

        Raises StoreLostError when they cannot be made durable.
        """
        ref = hashlib.sha256(data).hexdigest()
        path = self._path(ref)
        try:
            if not self._refresh(path):
                self._write(path, data)
            # Also where the file was there: another thread may have renamed it and not come to this line yet.
            sync_folder(path.parent)
        except OSError as error:
            raise StoreLostError(f"{path}: {error.strerror or error}") from error
        return ref

    def get(self, ref: str) -> bytes:
        """Return the bytes behind a reference.

        Raises StoreCorruptError when they are missing or are not what was put.
        """
        path = self._path(ref)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreCorruptError(str(path), f"a large output cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != ref:
            raise StoreCorruptError(str(path), "a large output is not what was written")
        return data

    def split(self, output: bytes) -> tuple[bytes | None, str | None]:
        """Return what a row holds for an output: its bytes, or a reference if it is large, or neither for null."""
        if output == _NULL:
            return None, None
        if len(output) <= self._inline_bytes:
            return output, None
        return None, self.put(output)

    def join(self, inline: bytes | None, ref: str | None) -> bytes:
        """Return the output that `split` took apart; raises as `get`."""
        if ref is not None:
            return self.get(ref)
        return _NULL if inline is None else bytes(inline)

    def stored(self) -> Iterator[tuple[str, float]]:
        """Yield (reference, wall seconds of the last `put`) of every file."""
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if len(path.name) == hashlib.sha256().digest_size * 2:
                try:
                    yield path.name, path.stat().st_mtime
                except FileNotFoundError:
                    continue

    def delete(self, ref: str) -> None:
        """Remove the bytes behind a reference; harmless twice."""
        self._path(ref).unlink(missing_ok=True)

    def _path(self, ref: str) -> Path:
        return self._folder / ref[:2] / ref

    @staticmethod
    def _refresh(path: Path) -> bool:
        """Make a file that is there young again, so that the janitor spares it; tell whether it is there."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _write(self, path: Path, data: bytes) -> None:
        make_folder(path.parent)
        part = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone (0700), and the missing ones above it, durably; harmless twice."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
