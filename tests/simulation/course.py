"""What happens in one simulated history, and what breaks when: drawn from a seed, plain values, written as JSON.

Nothing here acts. `World` plays a course; `shrinking` leaves things out of one. What is drawn while it is played (how
long an attempt takes, what becomes of it) is drawn from the same seed.
"""

import json
import random
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from hypothesis.control import BuildContext
from hypothesis.internal.conjecture.data import ConjectureData

from tests.engine.control_documents import SCRIPTED, documents

DAY = 86_400.0
_ROOT = Path(__file__).parents[2]
WILD = "wild"
# Each begins a few days before a zone's clock is set forward or back.
PLACES = (
    ("Europe/Berlin", "2027-03-14T09:17:03Z"),
    ("America/New_York", "2027-10-25T03:00:00Z"),
    ("Australia/Lord_Howe", "2027-09-20T12:30:00Z"),
    ("UTC", "2028-02-15T23:59:30Z"),
)
CRONS = (
    "30 2 * * *",
    "0 */6 * * *",
    "15 9 * * 1-5",
    "*/30 1-3 * * sun",
    "30 0,12 * * *",
    "59 23 28-31 * *",
    "0 0 * * *",
    "30 1 */2 * *",
    "*/20 2 * * 0,3",
)
PERIODS = ("6h", "1d", "37h", "11h30m", "2d")
SIMPLE: dict[str, dict[str, Any]] = {
    "quick": {"tasks": [{"id": "a", "type": WILD, "timeout": "3h"}]},
    "chain": {
        "timeout": "20h",
        "defaults": {"timeout": "2h", "retry": {"max_retries": 2, "delay": "40m", "backoff": 3, "jitter": 0.2}},
        "tasks": [
            {"id": "a", "type": WILD},
            {"id": "b", "type": WILD, "depends_on": ["a"], "continue_on_failure": True},
            {"id": "c", "type": WILD, "depends_on": ["b"], "retry": {"max_retries": 0}},
        ],
    },
    "fan": {
        "max_parallel": 2,
        "defaults": {"timeout": "1h"},
        "tasks": [
            {"id": "each", "type": WILD, "foreach": {"items": [1, 2, 3], "require": "any"}},
            {"id": "after", "type": WILD, "depends_on": ["each"], "retry": {"max_retries": 1, "delay": 0}},
        ],
        "on_failure": [{"id": "alarm", "type": WILD}],
        "finally": [{"id": "sweep", "type": WILD}],
    },
    # One after the other, over a pool of two slots; what was fetched is good for a day.
    "narrow": {
        "concurrency": {"key": "one", "limit": 1, "policy": "queue"},
        "deadline": {"within": "9h", "on_miss": "warn"},
        "defaults": {"timeout": "1h", "retry": {"max_retries": 1, "delay": "30s"}},
        "tasks": [
            {"id": "fetch", "type": WILD, "cache": {"key": "all", "ttl": "1d"}},
            {"id": "one", "type": WILD, "weighs": 1, "pool": "db"},
            {"id": "two", "type": WILD, "weighs": 2, "pool": {"name": "db", "weight": 2}},
            {"id": "more", "type": WILD, "weighs": 1, "pool": "db", "foreach": [1, 2, 3]},
        ],
    },
    # Another workflow, and a person who may take their time.
    "nested": {
        "timeout": "4d",
        "tasks": [
            {"id": "call", "type": "workflow", "workflow": "chain", "retry": {"max_retries": 2, "delay": "1m"}},
            {"id": "ask", "type": "approval", "message": "yes or no", "within": "6h", "on_timeout": "approve"},
            {"id": "later", "type": "workflow", "workflow": "quick", "wait": False, "depends_on": ["call"]},
            {"id": "end", "type": WILD, "depends_on": ["call", "ask"], "deadline": {"within": "3d", "on_miss": "fail"}},
        ],
    },
}
SLOTS = 2


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule; `form` is cron, every or at, `window` and `jitter` are seconds."""

    name: str
    form: str
    text: str
    zone: str
    workflow: str
    on_missed: str
    window: int
    most: int
    overlap: str
    jitter: int


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something from outside, `at` so many seconds after the beginning; what the rest means depends on the kind."""

    at: float
    kind: str
    what: str = ""
    key: str = ""
    count: int = 0
    seconds: float = 0.0
    again: int = 0


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """One history: where and when it begins, what is there, and everything that comes from outside."""

    seed: int
    begin: str
    zone: str
    days: int
    workers: int
    inline_bytes: int
    schedules: tuple[Planned, ...]
    documents: dict[str, dict[str, Any]]
    events: tuple[Event, ...]


def draw(seed: int, days: int = 30) -> Course:
    """Draw a history."""
    rng = random.Random(f"course {seed}")
    zone, begin = rng.choice(PLACES)
    drawn = {name: told_alone(document(rng)) | {"name": name} for name in ("drawn0", "drawn1")}
    workflows = [*SIMPLE, *drawn]
    schedules = tuple(_schedule(rng, n, (zone, begin), workflows) for n in range(rng.randint(1, 3)))
    events = sorted(_events(rng, days, schedules, workflows), key=lambda event: event.at)
    return Course(
        seed=seed,
        begin=begin,
        zone=zone,
        days=days,
        workers=rng.choice([1, 2, 3, 8]),
        inline_bytes=rng.choice([20, 64 * 1024]),
        schedules=schedules,
        documents=SIMPLE | drawn,
        events=tuple(events),
    )


def document(rng: random.Random) -> dict[str, Any]:
    """Draw a document of `control_documents`, by the generator of hypothesis alone: no example is kept or shrunk."""
    data = ConjectureData(random=rng, prefix=())
    with BuildContext(data, is_final=False, wrapped_test=lambda: None):
        found: dict[str, Any] = data.draw(documents(depth=2, most_tasks=4))
    return json.loads(json.dumps(found))


def told_alone(value: Any) -> Any:
    """Leave out of a document what other runs have a say in, which the interpreter does not know.

    That is the cache, and in called documents the reason of a task: a repeated call finds it `reused`.
    """
    if isinstance(value, list):
        return [told_alone(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == SCRIPTED:
        value = {key: item for key, item in value.items() if key != "cache"}
    if value.get("type") == "workflow":
        inner = json.dumps(value["workflow"]).replace(".reason", ".state")
        value = value | {"workflow": json.loads(inner)}
    return {key: told_alone(item) for key, item in value.items()}


def _schedule(rng: random.Random, number: int, place: tuple[str, str], workflows: list[str]) -> Planned:
    zone, begin = place
    form = rng.choice(["cron", "cron", "cron", "every", "at"])
    start = datetime.fromisoformat(begin).timestamp()
    moment = datetime.fromtimestamp(start + rng.uniform(0, 25 * DAY), UTC).replace(microsecond=0)
    return Planned(
        name=f"s{number}",
        form=form,
        text={"cron": rng.choice(CRONS), "every": rng.choice(PERIODS), "at": moment.isoformat()}[form],
        zone=rng.choice([zone, zone, "UTC"]),
        workflow=rng.choice(workflows),
        on_missed=rng.choice(["skip", "last", "all", "all"]),
        window=rng.choice([3600, 86_400, 10 * 86_400]),
        most=rng.choice([1, 3, 100]),
        overlap=rng.choice(["skip", "queue", "replace", "allow"]),
        jitter=rng.choice([0, 0, 30, 600]),
    )


def _events(rng: random.Random, days: int, schedules: tuple[Planned, ...], workflows: list[str]) -> list[Event]:
    def at() -> float:
        return round(rng.uniform(0.0, days * DAY), 3)

    def some(most: int) -> range:
        return range(rng.randint(0, most))

    keys = [""] * 6 + [f"key{n}" for n in range(4)]
    events = [_submission(rng, at(), keys, workflows) for _ in some(16)]
    events += [_drop(rng, at(), n, keys) for n in some(16)]
    events += [_crash(rng, at()) for _ in some(8)]
    events += [Event(at(), "stop", seconds=_pause(rng), count=rng.choice([0, 5, 600])) for _ in some(3)]
    events += [Event(at(), "full", count=rng.randint(1, 4), seconds=_pause(rng)) for _ in some(2)]
    events += [Event(at(), "move fails", count=rng.randint(1, 2)) for _ in some(2)]
    events += [Event(at(), "cancel", count=rng.randrange(100)) for _ in some(4)]
    events += [Event(at(), "step", seconds=rng.choice([-7200, -3600, -40, -1, 1, 45, 3600, 90_000])) for _ in some(3)]
    for schedule in schedules:
        if rng.random() < 0.3:
            since = at()
            events.append(Event(since, "pause", what=schedule.name))
            events.append(Event(since + rng.uniform(0, 5 * DAY), "resume", what=schedule.name))
    for _ in some(2):
        since, number = at(), rng.randrange(100)
        events.append(Event(since, "pause run", count=number))
        events.append(Event(since + rng.uniform(0, DAY), "resume runs"))
    if rng.random() < 0.2:
        since = at()
        events += [Event(since, "hold"), Event(since + rng.uniform(0, DAY), "release")]
    return events


def _submission(rng: random.Random, at: float, keys: list[str], workflows: list[str]) -> Event:
    later = rng.choice([0.0, 0.0, 0.0, 45.0, 3600.0, 20_000.0])
    return Event(at, "submit", what=rng.choice(workflows), key=rng.choice(keys), seconds=later)


def _drop(rng: random.Random, at: float, number: int, keys: list[str]) -> Event:
    what = rng.choice(["document", "document", "request", "request", "broken", "lines", "unknown"])
    key = rng.choice(keys) if what == "request" else ""
    return Event(at, "drop", what=f"{what}-{number}", key=key, count=rng.randrange(3), seconds=rng.choice([0.0, 1.0]))


def _crash(rng: random.Random, at: float) -> Event:
    """Draw a death: at any of the next seams, or at the next ones of a certain name."""
    name = rng.choice(["", rng.choice(seams())])
    count = rng.choice([1, 1, 2, 5]) if name else rng.randint(1, 60)
    return Event(at, "crash", what=name, count=count, seconds=_pause(rng), again=_again(rng))


@cache
def seams() -> tuple[str, ...]:
    """List the names of all sync points, as they stand in the source."""
    files = [file for room in ("engine", "daemon") for file in (_ROOT / room).rglob("*.py")]
    found = {name for file in files for name in re.findall(r'sync_point\("([\w.]+)"\)', file.read_text())}
    return tuple(sorted(found))


def _pause(rng: random.Random) -> float:
    """Return how long the daemon is down: seconds, or over night, or for days."""
    return round(rng.choice([rng.uniform(0, 5), rng.uniform(0, 300), rng.uniform(0, DAY), rng.uniform(0, 4 * DAY)]), 3)


def _again(rng: random.Random) -> int:
    """Return how many seams the next life passes before it dies too; 0 is none."""
    return rng.choice([0, 0, rng.randint(1, 5), rng.randint(1, 25)])
