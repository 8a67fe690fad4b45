"""Data as bytes of a file and back: JSON, JSON Lines, CSV, plain text, and bytes written as base64.

CSV is a header and rows; its cells are texts. Called by input, output and file.
"""

import base64
import binascii
import codecs
import csv
import io
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import msgspec

from plugins._parts.data import DataError, kind, short, text

FORMATS = ("json", "jsonl", "csv", "text", "base64")
ARCHIVES = ("tar.gz", "tar.bz2", "tar.xz", "tar", "zip")
_ENDINGS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "text", ".log": "text"}
# A cell may be as long as a file; the module's own bound (131,072) is one for the whole process.
_LONGEST_CELL = 2**31 - 1


def by_ending(path: str, otherwise: str) -> str:
    """Tell the format from the ending of a file's name."""
    return _ENDINGS.get(PurePath(path).suffix.lower(), otherwise)


def encoding_of(name: str) -> str:
    """Check the name of a text encoding; raise DataError where there is none."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise DataError(f"there is no encoding {name!r}; write one such as utf-8 or latin-1") from None


def read(data: bytes, form: str, *, encoding: str = "utf-8", delimiter: str = ",") -> Any:
    """Read bytes as data; raise DataError with the place where they are not of this format."""
    if form == "base64":
        return base64.b64encode(data).decode()
    try:
        # A leading byte-order mark is what spreadsheets write; it is no part of the text.
        whole = data.decode(encoding_of(encoding)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"it is not {encoding}: byte {error.start} does not fit; set `encoding`") from None
    if form == "text":
        return whole
    return _READERS[form](whole, delimiter)


def write(data: Any, form: str, *, encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """Write data as bytes; raise DataError where the format cannot hold it."""
    if form == "base64":
        return _unpacked(data)
    written = _WRITERS[form](data, delimiter)
    try:
        return written.encode(encoding_of(encoding))
    except UnicodeEncodeError as error:
        raise DataError(f"{written[error.start]!r} cannot be written as {encoding}; set `encoding`") from None


def _json(whole: str, _: str) -> Any:
    try:
        return msgspec.json.decode(whole)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON: {error}") from None


def _lines(whole: str, _: str) -> list[Any]:
    items = []
    for number, line in enumerate(whole.split("\n"), 1):
        if line.strip():
            try:
                items.append(msgspec.json.decode(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f"line {number} is not JSON: {error}") from None
    return items


def _table(whole: str, delimiter: str) -> list[dict[str, str]]:
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter, strict=True)
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise DataError("line 1: two columns have the same name")
        return [_row(header, cells, reader.line_num) for cells in reader if cells]
    except csv.Error as error:
        raise DataError(f"it is not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _row(header: list[str], cells: list[str], line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(f"line {line} has {len(cells)} cells, the header {len(header)}; see `delimiter`")
    return dict(zip(header, cells, strict=True))


def _unpacked(data: Any) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise DataError(f"{short(data)} is not base64") from None


def _as_json(data: Any, _: str) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def _as_lines(data: Any, _: str) -> str:
    items = data if isinstance(data, list) else [data]
    return "".join(msgspec.json.encode(item).decode() + "\n" for item in items)


def _as_text(data: Any, _: str) -> str:
    return text(data)


def _as_table(data: Any, delimiter: str) -> str:
    rows = data if isinstance(data, list) else [data]
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"CSV is made of objects; {at} is {kind(row)}: {short(row)}", row=at)
    header = list(dict.fromkeys(name for row in rows for name in row))
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writerow(header)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else text(row[name]) for name in header])
    return written.getvalue()


_READERS: dict[str, Callable[[str, str], Any]] = {"json": _json, "jsonl": _lines, "csv": _table}
_WRITERS: dict[str, Callable[[Any, str], str]] = {
    "json": _as_json,
    "jsonl": _as_lines,
    "csv": _as_table,
    "text": _as_text,
}

ENCODING: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "default": "utf-8",
    "description": "The encoding of text, JSON and CSV.",
}
DELIMITER: dict[str, Any] = {
    "type": "string",
    "pattern": '^[^"\\r\\n]$',
    "default": ",",
    "description": "What stands between the cells of CSV.",
}
