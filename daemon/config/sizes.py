"""Byte sizes as people write them: text to number, and back again.

Called by `reader` (text to number) and by whatever prints settings. Durations are `engine.durations`.
"""

import re

LARGEST = 2**63 - 1

_BINARY = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_DECIMAL = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}
_UNITS = {name.lower(): factor for name, factor in (_BINARY | _DECIMAL | {"B": 1, "": 1}).items()}
_SIZE = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))? ?([A-Za-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Read a size such as "10MiB", "1.5 GB" or "4096" as bytes, whatever the case of its letters.

    Raises ValueError for anything else, a fraction of a byte and more than 63 bits included.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found or found[3].lower() not in _UNITS:
        raise ValueError(text)
    fraction = found[2] or ""
    unit = _UNITS[found[3].lower()]
    size, rest = divmod(int(found[1] + fraction) * unit, int("1" + "0" * len(fraction)))
    if rest or size > LARGEST:
        raise ValueError(text)
    return size


def format_size(size: int) -> str:
    """Write bytes in the largest unit that says them exactly: 16777216 is "16MiB"."""
    for units in (_BINARY, _DECIMAL):
        for name, factor in units.items():
            if size and size % factor == 0:
                return f"{size // factor}{name}"
    return f"{size}B"
