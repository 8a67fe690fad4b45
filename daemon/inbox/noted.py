"""What the inbox tells whoever listens, for the log and for status: nothing that befalls a dropped file is silent."""

from collections.abc import Callable
from typing import Literal

import msgspec

Kind = Literal["accepted", "rejected", "duplicate", "filed", "stuck", "void", "watch"]


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """Say what happened to a file, or (`watch`) to a folder; `file` is shown, `message` is a sentence."""

    kind: Kind
    folder: str
    file: str = ""
    claim: str = ""
    run: str = ""
    message: str = ""


Observe = Callable[[Noted], None]


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """Say what cannot be taken or filed at the moment, and why."""

    folder: str
    file: str
    message: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Show how the inbox stands: `watch` says of each folder how changes are noticed, `waiting` counts dropped files.

    `claimed` counts the files whose runs have not ended, or that are not filed yet.
    """

    watch: dict[str, str] = {}
    waiting: int = 0
    claimed: int = 0
    stuck: tuple[Stuck, ...] = ()
