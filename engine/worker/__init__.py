"""A worker process: reads attempts from its socket, runs one after another, reports each before the next begins.

The main thread runs attempts. One more thread, the watcher, sends what they say while they run, gives back on recall
what has not begun, and ends the process when nobody listens any more. Forked and ended by `forkserver`; what an attempt
is, and how it came out, is `runner`'s.
"""

import _thread
import math
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from typing import NoReturn, Protocol

import msgspec

from engine import tree
from engine.board import Board
from engine.messages import Dispatch, Done, Frames, Hello, Returned, Said, frame
from engine.reports import INTERRUPTED
from engine.states import Reason
from engine.task import InterruptedByEngineError
from engine.worker.capture import Capture

_READ_BYTES = 1 << 18
# The watcher lets short words gather for a while, so that talkative little attempts hardly wake it; who has said this
# much at once has more to say, and waits for it when the pipe is full.
_FLOOD_BYTES = 4096
_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS = 1, 50
# How often, how far apart, a thread that is still there after an attempt is looked at: most are only just ending.
_THREAD_LOOKS = 10
_THREAD_PAUSE_SECONDS = 0.005
_LAST_READS = 32  # twice what a pipe can hold: more comes from a thread that never stops
_CHILD_OVER_CPU = 128 + signal.SIGXCPU  # as shells, and our plugins, write the death of a child by a signal
_CPU_GRACE_SECONDS = 1  # from SIGXCPU to SIGKILL


class Attempts(Protocol):
    """What the worker asks of the runner."""

    def run(self, dispatch: Dispatch) -> Done:
        """Run one attempt to its outcome."""
        ...


class Worker:
    """Serve one socket until it is closed; lives as long as the process."""

    def __init__(
        self, channel: socket.socket, recall: int, capture: Capture, board: Board, slot: int, runner: Attempts
    ) -> None:
        """Take over the descriptors; `recall` is an eventfd that the pool raises."""
        self._channel, self._recall, self._capture = channel, recall, capture
        self._board, self._slot, self._runner = board, slot, runner
        self._line: deque[Dispatch] = deque()
        self._frames: Frames[Dispatch] = Frames(Dispatch)
        self._reading, self._speaking = threading.Lock(), threading.Lock()
        self._arrival = select.poll()
        self._arrival.register(channel, select.POLLIN)
        self._pid = os.getpid()
        self._running = self._speaker = 0
        self._is_interruptible = False
        self._was_asked = False
        self._is_over_cpu = False

    def serve(self) -> None:
        """Run attempts until the pool closes its end, or until one leaves something behind that only an end clears."""
        signal.signal(signal.SIGTERM, self._on_ask)
        signal.signal(signal.SIGXCPU, self._on_cpu_limit)
        os.register_at_fork(after_in_child=self._forget_engine)
        # Without `threading`, whose `start` waits for the thread to run: a fresh process would begin its attempt later.
        _thread.start_new_thread(self._watch, ())
        with self._speaking:
            self._channel.sendall(frame([Hello()]))
        while (dispatch := self._next()) is not None:
            done = self._attempt(dispatch)
            self._report(done)
            self._running = 0
            if done.leaving or self._was_asked:
                return

    def _next(self) -> Dispatch | None:
        while True:
            with self._reading:
                if self._line:
                    return self._line.popleft()
            self._arrival.poll()
            with self._reading:
                if self._take_in() == 0:
                    return None

    def _take_in(self) -> int | None:
        """Read what has arrived and return how much: 0 if the pool has closed its end, None if nothing has yet."""
        try:
            data = self._channel.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        self._line.extend(self._frames.feed(data))
        return len(data)

    def _attempt(self, dispatch: Dispatch) -> Done:
        self._running = self._speaker = dispatch.seq
        self._board.begin(self._slot, dispatch.seq)
        # From here on an ask finds the attempt by its signal; one that came before stands on the board.
        if self._board.asked(self._slot) == dispatch.seq:
            self._was_asked, done = True, Done(dispatch.seq, INTERRUPTED)
        else:
            done = self._call(dispatch)
        if os.getpid() != self._pid:  # the plugin forked, and this is the child, come back where only the parent may be
            os._exit(0 if done.outcome == "Succeeded" else 1)
        self._capture.settle()
        tree.end_below_me()
        if self._was_asked or self._leaves_threads():
            return msgspec.structs.replace(done, leaving=True)
        return done

    def _call(self, dispatch: Dispatch) -> Done:
        is_limited = dispatch.memory_limit is not None or dispatch.cpu_limit is not None
        if is_limited:
            _set_limits(dispatch)
        try:
            self._is_interruptible = True
            if self._was_asked:
                raise InterruptedByEngineError  # noqa: TRY301 -- the signal came just before it could be raised there
            done = self._runner.run(dispatch)
            self._is_interruptible = False
        except InterruptedByEngineError:
            done = Done(dispatch.seq, INTERRUPTED)
        return self._judge_limits(dispatch, done) if is_limited else done

    def _judge_limits(self, dispatch: Dispatch, done: Done) -> Done:
        """Name the limit as the reason where it was the cause."""
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if done.outcome == "Succeeded":
            return done
        if dispatch.cpu_limit is not None and self._was_over_cpu(dispatch.cpu_limit, done):
            message = f"it took more than {dispatch.cpu_limit:g} s of processor time"
            return msgspec.structs.replace(done, outcome="Failed", reason=Reason.CPU_LIMIT.value, message=message)
        return done

    def _was_over_cpu(self, limit: float, done: Done) -> bool:
        # The kernel counts whole clock ticks for the limit and exactly for the record: they do not agree.
        return self._is_over_cpu or done.exit_code == _CHILD_OVER_CPU or _cpu_of_children() >= limit

    def _leaves_threads(self) -> bool:
        """Tell whether the attempt left threads running: nothing but the end of the process ends them."""
        if threading.active_count() == 1:
            return False
        for _ in range(_THREAD_LOOKS):
            # Python also remembers foreign threads that are long gone; the kernel does not.
            others = {str(thread.native_id) for thread in threading.enumerate()} - {str(os.getpid())}
            if not others.intersection(os.listdir("/proc/self/task")):  # noqa: PTH208 -- names are all that is wanted
                return False
            select.select([], [], [], _THREAD_PAUSE_SECONDS)
        return True

    def _report(self, done: Done) -> None:
        """Send what the attempt still said and how it ended as one frame."""
        with self._speaking:
            said = b""
            for _ in range(_LAST_READS):
                data, taken = self._capture.read()
                said += data
                if not taken:
                    break
            dropped = self._capture.end()
            self._speaker = 0
            messages = [Said(done.seq, said, dropped), done] if said or dropped else [done]
            self._channel.sendall(frame(messages))

    def _watch(self) -> None:
        try:
            self._watch_on()
        finally:  # only by an error: without its watcher a worker neither hears nor is heard
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _watch_on(self) -> NoReturn:
        everything, calm = select.poll(), select.poll()
        for poller in (everything, calm):
            poller.register(self._recall, select.POLLIN)
            poller.register(self._channel, 0)  # nothing but the hang-up, which is always told
        everything.register(self._capture.reading, select.POLLIN)
        pause = _LONGEST_PAUSE_MS
        while True:
            try:
                self._react(everything.poll())
                is_flood = self._pass_on() >= _FLOOD_BYTES
                pause = _SHORTEST_PAUSE_MS if is_flood else min(2 * pause, _LONGEST_PAUSE_MS)
                if not is_flood:
                    self._react(calm.poll(pause))
            except MemoryError:  # the attempt's limit holds for this thread too
                calm.poll(_LONGEST_PAUSE_MS)

    def _react(self, events: list[tuple[int, int]]) -> None:
        for descriptor, _ in events:
            if descriptor == self._recall:
                os.eventfd_read(self._recall)
                self._give_back()
            elif descriptor == self._channel.fileno():
                # The pool is gone. The fork server ends us as well, unless it has died too.
                tree.end_below_me()
                os._exit(1)

    def _pass_on(self) -> int:
        with self._speaking:
            data, taken = self._capture.read()
            if data and self._speaker:
                self._channel.sendall(frame([Said(self._speaker, data)]))
        return taken

    def _give_back(self) -> None:
        # All or nothing, and said before the next one begins: the pool counts on the order of its line.
        with self._reading:
            while self._take_in():
                pass
            seqs = tuple(dispatch.seq for dispatch in self._line)
            self._line.clear()
            with self._speaking:
                self._channel.sendall(frame([Returned(seqs)]))

    def _on_ask(self, *_: object) -> None:
        asked = self._board.asked(self._slot)
        if asked and asked != self._running:
            return  # it has ended, or comes later and finds the word on the board
        if not self._running:
            os._exit(0)
        self._was_asked = True
        self._interrupt()

    def _on_cpu_limit(self, *_: object) -> None:
        self._is_over_cpu = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._is_interruptible:
            self._is_interruptible = False
            raise InterruptedByEngineError

    def _forget_engine(self) -> None:
        """Make a child that a plugin forked a process like any other: it has no attempt, no socket and no ask."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        self._channel.close()
        os.close(self._recall)


def _set_limits(dispatch: Dispatch) -> None:
    """Limit this process for one attempt: address space beyond what the process has now, processor seconds rounded up.

    The kernel holds each child process to the same limits, each for itself.
    """
    if dispatch.memory_limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_at_most(_address_space() + dispatch.memory_limit, hard), hard))
    if dispatch.cpu_limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        soft = _at_most(int(usage.ru_utime + usage.ru_stime) + max(1, math.ceil(dispatch.cpu_limit)), hard)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, _at_most(soft + _CPU_GRACE_SECONDS, hard)))


def _at_most(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 -- one read of one line
        return int(statm.read().split()[0]) * resource.getpagesize()


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
