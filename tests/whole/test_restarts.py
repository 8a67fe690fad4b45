"""Control flow in a real daemon that dies in the middle of it, and what a rerun of it does again."""

import contextlib
import http.client
import json
import sqlite3

import pytest

from engine.points import VARIABLE
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.test_control import shelve


def begun(mill, run=None):
    """Return the tasks that have begun, in their order, all or those of one run."""
    return [entry.task for entry in mill.ledger() if entry.phase == "begin" and run in (None, entry.run)]


def wait_for_state(mill, run, task, state):
    query = "SELECT t.state FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ? AND t.key = ?"
    wait_for(lambda: mill.rows(query, run, task) == [(state,)], f"{task} to be {state}; {mill.words()}")


def restart(mill, before=lambda: None, **environ):
    mill.kill()
    before()
    mill.start(**environ)


def die_with(mill, point, document):
    """Let a daemon die at a moment on the way of a document, and return the run."""
    process = mill.start(**{VARIABLE: point}).process
    with contextlib.suppress(OSError, http.client.HTTPException):
        mill.submit(document)
    wait_for(lambda: process.poll() is not None, f"the death at {point}; {mill.words()}")
    [[run]] = mill.rows("SELECT id FROM runs WHERE parent IS NULL")
    return run


def wind_down(mill, run):
    """Leave what is recorded of a run as a daemon does that is killed when it has recorded that it is cancelled."""
    ending = "UPDATE runs SET ending_state = 'CANCELLED', ending_reason = 'user', ending_message = '' WHERE id = ?"
    with contextlib.closing(sqlite3.connect(mill.state / "state.db")) as base, base:
        base.execute(ending, (run,))


def children(mill, run):
    return mill.rows("SELECT id, parent_task, state FROM runs WHERE parent = ? ORDER BY pk", run)


def retry(mill, run, *more):
    """Have a run done again as a person would, and return the run that it leads to."""
    called = mill.call("retry", run, *more)
    assert called.returncode == 0, called.stderr
    [[again]] = mill.rows("SELECT id FROM runs WHERE trigger_type = 'rerun' ORDER BY pk DESC LIMIT 1")
    return again


# The run of a document is the first that is made, that of its call the second.
@pytest.mark.parametrize("point", ["executor.asked#2", "executor.created#2"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_daemon_that_dies_while_a_called_run_is_made_has_made_one(mill, point, waits):
    call = {"id": "call", "type": "workflow", "workflow": {"tasks": [mill.task("inner")]}, "wait": waits}
    run = die_with(mill, point, {"tasks": [call, mill.task("after", ("call",))]})
    assert len(children(mill, run)) == (point == "executor.created#2")
    mill.start()
    view = mill.wait_for_end(run)
    mill.wait_for_quiet()
    [[child, _, state]] = children(mill, run)
    assert (view["state"], state) == ("COMPLETED", "COMPLETED")
    assert waits or view["tasks"][0]["output"] == {"run": child}
    assert sorted(begun(mill)) == ["after", "inner"]
    checker.check(mill)


@pytest.mark.parametrize(("point", "there"), [("executor.asked#2", []), ("executor.created#2", ["CANCELLED"])])
def test_a_run_that_was_cancelled_when_the_daemon_died_calls_nothing_and_ends_what_it_has_called(mill, point, there):
    call = {"id": "call", "type": "workflow", "workflow": {"tasks": [mill.task("inner", until="/nowhere")]}}
    run = die_with(mill, point, {"tasks": [call], "on_cancel": [mill.task("hook")]})
    wind_down(mill, run)
    mill.start()
    view = mill.wait_for_end(run)
    mill.wait_for_quiet()
    assert [(task["id"], task["state"]) for task in view["tasks"]] == [("call", "CANCELLED"), ("hook", "COMPLETED")]
    assert [state for *_, state in children(mill, run)] == there


def test_calls_three_deep_that_are_killed_in_the_middle_go_on_where_they_were(mill):
    gate = mill.folder / "gate"
    document = {"tasks": [mill.task("a3"), mill.task("b3", ("a3",), until=str(gate))]}
    for depth in (2, 1, 0):
        call = {"id": "call", "type": "workflow", "workflow": document, "depends_on": [f"a{depth}"]}
        document = {"tasks": [mill.task(f"a{depth}"), call, mill.task(f"b{depth}", ("call",))]}
    mill.start()
    run = mill.submit(document)
    mill.wait_for_begin("b3")
    restart(mill, gate.touch)
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert [task for task in begun(mill) if task != "b3"] == ["a0", "a1", "a2", "a3", "b2", "b1", "b0"]
    assert mill.rows("SELECT depth, state FROM runs ORDER BY pk") == [(n, "COMPLETED") for n in (1, 2, 3, 4)]
    checker.check(mill)


def test_a_called_run_that_ends_as_it_begins_is_heard_of(mill):
    inner = {"tasks": [mill.task("never", when="false")], "outputs": {"x": 1}}
    mill.start()
    call = {"id": "call", "type": "workflow", "workflow": inner}
    view = mill.wait_for_end(mill.submit({"tasks": [call, mill.task("after", ("call",))]}))
    assert (view["state"], view["tasks"][0]["output"]) == ("COMPLETED", {"x": 1})


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_called_run_that_is_tried_again_in_another_life_repeats_what_was_done_unless_its_document_changed(
    mill, is_changed
):
    child = {"name": "child", "tasks": [mill.task("a"), mill.task("b", ("a",), script=["fail"])]}
    shelve(mill, child)
    mill.start()
    call = {"id": "call", "type": "workflow", "workflow": "child", "retry": {"max_retries": 1, "delay": "2s"}}
    run = mill.submit({"tasks": [call]})
    wait_for_state(mill, run, "call", "RETRYING")
    restart(mill, lambda: shelve(mill, child | {"description": "another"}) if is_changed else None)
    assert mill.wait_for_end(run)["tasks"][0]["attempts"] == 2
    assert begun(mill) == ["a", "b", *(["a"] if is_changed else []), "b"]


def test_a_rerun_reaches_through_calls_into_what_failed_there_also_when_the_daemon_dies_in_between(mill):
    mended = mill.folder / "mended"
    broken = {"id": "broken", "type": "shell", "argv": ["test", "-e", str(mended)], "depends_on": ["c"]}
    inner = {"tasks": [mill.task("c"), broken | {"retry": {"max_retries": 0}}]}
    middle = {"tasks": [mill.task("b"), {"id": "in", "type": "workflow", "workflow": inner, "depends_on": ["b"]}]}
    each = {"items": [1, 2], "require": "all"}
    outer = {"id": "call", "type": "workflow", "workflow": middle, "depends_on": ["a"], "foreach": each}
    mill.start()
    run = mill.submit({"tasks": [mill.task("a"), outer, mill.task("z", ("call",))]})
    assert mill.wait_for_end(run)["state"] == "FAILED"
    assert sorted(begun(mill)) == ["a", "b", "b", "c", "c"]
    # The rerun is recorded, and nothing of it has begun.
    restart(mill, mended.touch, **{VARIABLE: "executor.created"})
    assert mill.call("retry", run).returncode != 0
    mill.ended()
    mill.start()
    [[again]] = mill.rows("SELECT id FROM runs WHERE trigger_type = 'rerun'")
    assert mill.wait_for_end(again)["state"] == "COMPLETED"
    assert sorted(begun(mill)) == ["a", "b", "b", "c", "c", "z"]
    assert mill.rows("SELECT count(*) FROM runs WHERE state = 'COMPLETED'") == [(5,)]
    checker.check(mill)


def test_a_rerun_of_a_fan_does_the_instances_again_that_failed_and_no_others(mill):
    mended = mill.folder / "mended"
    script = f'echo $0 >> {mill.folder}/done; test $0 != 3 -a $0 != 7 || test -e "{mended}"'
    fan = {"id": "fan", "type": "shell", "argv": ["sh", "-c", script, "${{ item }}"], "foreach": list("0123456789")}
    mill.start()
    run = mill.submit({"tasks": [fan | {"retry": {"max_retries": 0}}]})
    assert mill.wait_for_end(run)["state"] == "FAILED"
    mended.touch()
    again = mill.wait_for_end(retry(mill, run))
    assert (again["state"], len(again["tasks"][0]["output"])) == ("COMPLETED", 10)
    assert sorted((mill.folder / "done").read_text().split()[10:]) == ["3", "7"]


def test_an_output_is_used_again_as_long_as_it_may_be_and_the_run_that_gave_it_is_kept(mill):
    def submit(**cache):
        status, answer = mill.ask("POST", f"/api/v1/runs{query}", {"tasks": [mill.task("a", cache=cache)]})
        assert status == 201, answer
        return mill.wait_for_end(answer["id"])["tasks"][0]

    query = ""
    mill.start()
    first = submit(key="k", ttl="1h")
    restart(mill)
    again = submit(key="k", ttl="1h")
    assert (again["reason"], again["output"], again["attempts"]) == ("cached", first["output"], 0)
    query = "?use_cache=false"
    assert submit(key="k", ttl="1h")["reason"] is None
    query = ""
    submit(key="short", ttl="1ms")
    assert submit(key="short", ttl="1ms")["reason"] is None
    assert mill.stop() == 0
    mill.configure('[history]\nretention = "1ms"\n')
    assert mill.call("prune").returncode == 0
    mill.configure("")
    mill.start()
    assert submit(key="k", ttl="1h")["reason"] is None
    assert len(begun(mill)) == 5


@pytest.mark.parametrize("mill", ["[pools.db]\nsize = 1\n"], indirect=True)
def test_a_slot_that_was_held_when_the_daemon_died_is_free_and_again_nobody_shares_it(mill):
    gate = mill.folder / "gate"
    heavy = {"pool": {"name": "db", "weight": 5}}  # never more than there is
    mill.start()
    tasks = [mill.task("t0", until=str(gate), pool="db"), mill.task("t1", **heavy), mill.task("t2", pool="db")]
    run = mill.submit({"tasks": tasks})
    mill.wait_for_begin("t0")
    restart(mill)
    mill.wait_for_begin("t0", 2)
    gate.touch()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    phases = [entry.phase for entry in mill.ledger()]
    assert phases == ["begin", "begin", "end", "begin", "end", "begin", "end"]


def in_line(mill, name, policy, **more):
    task = mill.task(name, **{"until": str(mill.folder / "gate")} | more)
    return {"name": "line", "concurrency": {"policy": policy}, "tasks": [task]}


def place(mill, document, priority):
    """Submit a document of the workflow `line` with a priority."""
    return mill.submit(document | {"priority": priority})


@pytest.mark.parametrize("is_over", [False, True])
def test_runs_that_wait_for_their_place_when_the_daemon_dies_get_it_by_priority(mill, is_over):
    """Also where the run that had it ends as the daemon dies, and nobody has begun."""
    gate = mill.folder / "gate"
    mill.start()
    first = mill.submit(in_line(mill, "first", "queue"))
    mill.wait_for_begin("first")
    later = [place(mill, in_line(mill, f"p{priority}", "queue"), priority) for priority in (0, 5, 9, 5)]
    wait_for(lambda: all(mill.run(run)["state"] == "WAITING" for run in later), "the line")
    if is_over:
        # In the first turn of the next life it ends, and no more.
        mill.kill()
        wind_down(mill, first)
        assert mill.launch(**{VARIABLE: "executor.recorded"}).wait(30) == -9, mill.words()
        assert mill.rows("SELECT state FROM runs WHERE ended_at IS NOT NULL") == [("CANCELLED",)]
        gate.touch()
        mill.start()
    else:
        restart(mill, gate.touch)
    for run in later:
        assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert [task for task in begun(mill) if task != "first"] == ["p9", "p5", "p5", "p0"]


def test_a_run_whose_place_was_taken_ends_and_one_that_takes_it_begins_though_the_daemon_dies(mill):
    mill.start()
    first = mill.submit(in_line(mill, "first", "replace"))
    mill.wait_for_begin("first")
    restart(mill)
    mill.wait_for_begin("first", 2)
    second = mill.submit(in_line(mill, "second", "replace"))
    restart(mill, (mill.folder / "gate").touch)
    assert mill.wait_for_end(second)["state"] == "COMPLETED"
    view = mill.wait_for_end(first)
    assert (view["state"], view["reason"]) == ("CANCELLED", "replaced")


def test_a_run_that_finds_its_place_taken_after_a_restart_is_skipped(mill):
    mill.start()
    first = mill.submit(in_line(mill, "first", "skip"))
    mill.wait_for_begin("first")
    restart(mill)
    view = mill.wait_for_end(mill.submit(in_line(mill, "second", "skip")))
    assert (view["state"], view["reason"]) == ("CANCELLED", "overlap")
    (mill.folder / "gate").touch()
    assert mill.wait_for_end(first)["state"] == "COMPLETED"


def test_while_no_daemon_lives_nobody_decides_and_the_time_to_do_so_passes(mill):
    ask = {
        "id": "ask",
        "type": "approval",
        "message": "?",
        "within": "500ms",
        "on_timeout": "approve",
        "data": {"n": 1},
    }
    mill.start()
    run = mill.submit({"tasks": [ask, mill.task("after", ("ask",))]})
    wait_for_state(mill, run, "ask", "WAITING")
    mill.kill()
    assert mill.call("approve", run, "ask").returncode == 3
    mill.start()
    [asked, _] = mill.wait_for_end(run)["tasks"]
    assert (asked["output"]["actor"], asked["output"]["data"], asked["attempts"]) == ("timeout", {"n": 1}, 1)


def test_of_a_deadline_that_is_missed_people_are_warned_once_in_however_many_lives(mill):
    late = {"within": "50ms", "on_miss": "warn"}
    mill.start()
    document = {"tasks": [mill.task("a", until=str(mill.folder / "gate"), deadline=late)], "deadline": late}
    run = mill.submit(document)
    told = "SELECT e.task FROM events e JOIN runs r ON r.pk = e.run_pk WHERE r.id = ? AND e.reason = 'deadline'"
    wait_for(lambda: len(mill.rows(told, run)) == 2, "both warnings")
    for life in (2, 3):
        restart(mill)
        mill.wait_for_begin("a", life)
    (mill.folder / "gate").touch()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert sorted(mill.rows(told, run), key=str) == [("a",), (None,)]


def test_a_paused_run_starts_nothing_in_its_next_life_either_until_somebody_lets_it_go_on(mill):
    gate = mill.folder / "gate"
    mill.start()
    run = mill.submit({"tasks": [mill.task("a", until=str(gate)), mill.task("b", ("a",))]})
    mill.wait_for_begin("a")
    assert mill.call("pause", run).returncode == 0
    restart(mill, gate.touch)
    # Another run is a whole life of the executor.
    assert mill.wait_for_end(mill.submit(mill.chain(1)))["state"] == "COMPLETED"
    assert (mill.run(run)["state"], begun(mill, run)) == ("WAITING", ["a"])
    assert mill.call("resume", run).returncode == 0
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert begun(mill, run) == ["a", "a", "b"]


NOTHING = "TASK_TYPE = 'nothing'\ndef run(task):\n    task['output'] = task['x']\n    return True\n"


@pytest.mark.timeout(180)  # ten thousand attempts on a busy machine
def test_ten_thousand_instances_and_a_thousand_iterations_run_while_people_look_at_them(mill):
    (mill.folder / "plugins").mkdir()
    (mill.folder / "plugins" / "nothing.py").write_text(NOTHING)
    mill.configure('[paths]\nplugins = ["../plugins"]\n')
    fan = {"id": "fan", "type": "nothing", "x": "${{ item }}", "foreach": "${{ params.items }}"}
    loop = {"until": "iteration == 1000", "max_iterations": 1000}
    rounds = {"id": "rounds", "type": "nothing", "x": "${{ iteration }}", "loop": loop}
    params = {"items": {"type": "array", "default": list(range(10_000))}}
    mill.start()
    run = mill.submit({"params": params, "tasks": [fan, rounds]})
    wait_for(lambda: mill.rows("SELECT 1 FROM tasks WHERE instance > 0 AND state = 'COMPLETED'"), "the first instances")
    shown = json.loads(mill.call("show", "--json", run).stdout)
    assert shown["state"] == "RUNNING"
    view = mill.wait_for_end(run, 150.0)
    assert (view["state"], len(view["tasks"])) == ("COMPLETED", 11_002)
    assert [task["output"] for task in view["tasks"] if task["id"] in ("fan", "rounds")] == [list(range(10_000)), 1000]
    counts = mill.rows("SELECT key, instances FROM tasks WHERE instance = 0 ORDER BY key")
    assert counts == [("fan", 10_000), ("rounds", 1000)]
