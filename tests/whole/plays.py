"""Documents with every kind of control flow, drawn at random and played by a real daemon, and what became of them.

Makes what `control_documents` draws fit for real time, asks and decides as a person would, and reads from the database
the story that the interpreter tells of each document. Kills are the business of whoever calls.
"""

import contextlib
import http.client
import json
import os
import pwd
import random
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from hypothesis.control import BuildContext
from hypothesis.errors import StopTest
from hypothesis.internal.conjecture.data import ConjectureData

from engine.model import Workflow
from engine.plan import id_of, make_plan
from engine.states import Reason, State
from engine.values import Values
from tests.engine.control_documents import HELD, KNOWN, SCRIPTED, Play, documents, judged
from tests.engine.interpreter import End, Reading, Script, Story, interpret
from tests.rules.source import ROOT
from tests.whole.mill import Mill

SETTINGS = f"""
[paths]
plugins = ["{ROOT / "tests/whole/scripted"}", "{ROOT / "tests/whole/ledger"}"]

[executor]
workers = 3
grace = "300ms"

[limits]
max_lost = 100000
inline_bytes = 48
"""
_PHASES = ("tasks", "on_success", "on_failure", "on_cancel", "finally")
_PERSON = pwd.getpwuid(os.getuid()).pw_name
_SHORT, _PATIENCE = 0.05, 0.3
Entry = tuple[str, str, int, str]  # run, task, attempt, phase


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    """Draw documents; the same seed draws the same."""
    rng = random.Random(seed)
    return [fitted(_draw(rng), f"drawn{number}") for number in range(count)]


def _draw(rng: random.Random) -> dict[str, Any]:
    """Draw one document that owes nothing to others: left alone, hypothesis varies those it has drawn."""
    while True:
        data = ConjectureData(random=rng, prefix=())
        with BuildContext(data, is_final=False, wrapped_test=lambda: None), contextlib.suppress(StopTest):
            found: dict[str, Any] = data.draw(documents(depth=3))
            return json.loads(json.dumps(found))


def fitted(document: dict[str, Any], name: str, depth: int = 1) -> dict[str, Any]:
    """Name a document and those in it, shorten their waits, and have no two tasks meet in the cache."""
    document["name"] = name
    for task in _tasks_of(document):
        if task.get("retry", {}).get("delay"):
            task["retry"]["delay"] = _SHORT
        if "loop" in task and "delay" in task["loop"]:
            task["loop"]["delay"] = _SHORT
        if "within" in task:
            task["within"] = _PATIENCE
        cache = task.pop("cache", None)
        if isinstance(cache, dict) and (KNOWN in cache["key"] or _is_alone(task, depth)):
            task["cache"] = cache | {"ttl": "1d"}
        if isinstance(task.get("workflow"), dict):
            fitted(task["workflow"], f"{name}.{task['id']}", depth + 1)
    return document


def _is_alone(task: Mapping[str, Any], depth: int) -> bool:
    return depth == 1 and "foreach" not in task and "loop" not in task


def _tasks_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for phase in _PHASES:
        yield from document.get(phase, ())


def seeds_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield documents that fill the cache with what the tasks of this one are to find there."""
    for task in _tasks_of(document):
        if KNOWN in task.get("cache", {}).get("key", ""):
            held = {"id": task["id"], "type": SCRIPTED, "gives": HELD}
            for n in (2, 3):
                yield {"name": document["name"], "tasks": [held | {"cache": {"key": f"{KNOWN} {n}", "ttl": "1d"}}]}
        if isinstance(task.get("workflow"), dict):
            yield from seeds_of(task["workflow"])


def script() -> Script:
    """Return what happens outside, for the interpreter: in the real world this account decides."""
    play = Play()

    def decide(path: str, message: str) -> dict[str, Any] | None:
        said = play.decide(path, message)
        return None if said is None else said | {"actor": _PERSON}

    return Script(play.perform, decide, play.recall)


class Troupe:
    """Have a mill play documents; a daemon may die at any moment of it."""

    def __init__(self, mill: Mill, played: list[dict[str, Any]], rng: random.Random) -> None:
        self.mill, self.documents, self.random = mill, played, rng
        self.workflows: list[Workflow] = [judged(document) for document in played]
        self.runs: dict[int, str] = {}
        self.stopped: dict[int, dict[str, End]] = {}
        self.paused: set[int] = set()
        self.values = Values(mill.state / "values")

    def fill_cache(self) -> None:
        """Have everything in the cache that is to be found there; the daemon lives on."""
        runs = [self.mill.submit(seed) for document in self.documents for seed in seeds_of(document)]
        for run in runs:
            assert self.mill.wait_for_end(run, 120.0)["state"] == "COMPLETED"

    def submit(self, number: int) -> None:
        """Ask for the run of a document, again and again until it was acknowledged."""
        status, answer = self.call("/api/v1/runs", self._body(number))
        assert status in (0, 200, 201, 503), (status, answer, self.documents[number])
        if status in (200, 201):
            assert self.runs.setdefault(number, answer["id"]) == answer["id"]

    def _body(self, number: int) -> dict[str, Any]:
        return {"workflow": self.documents[number], "idempotency_key": f"play-{number}"}

    def decide(self) -> None:
        """Decide what waits for a person, as its message says."""
        asked = (
            "SELECT r.id, t.key, t.memo FROM tasks t JOIN runs r ON r.pk = t.run_pk "
            "WHERE r.ended_at IS NULL AND t.state = 'WAITING' AND t.reason = 'approval'"
        )
        for run, task, memo in self.mill.rows(asked):
            said = Play.decide("", json.loads(memo)["message"])
            if said is not None:
                verb = "approve" if said["approved"] else "reject"
                body = {"note": said["note"]} | ({"data": said["data"]} if said["approved"] else {})
                status, answer = self.call(f"/api/v1/runs/{run}/tasks/{quote(task, safe='')}/{verb}", body)
                assert status in (0, 200, 404, 409, 422, 503), (status, answer)

    def pause(self, number: int) -> None:
        """Pause a run, or let it go on."""
        verb = "resume" if number in self.paused else "pause"
        status, _ = self.call(f"/api/v1/runs/{self.runs[number]}/{verb}", {})
        if status == 200:
            self.paused ^= {number}

    def go_on(self) -> None:
        """Let every run go on that is paused."""
        for (run,) in self.mill.rows("SELECT id FROM runs WHERE state = 'WAITING' AND reason = 'paused'"):
            self.call(f"/api/v1/runs/{run}/resume", {})

    def cancel(self, number: int) -> None:
        """Cancel a run, and remember what had ended by then."""
        run = self.runs[number]
        self.stopped.setdefault(number, {key: end for key, end in self.ends(run).items() if end is not None})
        self.call(f"/api/v1/runs/{run}/cancel", {"message": "enough"})

    def call(self, path: str, body: Any) -> tuple[int, Any]:
        """Ask; status 0 where nobody answers."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return self.mill.ask("POST", path, body)
        return 0, None

    def is_over(self) -> bool:
        """Tell whether every document was played to its end; decides what is asked meanwhile."""
        for number in range(len(self.documents)):
            if number not in self.runs:
                self.submit(number)
        self.go_on()
        self.decide()
        return not self.mill.rows("SELECT 1 FROM runs WHERE ended_at IS NULL LIMIT 1")

    def judge(self, number: int) -> Story:
        """Compare what became of a document with what the interpreter says; raises AssertionError."""
        found, workflow = self.story(self.runs[number], workflow=self.workflows[number]), self.workflows[number]
        told = self._told(number, self.runs[number])
        if found.end.state is State.CANCELLED:
            assert found.end[:2] == (State.CANCELLED, Reason.USER), told
            assert self.stopped[number].items() <= found.tasks.items(), told
            wanted = with_hooks(workflow, found)
        else:
            wanted = interpret(workflow, script())
        judged_part = found
        if number in self.stopped and _has_cut_hooks(workflow, found):
            # The cancel came when the outcome was known, and hooks were at work.
            judged_part, wanted = _without_hooks(workflow, found), _without_hooks(workflow, wanted)
        compare(judged_part, wanted, told)
        return found

    def retry(self, stories: Mapping[int, Story]) -> dict[int, str]:
        """Have everything done again that did not complete, and return the runs that this leads to.

        Not what was tried more than once inside a called run, of which a rerun knows less; nor what has put its own
        outputs into the cache.
        """
        again: dict[int, str] = {}
        for number, story in stories.items():
            is_new = any(task.get("cache", {}).get("key") == "new" for task in _tasks_of(self.documents[number]))
            if not story.end.is_good and not is_new and _is_straight(story):
                status, answer = self.call(f"/api/v1/runs/{self.runs[number]}/retry", {})
                assert status == 201, answer
                again[number] = answer["id"]
        return again

    def judge_again(self, number: int, run: str, before: Story) -> None:
        """Compare what became of a run that repeats one with what the interpreter says of a first; raises so."""
        found = self.story(run, workflow=self.workflows[number], before=before)
        compare(found, interpret(self.workflows[number], script()), self._told(number, run))

    def _told(self, number: int, run: str) -> str:
        return f"document {number}: {json.dumps(self.documents[number])}\nrun {run}"

    def ends(self, run: str) -> dict[str, End | None]:
        """Return how each task and instance of a run ended, None for one that has not."""
        query = (
            "SELECT t.key, t.state, t.reason, t.output, t.output_ref, t.ended_at FROM tasks t "
            "JOIN runs r ON r.pk = t.run_pk WHERE r.id = ?"
        )
        found: dict[str, End | None] = {}
        for key, state, reason, output, ref, ended_at in self.mill.rows(query, run):
            kind = None if reason in (None, Reason.REUSED) else Reason(reason)
            assert state == "COMPLETED" or kind is not None or ended_at is None, "an end without a reason"
            end = End(State(state), kind, self._value(output, ref) if state == "COMPLETED" else None)
            found[key] = None if ended_at is None else end
        return found

    def story(self, run: str, *, workflow: Workflow, before: Story | None = None) -> Story:
        """Read how a run and those it called have ended; `before` is that of the run that this one repeats.

        What a task called that was taken over from there is left empty.
        """
        query = "SELECT state, reason, output, output_ref FROM runs WHERE id = ? AND ended_at IS NOT NULL"
        [[state, reason, output, ref]] = self.mill.rows(query, run)
        given = self._value(output, ref) if state == "COMPLETED" else None
        tasks = {key: end for key, end in self.ends(run).items() if end is not None}
        if before is not None:
            reused = self.reused(run)
            tasks |= {key: end for key, end in before.tasks.items() if key in reused or id_of(key) in reused}
        children: dict[str, list[Story]] = {}
        calls = "SELECT id, parent_task FROM runs WHERE parent = ? ORDER BY parent_task, parent_attempt"
        every = {task.id: task for members in workflow.phases().values() for task in members}
        for child, key in self.mill.rows(calls, run):
            inner = every[id_of(key)].inner
            assert inner is not None
            tries = children.setdefault(key, [])
            former = tries or (before.children.get(key) if before is not None and key in self.offered(run) else None)
            tries.append(self.story(child, workflow=inner.workflow, before=former[-1] if former else None))
        if before is not None:
            children |= {key: [] for key in before.children if key in reused or id_of(key) in reused}
            self.check_kept(run, workflow, before, reused)
        return Story(End(State(state), None if reason is None else Reason(reason), given), tasks, children)

    def offered(self, run: str) -> set[str]:
        """Name the tasks and instances of a run whose called runs may take something over from an earlier one."""
        query = "SELECT o.key FROM offers o JOIN runs r ON r.pk = o.run_pk WHERE r.id = ? AND o.child IS NOT NULL"
        return {key for (key,) in self.mill.rows(query, run)}

    def reused(self, run: str) -> set[str]:
        """Name the tasks and instances that a run took over from an earlier one."""
        query = "SELECT t.key FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ? AND t.reason = 'reused'"
        return {key for (key,) in self.mill.rows(query, run)}

    @staticmethod
    def check_kept(run: str, workflow: Workflow, before: Story, reused: set[str]) -> None:
        """Check that a called run that is tried again does nothing again that is behind nothing new."""
        if workflow.routing is not None:
            return
        plan = make_plan(workflow)
        kept: set[str] = set()
        for key in plan.graph.order:
            if before.tasks[key].state is State.COMPLETED and kept >= set(plan.graph.depends_on[key]):
                kept.add(key)
        assert kept <= reused, f"run {run} did again what was done: {kept - reused}"

    def _value(self, output: bytes | None, ref: str | None) -> Any:
        return msgspec.json.decode(self.values.join(output, ref))

    def told(self) -> list[Entry]:
        """Return what attempts have written down of themselves, in their order."""
        path = self.mill.folder / "told"
        return [tuple(json.loads(line)) for line in path.read_bytes().splitlines()] if path.exists() else []

    def completed(self) -> set[tuple[str, str]]:
        """Return the tasks, as (run, key), whose success is recorded."""
        query = "SELECT r.id, t.key FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE t.state = 'COMPLETED'"
        return set(self.mill.rows(query))


def _has_cut_hooks(workflow: Workflow, story: Story) -> bool:
    ids = {task.id for task in workflow.tasks}
    return any(id_of(key) not in ids and end.state is State.CANCELLED for key, end in story.tasks.items())


def _without_hooks(workflow: Workflow, story: Story) -> Story:
    ids = {task.id for task in workflow.tasks}
    tasks = {key: end for key, end in story.tasks.items() if id_of(key) in ids}
    children = {key: each for key, each in story.children.items() if id_of(key) in ids}
    return Story(story.end, tasks, children)


def _is_straight(story: Story) -> bool:
    return all(len(each) == 1 and _is_straight(each[0]) for each in story.children.values())


def check_not_again(told: list[Entry], completed: set[tuple[str, str]], since: int) -> None:
    """Check that nothing whose success was recorded when so many entries had been made has begun since."""
    again = [entry for entry in told[since:] if entry[:2] in completed and entry[3] == "begin"]
    assert again == [], "their success had been recorded"


def with_hooks(workflow: Workflow, story: Story) -> Story:
    """Have the interpreter run the hooks of a run whose tasks have ended in their own way."""
    reading = Reading(workflow, script(), {})
    _, reading.ends, reading.children = _without_hooks(workflow, story)
    return reading.hooks_after(story.end)


def compare(found: Story, wanted: Story, told: str) -> None:
    """Check that two stories are the same; raise AssertionError with `told` and every difference."""
    wanted = _as_far_as_called(wanted, found)
    if found != wanted:
        raise AssertionError(f"{told}\n" + "\n".join(differences(found, wanted)))


def _as_far_as_called(wanted: Story, found: Story) -> Story:
    """Leave empty what was taken over, not called: a call that is repeated for once may take fewer tries."""
    children = {
        key: []
        if found.children.get(key) == []
        else [
            _as_far_as_called(one, other)
            for one, other in zip(each, [*found.children.get(key, []), *each], strict=False)
        ]
        for key, each in wanted.children.items()
    }
    return wanted._replace(children=children)


def differences(found: Story, wanted: Story, path: str = "") -> Iterator[str]:
    """Say where two stories are not the same."""
    if found.end != wanted.end:
        yield f"{path or 'the run'}: {found.end} and not {wanted.end}"
    for key in sorted(found.tasks.keys() | wanted.tasks.keys()):
        if found.tasks.get(key) != wanted.tasks.get(key):
            yield f"{path}/{key}: {found.tasks.get(key)} and not {wanted.tasks.get(key)}"
    for key in sorted(found.children.keys() | wanted.children.keys()):
        of, should = found.children.get(key, []), wanted.children.get(key, [])
        if len(of) != len(should):
            yield f"{path}/{key}: called {len(of)} times and not {len(should)}"
        for number, (one, other) in enumerate(zip(of, should, strict=False), start=1):
            yield from differences(one, other, f"{path}/{key}#{number}")
