"""Schedules of the real daemon: each due instant once, whatever dies in between."""

import json

from tests.waiting import wait_for
from tests.whole.mill import Mill

EVERY_SECOND = """
[[schedules]]
name = "tick"
workflow = "tick"
every = "1s"
on_missed = "all"
overlap = "allow"
"""


def prepare(mill: Mill) -> None:
    workflows = mill.config.parent / "workflows"
    workflows.mkdir()
    (workflows / "tick.json").write_text(json.dumps(mill.chain(1, name="tick")))
    mill.configure(EVERY_SECOND)


def dues(mill: Mill) -> list[tuple]:
    return mill.rows("SELECT due_at, state, run FROM due_times ORDER BY due_at")


def wait_for_more(mill: Mill, count: int) -> None:
    wanted = len(dues(mill)) + count
    wait_for(lambda: len(dues(mill)) >= wanted, f"{count} more starts; {mill.words()}")


def test_each_second_fires_once_across_kill_and_restart_and_none_is_left_out(mill: Mill):
    prepare(mill)
    mill.start()
    for _ in range(2):
        wait_for_more(mill, 2)
        mill.kill()
        if mill._notices is not None:
            mill._notices.close()
        mill.start()
    status, _ = mill.ask("POST", "/api/v1/parts/schedules/pause", {"name": "tick", "message": "enough"})
    assert status == 200
    mill.wait_for_quiet()
    ran = [row for row in dues(mill) if row[1] == "RUN"]
    instants = [due_at for due_at, _, _ in ran]
    assert instants == [instants[0] + number for number in range(len(instants))]
    assert len({run for _, _, run in ran}) == len(ran) == mill.rows("SELECT count(*) FROM runs")[0][0]
    [view] = mill.ask("GET", "/api/v1/status")[1]["schedules"]
    assert (view["name"], view["is_paused"], view["message"]) == ("tick", True, "enough")
    assert mill.stop() == 0
