"""What must hold for every other input, however damaged: settings, schedule expressions, plugin files, command lines.

As in `laws`: whatever is not the documented refusal is a breach. Each check returns what the input came to.
"""

import contextlib
import io
import os
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from daemon.calendar import Calendar, Expression, Zone, parse_cron, parse_text, parse_zone
from daemon.cli import main
from daemon.config import Config, load
from engine.errors import ConfigInvalidError, Problem, ScheduleInvalidError
from engine.registry import Registry
from tests.torture import seeds
from tests.torture.laws import check_line

_ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca")
_MOMENTS = (0.0, 951_782_400.0, 1_792_868_400.5, 4_102_444_799.999)
# What would run for ever, run tasks, or change more than a folder of the test's own.
_LEFT_OUT = {"serve", "run", "service", "init", "drain", "backup", "prune", "schedule", "doctor", "pause", "resume"}
_STATUSES = {0, 1, 2, 3, 4}


def check_config(data: bytes, folder: Path) -> str:
    """Load a settings file twice; it is refused with problems that stand in it, or gives the same twice."""
    file = folder / "etc" / "dropmill.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    first, again = _loaded(file), _loaded(file)
    if isinstance(first, Config):
        assert first == again, "loaded otherwise the second time"
        return "accepted"
    assert not isinstance(again, Config), "accepted the second time"
    assert [str(problem) for problem in first] == [str(problem) for problem in again], "refused otherwise"
    assert first, "refused without a problem"
    lines = data.decode("utf-8", "replace").split("\n")
    for problem in first:
        check_line(problem)
        assert problem.code, problem
        assert problem.line is None or 1 <= problem.line <= len(lines), problem
        if problem.column is not None:
            assert problem.line is not None, problem
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
    return "refused"


def _loaded(file: Path) -> Config | list[Problem]:
    try:
        return load(file, {})
    except ConfigInvalidError as error:
        return list(error.problems)


def check_schedule(data: bytes, rng: random.Random) -> str:
    """Read an expression as cron and as any form; what is accepted goes forward in time and is written back."""
    text, zone = data.decode("utf-8", "replace"), parse_zone(rng.choice(_ZONES))
    ends = {_read(parse_cron, text, zone, rng), _read(parse_text, text, zone, rng)}
    return "accepted" if "accepted" in ends else "refused"


def _read(parse: Callable[[str, Zone], Expression], text: str, zone: Zone, rng: random.Random) -> str:
    try:
        expression = parse(text, zone)
    except ScheduleInvalidError as error:
        _check_refusal(error.problems)
        return "refused"
    assert parse(text, zone) == expression, "read otherwise the second time"
    assert parse_text(str(expression), zone) == expression, f"written back as {expression}"
    calendar = Calendar(expression)
    now = rng.choice(_MOMENTS)
    due = calendar.next_after(now)
    if due is not None:
        assert due > now, (due, now)
        few = list(islice(calendar.between(now, due + 1000.0), 50))
        assert few[0] == due, (few[0], due)
        assert all(one < other for one, other in pairwise(few)), few
    return "accepted"


def _check_refusal(problems: Sequence[Problem]) -> None:
    assert problems, "refused without a problem"
    for problem in problems:
        check_line(problem)
        assert problem.code in {"schedule_invalid", "schedule_never"}, problem
        assert problem.hint, problem


def check_plugin(data: bytes, folder: Path) -> str:
    """Put a file into a plugin folder of its own; it is usable or listed as broken, and raises nothing either way."""
    place = folder / "plugins"
    place.mkdir(exist_ok=True)
    (place / "fuzzed.py").write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = Registry("", [place]).load()
        again = Registry("", [place]).load()
    assert found.types.keys() == again.types.keys(), "usable otherwise the second time"
    assert [each.code for each in found.broken] == [each.code for each in again.broken], "broken otherwise"
    for each in found.broken:
        assert each.code, each
        assert each.message, each
        each.message.encode()
    return "broken" if found.broken else "accepted" if found.types else "without a type"


def arguments(rng: random.Random) -> list[str] | None:
    """Return a command line that differs from a sound one, None where it could do harm."""
    words = list(rng.choice(seeds.ARGUMENTS))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(words) + 1)
        match rng.randrange(6):
            case 0:
                words[at:at] = [rng.choice(rng.choice(seeds.ARGUMENTS))]
            case 1:
                words[at:at] = [rng.choice(_ODD_WORDS)]
            case 2:
                words[at : at + 1] = [rng.choice(_ODD_WORDS)]
            case 3:
                del words[at : at + 1]
            case 4 if at < len(words):
                cut = rng.randrange(len(words[at]) + 1)
                words[at] = words[at][:cut] + rng.choice(("", "x", "-", "\udcff", "é", "0")) + words[at][cut + 1 :]
            case _:
                rng.shuffle(words)
    return None if _LEFT_OUT & set(words) or "-f" in words or "--follow" in words else words


_ODD_WORDS = [
    "", "-", "--", "--help", "--json", "--no-such", "-1", "0", "99999999999999999999", "nan", "\udcff\udcfe", "é\u202e",
    "a" * 5000, ".", "/", "/dev/null", "broken.json", "binary.json", "absent.json", "--param", "k=v", "=", "--limit",
    "--from", "--timezone", "Nowhere/None", "--debug", "--version", "--no-color", "\n\x1b[31m", "{}", "*", "~",
]  # fmt: skip


@contextlib.contextmanager
def site(folder: Path) -> Iterator[None]:
    """Make a folder with settings and a few documents, and let it be home and the current one meanwhile."""
    folder.mkdir(exist_ok=True)
    (folder / "dropmill.toml").write_text('[paths]\ninbox = "in"\nstate = "var"\nlogs = "log"\nworkflows = ["w"]\n')
    (folder / "sound.json").write_bytes(seeds.documents()[0])
    (folder / "broken.json").write_bytes(b'{"tasks": [{"id": "a", "typ": "print"}')
    (folder / "binary.json").write_bytes(bytes(range(256)))
    home = os.environ.get("HOME", "/")
    os.environ["HOME"] = str(folder)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ["HOME"] = home


def check_arguments(words: list[str] | None) -> str:
    """Call the command line with these words in this process; it ends with a known status and says why."""
    if words is None:
        return "left out"
    out, err = _stream(), _stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["--config", "dropmill.toml", *words])
    said = _text(err)
    assert status in _STATUSES, (status, words)
    assert "internal error" not in said, (said, words)
    assert "Traceback" not in said or "--debug" in words, (said, words)
    assert status == 0 or said or _text(out), (status, words)
    return f"status {status}"


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "replace")
