"""Every document in etc/examples, run by the command line as a reader would: it completes and does what it says."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.servers import serving
from tests.rules.source import ROOT
from tests.waiting import wait_for

EXAMPLES = sorted((ROOT / "etc" / "examples").glob("*.json"))
COMPLETED, FAILED, SKIPPED = "COMPLETED", "FAILED", "SKIPPED"

# The visits of the nodes of a graph, in their order: five times around, and out.
ROUND = ("profile", "anomalies", "rules", "apply")
VISITS = [*ROUND * 5, "profile", "anomalies", "report"]

# How each task of each example ends: its state, its reason, its attempts.
ENDINGS: dict[str, dict[str, tuple[str, str | None, int | None]]] = {
    "hello": {"greet": (COMPLETED, None, 1), "again": (COMPLETED, None, 1)},
    "diamond": {
        "orders": (COMPLETED, None, 1),
        "by-city": (COMPLETED, None, 1),
        "count": (COMPLETED, None, 1),
        "report": (COMPLETED, None, 1),
    },
    "retry": {
        "flaky": (COMPLETED, None, 3),
        "hopeless": (FAILED, "exit_code", 1),
        "report": (COMPLETED, None, 1),
    },
    "timeout": {"stubborn": (FAILED, "timeout", 1), "report": (COMPLETED, None, 1)},
    "http": {
        "server": (COMPLETED, None, 1),
        "fetch": (COMPLETED, None, None),
        "total": (COMPLETED, None, 1),
        "report": (COMPLETED, None, 1),
    },
    "branch-failure": {
        "load": (FAILED, "exit_code", 1),
        "publish": (SKIPPED, "condition_false", 0),
        "cleanup": (COMPLETED, None, 1),
        "measure": (COMPLETED, None, 1),
        "store": (COMPLETED, None, 1),
    },
    "conditions": {
        "size": (COMPLETED, None, 1),
        "by-hand": (COMPLETED, None, 1),
        "at-once": (SKIPPED, "condition_false", 0),
        "express": (SKIPPED, "condition_false", 0),
        "done": (COMPLETED, None, 1),
    },
    "files": dict.fromkeys(
        ("orders", "lines", "figures", "report", "arrived", "sum", "pack", "read", "cleanup", "done"),
        (COMPLETED, None, 1),
    ),
    "branches": {
        "check": (FAILED, "exit_code", 1),
        "publish": (SKIPPED, "upstream_skipped", 0),
        "repair": (COMPLETED, None, 1),
        "report": (COMPLETED, None, 1),
    },
    "fan-out": {
        "check": (COMPLETED, None, 0),
        **dict.fromkeys(("check[A-1]", "check[A-2]", "check[A-4]", "check[A-5]"), (COMPLETED, None, 1)),
        "check[A-3]": (FAILED, "exit_code", 1),
        "report": (COMPLETED, None, 1),
    },
    "loop": {
        "halve": (COMPLETED, None, 0),
        **dict.fromkeys(("halve[1]", "halve[2]", "halve[3]", "halve[4]", "report"), (COMPLETED, None, 1)),
    },
    "subworkflow": {
        "region": (COMPLETED, None, 0),
        **dict.fromkeys(("region[north]", "region[south]", "report"), (COMPLETED, None, 1)),
    },
    "hooks": {
        **dict.fromkeys(("work", "cheer", "clean"), (COMPLETED, None, 1)),
        "tell": (SKIPPED, "outcome", 0),
    },
    "approval": dict.fromkeys(("build", "release", "publish"), (COMPLETED, None, 1)),
    "cache": dict.fromkeys(("figures", "report"), (COMPLETED, None, 1)),
    "data-quality": {
        **dict.fromkeys((*ROUND, "report"), (COMPLETED, None, 0)),
        **{f"{node}[{number}]": (COMPLETED, None, 1) for number, node in enumerate(VISITS, 1)},
    },
    "transform": dict.fromkeys(("rows", "clean", "table", "cities", "report"), (COMPLETED, None, 1)),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def run(tmp_path):
    """Return `run(name, param=value)`: run an example to its end and return what `--json` prints."""
    (tmp_path / "dropmill.toml").touch()

    def run(example, /, **params):
        words = [word for key, value in params.items() for word in ("--param", f"{key}={value}")]
        program = [
            sys.executable,
            "-c",
            "from daemon.cli import main; main()",
            "--config",
            str(tmp_path / "dropmill.toml"),
        ]
        done = subprocess.run(
            [
                *program,
                "run",
                "--ephemeral",
                "--workers",
                "2",
                "--json",
                str(ROOT / "etc/examples" / f"{example}.json"),
                *words,
            ],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    return run


def outputs(ran):
    return {task["id"]: task["output"] for task in ran["tasks"]}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_completes_and_every_task_ends_as_it_should(run, path):
    # Its usual port may be in use, also by another test.
    params = {"url": f"http://127.0.0.1:{free_port()}/orders.json"} if path.stem == "http" else {}
    ran = run(path.stem, **params)
    assert ran["state"] == COMPLETED
    expected = ENDINGS[path.stem]
    assert {task["id"]: (task["state"], task["reason"]) for task in ran["tasks"]} == {
        name: ending[:2] for name, ending in expected.items()
    }
    attempts = {task["id"]: task["attempts"] for task in ran["tasks"]}
    counted = {name: ending[2] for name, ending in expected.items() if ending[2] is not None}
    assert {name: attempts[name] for name in counted} == counted


def test_the_examples_that_are_promised_are_there():
    assert {path.stem for path in EXAMPLES} == set(ENDINGS)


def test_a_parameter_of_the_command_line_reaches_the_greeting(run):
    assert outputs(run("hello", name="Ann"))["again"] == "it was said: Hello, Ann!"


def test_both_branches_of_the_diamond_hand_their_data_on(run):
    assert outputs(run("diamond"))["report"] == {
        "best": "Berlin",
        "cities": [{"city": "Berlin", "total": 150.75}, {"city": "Paris", "total": 80}],
        "summary": "3 orders, 2 of them from Berlin",
    }


def test_after_the_timeout_nothing_of_the_tree_is_alive(run):
    ran = run("timeout")
    assert outputs(ran)["report"] == "the stubborn task is FAILED because of timeout"
    mark = f"DROPMILL_RUN_ID={ran['id']}".encode()

    def is_ours(process: Path) -> bool:
        try:
            return mark in (process / "environ").read_bytes()
        except OSError:
            return False

    wait_for(lambda: not [each for each in Path("/proc").glob("[0-9]*") if is_ours(each)], "the end of the whole tree")


def test_the_fetch_takes_another_server_and_leaves_its_own_out(run):
    with serving() as web:
        ran = run("http", url=web.url('/json/[{"city":"Rome","total":99.5}]', "localhost"))
    states = {task["id"]: task["state"] for task in ran["tasks"]}
    assert (states["server"], outputs(ran)["total"]) == (SKIPPED, {"count": 1, "total": 99.5})


def test_the_other_branch_is_taken_for_another_order(run):
    ran = run("conditions", order='{"id": "B-1", "total": 5, "country": "DE", "express": true}')
    states = {task["id"]: task["state"] for task in ran["tasks"]}
    assert (states["by-hand"], states["at-once"], states["express"]) == (SKIPPED, COMPLETED, COMPLETED)


def test_rows_become_a_table(run):
    assert outputs(run("transform"))["report"] == {
        "table": [
            {"city": "Berlin", "name": "Ann", "orders": 2, "paid": 15.8, "largest": 12.5},
            {"city": "Paris", "name": "Bob", "orders": 1, "paid": 8, "largest": 8},
        ],
        "cities": {"cities": ["Berlin", "Paris"], "best": "Ann"},
    }


def test_a_graph_goes_round_until_the_quality_is_good_enough(run):
    done = outputs(run("data-quality"))
    qualities = [done[f"anomalies[{number}]"]["quality"] for number in range(2, 23, 4)]
    assert qualities == sorted(qualities)
    assert qualities[-2] < 0.95 <= qualities[-1]
    against = [done[f"rules[{number}]"]["against"] for number in range(3, 23, 4)]
    assert against[:2] == ["a country in small letters", "spaces around a city"]
    end = done["report[23]"]
    assert end["cities"] == ["Berlin", "Hamburg", "Munich", "Paris", "Lyon", "Rome", "Milan", "Vienna"]
    assert (end["quality"], end["left"]) == (0.969, ["a city beyond the poles"])


def test_another_goal_takes_another_way(run):
    assert outputs(run("data-quality", goal="1.0"))["report"]["left"] == []
    assert "rules[3]" not in outputs(run("data-quality", goal="0.5"))


def test_the_outputs_of_a_fan_out_stand_in_the_order_of_its_items(run):
    assert outputs(run("fan-out"))["report"] == [23, 5, None, 47, 8]


def test_a_run_gives_back_what_the_document_says_also_to_a_run_that_called_it(run):
    ran = run("subworkflow")
    assert outputs(ran)["report"] == {"north": {"total": 7, "sales": 2}, "south": {"total": 10, "sales": 1}}
    assert {child["task"]: child["state"] for child in ran["children"]} == {
        "region[north]": COMPLETED,
        "region[south]": COMPLETED,
    }
    hooked = run("hooks")
    assert (hooked["output"], outputs(hooked)["clean"]) == ({"work": COMPLETED}, "cleaned up after COMPLETED")


def test_nobody_s_answer_is_the_one_that_the_document_has(run):
    assert outputs(run("approval"))["publish"] == "version 4.2, approved by timeout"


def test_data_goes_through_a_file_and_nothing_is_left_of_it(run, tmp_path):
    done = outputs(run("files", folder="made-here"))
    assert done["done"] == {
        "lines": [
            {"id": "A-1", "city": "Berlin", "total": 25},
            {"id": "A-2", "city": "Paris", "total": 8},
            {"id": "A-3", "city": "Berlin", "total": 13},
        ],
        "figures": {"orders": 3, "dearest": 12.5},
    }
    assert (done["pack"]["path"], done["sum"]["size"]) == ("made-here/report.tar.gz", done["report"]["bytes"])
    assert not (tmp_path / "made-here").exists()
