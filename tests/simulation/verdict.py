"""What must hold when all has come to its end: runs, files, due instants and keys are counted from outside."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

from engine.model import Workflow
from tests.engine.control_documents import Play, judged
from tests.engine.interpreter import Story, interpret
from tests.simulation.course import Course
from tests.simulation.timetable import Timetable
from tests.simulation.world import World

_FOLDERS = ("", ".claimed", "done", "failed", "rejected", "duplicate")
_LAG = 90.0
# Why somebody ends a run from outside.
# Also where every task was faster than the cancel.
_ASKED = """SELECT DISTINCT r.id FROM runs r JOIN tasks t ON t.run_pk = r.pk
    WHERE t.state = 'CANCELLED' AND t.reason IN ('user', 'replaced') OR r.ending_reason IN ('user', 'replaced')"""


def judge(world: World) -> dict[str, int]:
    """Complain of everything that is wrong, and return what was counted."""
    witness = world.witness
    witness.judge_ended()
    judgement = Verdict(world)
    for check in (judgement.runs, judgement.answers, judgement.files, judgement.dues, judgement.stories):
        for sentence in check():
            witness.complain(sentence)
    return judgement.counts


class Verdict:
    """Look at what is left."""

    def __init__(self, world: World) -> None:
        self.world, self.rows = world, world.witness.rows
        self.counts: dict[str, int] = {}
        named = "id, pk, workflow, state, reason, trigger, claim, schedule, due_at, run_at, started_at, created_at"
        found = self.rows(f"SELECT {named}, ended_at FROM runs ORDER BY pk")  # noqa: S608 -- ours
        names = [*named.split(", "), "ended_at"]
        self.all = {row[0]: dict(zip(names, row, strict=True)) for row in found}

    def runs(self) -> Iterator[str]:
        """Nothing stays RUNNING, nothing begins before its time."""
        self.counts["runs"] = len(self.all)
        for table in ("runs", "tasks", "attempts"):
            sql = f"SELECT count(*) FROM {table} WHERE ended_at IS NULL AND state != 'SKIPPED'"  # noqa: S608 -- ours
            [[left]] = self.rows(sql)
            if left:
                yield f"{left} {table} have not ended"
        for run in self.all.values():
            if run["run_at"] and run["started_at"] and run["started_at"] < run["run_at"]:
                yield f"run {run['id']} began {run['run_at'] - run['started_at']:.3f} s before its time"
        sql = "SELECT run_pk, task FROM attempts WHERE state = 'COMPLETED' GROUP BY run_pk, task HAVING count(*) > 1"
        for pk, task in self.rows(sql):
            yield f"{task} of run {pk} has completed more than once"

    def answers(self) -> Iterator[str]:
        """Whatever was acknowledged is there, and each key led to one run."""
        self.counts["acknowledged"] = len(self.world.acknowledged)
        for run, event in self.world.acknowledged.items():
            if run not in self.all:
                yield f"run {run} was acknowledged ({event}) and is not known"
        for (workflow, key), runs in self.world.keyed.items():
            if len(runs) > 1:
                yield f"the key {key} of {workflow} led to {sorted(runs)}"
        pairs = self.rows(
            "SELECT workflow, idempotency_key, count(*) FROM runs WHERE idempotency_key IS NOT NULL GROUP BY 1, 2"
        )
        for workflow, key, count in pairs:
            if count > 1:
                yield f"the key {key} of {workflow} has {count} runs"

    def files(self) -> Iterator[str]:
        """Every file lies in one folder, the one that its runs say, and has as many runs as it should."""
        inbox = self.world.config.paths.inbox
        places: dict[str, list[str]] = defaultdict(list)
        for folder in _FOLDERS:
            for path in (inbox / folder).iterdir():
                if path.is_file() and path.name in self.world.dropped:
                    places[path.name].append(folder)
                elif path.is_file() and folder in ("", ".claimed"):
                    yield f"{folder}/{path.name} is left over"
        runs: dict[str, list[str]] = defaultdict(list)
        for run in self.all.values():
            trigger = json.loads(run["trigger"])
            if trigger["type"] == "inbox":
                runs[trigger["file"]].append(run["state"])
        self.counts["files"] = len(self.world.dropped)
        for name, event in self.world.dropped.items():
            wanted = _wanted(event.what.partition("-")[0], event.count, runs[name])
            if places[name] not in [[each] for each in wanted]:
                yield f"{name} ({len(runs[name])} runs: {runs[name]}) lies in {places[name]}, not in {sorted(wanted)}"

    def dues(self) -> Iterator[str]:
        """Every instant has its one row, which says what the oracle says."""
        rows: dict[str, dict[float, tuple]] = defaultdict(dict)
        for name, at, *row in self.rows(
            "SELECT schedule, due_at, state, reason, run, count, first_at, recorded_at FROM due_times"
        ):
            rows[name][at] = tuple(row)
        self.counts["instants"] = 0
        for name, timetable in self.world.timetables.items():
            self.counts["instants"] += len(timetable.verdicts)
            for sentence in self._due(timetable, rows[name]):
                yield f"schedule {name} ({timetable.planned.form} {timetable.planned.text}): {sentence}"

    def _due(self, timetable: Timetable, rows: dict[float, tuple]) -> Iterator[str]:
        instants = set(timetable.instants)
        covered: set[float] = set()
        for at, (state, _reason, run, count, first, _recorded) in rows.items():
            if at not in instants:
                yield f"{at} is no instant of it, and is {state}"
            if count > 1:
                many = [one for one in timetable.instants if first <= one <= at]
                covered |= set(many)
                if len(many) != count:
                    yield f"{count} instants from {first} to {at} are told, and there are {len(many)}"
            of = [
                each
                for each in self.all.values()
                if each["schedule"] == timetable.planned.name and each["due_at"] == at
            ]
            if len(of) != (state == "RUN") or [each["id"] for each in of] != ([run] if run else []):
                yield f"{at} is {state}, and has {len(of)} runs"
        for at in timetable.instants:
            if at in rows:
                yield from self._fate(timetable, at, rows[at])
            elif at not in covered and at in timetable.verdicts and not timetable.is_optional(at):
                yield f"{at} has no row, and should be {sorted(timetable.verdicts[at])}"
            elif at not in covered and at not in timetable.verdicts and not timetable.is_optional(at):
                yield f"{at} was never looked at"

    def _fate(self, timetable: Timetable, at: float, row: tuple) -> Iterator[str]:
        state, reason, _run, _count, _first, recorded = row
        verdicts = timetable.verdicts.get(at, set())
        told = f"{at} is {state} {reason or ''}, and should be {sorted(verdicts)}"
        if timetable.is_optional(at) and not verdicts:
            return
        match state, reason:
            case "RUN", _:
                is_right = "run" in verdicts
            case "MISSED", _:
                is_right = "missed" in verdicts
            case "SKIPPED", "paused":
                is_right = "paused" in verdicts or bool(timetable.planned.overlap != "allow" and "run" in verdicts)
            case "SKIPPED", "overlap" | "replaced":
                is_right = "run" in verdicts and timetable.planned.overlap != "allow"
                if is_right and reason == "overlap" and not self._was_busy(timetable, at, recorded):
                    told, is_right = f"{at} is skipped because of an overlap with nothing", False
            case _:
                is_right = False
        if not is_right:
            yield told

    def _was_busy(self, timetable: Timetable, at: float, recorded: float) -> bool:
        """Tell whether another run of the schedule was in the way when an instant was skipped."""
        if any(event.kind == "step" for event in self.world.course.events):
            return True
        if any(other != at for other in timetable.companions[at]):
            return True
        return any(
            each["schedule"] == timetable.planned.name
            and each["created_at"] <= recorded
            and (each["ended_at"] or recorded) >= recorded - _LAG
            for each in self.all.values()
        )

    def stories(self) -> Iterator[str]:
        """A run that nobody interfered with has ended as the interpreter says."""
        told: Counter[str] = Counter()
        meddled = self._meddled()
        for run in self.all.values():
            if run["workflow"] not in ("drawn0", "drawn1") or run["id"] in meddled:
                continue
            story, found = _story(self.world.course, run["workflow"]), self._found(run)
            told["stories"] += 1
            wanted = _told(story)
            if found != wanted:
                differing = {key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)}
                shown = {key: (found.get(key), wanted.get(key)) for key in sorted(differing)[:3]}
                yield f"run {run['id']} of {run['workflow']} ended otherwise than the interpreter says: {shown}"
        self.counts |= told

    def _meddled(self) -> set[str]:
        """Return the runs of which something was ended from outside, in themselves or in those that they called."""
        found = {run for (run,) in self.rows(_ASKED)}
        called = self.rows("SELECT id, parent FROM runs WHERE parent IS NOT NULL ORDER BY pk DESC")
        return found | {parent for run, parent in called if run in found}

    def _found(self, run: dict[str, Any]) -> dict[str, tuple]:
        values = self.world.values
        sql = "SELECT key, state, reason, output, output_ref FROM tasks WHERE run_pk = ?"
        found = {"": (run["state"], run["reason"])}
        for key, state, reason, inline, ref in self.rows(sql, run["pk"]):
            found[key] = (state, reason, json.loads(values.join(inline, ref)))
        return found


@cache
def _workflow(document: str) -> Workflow:
    return judged(json.loads(document))


def _story(course: Course, name: str) -> Story:
    return _interpreted(json.dumps(course.documents[name]))


@cache
def _interpreted(document: str) -> Story:
    return interpret(_workflow(document), Play().script)


def _told(story: Story) -> dict[str, tuple]:
    told: dict[str, tuple] = {"": (str(story.end.state), _word(story.end.reason))}
    for key, end in story.tasks.items():
        told[key] = (str(end.state), _word(end.reason), end.output)
    return told


def _word(reason: Any) -> str | None:
    return None if reason is None else str(reason)


def _wanted(what: str, count: int, states: list[str]) -> set[str]:
    """Return the folders where a file may have ended, given the runs that name it; none if they are too many."""
    if what in ("broken", "unknown"):
        return {"rejected"} if not states else set()
    if what == "request" and not states:
        return {"duplicate"}
    if len(states) != (count + 1 if what == "lines" else 1):
        return set()
    return {"done"} if all(state == "COMPLETED" for state in states) else {"failed"}
