"""The outputs of one live run: small ones in memory, large ones in files beside the database.

`run` sees a mapping from task key to JSON bytes; `executor` makes one a run.
"""

from collections.abc import Iterator, MutableMapping

from engine.values import Values


class SpilledOutputs(MutableMapping[str, bytes]):
    """Keep what is larger than `inline_bytes` in `values` and read it back when asked."""

    def __init__(self, values: Values, inline_bytes: int) -> None:
        """Start empty."""
        self._values, self._inline_bytes = values, inline_bytes
        self._kept: dict[str, bytes] = {}
        self._spilled: dict[str, str] = {}

    def __getitem__(self, key: str) -> bytes:
        """Return the JSON of a task's output; KeyError if it has none."""
        kept = self._kept.get(key)
        return kept if kept is not None else self._values.get(self._spilled[key])

    def get(self, key: str, default: bytes = b"null") -> bytes:  # type: ignore[override]  # always bytes here
        """Return the JSON of a task's output, or the default; the hot way, so not the one that is inherited."""
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        ref = self._spilled.get(key)
        return default if ref is None else self._values.get(ref)

    def __setitem__(self, key: str, data: bytes) -> None:
        """Keep an output, in a file if it is large (the store finds it there)."""
        if len(data) <= self._inline_bytes:
            self._kept[key] = data
        else:
            self._spilled[key] = self._values.put(data)

    def adopt(self, key: str, ref: str) -> None:
        """Know an output that lies in a file already, unread."""
        self._spilled[key] = ref

    def __delitem__(self, key: str) -> None:
        """Forget an output; its file stays for the history."""
        if self._kept.pop(key, None) is None:
            del self._spilled[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of all outputs."""
        yield from self._kept
        yield from self._spilled

    def __len__(self) -> int:
        """Count the outputs."""
        return len(self._kept) + len(self._spilled)
