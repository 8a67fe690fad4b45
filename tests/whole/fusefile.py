"""Serves one file over FUSE and writes down what the kernel does to it.

`python -m tests.whole.fusefile IMAGE LOG DATA POINT`: a process of its own, so that it waits for nothing that waits for
it. Says `ready` when the file at POINT can be opened, and ends when that is unmounted. `disk` calls it
and says what LOG and DATA hold.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable

# The kernel's protocol: include/uapi/linux/fuse.h. The root of this file system is the file itself.
_IN_HEADER = struct.Struct("<IIQQIIIHH")
_OUT_HEADER = struct.Struct("<IiQ")
_AT = struct.Struct("<QQI")  # of a read or a write: handle, offset, size
_DATA_AT = 40  # in the body of a write
_FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS = 2, 3, 4, 14, 15, 16, 17
_RELEASE, _FSYNC, _FLUSH, _INIT, _INTERRUPT, _DESTROY, _FORGET_MANY = 18, 20, 25, 26, 36, 38, 42
_UNANSWERED = {_FORGET, _FORGET_MANY, _INTERRUPT}
_MOST_BYTES = 1 << 20
_PAGE = 4096
_DIRECT_IO = 1  # nothing stays in a cache above us
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_MINOR = 36
_MS_NOSUID, _MS_NODEV = 2, 4
RECORD_BYTES = 64


class Server:
    """Answer one request after the other; what is answered has been written down before."""

    def __init__(self, image: str, log: str, data: str) -> None:
        """Open the image that is served, and the two files that remember."""
        self._image = os.open(image, os.O_RDWR)
        self._size = os.fstat(self._image).st_size
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._data = os.open(data, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._place = 0
        self._answers: dict[int, Callable[[memoryview], bytes]] = {
            _INIT: self._init,
            _GETATTR: self._attributes,
            _SETATTR: self._attributes,
            _OPEN: lambda _body: struct.pack("<QIi", 1, _DIRECT_IO, 0),
            _READ: self._read,
            _WRITE: self._write,
            _FSYNC: self._flush,
            _STATFS: self._room,
            _FLUSH: lambda _body: b"",
            _RELEASE: lambda _body: b"",
            _DESTROY: lambda _body: b"",
        }

    def serve(self, device: int) -> None:
        """Answer until the file is unmounted."""
        while True:
            try:
                request = memoryview(os.read(device, _MOST_BYTES + _PAGE))
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                raise
            _, kind, unique, *_ = _IN_HEADER.unpack_from(request)
            if kind in _UNANSWERED:
                continue
            answer = self._answers.get(kind)
            body = b"" if answer is None else answer(request[_IN_HEADER.size :])
            problem = -errno.ENOSYS if answer is None else 0
            os.writev(device, [_OUT_HEADER.pack(_OUT_HEADER.size + len(body), problem, unique), body])

    def _init(self, body: memoryview) -> bytes:
        _, minor, ahead, _ = struct.unpack_from("<IIII", body)
        flags = _BIG_WRITES | _MAX_PAGES
        numbers = (7, min(minor, _MINOR), ahead, flags, 16, 12, _MOST_BYTES, 1, _MOST_BYTES // _PAGE, 0, 0, 0)
        return struct.pack("<IIIIHHIIHHII", *numbers) + bytes(24)

    def _attributes(self, _body: memoryview) -> bytes:
        sizes = (1, self._size, self._size // 512, 0, 0, 0)
        rest = (0, 0, 0, 0o100600, 1, 0, 0, 0, _PAGE, 0)
        return struct.pack("<QII", 3600, 0, 0) + struct.pack("<QQQQQQIIIIIIIIII", *sizes, *rest)

    def _read(self, body: memoryview) -> bytes:
        _, offset, size = _AT.unpack_from(body)
        return os.pread(self._image, size, offset)

    def _write(self, body: memoryview) -> bytes:
        _, offset, size = _AT.unpack_from(body)
        data = body[_DATA_AT : _DATA_AT + size]
        os.pwrite(self._image, data, offset)
        os.write(self._data, data)
        self._note(f"write {offset} {size} {self._place}")
        self._place += size
        return struct.pack("<II", size, 0)

    def _flush(self, _body: memoryview) -> bytes:
        self._note("flush")
        return b""

    def _room(self, _body: memoryview) -> bytes:
        return struct.pack("<QQQQQIIII", self._size // _PAGE, 0, 0, 1, 0, _PAGE, 255, _PAGE, 0) + bytes(24)

    def _note(self, words: str) -> None:
        # One call, to a file opened for appending: others write there too.
        os.write(self._log, f"{words:<{RECORD_BYTES - 1}}\n".encode())


def main(image: str, log: str, data: str, point: str) -> None:
    """Mount the file and serve it."""
    server = Server(image, log, data)
    device = os.open("/dev/fuse", os.O_RDWR)
    choices = f"fd={device},rootmode=100600,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"recorded", point.encode(), b"fuse", _MS_NOSUID | _MS_NODEV, choices):
        raise OSError(ctypes.get_errno(), "mount", point)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve(device)


if __name__ == "__main__":
    main(*sys.argv[1:])
