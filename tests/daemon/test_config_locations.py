"""Where a configuration is found, and where things are when it does not say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.config import load
from daemon.config.locations import SYSTEM_FILE, find_file, usual_paths
from engine.errors import ConfigInvalidError

HOME = {"HOME": "/home/ada"}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[executor]\nworkers = 5\n")
    return path


def test_the_named_file_wins_then_the_variable_then_etc_here_then_the_persons_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path / "home"), "DROPMILL_CONFIG": "by-variable.toml"}
    named, by_variable = touch(tmp_path / "named.toml"), touch(tmp_path / "by-variable.toml")
    here, own = touch(tmp_path / "etc/dropmill.toml"), touch(tmp_path / "home/.config/dropmill/dropmill.toml")
    assert load(Path("named.toml"), environ).loaded.file == named
    assert load(None, environ).loaded.file == by_variable
    del environ["DROPMILL_CONFIG"]
    assert load(None, environ).loaded.file == here
    here.unlink()
    assert load(None, environ).loaded.file == own
    assert load(None, environ | {"XDG_CONFIG_HOME": str(tmp_path / "home/.config")}).loaded.file == own


def test_a_variable_that_names_a_file_that_is_not_there_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigInvalidError, match="does not exist"):
        load(None, {"DROPMILL_CONFIG": "none.toml"})


def test_without_any_file_everything_is_in_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(None, {"HOME": str(tmp_path)})
    state = tmp_path / ".local" / "state" / "dropmill"
    assert config.loaded.file is None
    assert config.loaded.folder == state
    assert (config.paths.inbox, config.paths.state, config.paths.logs) == (state / "inbox", state, state / "log")
    assert (config.paths.workflows, config.paths.plugins) == ((state / "workflows",), (state / "plugins",))


def test_schedules_beside_no_file_are_read_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "x" / "dropmill" / "schedules.d"
    folder.mkdir(parents=True)
    (folder / "a.toml").write_text("[[schedules]]\nname = 'a'\nworkflow = 'w'\ndaily = '02:30'")
    environ = {"XDG_STATE_HOME": str(tmp_path / "x"), "DROPMILL__EXECUTOR__WORKERS": "3"}
    config = load(None, environ)
    assert ([schedule.name for schedule in config.schedules], config.executor.workers) == (["a"], 3)


def test_a_service_keeps_its_things_where_services_do():
    paths = usual_paths(SYSTEM_FILE, HOME)
    assert (paths.inbox, paths.state) == (Path("/var/lib/dropmill/inbox"), Path("/var/lib/dropmill"))
    assert (paths.logs, paths.workflows) == (Path("/var/log/dropmill"), (Path("/etc/dropmill/workflows"),))


def test_a_persons_own_configuration_keeps_its_things_in_the_state_home():
    paths = usual_paths(Path("/home/ada/.config/dropmill/dropmill.toml"), HOME)
    assert paths.state == Path("/home/ada/.local/state/dropmill")
    assert paths.workflows == (Path("/home/ada/.config/dropmill/workflows"),)


def test_a_file_in_etc_keeps_its_things_beside_etc_and_any_other_beside_itself():
    assert usual_paths(Path("/srv/mill/etc/dropmill.toml"), HOME).inbox == Path("/srv/mill/inbox")
    assert usual_paths(Path("/srv/mill/dropmill.toml"), HOME).inbox == Path("/srv/mill/inbox")
    assert usual_paths(Path("/srv/mill/etc/dropmill.toml"), HOME).workflows == (Path("/srv/mill/etc/workflows"),)


def test_a_current_folder_that_was_removed_is_no_obstacle(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load(touch(tmp_path / "dropmill.toml"), {}).executor.workers == 5
    assert load(None, {"HOME": str(tmp_path)}).executor.workers == "auto"


def test_relative_xdg_folders_are_ignored_as_their_specification_asks():
    assert usual_paths(None, HOME | {"XDG_STATE_HOME": "x"}).state == Path("/home/ada/.local/state/dropmill")


def test_a_user_without_a_home_has_the_one_of_the_user_database(tmp_path):
    assert usual_paths(None, {}).state.parts[-4:] == (Path("~").expanduser().name, ".local", "state", "dropmill")
    assert find_file({}, tmp_path) in {None, SYSTEM_FILE, Path("~/.config/dropmill/dropmill.toml").expanduser()}


@pytest.mark.needs("root")
def test_a_file_that_is_there_but_not_for_us_is_not_passed_over(tmp_path):
    file = touch(tmp_path / "home/.config/dropmill/dropmill.toml")
    tmp_path.chmod(0o755)
    for folder in [*tmp_path.parents][:2]:
        folder.chmod(folder.stat().st_mode | 0o011)  # the interpreter of the other user must get here
    file.parent.chmod(0o700)
    program = (
        "import os, pathlib, sys; from daemon.config import load; from engine.errors import ConfigInvalidError\n"
        "os.setuid(65534)\n"
        "try: load(None, {'HOME': sys.argv[1]})\n"
        "except ConfigInvalidError as error: print(error.problems[0].message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"the file {file} cannot be read: permission denied\n"
