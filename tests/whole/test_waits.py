"""Waiting and delivering with a real daemon: no worker is held, a kill changes nothing, what is dropped is taken up."""

import os
import signal

from engine import tree
from tests.waiting import wait_for, wait_for_file
from tests.whole.mill import Mill

STATES = "SELECT DISTINCT t.state FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ? AND t.key LIKE 'w_'"


def kill_while_all_wait(mill: Mill, run: str) -> None:
    """Kill the daemon while none of the waits looks: an attempt that is cut off would count, and rightly."""

    def is_caught() -> bool:
        os.kill(mill.pid, signal.SIGSTOP)
        wait_for(lambda: tree.look(mill.pid).state == "T", "the daemon to freeze")
        if mill.rows(STATES, run) == [("WAITING",)]:
            return True
        os.kill(mill.pid, signal.SIGCONT)
        return False

    wait_for(is_caught, "a moment at which all four wait")
    mill.kill()


def test_a_wait_holds_no_worker_outlives_a_kill_and_what_follows_is_dropped_into_the_inbox(mill, tmp_path):
    mill.start()
    awaited = tmp_path / "data.json"
    document = {
        "tasks": [
            *({"id": f"w{n}", "type": "wait_for", "file": str(awaited), "every": "500ms"} for n in range(4)),
            {"id": "data", "type": "input", "depends_on": ["w0", "w1", "w2", "w3"], "file": str(awaited)},
            {
                "id": "hand-on",
                "type": "output",
                "depends_on": ["data"],
                "to": "folder",
                "folder": str(mill.inbox),
                "name": "next.json",
            },
        ]
    }
    run = mill.submit(document)
    wait_for(lambda: {task["state"] for task in mill.run(run)["tasks"][:4]} == {"WAITING"}, "all four waiting")
    # Two workers, four waits: there is room for another run.
    assert mill.wait_for_end(mill.submit(mill.chain(2)))["state"] == "COMPLETED"
    kill_while_all_wait(mill, run)
    mill.start()
    whole = tmp_path / "written"
    whole.write_text('{"tasks": [{"id": "a", "type": "print", "message": "handed on"}]}')
    whole.rename(awaited)
    ended = mill.wait_for_end(run)
    assert ended["state"] == "COMPLETED"
    waits = [task for task in ended["tasks"] if task["id"].startswith("w")]
    assert [task["attempts"] for task in waits] == [1] * 4
    wait_for_file(mill.inbox / "done" / "next.json.result.json")
