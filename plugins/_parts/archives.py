"""Archives: written from files and folders, and taken apart where nothing in them can reach outside or fill the disk.

Only files and folders are taken out. A name that leads elsewhere, a link, a device or a second file of the same name is
refused, and so is more than was allowed, counted in bytes that really came. Called by file,
which imports this at its first call: the modules of the formats are not light.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plugins._parts.data import DataError
from plugins._parts.files import kind_of, opened, sync_folder
from plugins._parts.formats import ARCHIVES

_SHORT = {"tgz": "tar.gz", "tbz2": "tar.bz2", "txz": "tar.xz"}
_CHUNK_BYTES = 1024 * 1024
# What a tar archive has beside the bytes of a file: its header, long names, the padding of the last block.
_OVERHEAD_BYTES = 16 * 1024
_ENCRYPTED = 0x1
_PACKERS: dict[str, Callable[..., Any]] = {"tar.gz": gzip.GzipFile, "tar.bz2": bz2.BZ2File, "tar.xz": lzma.LZMAFile}
_MAGIC = ((b"\x1f\x8b", "tar.gz"), (b"BZh", "tar.bz2"), (b"\xfd7zXZ\0", "tar.xz"), (b"PK", "zip"))
# What the modules raise for bytes that are no archive.
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)


def by_ending(path: str) -> str:
    """Tell the format from the ending of a name; raise DataError where it says nothing."""
    name = path.lower()
    for ending, form in (*((form, form) for form in ARCHIVES), *_SHORT.items()):
        if name.endswith(f".{ending}"):
            return form
    raise DataError(f"{path}: its ending is no archive's; set `format` to one of {', '.join(ARCHIVES)}")


def pack(sources: list[Path], place: Path, form: str) -> int:
    """Write an archive of files and folders, each under its own name, to a new file; return how many are in it.

    Links are stored as links and not followed; zip cannot hold them, so there they are refused, as pipes and devices
    are everywhere.
    """
    with place.open("xb") as file:
        found = _zipped(sources, file) if form == "zip" else _tarred(sources, file, form)
        file.flush()
        os.fsync(file.fileno())
    return found


def _members(sources: list[Path]) -> Iterator[tuple[Path, str, os.stat_result]]:
    for source in sources:
        todo = [(source, source.name or source.resolve().name)]
        while todo:
            path, name = todo.pop()
            # A link that is named is followed, one that is found is not.
            found = path.stat() if path is source else path.lstat()
            yield path, name, found
            if stat.S_ISDIR(found.st_mode):
                inner = sorted(path.iterdir(), key=lambda each: each.name, reverse=True)
                todo += [(each, f"{name}/{each.name}") for each in inner]


def _tarred(sources: list[Path], file: IO[bytes], form: str) -> int:
    count = 0
    with ExitStack() as stack:
        # No name and no time of the packing in it: the same files give the same bytes.
        options = {"filename": "", "mtime": 0} if form == "tar.gz" else {}
        packed = file
        if form in _PACKERS:
            keyword = {"fileobj": file} if form == "tar.gz" else {"filename": file}
            packed = stack.enter_context(_PACKERS[form](mode="wb", **options, **keyword))
        archive = stack.enter_context(tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT))
        for path, name, found in _members(sources):
            _add_to_tar(archive, path, name, found)
            count += 1
    return count


def _add_to_tar(archive: tarfile.TarFile, path: Path, name: str, found: os.stat_result) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.fspath(path.readlink())
        archive.addfile(member)
    else:
        with opened(path) as source, open(source, "rb", closefd=False) as stream:
            member.size = os.fstat(source).st_size
            archive.addfile(member, stream)


def _zipped(sources: list[Path], file: IO[bytes]) -> int:
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path, name, found in _members(sources):
            count += 1
            if stat.S_ISDIR(found.st_mode):
                archive.mkdir(name)
                continue
            if not stat.S_ISREG(found.st_mode):
                raise DataError(f"{path}: it is {kind_of(found.st_mode)}, which a zip archive cannot hold; use tar.gz")
            member = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            member.compress_type = zipfile.ZIP_DEFLATED
            with opened(path) as source, archive.open(member, "w") as packed:
                while chunk := os.read(source, _CHUNK_BYTES):
                    packed.write(chunk)
    return count


def unpack(path: str, place: Path, max_bytes: int, max_files: int) -> dict[str, int]:
    """Take an archive apart into a new folder; return `{files, bytes}`.

    Raises DataError for what is no archive, for what it must not hold, and for more than the bounds.
    """
    place.mkdir()
    taken = _Taken(place, max_bytes, max_files)
    try:
        with opened(path) as file, open(file, "rb", closefd=False) as stream:
            form = next((form for magic, form in _MAGIC if stream.peek(6).startswith(magic)), "tar")
            if form == "zip":
                _unzip(stream, taken)
            else:
                _untar(stream, form, taken)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (*_BROKEN, OSError) as error:
        # bz2 and gzip speak of what they read as the system does, but without a number.
        if getattr(error, "errno", None) is not None:
            raise
        raise DataError(f"{path}: it is no archive that can be read: {str(error) or type(error).__name__}") from None
    for folder in (place, *(each for each in place.rglob("*") if each.is_dir())):
        sync_folder(folder)
    return {"files": taken.files, "bytes": taken.bytes}


class _Taken:
    """Put what comes out of an archive into a folder of ours, within bounds."""

    def __init__(self, place: Path, max_bytes: int, max_files: int) -> None:
        self.files = self.bytes = 0
        self._entries = 0
        self._place, self.max_bytes, self.max_files = place, max_bytes, max_files

    def folder(self, name: str) -> None:
        self._count(name)
        self._inside(name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, mode: int, stream: IO[bytes]) -> None:
        self._count(name)
        target = self._inside(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    self.bytes += len(chunk)
                    if self.bytes > self.max_bytes:
                        raise DataError(f"it holds more than {self.max_bytes:,} bytes (`max_bytes`)")
                    file.write(chunk)
                file.flush()
                # Never more than the archive says, never set-user-id, always readable by who asked for it.
                os.fchmod(file.fileno(), (mode & 0o755) | 0o600)
                os.fsync(file.fileno())
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise DataError(f"two entries are called {name!r}") from None
        self.files += 1

    def _count(self, name: str) -> None:
        self._entries += 1
        if self._entries > self.max_files:
            raise DataError(f"it holds more than {self.max_files:,} files and folders (`max_files`), {name!r} is next")

    def _inside(self, name: str) -> Path:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
            raise DataError(f"{name!r} leads out of the folder; nothing was taken out")
        return self._place / path


class _Bounded(io.RawIOBase):
    """Count what is read from a stream, so that an archive made of nothing but headers has an end too."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left = stream, most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(min(size, _CHUNK_BYTES) if size >= 0 else _CHUNK_BYTES)
        self._left -= len(data)
        if self._left < 0:
            raise DataError("it unpacks to more than `max_bytes` and `max_files` allow")
        return data


@contextmanager
def _unpacked(stream: IO[bytes], form: str) -> Iterator[Any]:
    if form == "tar":
        yield stream
        return
    keyword = {"fileobj": stream} if form == "tar.gz" else {"filename": stream}
    with _PACKERS[form](mode="rb", **keyword) as unpacked:
        yield unpacked


def _untar(stream: IO[bytes], form: str, taken: _Taken) -> None:
    most = taken.max_bytes + (taken.max_files + 1) * _OVERHEAD_BYTES
    with _unpacked(stream, form) as unpacked, tarfile.open(fileobj=_Bounded(unpacked, most), mode="r|") as archive:
        for member in archive:
            if member.isdir():
                taken.folder(member.name)
                continue
            content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is None:
                raise DataError(f"{member.name!r} is a link, a device or sparse; only files and folders are taken out")
            taken.file(member.name, member.mode, content)


def _unzip(stream: IO[bytes], taken: _Taken) -> None:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{member.filename!r} is {kind_of(mode)}; only files and folders are taken out")
            if member.flag_bits & _ENCRYPTED:
                raise DataError(f"{member.filename!r} is encrypted, which is not supported")
            if member.is_dir():
                taken.folder(member.filename)
                continue
            with archive.open(member) as content:
                taken.file(member.filename, mode or 0o644, content)
