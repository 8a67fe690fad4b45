"""What the daemon does between its runs: it looks at its configuration and at what the machine has left."""

import os
import resource
import signal

from daemon.config import load
from daemon.service import _stamps
from daemon.troubles import shortages
from tests.waiting import wait_for
from tests.whole.mill import names_in


def test_a_daemon_without_a_free_descriptor_says_so_and_goes_on(mill):
    mill.start(WATCHDOG_USEC="3000000")  # it looks at the machine once a second then
    wait_for(lambda: "dropmill status" in mill.words(), "the end of the start")
    former = resource.prlimit(mill.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(mill.pid, resource.RLIMIT_NOFILE, (3, former[1]))
    wait_for(lambda: "all 3 file descriptors are in use" in mill.words(), f"the warning; {mill.words()}")
    assert mill.process.poll() is None
    resource.prlimit(mill.pid, resource.RLIMIT_NOFILE, former)
    mill.drop("a.json", mill.chain(1))
    mill.wait_for_quiet()
    assert "a.json" in names_in(mill.inbox / "done")


def test_a_change_that_waits_for_a_restart_is_named_until_then(mill):
    mill.start()
    text = mill.config.read_text()
    mill.config.write_text(text.replace("workers = 2", "workers = 3"))
    os.kill(mill.pid, signal.SIGHUP)
    waits = "changes to executor count after a restart"
    # The signal and the changed file may be seen one after the other: once or twice, it is the same reload.
    wait_for(lambda: waits in mill.words(), "the first reload")
    seen = mill.words().count("the configuration was read again;")
    mill.config.write_text(mill.config.read_text() + "# nothing more\n")
    os.kill(mill.pid, signal.SIGHUP)
    wait_for(lambda: mill.words().count("the configuration was read again;") > seen, "the second reload")
    assert "all changes are in force" not in mill.words()


def test_without_a_descriptor_nothing_looks_changed_and_the_space_is_still_seen(tmp_path):
    (tmp_path / "schedules.d").mkdir()
    file = tmp_path / "dropmill.toml"
    file.write_text("")
    config = load(file, {})
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, former[1]))
    try:
        stamps, found = _stamps(config), shortages(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
    assert stamps is None
    assert found == shortages(tmp_path) | {"descriptors": "all 3 file descriptors are in use"}


def test_a_folder_that_is_gone_is_a_trouble_and_no_error(tmp_path):
    assert "cannot be seen: No such file" in shortages(tmp_path / "gone")["disk"]
