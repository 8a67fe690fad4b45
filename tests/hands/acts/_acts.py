"""What the tests of the backends have attempts do, well and badly; `do` names one of these functions."""

import collections
import contextlib
import ctypes
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from engine.task import InterruptedByEngineError, fail, later

_PAUSE_SECONDS = 0.002


def run(task):
    """Do what `do` says."""
    return globals()[task["do"]](task)


def mark(task, word=None):
    """Write one line into the ledger, whole or not at all."""
    if "ledger" in task:
        line = f"{word or 'did'} {task['id']} {task['attempt']} {os.getpid()}\n"
        descriptor = os.open(task["ledger"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.close(descriptor)
    return True


def nothing(_task):
    return True


def give(task):
    task["output"] = task["value"]
    return True


def give_many(task):
    task["output"] = "x" * task["bytes"]
    return True


def refuse(_task):
    logging.error("the milk is sour")  # noqa: LOG015 -- plugins do so
    return False


def stumble(task):
    raise ValueError(task["words"])


def leave_code(_task):
    fail("the program was not happy", exit_code=7)


def give_no_json(task):
    task["output"] = {"stream": sys.stdout}
    return True


def give_origin(task):
    task["output"] = task["origin"]


def give_inputs(task):
    task["output"] = task["inputs"]
    return True


def come_again(task):
    if task["memo"] is None:
        print("first call")
        later(0.25, {"calls": 1})
    print("second call")
    task["output"] = task["memo"]
    return True


def speak(task):
    print("printed", task["words"])
    logging.info("logged %s", task["words"])  # noqa: LOG015 -- plugins do so
    print("to stderr", file=sys.stderr)
    print("no newline", end="")
    return True


def speak_in_all_ways(task):
    """Use every way to standard output there is, one after the other."""
    print("1 print")
    os.write(1, b"2 os.write\n")
    subprocess.run(["echo", "3 child"], check=True)
    logging.warning("4 logging")  # noqa: LOG015 -- plugins do so
    sys.stdout.buffer.write(b"5 buffer\n")
    sys.stdout.flush()
    subprocess.run(["sh", "-c", "echo 6 child stderr >&2"], check=True)
    print("7", task["words"])
    return True


def speak_in_pieces(task):
    for piece in task["pieces"]:
        sys.stdout.write(piece)
        sys.stdout.flush()
    return True


def hold(task):
    """Wait until the file `until` exists, and say when asked to end."""
    try:
        mark(task, "began")  # from here on somebody may ask
        if "words" in task:
            print(task["words"])
        _wait_for(Path(task["until"]))
    except InterruptedByEngineError:
        mark(task, "asked")
        raise
    mark(task, "ended")
    return True


def hold_on(task):
    """Wait for the file whatever anybody asks."""
    words = ["began"]
    while True:
        try:
            while words:
                mark(task, words.pop())
            _wait_for(Path(task["until"]))
        except InterruptedByEngineError:
            mark(task, "asked")
            continue
        return True


def finish_when_asked(task):
    """Take being asked as a reason to succeed."""
    with contextlib.suppress(InterruptedByEngineError):
        mark(task, "began")
        _wait_for(Path(task["until"]))
    return True


def hold_the_interpreter(task):
    """Stay in C code that lets no other thread run: nothing but a kill ends it."""
    mark(task, "began")
    collections.deque(itertools.repeat(None), maxlen=0)


def exit_at_once(task):
    mark(task, "began")
    print("last words", flush=True)
    os._exit(task["status"])


def kill_itself(task):
    mark(task, "began")
    os.kill(os.getpid(), signal.Signals[task["signal"]])
    _wait_for(Path("/nowhere"))


def segfault(task):
    mark(task, "began")
    ctypes.string_at(0)


def grow_tree(task):
    """Start children of every kind that tries to get away, and wait for them."""
    script = "setsid sleep 1000 & (sleep 1000 &) ; (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo grown; sleep 1000"
    reading, writing = os.pipe()
    with subprocess.Popen(["sh", "-c", script], stdout=writing) as shell:
        os.read(reading, 10)
        mark(task, "began")
        shell.wait()
    return True


def kill_its_group(task):
    """Do what a script does that wants to end its children: `kill 0`."""
    mark(task, "began")
    subprocess.run(["sh", "-c", "kill -9 0"], check=False)
    _wait_for(Path("/nowhere"))


def stop_itself(task):
    """Be stopped, as by Ctrl-Z: no signal but SIGKILL reaches it then."""
    mark(task, "began")
    os.kill(os.getpid(), signal.SIGSTOP)
    _wait_for(Path("/nowhere"))


def leave_tree(task):
    """Leave children behind and succeed."""
    script = "setsid sleep 1000 & (sleep 1000 &) ; echo grown"
    subprocess.run(["sh", "-c", script], stdout=subprocess.DEVNULL, check=True)
    return mark(task)


def leave_tree_and_die(task):
    leave_tree(task)
    os.kill(os.getpid(), signal.SIGKILL)


def become_daemon(task):
    """Fork twice with a session in between, as daemons do, and stay."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            mark(task, "daemon")
            os.close(reading)
            os.close(writing)
            _wait_for(Path("/nowhere"))
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)  # ends when both have let go of it
    os.close(reading)
    return True


def fork_and_return(task):
    """Come back from the plugin twice."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        task["output"] = "parent"
    else:
        task["output"] = "child"
    return True


def leave_thread(task):
    """Leave a thread running."""
    threading.Thread(target=_wait_for, args=(Path("/nowhere"),), daemon=True).start()
    return mark(task)


def flood(task):
    """Write as much as asked, by a child, as fast as it goes."""
    subprocess.run(["sh", "-c", f"yes 0123456 | head -c {task['bytes']}"], check=True)
    return True


def flood_by_print(task):
    for _ in range(task["lines"]):
        print("0123456789" * 10)
    return True


def close_everything(_task):
    """Close the standard streams in all ways, the descriptors too."""
    sys.stdout.close()
    sys.stderr.close()
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    return True


def detach_streams(_task):
    sys.stderr.detach()  # really a TextIOWrapper
    sys.stdout = None
    return True


def write_into_everything(_task):
    """Write garbage into every descriptor that takes it."""
    for path, leads_to in _descriptors():
        if leads_to.startswith("socket:"):
            os.write(int(path.name), b"\x00\x00\x00\x04junk")
    return True


def read_stdin(task):
    task["output"] = os.read(0, 10).decode()
    return True


def tell_process(task):
    environment = {name: value for name, value in os.environ.items() if name.startswith("DROPMILL")}
    task["output"] = {"pid": os.getpid(), "session": os.getsid(0), "environment": environment}
    return True


def open_descriptors(task):
    task["output"] = {path.name: leads_to for path, leads_to in _descriptors()}
    return True


def eat(task):
    held = bytearray(task["bytes"])
    task["output"] = len(held)
    return True


def burn(task):
    """Take processor time in this process until somebody ends it."""
    try:
        mark(task, "began")
        while True:
            pass
    except InterruptedByEngineError:
        mark(task, "asked")
        raise


def burn_on(_task):
    while True:
        try:
            while True:
                pass
        except InterruptedByEngineError:
            continue


def burn_in_child(_task):
    done = subprocess.run(["sh", "-c", "while :; do :; done"], check=False)
    fail("the child was killed", exit_code=128 - done.returncode)


def list_modules(task):
    task["output"] = sorted({name.partition(".")[0] for name in sys.modules})
    return True


def _descriptors():
    paths = list(Path("/proc/self/fd").iterdir())
    return [(path, str(path.readlink())) for path in paths if path.exists() or path.is_symlink()]


def _wait_for(path):
    moment = threading.Event()
    while not path.exists():
        moment.wait(_PAUSE_SECONDS)
