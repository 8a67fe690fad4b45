"""Named moments before and after each durable write, at which a test lets the process die as by `kill -9`.

DROPMILL_DIE_AT=NAME in the environment names the one at which that happens, NAME#3 the third time it is passed, and
NAME#3@15 sends itself that signal instead. It is read once; without it a moment costs a call that compares two words.
Called by whoever makes something durable.
"""

import os
import signal
from itertools import count

VARIABLE = "DROPMILL_DIE_AT"
_moment, _, _number = os.environ.get(VARIABLE, "").partition("@")
_wanted, _, _times = _moment.partition("#")
_last = int(_times) if _times.isdigit() else 1
_signal = int(_number) if _number.isdigit() else int(signal.SIGKILL)
_passed = count(1)


def sync_point(name: str) -> None:
    """Pass the moment of this name; die here if it is the one that was named."""
    if name == _wanted and next(_passed) == _last:
        os.kill(os.getpid(), _signal)
