"""What a program prints: passed on to the log line by line as it comes, and kept, bounded, for the output.

Called by shell.
"""

import codecs
from typing import Any, TextIO

import msgspec

# A line that does not end is passed on in parts of this size.
_PENDING_CHARS = 64 * 1024
_TAIL_BYTES, _TAIL_LINES = 2000, 5


class Echo:
    """Pass bytes on to a text stream, whole lines at a time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    def add(self, data: bytes) -> None:
        """Take what came and write what makes whole lines."""
        self._pending += self._decoder.decode(data)
        end = self._pending.rfind("\n") + 1
        if not end and len(self._pending) > _PENDING_CHARS:
            end = len(self._pending)
        if end:
            # Taken before it is written: an interruption in between must not make `end` write it twice.
            lines, self._pending = self._pending[:end], self._pending[end:]
            self._stream.write(lines)
            self._stream.flush()

    def end(self) -> None:
        """Write what is left as a last line."""
        rest, self._pending = self._pending + self._decoder.decode(b"", final=True), ""
        if rest:
            self._stream.write(f"{rest}\n")
            self._stream.flush()


class Kept:
    """Keep the first bytes, and count the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._seen = 0

    def add(self, data: bytes) -> None:
        """Take what came."""
        self._seen += len(data)
        self._data += data[: self._limit - len(self._data)]

    @property
    def notice(self) -> str | None:
        """Say how much was cut away; None where everything was kept."""
        return None if self._seen <= self._limit else f"[cut: the first {self._limit} of {self._seen} bytes]"

    def text(self) -> str:
        """Return it as text without the line breaks at its end; where it was cut, a last line says so."""
        # Not final: a character that was cut in two is left out; other bytes that are no UTF-8 are replaced.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self._data), final=self.notice is None)
        return text.rstrip("\n") if self.notice is None else f"{text}\n{self.notice}"

    def lines(self) -> list[str]:
        """Return its lines; where it was cut, only whole ones and a last one that says so."""
        text = self.text()
        if self.notice is None:
            return text.split("\n") if text else []
        return [*text.split("\n")[:-2], self.notice]

    def json(self) -> Any:
        """Return it as the JSON value it is.

        Raises ValueError, which says what is wrong, where it is none or was cut.
        """
        if self.notice is not None:
            raise ValueError(f"it is longer than {self._limit} bytes (`max_output`)")
        if not self._data.strip():
            raise ValueError("it is empty")
        try:
            return msgspec.json.decode(self._data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{error}; it begins with {self._data[:60].decode(errors='replace')!r}") from None


class Tail:
    """Keep the last bytes, for a message."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        """Take what came."""
        self._data = (self._data + data)[-_TAIL_BYTES:]

    def __str__(self) -> str:
        """Write the last lines."""
        return "\n".join(self._data.decode(errors="replace").strip().splitlines()[-_TAIL_LINES:])
