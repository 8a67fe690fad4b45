"""What files are called on their way: names of any bytes, ours beside them, and how a person sees them. Pure.

Names are texts as Python's file functions give them: bytes that are not UTF-8 stand in them as half characters.
"""

import os
import re
from collections.abc import Iterator
from itertools import count

LONGEST = 255
RESULT, RESULTS, ERROR = ".result.json", ".result.jsonl", ".error.json"
_NOT_OURS = (".tmp", ".part", ".partial", ".swp", "~")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}\Z")
_CLAIMED = re.compile(r"([0-9a-hjkmnp-tv-z]{26})(\.[A-Za-z0-9]{1,16})?\Z")


def is_ours(name: str) -> bool:
    """Tell whether a name is one that is taken: not hidden, and not of a file that is being written."""
    return not name.startswith(".") and not name.endswith(_NOT_OURS)


def is_document(name: str) -> bool:
    """Tell whether a name says that it is a document, so that a folder of this name is a mistake worth telling."""
    return name.endswith((".json", ".jsonl"))


def shown(name: str) -> str:
    r"""Write a name for people and JSON: bytes that are not UTF-8 become \xNN, control characters \n and so on."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode("ascii") for part in text)


def claimed(name: str, claim: str) -> str:
    """Return what a file is called while it is worked on: its claim id, and its ending if that is a plain one."""
    found = _EXTENSION.search(name)
    return claim + (found[0] if found else "")


def claim_of(name: str) -> str | None:
    """Return the claim id in the name of a claimed file, None if it is none of ours."""
    found = _CLAIMED.fullmatch(name)
    return found[1] if found else None


def candidates(name: str, claim: str) -> Iterator[str]:
    """Yield the names a file may end under, best first: its own, then its stem, ~, the claim and its ending."""
    yield name
    found = _EXTENSION.search(name)
    ending = found[0] if found else ""
    stem = name.removesuffix(ending) if ending else name
    for number in count(1):
        mark = f"~{claim}" + (f"~{number}" if number > 1 else "")
        yield shortened(stem, LONGEST - len(mark) - len(ending)) + mark + ending


def beside(name: str, claim: str, suffix: str) -> str:
    """Return the name of the result or error beside a file; one too long is cut and marked with the claim."""
    if len(os.fsencode(name)) + len(suffix) <= LONGEST:
        return name + suffix
    mark = f"~{claim}"
    return shortened(name, LONGEST - len(mark) - len(suffix)) + mark + suffix


def shortened(name: str, most: int) -> str:
    """Cut a name to this many bytes, not inside a character."""
    data = os.fsencode(name)
    if len(data) <= most:
        return name
    text = os.fsdecode(data[:most])
    for _ in range(3):
        # What a cut leaves of a character of up to four bytes are bytes that are none.
        text = text[:-1] if "\udc80" <= text[-1:] <= "\udcff" else text
    return text
