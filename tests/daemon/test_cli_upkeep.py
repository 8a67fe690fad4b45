"""The commands around a daemon that need none: schedules, the calendar, filed documents, backups, a first folder."""

import json
import sqlite3
import stat

import pytest

from daemon.cli import main
from daemon.config import load
from daemon.ownership import Ownership
from engine.clock import epoch, wall
from tests.daemon.cli_calls import Answer
from tests.daemon.daemons import HELLO, Place
from tests.waiting import wait_for

NIGHTLY = '[[schedules]]\nname = "nightly"\nworkflow = "hello"\ndaily = "02:30"\n'


def caller(file, capsys):
    def run(*arguments):
        capsys.readouterr()
        status = main(["--config", str(file), *arguments])
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return run


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path, NIGHTLY)
    yield place
    place.end()


@pytest.fixture
def call(place, capsys):
    return caller(place.file, capsys)


def test_the_calendar_prints_instants_with_the_offset_of_the_zone(call):
    answer = call(
        "calendar",
        "30 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "--from",
        "2027-03-27T00:00+01:00",
        "--count",
        "3",
        "--json",
    )
    assert answer.json == ["2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    assert call("calendar", "at", "2027-01-01T00:00:00Z", "--from", "2027-01-01T00:00:00Z").out.startswith(
        "2027-01-01T00"
    )
    assert "never due again" in call("calendar", "at 2020-01-01T00:00:00Z").out


@pytest.mark.parametrize(
    "arguments",
    [["dialy 9:00"], ["99 * * * *"], ["@daily", "--timezone", "Europe/Berln"], ["@daily", "--from", "soon"]],
)
def test_a_calendar_that_cannot_be_read_is_bad_input(call, arguments):
    answer = call("calendar", *arguments)
    assert (answer.status, answer.out) == (2, "")


def test_schedules_are_shown_without_a_daemon(call):
    [view] = call("schedules", "--json").json
    assert (view["name"], view["when"], view["is_paused"], view["broken"]) == ("nightly", "daily 02:30", False, "")
    assert epoch(view["next"]) > wall()
    assert "Nothing was due yet" in call("schedules", "nightly").out
    unknown = call("schedules", "nigthly")
    assert (unknown.status, "nightly" in unknown.err) == (2, True)


def test_a_schedule_is_paused_and_goes_on_without_a_daemon_and_with_one(place, call):
    assert call("schedule", "pause", "nightly", "--message", "tea").status == 0
    place.begin()
    [view] = call("schedules", "--json").json
    assert (view["is_paused"], view["message"]) == (True, "tea")
    assert "nightly: tea" in call("status").out
    assert call("schedule", "resume", "nightly").status == 0
    assert call("schedules", "nightly", "--json").json["is_paused"] is False
    assert call("schedule", "pause", "nope").status == 2
    assert call("schedule", "pause", "nightly").status == 0
    place.end()
    assert call("schedules", "--json").json[0]["is_paused"] is True
    assert call("schedule", "resume", "nightly").status == 0
    assert call("schedules", "--json").json[0]["is_paused"] is False
    assert call("schedule", "resume", "nope").status == 2


def test_an_added_schedule_is_taken_up_by_the_daemon_and_a_removed_one_let_go(place, call):
    place.begin()
    answer = call(
        "schedule", "add", "greeting", "--workflow", "greet", "--every", "1h", "--param", "who=7", "--overlap", "queue"
    )
    assert answer.status == 0
    assert "Next:" in answer.out
    [added] = [each for each in load(place.file, {}).schedules if each.name == "greeting"]
    assert (added.params, added.overlap, added.workflow) == ({"who": "7"}, "queue", "greet")
    wait_for(lambda: len(call("schedules", "--json").json) == 2, "the new schedule")
    assert call("schedule", "remove", "greeting").status == 0
    wait_for(lambda: len(call("schedules", "--json").json) == 1, "the end of it")


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--workflow", "helo", "--daily", "09:00"],
        ["x", "--workflow", "hello", "--daily", "25:00"],
        ["x", "--workflow", "hello"],
        ["x", "--workflow", "hello", "--daily", "09:00", "--cron", "* * * * *"],
        ["x", "--workflow", "greet", "--daily", "09:00"],
        ["x", "--workflow", "greet", "--daily", "09:00", "--param", "whom=you"],
        ["nightly", "--workflow", "hello", "--daily", "09:00"],
        ["../x", "--workflow", "hello", "--daily", "09:00"],
    ],
)
def test_a_schedule_that_could_not_run_is_not_added(place, call, arguments):
    answer = call("schedule", "add", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert not (place.folder / "schedules.d").exists() or not list((place.folder / "schedules.d").iterdir())


def test_a_schedule_that_a_person_wrote_is_not_removed(place, call):
    before = place.file.read_text()
    answer = call("schedule", "remove", "nightly")
    assert answer.status == 2
    assert "which a person wrote" in answer.err
    assert "cannot be used" not in answer.err
    assert place.file.read_text() == before


def test_what_failed_is_listed_with_its_reason_and_can_be_dropped_once_more(place, call):
    place.begin()
    inbox = place.config.paths.inbox
    flag = place.folder / "flag"
    document = {"tasks": [{"id": "a", "type": "shell", "argv": ["test", "-e", str(flag)]}]}
    for name, text in (("sad.json", json.dumps(document)), ("bad.json", "{")):
        (place.folder / name).write_text(text)
        (place.folder / name).rename(inbox / name)
    found = wait_for(lambda: _settled(call), "both files")
    assert [(each["folder"], each["file"]) for each in found] == [("rejected", "bad.json"), ("failed", "sad.json")]
    assert "exit code 1" in found[1]["why"]
    flag.touch()
    assert call("inbox", "requeue", "sad.json").status == 0
    wait_for((inbox / "done" / "sad.json").exists, "its end")
    assert not (inbox / "failed" / "sad.json.result.json").exists()
    assert [each["folder"] for each in call("inbox", "ls", "--all", "--json").json] == ["rejected", "done"]


def _settled(call):
    found = call("inbox", "ls", "--json").json
    return found if [each["folder"] for each in found] == ["rejected", "failed"] else None


def test_a_requeue_replaces_nothing_and_guesses_nothing(place, call):
    inbox = place.config.paths.inbox
    for folder in ("failed", "rejected", "failed/2027-01-31"):
        (inbox / folder).mkdir(parents=True)
        (inbox / folder / "x.json").write_text(folder)
    (inbox / "failed" / "x.json.result.json").write_text("[1]")
    twice = call("inbox", "requeue", "x.json")
    assert (twice.status, "more than once" in twice.err) == (2, True)
    (inbox / "x.json").write_text("mine")
    taken = call("inbox", "requeue", str(inbox / "failed" / "x.json"))
    assert (taken.status, "already" in taken.err) == (2, True)
    assert (inbox / "x.json").read_text() == "mine"
    (inbox / "x.json").unlink()
    assert call("inbox", "requeue", "rejected/x.json").status == 0
    assert (inbox / "x.json").read_text() == "rejected"
    assert call("inbox", "requeue", "nope.json").status == 2


def test_a_backup_is_a_sound_copy_that_replaces_nothing(place, call, tmp_path):
    assert call("backup", str(tmp_path / "early.db")).status == 2
    large = {"tasks": [{"id": "a", "type": "print", "message": "x" * 300_000}]}
    (tmp_path / "large.json").write_text(json.dumps(large))
    place.begin()
    run = call("submit", str(tmp_path / "large.json"), "--wait", "--json").json["id"]
    target = tmp_path / "copy.db"
    assert call("backup", str(target)).status == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with sqlite3.connect(target) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT id FROM runs").fetchall() == [(run,)]
    connection.close()
    assert [path for path in (tmp_path / "copy.db.values").rglob("*") if path.is_file()]
    nowhere = call("backup", str(tmp_path / "nowhere" / "b.db"))
    assert nowhere.err.strip() == f"error: the backup {tmp_path}/nowhere/b.db cannot be made: no such file or directory"
    again = call("backup", str(target))
    assert (again.status, "already" in again.err) == (2, True)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_prune_deletes_what_is_too_old_with_a_daemon_and_without(place, call):
    place.file.write_text(place.file.read_text() + "[history]\nretention_runs = 1\n")
    for _ in range(3):
        call("run", "hello", "--quiet")
    assert call("prune", "--dry-run", "--json").json["runs"] == 2
    assert call("prune", "--json").json["runs"] == 2
    assert len(call("runs", "--json").json) == 1
    call("run", "hello", "--quiet")
    place.begin()
    assert call("prune", "--json").json["runs"] == 1
    assert len(call("runs", "--json").json) == 1


def test_prune_waits_for_nobody_who_owns_the_folder(place, call):
    owner = Ownership(place.config.paths.state)
    owner.acquire("run")
    try:
        answer = call("prune")
    finally:
        owner.release()
    assert (answer.status, "in use" in answer.err) == (1, True)


def test_doctor_finds_nothing_wrong_in_a_sound_place(place, call):
    place.begin()
    answer = call("doctor", "--json")
    assert answer.status == 0
    assert {each["check"]: each["verdict"] for each in answer.json if each["verdict"] == "fail"} == {}
    assert [each["verdict"] for each in answer.json if each["check"] == "daemon"] == ["ok"]


def test_doctor_names_what_is_wrong_and_what_to_do(place, call):
    (place.folder / "var" / "plugins").mkdir(parents=True)
    (place.folder / "var" / "plugins" / "broken.py").write_text("TASK_TYPE = 'broken'\nraise ValueError('no')\n")
    (place.folder / "workflows" / "hello.json").write_text("{")
    (place.folder / "inbox").mkdir()
    (place.folder / "inbox").chmod(0o777)
    (place.folder / "var").chmod(0o777)
    answer = call("doctor", "--json")
    assert answer.status == 1
    failed = {each["check"]: each for each in answer.json if each["verdict"] == "fail"}
    assert set(failed) == {"state folder", "inbox", "plugins", "schedules"}
    assert all(each["remedy"] for each in failed.values())
    assert "FAIL" in call("doctor").out


def test_init_makes_a_place_that_works_and_overwrites_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROPMILL_CONFIG", raising=False)
    assert main(["init"]) == 0
    names = sorted(path.name for path in (tmp_path / "etc" / "workflows").iterdir())
    assert names == ["heartbeat.json", "hello.json", "nightly-report.json"]
    assert main(["validate", *(str(tmp_path / "etc" / "workflows" / name) for name in names)]) == 0
    assert main(["doctor"]) == 0
    assert main(["run", "hello", "--ephemeral", "--quiet"]) == 0
    settings = tmp_path / "etc" / "dropmill.toml"
    settings.write_text("[executor]\nworkers = 3\n")
    (tmp_path / "etc" / "workflows" / "hello.json").unlink()
    assert main(["init"]) == 0
    assert settings.read_text() == "[executor]\nworkers = 3\n"
    assert not (tmp_path / "etc" / "workflows" / "hello.json").exists()
    assert "is there" in capsys.readouterr().out


def test_status_of_a_folder_that_a_run_owns_is_not_ready(place, call):
    owner = Ownership(place.config.paths.state)
    owner.acquire("run")
    try:
        answer = call("status", "--json")
    finally:
        owner.release()
    assert (answer.status, answer.json["state"], answer.json["owner"]["kind"]) == (3, "absent", "run")
    assert HELLO["name"] in call("workflows").out
