"""The box itself leaves nothing behind, whatever becomes of the test that opened it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import ROOT
from tests.waiting import wait_for
from tests.whole.box import Box, remove_group

pytestmark = [pytest.mark.needs("systemd", "root", "namespaces"), pytest.mark.xdist_group("systemd")]


def space(pid):
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def inhabitants(namespace):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [process.name] if space(process.name) == namespace else []
        except OSError:
            continue
    return found


def test_a_closed_box_has_no_process_no_mount_and_no_group():
    mounts = Path("/proc/self/mountinfo").read_text()
    box = Box()
    try:
        namespace = space(box.pid)
        box.do("sh", "-c", "setsid -f sleep 1000 >/dev/null 2>&1")
        box.path("/etc/only-here").touch()
        assert len(inhabitants(namespace)) >= 2
    finally:
        box.close()
    box.close()
    assert inhabitants(namespace) == []
    assert not box.group.exists()
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not Path("/etc/only-here").exists()


def test_a_box_that_cannot_boot_says_why_and_leaves_nothing():
    box = Box.__new__(Box)
    with pytest.raises(AssertionError, match="no-such-place"):
        Box.__init__(box, Path("/no-such-place"))
    # Its own, by name: the hierarchy may be shared with other machines, whose boxes come and go.
    assert not box.group.exists()
    assert not box.folder.exists()


def test_a_box_ends_with_the_process_that_opened_it():
    program = "from tests.whole.box import Box; b = Box(); print(b.pid, b.group, b.folder, flush=True); input()"
    opener = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert opener.stdout is not None
    pid, group, folder = opener.stdout.readline().decode().split()
    namespace = space(pid)
    os.kill(opener.pid, signal.SIGKILL)
    opener.communicate()
    try:
        wait_for(lambda: inhabitants(namespace) == [], "the end of the box")
    finally:
        # Two empty folders are all that is left.
        remove_group(Path(group))
        shutil.rmtree(folder)
