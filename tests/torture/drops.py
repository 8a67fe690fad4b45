"""Objects of every kind under names of any bytes, dropped into a real inbox: each ends in exactly one place, or stays.

Called by `damaged`, and by a short test. The memory, the folders and inotify are real; the executor is played.
"""

import os
import random
import socket
from pathlib import Path

from daemon.claims import names
from tests.daemon.inboxes import House, entries
from tests.torture import damage, seeds
from tests.waiting import wait_for

_LAST = ("done", "failed", "rejected", "duplicate")
_ENDINGS = (b".json", b".json", b".json", b".jsonl", b"", b".txt", b".tmp", b"~", b".part", b".JSON", b".error.json")
_LONGEST = 255
_TURNS_SECONDS = 60.0


def drop(rng: random.Random, count: int, folder: Path) -> dict[str, int]:
    """Drop so many objects, wait until the inbox is quiet, and check where they are; return how many went where.

    Raises AssertionError where one is lost, doubled, or in no place of its own.
    """
    house = House(folder, '[inbox]\nsettle = "10ms"\n').begin()
    try:
        house.player.is_quick = True
        dropped = _dropped(rng, count, house)
        expected = {os.fsdecode(name) for name in dropped if _is_taken(name, dropped[name])}
        wait_for(lambda: not expected & set(entries(house.box)), f"an inbox that took all; {house.inbox.failure}")
        wait_for(lambda: not house.listing(".claimed"), "all to be filed", _TURNS_SECONDS)
        assert house.inbox.failure is None
        return _places(house, dropped)
    finally:
        house.end()


def _dropped(rng: random.Random, count: int, house: House) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    texts = [*seeds.documents(), *seeds.REQUESTS]
    for number in range(count):
        name = _name(rng, number)
        path = Path(os.fsdecode(os.fsencode(house.box) + b"/" + name))
        kind = rng.choice(
            ("file", "file", "file", "file", "empty", "link", "twin", "fifo", "socket", "folder", "closed")
        )
        match kind:
            case "empty":
                path.touch()
            case "link":
                path.symlink_to(rng.choice(("/etc/passwd", "nowhere", house.box)))
            case "twin":
                (house.folder / f"first-{number}").write_bytes(rng.choice(texts))
                os.link(house.folder / f"first-{number}", path)
            case "fifo":
                os.mkfifo(path)
            case "socket":
                _bind(path, house.folder / f"s{number}")
            case "folder":
                path.mkdir()
            case "closed":
                path.write_bytes(rng.choice(texts))
                path.chmod(0)
            case _:
                house.drop(
                    name, damage.text(rng, texts) if rng.random() < 0.7 else rng.choice(texts)
                )  # most are damaged
        found[name] = kind
    return found


def _name(rng: random.Random, number: int) -> bytes:
    """Make up a name that no other has."""
    own = b"%d" % number
    length = rng.choice((0, 1, 3, 20, _LONGEST))
    body = bytes(rng.choice([byte for byte in range(1, 256) if byte != ord("/")]) for _ in range(length))
    if rng.random() < 0.4:  # more of them are text
        body = rng.choice(("é", "\u202e", "漢", ".", "-", " ", "a\n", "%s", "~0~1")).encode() * (length // 4 + 1)
    ending = rng.choice(_ENDINGS)
    return body[: _LONGEST - len(own) - len(ending)] + own + ending


def _bind(path: Path, place: Path) -> None:
    # A socket's path may have 108 bytes only, so it is bound elsewhere.
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))
    place.rename(path)


def _is_taken(name: bytes, kind: str) -> bool:
    text = os.fsdecode(name)
    return names.is_ours(text) and (kind != "folder" or names.is_document(text))


def _places(house: House, dropped: dict[bytes, str]) -> dict[str, int]:
    places: dict[bytes, list[str]] = {name: [] for name in dropped}
    for place in ("", *_LAST):
        for name in map(os.fsencode, entries(house.box / place)):
            if name in places:
                places[name].append(place or "left alone")
    counts: dict[str, int] = {}
    for name, found in places.items():
        assert len(found) == 1, f"{name!r}, a {dropped[name]}, is in {found}"
        is_left = found == ["left alone"]
        assert is_left != _is_taken(name, dropped[name]), f"{name!r}, a {dropped[name]}, is {found[0]}"
        assert is_left or found == ["done"] or dropped[name] not in _NEVER_RUN or found == ["rejected"], (name, found)
        counts[found[0]] = counts.get(found[0], 0) + 1
    assert sum(1 for state in house.claims() if state == "open") == 0
    return counts


_NEVER_RUN = {"empty", "link", "twin", "fifo", "socket", "folder"}
