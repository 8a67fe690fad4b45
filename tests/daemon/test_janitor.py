"""The janitor on a real database and real folders: what is too old goes, what lives or may be needed stays."""

import os
from pathlib import Path

import pytest

from daemon import janitor
from daemon.janitor import Janitor
from engine.attemptlog import log_path
from engine.clock import rfc3339
from engine.facts import Begin, Finish, Skip
from engine.states import ClaimState, DueState, Reason, State
from engine.submission import ClaimEnd, ClaimRecord, DueRecord
from tests.daemon.configs import loaded
from tests.hands.memory import Memory, complete, start
from tests.waiting import wait_for

DAY = 86_400.0


class Site:
    """A memory, folders and a janitor; `age` lets days pass."""

    def __init__(self, folder: Path, text: str) -> None:
        self.config = loaded(folder, text)
        state = self.config.paths.state
        self.memory = Memory(f"sqlite:///{state / 'state.db'}", state)
        self.clock = self.memory.clock
        parts = {"store": self.memory.store, "history": self.memory.history, "values": self.memory.values}
        self.janitor = Janitor(self.config, clock=self.clock, **parts)

    def age(self, days: float) -> None:
        self.clock.advance(days * DAY)

    def ended(self, run: str, *tasks: str, **wishes) -> str:
        self.memory.create(run, *(tasks or ("a",)), **wishes)
        for task in tasks or ("a",):
            self.memory.write(run, *([Begin()] if task == (tasks or ("a",))[0] else []), Skip(task, Reason.USER))
        assert self.memory.write(run, Finish(State.COMPLETED))
        return run

    def log(self, run: str) -> Path:
        path = log_path(self.config.paths.logs, run, "a", 1)
        path.parent.mkdir(parents=True)
        path.write_text("said")
        return path

    def runs(self) -> list[str]:
        return sorted(view.id for view in self.memory.history.runs())


@pytest.fixture
def site(tmp_path):
    sites = []

    def build(text: str = "") -> Site:
        sites.append(Site(tmp_path, text))
        return sites[-1]

    yield build
    for one in sites:
        one.janitor.stop()
        one.memory.close()


def watched(here: Site, monkeypatch) -> list[list[str]]:
    """Return a list that gets the runs of each transaction."""
    batches: list[list[str]] = []
    delete = here.memory.store.delete_runs

    def note(ids) -> int:
        batches.append(list(ids))
        return delete(ids)

    monkeypatch.setattr(here.memory.store, "delete_runs", note)
    return batches


def test_ended_runs_go_when_they_are_too_old_with_their_logs_and_live_ones_stay(site):
    here = site('[history]\nretention = "10d"\n')
    here.memory.begin("lives", "a")
    old, young = here.log(here.ended("old")), None
    here.age(6)
    young = here.log(here.ended("young"))
    here.age(6)
    told: list[int] = []
    done = here.janitor.prune(progress=lambda pruned: told.append(pruned.runs))
    assert (done.runs, here.runs()) == (1, ["lives", "young"])
    assert (old.parent.exists(), young.exists()) == (False, True)
    assert told[-1] == 1
    assert len(here.memory.rows("SELECT DISTINCT run_pk FROM tasks")) == 2
    assert len(here.memory.rows("SELECT DISTINCT run_pk FROM events")) == 2
    assert here.memory.write("lives", start("a"))


def test_what_began_long_ago_and_ended_lately_stays(site):
    here = site('[history]\nretention = "10d"\n')
    here.memory.begin("r", "a")
    here.age(20)
    here.memory.write("r", Skip("a", Reason.USER), Finish(State.COMPLETED))
    assert here.janitor.prune().runs == 0


def test_without_an_age_nothing_is_too_old(site):
    here = site("[history]\nretention = 0\n")
    here.ended("r", due=("s", 1.0))
    here.age(10_000)
    assert here.janitor.prune().runs == 0
    assert here.runs() == ["r"]


def test_beyond_a_number_of_ended_runs_the_oldest_go(site):
    here = site("[history]\nretention = 0\nretention_runs = 3\n")
    here.memory.begin("lives", "a")
    for number in range(6):
        here.ended(f"r{number}")
    assert here.janitor.prune().runs == 3
    assert here.runs() == ["lives", "r3", "r4", "r5"]
    assert here.janitor.prune().runs == 0


def test_a_dry_pass_counts_each_run_once_and_deletes_nothing(site):
    here = site('[history]\nretention = "1d"\nretention_runs = 2\n')
    logs = [here.log(here.ended(f"r{number}")) for number in range(4)]
    done_folder = here.config.paths.inbox / "done"
    done_folder.mkdir(parents=True)
    (done_folder / "a.json").write_text("{}")
    here.age(2)
    here.clock.step(max(0.0, (done_folder / "a.json").stat().st_ctime + 40 * DAY - here.clock.wall()))
    done = here.janitor.prune(dry_run=True)
    assert (done.runs, done.files) == (4, 1)
    assert here.janitor.wishes["prune"]({"dry_run": True}) == done
    assert (len(here.runs()), all(log.exists() for log in logs), len(list(done_folder.iterdir()))) == (4, True, 1)


def test_many_runs_are_deleted_in_small_transactions(site, monkeypatch):
    monkeypatch.setattr(janitor, "_RUNS", 3)
    monkeypatch.setattr(janitor, "_PAGE_OF_RUNS", 7)
    here = site('[history]\nretention = "1d"\n')
    for number in range(20):
        here.ended(f"r{number:02}")
    here.age(2)
    batches = watched(here, monkeypatch)
    assert here.janitor.prune().runs == 20
    assert max(map(len, batches)) == 3
    assert here.runs() == []


def test_a_large_run_is_a_transaction_of_its_own(site, monkeypatch):
    monkeypatch.setattr(janitor, "_TASKS", 3)
    here = site('[history]\nretention = "1d"\n')
    here.ended("small")
    here.ended("large", "a", "b", "c", "d")
    here.ended("small2")
    here.age(2)
    batches = watched(here, monkeypatch)
    assert here.janitor.prune().runs == 3
    assert batches == [["small"], ["large"], ["small2"]]


def test_versions_of_documents_go_with_the_last_run_of_them(site):
    here = site('[history]\nretention = "10d"\n')
    here.ended("one", document=b'{"v": 1}')
    here.ended("both", document=b'{"v": 2}')
    here.age(20)
    here.ended("again", document=b'{"v": 2}')
    here.janitor.prune()
    assert here.memory.rows("SELECT document FROM workflows") == [(b'{"v": 2}',)]
    assert here.memory.history.document_of("again") == b'{"v": 2}'


def test_large_outputs_go_when_no_run_speaks_of_them_and_they_are_not_young(site):
    here = site('[history]\nretention = "10d"\n')
    large = b'"' + b"z" * 4000 + b'"'
    here.memory.begin("r", "a")
    here.memory.write("r", start("a"))
    here.memory.write("r", complete("a", output=large))
    here.memory.write("r", Finish(State.COMPLETED))
    orphan = here.memory.values.put(b'"' + b"y" * 4000 + b'"')
    [used] = here.memory.history.references()
    for ref in (used, orphan):
        os.utime(here.memory.values._path(ref), (here.clock.wall(), here.clock.wall()))
    assert here.janitor.prune().values == 0
    here.age(1)
    assert here.janitor.prune().values == 1
    assert [ref for ref, _ in here.memory.values.stored()] == [used]
    here.age(20)
    done = here.janitor.prune()
    assert (done.runs, done.values, list(here.memory.values.stored())) == (1, 1, [])


def test_due_times_go_but_never_the_newest_of_a_schedule_nor_one_that_waits(site):
    here = site('[history]\nretention = "10d"\n')
    now = here.clock.wall()

    def record(schedule: str, due_at: float, state: DueState = DueState.MISSED) -> None:
        here.memory.store.record_dues([DueRecord(schedule=schedule, due_at=due_at, state=state, reason="missed")], now)

    for number in range(5):
        record("s", now + number)
    record("t", now, DueState.QUEUED)
    record("t", now + 1)
    record("u", now)
    here.age(20)
    assert here.janitor.prune().due_times == 4
    rows = here.memory.rows("SELECT schedule, due_at FROM due_times ORDER BY schedule, due_at")
    assert rows == [("s", now + 4), ("t", now), ("t", now + 1), ("u", now)]


def test_an_instant_whose_run_was_deleted_does_not_fire_again(site):
    here = site('[history]\nretention = "10d"\n')
    due_at = here.clock.wall()
    here.ended("r", due=("s", due_at))
    here.age(20)
    assert here.janitor.prune().runs == 1
    assert here.memory.history.timetable().records == {}
    assert here.memory.history.settled("s", [due_at, due_at + 1]) == {due_at}


def test_claims_go_when_they_were_settled_long_ago(site):
    here = site('[history]\nretention = "10d"\n')
    now = here.clock.wall()
    here.memory.store.record_claims([ClaimRecord(id=name, name=b"a", path=b"/") for name in ("old", "open")], now)
    here.memory.store.settle_claims([ClaimEnd(id="old", state=ClaimState.DONE)], now)
    here.age(20)
    here.memory.store.record_claims([ClaimRecord(id="young", name=b"a", path=b"/")], here.clock.wall())
    here.memory.store.settle_claims([ClaimEnd(id="young", state=ClaimState.DONE)], here.clock.wall())
    assert here.janitor.prune().claims == 1
    assert here.memory.rows("SELECT id FROM claims ORDER BY id") == [("open",), ("young",)]


def test_files_of_the_inbox_go_by_the_age_of_their_folder_and_not_of_their_content(site, tmp_path):
    here = site(
        '[inbox.retention]\ndone = "10d"\nfailed = "100d"\nrejected = "10d"\nduplicate = 0\n'
        f'[inboxes.partner]\npath = "{tmp_path}/partner"\n'
    )
    box = here.config.paths.inbox
    (tmp_path / "kept.txt").write_text("not of the inbox")
    for folder in ("done", "done/2027-01-02", "failed", "rejected/x.json", "duplicate", ".claimed"):
        (box / folder).mkdir(parents=True)
    (tmp_path / "partner" / "done").mkdir(parents=True)
    files = ["done/a.json", "done/2027-01-02/b.json", "failed/c.json", "rejected/x.json/inner", "duplicate/d.json"]
    for name in (*files, ".claimed/e.json", "f.json"):
        (box / name).write_text("{}")
        os.utime(box / name, (0, 0))
    (tmp_path / "partner" / "done" / "g.json").write_text("{}")
    (box / "rejected" / "link.json").symlink_to(tmp_path / "kept.txt")
    now = (box / "f.json").stat().st_ctime
    here.clock.step(now + 5 * DAY - here.clock.wall())
    assert here.janitor.prune().files == 0
    here.age(20)
    assert here.janitor.prune().files == 5
    left = sorted(str(path.relative_to(box)) for path in box.rglob("*") if not path.is_dir())
    assert left == [".claimed/e.json", "duplicate/d.json", "f.json", "failed/c.json"]
    assert not (box / "rejected" / "x.json").exists()
    assert not (tmp_path / "partner" / "done" / "g.json").exists()
    assert (tmp_path / "kept.txt").exists()


def test_a_day_folder_that_is_empty_goes_when_its_day_is_long_past(site):
    here = site('[inbox.retention]\ndone = "10d"\n')
    folder = here.config.paths.inbox / "done"
    folder.mkdir(parents=True)
    now = folder.stat().st_ctime
    long_ago, full, lately = (rfc3339(now - days * DAY)[:10] for days in (40, 30, 5))
    for day in (long_ago, full, lately):
        (folder / day).mkdir()
    (folder / full / "young.json").write_text("{}")
    here.clock.step(now - here.clock.wall())
    here.janitor.prune()
    assert sorted(path.name for path in folder.iterdir()) == [full, lately]


def test_a_log_folder_that_cannot_be_deleted_keeps_its_run_for_the_next_time(site, monkeypatch):
    here = site('[history]\nretention = "1d"\n')
    stuck = here.log(here.ended("r")).parent
    here.log(here.ended("other"))
    here.age(2)
    delete = janitor._delete

    def refuse(path: Path) -> None:
        if path == stuck:
            raise OSError(5, "Input/output error", str(path))
        delete(path)

    with monkeypatch.context() as broken:
        broken.setattr(janitor, "_delete", refuse)
        done = here.janitor.prune()
    assert (done.runs, here.runs()) == (1, ["r"])
    assert done.problems == [f"{stuck} is too old but cannot be deleted: Input/output error"]
    assert here.janitor.prune().runs == 1


def test_space_is_given_back_to_the_file_system(site):
    here = site('[history]\nretention = "1d"\n')
    for number in range(50):
        here.ended(f"r{number}", document=os.urandom(40_000))
    here.age(2)
    here.memory.store.close()
    here.memory.store.open()
    file = here.config.paths.state / "state.db"
    before = file.stat().st_size
    here.janitor.prune()
    here.memory.store.close()
    assert file.stat().st_size < before / 2
    here.memory.store.open()
    assert here.memory.rows("PRAGMA integrity_check") == [("ok",)]


def test_started_it_looks_after_everything_by_itself(site):
    here = site('[history]\nretention = "1d"\nprune_interval = "10ms"\n')
    here.ended("r")
    here.age(2)
    here.janitor.start()
    here.janitor.start()
    here.clock.advance(1)
    wait_for(lambda: here.janitor.pulse > 2 and not here.runs(), "the run to go")
    here.janitor.stop()
    here.janitor.stop()
