"""Process trees are seen whole, and ended whole."""

import os
import signal
import subprocess
import sys

import pytest

from engine import tree
from tests.hands.driver import is_gone
from tests.rules.source import ROOT
from tests.waiting import wait_for


@pytest.fixture
def family():
    """Start a shell with a child, a grandchild and one in a session of its own; return the shell's process."""
    script = "sleep 1000 & setsid sleep 1000 & sh -c 'sleep 1000 & echo up; wait' & wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as shell:
        hear_from(shell)
        yield shell
        while tree.strike(shell.pid):
            pass
        shell.kill()


def hear_from(process):
    assert process.stdout is not None
    return process.stdout.readline()


def seen(pid):
    process = tree.look(pid)
    assert process is not None
    return process


def in_a_process_of_its_own(program, *arguments):
    """Run a program text with `tree` imported; what it does to its children does not concern the test's process."""
    return subprocess.run(
        [sys.executable, "-c", f"import os, signal, subprocess, sys\nfrom engine import tree\n{program}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout


def test_a_process_is_described_even_if_its_name_is_a_trap():
    name = "a) R 1 (b"
    done = in_a_process_of_its_own("tree.call_me(sys.argv[1]); print(*tree.look(os.getpid()))", name)

    pid, state, parent, started = done.split()
    assert (state, int(parent)) == ("R", os.getpid())
    assert int(started) > 0
    assert int(pid) > 0


def test_there_is_nothing_to_see_of_a_process_that_does_not_exist():
    with subprocess.Popen(["true"]) as done:
        done.wait()

    assert tree.look(done.pid) is None
    assert tree.children(done.pid) == []


def test_everything_below_is_found_parents_first(family):
    below = tree.below(family.pid)

    assert len(below) == 4
    seen = {family.pid}
    for process in below:
        assert process.parent in seen
        seen.add(process.pid)


def test_what_is_spared_is_left_out_with_all_below_it(family):
    inner = next(process.pid for process in tree.below(family.pid) if tree.children(process.pid))

    spared = tree.below(family.pid, spare={inner})

    assert len(spared) == 2


def test_children_are_found_without_the_kernels_list_of_them(family, monkeypatch):
    found = sorted(tree.children(family.pid))
    read = tree._read

    def without_lists(path):
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return read(path)

    monkeypatch.setattr(tree, "_read", without_lists)

    assert sorted(tree.children(family.pid)) == found


def test_a_strike_kills_what_is_below_and_nothing_else(family):
    os.kill(family.pid, signal.SIGSTOP)
    wait_for(lambda: seen(family.pid).is_still, "the shell to stop")
    below = tree.below(family.pid)

    assert tree.strike(family.pid) == 4

    wait_for(lambda: all(is_gone(process.pid) for process in below), "the end of the family")
    assert seen(family.pid).is_still


def test_a_number_that_was_given_to_another_process_since_is_not_signalled():
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        stale = seen(innocent.pid)._replace(started=1)

        assert not tree.kill(stale)

        assert innocent.poll() is None
        innocent.kill()


def test_all_children_of_a_subreaper_can_be_ended_and_reaped():
    program = """
tree.become_subreaper()
subprocess.run(["sh", "-c", "setsid sleep 1000 & (sleep 1000 &) ; (setsid sh -c 'sleep 1000 & sleep 1000' &)"])
assert tree.below(os.getpid())
tree.end_below_me()
print(tree.below(os.getpid()), tree.reap())
"""
    assert in_a_process_of_its_own(program) == "[] False\n"


def test_a_child_that_forks_as_fast_as_it_can_is_ended():
    program = """
tree.become_subreaper()
subprocess.Popen(["sh", "-c", "while :; do (sleep 1000 &) ; done"])
while len(tree.below(os.getpid())) < 50:
    pass
tree.end_below_me()
print(tree.below(os.getpid()))
"""
    assert in_a_process_of_its_own(program) == "[]\n"


def test_ending_below_returns_at_once_when_there_is_nothing():
    assert in_a_process_of_its_own("tree.end_below_me(); print('done')") == "done\n"


def test_a_process_whose_first_thread_has_ended_is_killed_all_the_same():
    program = """
import ctypes, threading
tree.become_subreaper()
reading, writing = os.pipe()
if os.fork() == 0:
    def stay():
        os.write(writing, b".")
        threading.Event().wait()
    threading.Thread(target=stay).start()
    ctypes.CDLL(None).pthread_exit(None)
os.read(reading, 1)
tree.end_below_me()
print(tree.below(os.getpid()))
"""
    assert in_a_process_of_its_own(program) == "[]\n"


def test_marked_processes_are_found_and_ended_with_what_scrubbed_its_environment():
    mark = f"DROPMILL_TEST_TREE={os.getpid()}"
    name, _, value = mark.partition("=")
    script = "env -i sleep 1000 & setsid env -i sh -c 'sleep 1000 & sleep 1000' & echo up; wait"
    with subprocess.Popen(
        ["sh", "-c", script], env={"PATH": os.environ["PATH"], name: value}, stdout=subprocess.PIPE
    ) as shell:
        hear_from(shell)
        wait_for(lambda: len(tree.below(shell.pid)) >= 4, "the family to be complete")
        family = tree.below(shell.pid)
        # Until they have become `env` and then what it starts, they have the shell's environment.
        wait_for(lambda: [process.pid for process in tree.marked(mark)] == [shell.pid], "the others to scrub theirs")

        assert tree.end_marked(mark, 30.0) == []

        shell.wait()
    for process in family:
        now = tree.look(process.pid)
        assert now is None or now.is_dead or now.started != process.started


def test_a_process_that_waits_in_the_kernel_for_its_stopped_child_is_ended(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The child opens the pipe before it becomes a program; until then its parent sleeps where no signal wakes it.
    program = "import os, sys; os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(0, 0, sys.argv[1], 0, 0)])"
    mark = f"mark-{os.getpid()}"
    with subprocess.Popen([sys.executable, "-c", program, str(fifo)], env={"DROPMILL_TEST_TREE": mark}) as parent:
        wait_for(lambda: seen(parent.pid).state == "D", "the parent to sleep in the kernel")

        assert tree.end_marked(f"DROPMILL_TEST_TREE={mark}", 3600.0) == []


def test_a_mark_is_matched_as_a_whole():
    with subprocess.Popen(["sleep", "1000"], env={"DROPMILL_TEST_TREE": "mark-12"}) as other:
        assert tree.marked("DROPMILL_TEST_TREE=mark-1") == []
        assert [process.pid for process in tree.marked("DROPMILL_TEST_TREE=mark-12")] == [other.pid]
        other.kill()


def test_a_child_dies_with_its_parent():
    program = """
parent = os.getpid()
pid = os.fork()
if pid == 0:
    if os.fork() == 0:
        assert tree.die_with_parent(signal.SIGKILL, os.getppid())
        print(os.getpid(), flush=True)
        signal.pause()
    os.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", f"import os, signal\nfrom engine import tree\n{program}\nos.wait()"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as outer:
        inner = int(hear_from(outer))
        os.kill(seen(inner).parent, signal.SIGKILL)
        wait_for(lambda: is_gone(inner), "the end of the child")


def test_a_parent_that_is_gone_already_is_told_apart():
    assert not in_a_process_of_its_own("print(tree.die_with_parent(signal.SIGKILL, 1) or '')").strip()
