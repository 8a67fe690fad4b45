"""Schedules that the command line writes: durable, complete, and never in the place of what a person wrote."""

import pytest

from daemon.config import Schedule, add_schedule, load, remove_schedule
from engine.errors import ConfigInvalidError
from tests.daemon.configs import write

TABLE = {
    "name": "nightly",
    "workflow": "report",
    "daily": "02:30",
    "params": {"day": "yesterday", "n": [1, {"x": 2}]},
}
BY_HAND = "[[schedules]]\nname = 'nightly'\nworkflow = 'w'\ndaily = '02:30'\n"


@pytest.fixture
def file(tmp_path):
    return write(tmp_path)


def config(file):
    return load(file, {})


def refusal(do, *arguments):
    with pytest.raises(ConfigInvalidError) as caught:
        do(*arguments)
    return caught.value.problems


def test_a_schedule_that_was_added_is_read_back_and_gone_when_removed(file):
    written = add_schedule(config(file), TABLE)
    assert written == file.parent / "schedules.d" / "nightly.toml"
    assert config(file).schedules == (
        Schedule(name="nightly", workflow="report", daily="02:30", params={"day": "yesterday", "n": [1, {"x": 2}]}),
    )
    assert remove_schedule(config(file), "nightly") == written
    assert config(file).schedules == ()
    assert list(written.parent.iterdir()) == []


def test_what_is_written_as_a_person_would_is_kept_as_it_was_written(file):
    text = add_schedule(config(file), {"name": "a", "workflow": "w", "every": "15m", "jitter": "30s"}).read_text()
    assert text.splitlines()[0].startswith("# Written by `dropmill schedule add` (")
    assert 'every = "15m"' in text
    assert 'jitter = "30s"' in text


def test_the_daemon_may_be_another_user_than_the_one_who_adds(file):
    assert add_schedule(config(file), TABLE).stat().st_mode & 0o777 == 0o644


def test_a_schedule_with_problems_is_not_written(file):
    problems = refusal(add_schedule, config(file), {"name": "a/b", "workflow": "w", "cron": "99 * * * *", "jiter": 3})
    assert [problem.pointer for problem in problems] == ["/schedules/0/jiter", "/schedules/0/name"]
    problems = refusal(add_schedule, config(file), {"name": "a", "workflow": "w", "cron": "99 * * * *"})
    assert [problem.code for problem in problems] == ["schedule_invalid"]
    problems = refusal(add_schedule, config(file), {"name": "a", "workflow": "w"})
    assert [problem.code for problem in problems] == ["missing_key"]
    assert not (file.parent / "schedules.d").exists()


def test_a_name_that_is_taken_is_refused_with_the_place_that_has_it(tmp_path):
    file = write(tmp_path, BY_HAND)
    (problem,) = refusal(add_schedule, config(file), TABLE)
    assert problem.message == f'the schedule "nightly" is there already, in {file}:2'
    assert problem.hint == "Remove it first: dropmill schedule remove nightly"


def test_a_schedule_of_the_main_file_is_not_removed(tmp_path):
    file = write(tmp_path, BY_HAND)
    (problem,) = refusal(remove_schedule, config(file), "nightly")
    assert problem.message == f'the schedule "nightly" stands in {file}:2, which a person wrote or changed'
    assert file.read_text() == BY_HAND


def test_a_file_that_a_person_wrote_is_not_removed_even_under_our_name(tmp_path):
    file = write(tmp_path, nightly=BY_HAND)
    (problem,) = refusal(remove_schedule, config(file), "nightly")
    assert "stands in schedules.d/nightly.toml:2, which a person wrote or changed" in problem.message
    assert config(file).schedules


def test_a_file_of_ours_that_a_person_changed_is_theirs(file):
    written = add_schedule(config(file), TABLE)
    written.write_text(written.read_text().replace("02:30", "03:30"))
    (problem,) = refusal(remove_schedule, config(file), "nightly")
    assert problem.code == "foreign_file"
    assert config(file).schedules[0].daily == "03:30"


def test_a_file_in_the_way_is_left_as_it_is(file):
    stale = config(file)
    folder = file.parent / "schedules.d"
    folder.mkdir()
    (folder / "nightly.toml").write_text("# mine\n")
    (problem,) = refusal(add_schedule, stale, TABLE)
    assert problem.message == f"the file {folder}/nightly.toml is there already, and holds something else"
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("nightly.toml", "# mine\n")]


def test_an_unknown_name_is_refused_with_the_nearest(file):
    add_schedule(config(file), TABLE)
    (problem,) = refusal(remove_schedule, config(file), "nigthly")
    assert (problem.message, problem.hint) == ('no schedule is called "nigthly"', 'Did you mean "nightly"?')


def test_a_folder_that_cannot_be_written_is_said(file):
    (file.parent / "schedules.d").symlink_to("/proc/1/none")
    (problem,) = refusal(add_schedule, config(file), TABLE)
    assert problem.code == "unwritable_file"
    assert str(file.parent / "schedules.d" / "nightly.toml") in problem.message
