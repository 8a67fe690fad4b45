"""The inbox as a whole, on real folders, real inotify and a real memory, with an executor played by hand."""

import json
import os
import threading
from pathlib import Path

import pytest

from daemon.bell import Bell, Heard
from engine.errors import ExecutorStoppedError, InputError, StoreLostError
from engine.states import State
from tests.daemon.inboxes import GREET, HELLO, House
from tests.waiting import wait_for

SETTLED = "[inbox]\nsettle = 0\n"


@pytest.fixture
def make(tmp_path: Path):
    houses: list[House] = []

    def build(text: str = "", folder: Path = tmp_path) -> House:
        houses.append(House(folder, text))
        return houses[-1]

    yield build
    for house in houses:
        house.end()


@pytest.fixture
def house(make):
    return make().begin()


def test_a_dropped_workflow_runs_and_comes_back_with_its_result(house: House):
    house.drop("a.json")
    [accepted] = house.heard("accepted")
    assert house.everywhere() == [f".claimed/{accepted.claim}.json"]
    run = house.player.finish()
    [filed] = house.heard("filed")
    assert (filed.run, filed.file) == (run, "a.json")
    assert house.listing("done") == ["a.json", "a.json.result.json"]
    assert json.loads((house.box / "done" / "a.json").read_bytes()) == HELLO
    result = house.note("done/a.json.result.json")
    assert (result["id"], result["state"], result["tasks"][0]["output"]) == (run, "COMPLETED", "done")
    assert result["trigger"] == {"type": "inbox", "file": "a.json"}
    wait_for(lambda: house.claims() == ["DONE"], "the row")


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_run_that_does_not_complete_files_its_document_as_failed(house: House, state: State):
    house.drop("a.json")
    house.heard("accepted")
    house.player.finish(state=state)
    house.heard("filed")
    assert house.listing("failed") == ["a.json", "a.json.result.json"]
    assert house.note("failed/a.json.result.json")["state"] == state
    wait_for(lambda: house.claims() == ["FAILED"], "the row")


def test_files_that_lay_there_before_the_start_are_taken(make):
    house = make().build()
    house.box.mkdir()
    house.drop("a.json")
    house.inbox.start()
    house.inbox.start()
    house.heard("accepted")


def test_a_file_written_in_place_is_taken_when_it_has_settled(make):
    house = make("[inbox]\nsettle = 0.1\n").begin()
    (house.box / "a.json").write_text(json.dumps(HELLO))
    house.heard("accepted")


def test_a_document_with_problems_is_rejected_with_all_of_them(house: House):
    house.drop("a.json", b'{"tasks": [{"id": "a", "type": "prnt"},\n {"id": "a", "type": "print"}]}')
    [rejected] = house.heard("rejected")
    assert house.everywhere() == ["rejected/a.json"]
    note = house.note("rejected/a.json.error.json")
    assert [problem["code"] for problem in note["problems"]] == ["unknown_type", "duplicate_id"]
    assert (note["code"], note["file"], note["claim"]) == ("document_invalid", "a.json", rejected.claim)
    assert note["problems"][1]["line"] == 2
    assert house.player.submissions == []
    wait_for(lambda: house.claims() == ["REJECTED"], "the row")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"\0" * 100, "nul"), (b"\xff\xfe{\0}\0", "encoding"), (b'{"tasks": [', "truncated")],
)
def test_what_a_power_cut_or_a_careless_producer_leaves_is_rejected(house: House, content: bytes, code: str):
    house.drop("a.json", content)
    house.heard("rejected")
    assert house.note("rejected/a.json.error.json")["problems"][0]["code"] == code


def test_bad_objects_are_refused_and_nothing_is_read(make, tmp_path: Path):
    house = make("[inbox]\nsettle = 0\n[limits]\ndocument_bytes = 1000\n").begin()
    (house.box / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(house.box / "pipe.json")
    (house.box / "folder.json").mkdir()
    (tmp_path / "other").write_text(json.dumps(HELLO))
    os.link(tmp_path / "other", house.box / "hard.json")
    house.drop("big.json", b" " * 1001)
    house.heard("rejected", 5)
    codes = {name: house.note(f"rejected/{name}.json.error.json")["code"] for name in ("link", "pipe", "folder")}
    codes |= {name: house.note(f"rejected/{name}.json.error.json")["code"] for name in ("hard", "big")}
    assert codes == {
        "link": "symlink", "pipe": "fifo", "folder": "directory", "hard": "hard_link", "big": "too_large",
    }  # fmt: skip
    assert len(house.everywhere()) == 5
    assert house.player.submissions == []


@pytest.mark.parametrize("name", [b"a\nb.json", b"-rf", b"\xff\xfe.json", b"n" * 255, "ä€.json".encode()])
def test_names_of_any_bytes_come_back(house: House, name: bytes):
    house.drop(name)
    [accepted] = house.heard("accepted")
    house.player.finish()
    house.heard("filed")
    found = {os.fsencode(entry) for entry in house.listing("done")}
    assert name in found
    assert len(found) == 2
    [result] = found - {name}
    trigger = json.loads((Path(os.fsdecode(os.fsencode(house.box / "done") + b"/" + result))).read_bytes())["trigger"]
    assert trigger["file"] == accepted.file
    assert accepted.file.isprintable()
    assert bytes(house.claim_rows()[0][0]) == name


def test_the_same_name_again_and_again_gives_a_run_each_and_replaces_nothing(house: House):
    for number in range(40):
        house.drop("same.json", {**HELLO, "description": str(number)})
        house.heard("accepted", number + 1)
    for _ in range(40):
        house.player.finish()
    house.heard("filed", 40)
    documents = [name for name in house.listing("done") if not name.endswith(".result.json")]
    assert len(documents) == 40
    said = {json.loads((house.box / "done" / name).read_bytes())["description"] for name in documents}
    assert said == {str(number) for number in range(40)}
    for name in documents:
        assert house.note(f"done/{name}.result.json")["state"] == "COMPLETED"


def test_a_request_runs_a_known_workflow(house: House):
    house.drop(
        "r.json", {"workflow": "greet", "params": {"who": "you"}, "priority": 7, "run_at": "2099-01-01T00:00:00Z"}
    )
    house.heard("accepted")
    [submission] = house.player.submissions
    assert (submission.workflow.name, submission.params, submission.priority) == ("greet", {"who": "you"}, 7)
    assert submission.run_at == 4070908800.0


def test_a_request_that_cannot_be_met_is_rejected_with_the_place(house: House):
    house.drop("unknown.json", {"workflow": "greeet"})
    house.drop("params.json", b'{"workflow": "greet",\n "params": {"whom": 1, "who": 7}}')
    house.drop("path.json", {"workflow": "../../secret.json"})
    (house.library / "broken.json").write_text("{")
    house.drop("broken.json", {"workflow": "broken"})
    house.heard("rejected", 4)
    [unknown] = house.note("rejected/unknown.json.error.json")["problems"]
    assert (unknown["code"], unknown["pointer"]) == ("unknown_workflow", "/workflow")
    assert "greet" in unknown["message"]
    problems = house.note("rejected/params.json.error.json")["problems"]
    assert [(item["code"], item["pointer"], item["line"]) for item in problems] == [
        ("param_unknown", "/params/whom", 2),
        ("param_invalid", "/params/who", 2),
    ]
    assert house.note("rejected/path.json.error.json")["problems"][0]["code"] == "bad_value"
    assert house.note("rejected/broken.json.error.json")["problems"][0]["code"] == "broken_workflow"


def test_a_file_of_requests_is_one_claim_and_comes_back_with_a_result_for_each(house: House):
    house.drop("r.jsonl", b'{"workflow": "hello"}\n\n{"workflow": "greet", "params": {"who": "x"}}\n')
    [accepted] = house.heard("accepted")
    assert [submission.claim for submission in house.player.submissions] == [
        f"{accepted.claim}/1",
        f"{accepted.claim}/3",
    ]
    house.player.finish()
    assert house.listing("done") == []
    house.player.finish()
    house.heard("filed")
    assert house.listing("done") == ["r.jsonl", "r.jsonl.result.jsonl"]
    lines = [json.loads(line) for line in (house.box / "done/r.jsonl.result.jsonl").read_bytes().splitlines()]
    assert [(line["workflow"], line["trigger"]["line"]) for line in lines] == [("hello", 1), ("greet", 3)]
    wait_for(lambda: house.claims() == ["DONE"] * 3, "the rows of the file and of its lines")


def test_one_failed_request_of_many_files_the_file_as_failed(house: House):
    house.drop("r.jsonl", b'{"workflow": "hello"}\n{"workflow": "hello"}\n')
    house.heard("accepted")
    house.player.finish(state=State.FAILED)
    house.player.finish()
    house.heard("filed")
    assert house.listing("failed") == ["r.jsonl", "r.jsonl.result.jsonl"]


def test_one_wrong_line_of_many_rejects_the_file_and_runs_nothing(house: House):
    house.drop("r.jsonl", b'{"workflow": "hello"}\n{"workflow": "nope"}\n{"workflow": "greet"}\n')
    house.heard("rejected")
    note = house.note("rejected/r.jsonl.error.json")
    assert [(problem["line"], problem["code"]) for problem in note["problems"]] == [
        (2, "unknown_workflow"),
        (3, "param_missing"),
    ]
    assert house.player.submissions == []


def test_a_key_that_was_seen_before_makes_a_duplicate_that_names_the_first_run(house: House):
    for name in ("first.json", "second.json"):
        house.drop(name, {"workflow": "hello", "idempotency_key": "k"})
        house.heard("accepted" if name == "first.json" else "duplicate")
    [first] = house.heard("accepted")
    note = house.note("duplicate/second.json.error.json")
    assert (note["code"], note["run"], note["problems"]) == ("duplicate", first.run, [])
    assert len(house.player.runs) == 1
    wait_for(lambda: house.claims() == ["CLAIMED", "DUPLICATE"], "the rows")


def test_the_same_bytes_are_duplicates_where_that_is_asked_for_whatever_their_names(make):
    house = make('[inbox]\ndedupe = "content"\n').build()
    house.box.mkdir()
    document = {"tasks": HELLO["tasks"]}
    for name in ("a.json", "b.json", "c.json"):
        house.drop(name, document)
    house.inbox.start()
    house.heard("duplicate", 2)
    house.drop("d.json", document)
    house.drop("e.json", {**document, "description": "another"})
    house.heard("duplicate", 3)
    house.heard("accepted", 2)
    assert len(house.player.runs) == 2
    requests = b'{"workflow": "hello"}\n{"workflow": "hello"}\n'
    house.drop("f.jsonl", requests)
    house.heard("accepted", 3)
    house.drop("g.jsonl", requests)
    house.heard("duplicate", 4)
    assert len(house.player.runs) == 4


def test_above_the_bound_on_live_runs_files_stay_until_there_is_room(make):
    house = make("[executor]\nmax_runs = 2\n").build()
    house.box.mkdir()
    for name in ("a.json", "b.json", "c.json"):
        house.drop(name)
    house.inbox.start()
    house.heard("accepted", 2)
    assert house.listing(".").count("c.json") == 1
    house.player.finish()
    house.heard("accepted", 3)


def test_what_settles_while_there_is_no_room_does_not_keep_the_thread_busy(make):
    house = make("[executor]\nmax_runs = 1\n[inbox]\nsettle = 0.05\n").begin()
    house.drop("a.json")
    house.heard("accepted")
    (house.box / "b.json").write_text(json.dumps(HELLO))
    [tray] = house.inbox._trays.values()
    wait_for(lambda: tray.arrivals.has_ready, "the second file to settle")
    wait_for(lambda: house.inbox._patience() > 1, "something to wait for")
    assert house.everywhere()[-1] == "b.json"
    house.player.finish()
    house.heard("accepted", 2)


def test_a_further_inbox_has_rules_of_its_own(make, tmp_path: Path):
    partner = tmp_path / "partner"
    text = f'[inboxes.partner]\npath = "{partner}"\ntask_types = ["log"]\nworkflows = ["hello"]\npriority = 9\n'
    house = make(text).begin()
    house.drop("document.json", HELLO, partner)
    house.drop("request.json", {"workflow": "greet", "params": {"who": "x"}}, partner)
    house.drop("good.json", {"workflow": "hello"}, partner)
    house.heard("rejected", 2)
    [accepted] = house.heard("accepted")
    assert accepted.folder == str(partner)
    [problem] = house.note("rejected/document.json.error.json", partner)["problems"]
    assert (problem["code"], problem["pointer"]) == ("not_allowed", "/tasks/0/type")
    assert house.note("rejected/request.json.error.json", partner)["problems"][0]["code"] == "not_allowed"
    [submission] = house.player.submissions
    assert submission.priority == 9
    assert submission.trigger == {"type": "inbox", "file": "good.json", "inbox": "partner"}


ROUTE = '[[routes]]\npath = "{}"\nmatch = "*.csv"\nworkflow = "greet"\nparams = {{ who = "sales" }}\n'


def test_a_data_file_starts_the_workflow_of_its_route_which_can_reach_it(make, tmp_path: Path):
    sales = tmp_path / "sales"
    house = make(ROUTE.format(sales)).begin()
    house.drop("may be.csv", b"a,b\n1,2\n", sales)
    house.drop("other.txt", b"x", sales)
    [accepted] = house.heard("accepted")
    [submission] = house.player.submissions
    assert submission.params == {"who": "sales"}
    trigger = dict(submission.trigger)
    assert Path(trigger.pop("path")).read_bytes() == b"a,b\n1,2\n"
    assert trigger == {"type": "inbox", "file": "may be.csv", "route": f"{sales}/*.csv"}
    house.player.finish()
    house.heard("filed")
    assert house.listing("done", sales) == ["may be.csv", "may be.csv.result.json"]
    assert (sales / "other.txt").exists()
    assert accepted.claim


def test_a_route_whose_workflow_is_broken_leaves_its_files_alone_and_says_so(make, tmp_path: Path):
    sales = tmp_path / "sales"
    house = make(ROUTE.format(sales).replace('"greet"', '"nowhere"')).begin()
    house.drop("a.csv", b"x", sales)
    [stuck] = house.heard("stuck")
    assert "nowhere" in stuck.message
    assert (sales / "a.csv").exists()


def test_files_can_be_filed_by_day(make):
    house = make("[inbox]\ndated_folders = true\n").begin()
    house.drop("a.json")
    house.heard("accepted")
    house.player.finish()
    house.heard("filed")
    [day] = house.listing("done")
    assert len(day) == len("2027-01-31")
    assert house.listing(f"done/{day}") == ["a.json", "a.json.result.json"]


def test_lost_events_are_made_up_for_by_the_next_look(make, monkeypatch):
    monkeypatch.setattr(Bell, "watch", lambda _bell, _folder: None)
    monkeypatch.setattr(Bell, "is_alive", True)
    house = make("[inbox]\nrescan_interval = 0.05\nsettle = 0\n").begin()
    assert house.inbox.status.watch == {str(house.box): "inotify"}
    house.drop("a.json")
    house.heard("accepted")


def test_a_folder_can_be_polled(make):
    house = make('[inbox]\nwatch = "poll"\npoll_interval = 0.05\nsettle = 0\n').begin()
    assert house.inbox.status.watch == {str(house.box): "polling: the configuration asks for it"}
    house.drop("a.json")
    house.heard("accepted")


def test_where_inotify_cannot_work_the_folder_is_polled_and_that_is_said(make, monkeypatch):
    monkeypatch.setattr(Bell, "watch", lambda _bell, _folder: "no more watches")
    house = make("[inbox]\npoll_interval = 0.05\nsettle = 0\n").begin()
    assert [note.message for note in house.heard("watch")] == ["polling: no more watches"]
    house.drop("a.json")
    house.heard("accepted")


def test_more_notes_than_are_kept_make_the_inbox_look_at_everything(make, monkeypatch):
    monkeypatch.setattr("daemon.inbox._MOST_NOTES", -1)
    house = make("[inbox]\nsettle = 0\n").begin()
    house.drop("a.json")
    house.heard("accepted")


@pytest.mark.alone
@pytest.mark.needs("root")
def test_with_a_queue_of_sixteen_events_nothing_is_lost(make):
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    before = limit.read_text()
    limit.write_text("16")
    try:
        house = make(SETTLED).begin()
    finally:
        limit.write_text(before)
    for number in range(300):
        house.drop(f"{number}.json")
    house.heard("accepted", 300)


def test_a_folder_that_is_replaced_is_watched_anew(house: House):
    house.box.rename(house.box.with_name("former"))
    wait_for((house.box / ".claimed").exists, "a new folder")
    house.drop("a.json")
    house.heard("accepted")


def test_an_inbox_open_to_all_keeps_the_inbox_from_starting(make):
    house = make().build()
    house.box.mkdir()
    house.box.chmod(0o777)
    with pytest.raises(InputError, match="anyone on this machine"):
        house.inbox.start()


def test_a_file_that_cannot_be_moved_is_told_and_left_alone(house: House, monkeypatch):
    import errno

    from daemon.claims import moves

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(moves, "rename", refuse)
    monkeypatch.setattr("daemon.inbox.arrivals._PAUSES", (0.0, 0.0))
    house.drop("a.json")
    [stuck] = house.heard("stuck")
    assert "Read-only file system" in stuck.message
    shown = wait_for(lambda: house.inbox.status.stuck, "the status")
    assert [(item.file, item.folder) for item in shown] == [("a.json", str(house.box))]
    assert house.everywhere() == ["a.json"]
    wait_for(lambda: house.claims() == ["VOID"] * 3, "the rows")


def test_a_result_that_cannot_be_written_is_tried_again(house: House, monkeypatch):
    import errno

    from daemon.claims import moves

    house.drop("a.json")
    house.heard("accepted")
    whole, full = moves.write, threading.Event()

    def write(folder: int, name: str, data: bytes, mode: int = 0o640) -> None:
        if not full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(folder, name, data, mode)

    monkeypatch.setattr(moves, "write", write)
    monkeypatch.setattr("daemon.inbox.filing._PAUSES", (0.01,))
    house.player.finish()
    [stuck] = house.heard("stuck")
    assert "No space left" in stuck.message
    wait_for(lambda: house.inbox.status.stuck, "the status")
    full.set()
    house.heard("filed")
    wait_for(lambda: not house.inbox.status.stuck, "the status")


def test_a_memory_that_cannot_write_leaves_the_file_in_the_inbox(house: House, monkeypatch):
    record, is_well = house.store.record_claims, threading.Event()

    def fail(*arguments) -> None:
        if not is_well.is_set():
            raise StoreLostError("disk full")
        record(*arguments)

    monkeypatch.setattr(house.store, "record_claims", fail)
    monkeypatch.setattr("daemon.inbox.entrance._SHORT_SECONDS", 0.01)
    house.drop("a.json")
    [stuck] = house.heard("stuck")
    assert "disk full" in stuck.message
    assert house.everywhere() == ["a.json"]
    is_well.set()
    house.heard("accepted")


def test_an_executor_that_takes_nothing_leaves_the_file_claimed_and_is_asked_again(house: House, monkeypatch):
    enter, is_well = house.door.enter, threading.Event()

    def refuse(prepared):
        if not is_well.is_set():
            raise ExecutorStoppedError
        return enter(prepared)

    monkeypatch.setattr(house.door, "enter", refuse)
    monkeypatch.setattr("daemon.inbox.entrance._PAUSE_SECONDS", 0.01)
    house.drop("a.json")
    house.heard("stuck")
    assert len(house.listing(".claimed")) == 1
    is_well.set()
    house.heard("accepted")


def test_changed_settings_come_into_force_without_a_restart(make, tmp_path: Path):
    house = make().begin()
    partner = tmp_path / "partner"
    text = f'[inboxes.partner]\npath = "{partner}"\ntask_types = ["print"]\n'
    house.inbox.reload(House(tmp_path, text).config)
    wait_for(lambda: str(partner) in house.inbox.status.watch, "the new folder")
    house.drop("a.json", HELLO, partner)
    house.heard("accepted")
    house.inbox.reload(House(tmp_path).config)
    wait_for(lambda: str(partner) not in house.inbox.status.watch, "the end of it")
    house.player.finish()
    house.heard("filed")
    assert house.listing("done", partner) == ["a.json", "a.json.result.json"]


def test_the_pulse_goes_on_and_a_stop_is_harmless_twice(house: House):
    before = house.inbox.pulse
    house.inbox._hear(Heard(house.box))
    wait_for(lambda: house.inbox.pulse > before, "a pulse")
    house.inbox.stop()
    house.inbox.stop()
    house.drop("a.json")
    assert house.everywhere() == ["a.json"]


def test_a_workflow_without_a_name_is_called_after_its_file(house: House):
    house.drop("night shift.v2.json", {"tasks": GREET["tasks"]})
    house.heard("accepted")
    assert house.player.submissions[0].workflow.name == "night shift.v2"


def test_an_inbox_that_is_not_enabled_watches_nothing(make):
    house = make("[inbox]\nenabled = false\n").begin()
    assert house.inbox.status.watch == {}
    assert not house.box.exists()


def test_no_task_of_a_type_that_is_not_taken_hides_in_a_hook_or_in_another_task(make, tmp_path: Path):
    partner = tmp_path / "partner"
    house = make(f'[inboxes.partner]\npath = "{partner}"\ntask_types = ["log", "workflow"]\n').begin()
    taken, hidden = {"id": "a", "type": "log"}, {"id": "b", "type": "print"}
    inside = {"tasks": [taken], "on_cancel": [hidden]}
    call = {"id": "c", "type": "workflow", "workflow": inside}
    house.drop("d.json", {"tasks": [call], "finally": [{**hidden, "id": "d"}]}, partner)
    house.heard("rejected")
    problems = house.note("rejected/d.json.error.json", partner)["problems"]
    assert [(problem["code"], problem["pointer"]) for problem in problems] == [
        ("not_allowed", "/tasks/0/workflow/on_cancel/0/type"),
        ("not_allowed", "/finally/0/type"),
    ]


def test_a_document_has_no_workflow_run_that_requests_may_not_ask_for(make, tmp_path: Path):
    partner = tmp_path / "partner"
    house = make(f'[inboxes.partner]\npath = "{partner}"\nworkflows = ["report"]\n').begin()
    calls = [{"id": f"w{n}", "type": "workflow", "workflow": name} for n, name in enumerate(["report", "payroll"])]
    calls.append({"id": "w2", "type": "workflow", "workflow": "${{ params.which }}"})
    house.drop("d.json", {"params": {"which": {"type": "string", "default": "report"}}, "tasks": calls}, partner)
    house.heard("rejected")
    problems = house.note("rejected/d.json.error.json", partner)["problems"]
    assert [problem["pointer"] for problem in problems] == ["/tasks/1/workflow", "/tasks/2/workflow"]
