"""Waiting and delivering with a real daemon: no worker is held, a kill changes nothing, what is dropped is taken up."""

from tests.waiting import wait_for, wait_for_file


def test_a_wait_holds_no_worker_outlives_a_kill_and_what_follows_is_dropped_into_the_inbox(mill, tmp_path):
    mill.start()
    awaited = tmp_path / "data.json"
    document = {
        "tasks": [
            *({"id": f"w{n}", "type": "wait_for", "file": str(awaited), "every": "100ms"} for n in range(4)),
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
    mill.kill()
    mill.start()
    whole = tmp_path / "written"
    whole.write_text('{"tasks": [{"id": "a", "type": "print", "message": "handed on"}]}')
    whole.rename(awaited)
    ended = mill.wait_for_end(run)
    assert ended["state"] == "COMPLETED"
    waits = [task for task in ended["tasks"] if task["id"].startswith("w")]
    assert [task["attempts"] for task in waits] == [1] * 4
    wait_for_file(mill.inbox / "done" / "next.json.result.json")
