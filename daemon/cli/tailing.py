"""The log of an attempt, read from its file line by line while it grows.

Called by `logs`, and by `run` for the last line of each task. What is in the file is `engine.attemptlog`'s.
"""

import codecs
import os
from pathlib import Path

_READ_BYTES = 1 << 18
_LAST_BYTES = 4096


class Tail:
    """Hand out the complete lines that have come since the last time."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning; the file need not be there yet."""
        self._path = path
        self._position = 0
        self._held = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def lines(self, *, is_over: bool = False) -> list[str]:
        """Return the new lines; one without its end is held back unless nothing more will come (`is_over`)."""
        text = self._held
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                while data := file.read(_READ_BYTES):
                    self._position += len(data)
                    text += self._decoder.decode(data)
        except FileNotFoundError:
            return []
        *whole, self._held = text.split("\n")
        if is_over and self._held:
            whole.append(self._held)
            self._held = ""
        return whole


def last_lines(path: Path, most: int) -> list[str]:
    """Return at most so many lines from the end of a file, without reading more than its last 4 KiB a line."""
    room = _LAST_BYTES * most
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - room))
            data = file.read(room)
    except OSError:
        return []
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n")
    # The first line of a longer file may have been cut in two.
    whole = lines[1:] if size > room and len(lines) > 1 else lines
    return [line for line in whole if line][-most:]
