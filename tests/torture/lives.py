"""What becomes of one life of a daemon: how it is started, what is done to it and its workers, and how it ends.

Every life ends by `kill -9`, or by a stop that was asked for; whatever else it does by itself is a violation. Called by
`kills`.
"""

import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from engine import tree
from tests.waiting import wait_for
from tests.whole.mill import Mill

ALREADY_RUNNING = 66
_WORKER, _SERVER = "dropmill-worker", "dropmill-server"
_PATIENCE_SECONDS = 120.0


class Lives:
    """Begin and end lives of the daemons of one mill, and count what was done to them."""

    def __init__(self, mill: Mill, rng: random.Random) -> None:
        self._mill, self._random = mill, rng
        self.counts: Counter[str] = Counter()
        # One that is killed early costs little and hits the start; one that is worn out costs seconds and many workers.
        self._kinds: tuple[Callable[[], None], ...] = (
            *(self.brief,) * 12,
            *(self.wear_out,) * 3,
            self.freeze,
            self.stop_early,
            self.stop_late,
            self.pair,
        )

    def next(self) -> None:
        """Live one life, drawn at random."""
        self._random.choice(self._kinds)()

    def brief(self) -> None:
        """Kill it at any moment from before its first line to well after it is ready."""
        process = self._mill.launch()
        self._pass(process, self._random.choice((self._random.uniform(0.05, 0.6), self._random.uniform(0.3, 1.2))))
        self._kill()

    def wear_out(self) -> None:
        """Kill workers, again and again, now and then their parent; freeze one; then kill the daemon."""
        self._ready()
        assert self._mill.process is not None
        for _ in range(self._random.randrange(10, 40)):
            self._pass(self._mill.process, self._random.expovariate(1 / 0.04))
            name = _SERVER if self._random.random() < 0.02 else _WORKER
            self._strike(name, signal.SIGKILL)
        if self._random.random() < 0.3:
            self._strike(_WORKER, signal.SIGSTOP)
            self._pass(self._mill.process, self._random.uniform(0, 0.3))
        self._kill()

    def freeze(self) -> None:
        """Stop it in the middle, let it go on, or kill it as it is."""
        process = self._mill.launch()
        self._pass(process, self._random.uniform(0.2, 1.5))
        os.kill(process.pid, signal.SIGSTOP)
        self.counts["freezes"] += 1
        self._pass(process, self._random.uniform(0.05, 0.3))
        if self._random.random() < 0.5:
            os.kill(process.pid, signal.SIGCONT)
            self._pass(process, self._random.uniform(0.05, 0.3))
        self._kill()

    def stop_early(self) -> None:
        """Ask it to stop while it starts."""
        self._stop_after(self._random.uniform(0.0, 0.8))

    def stop_late(self) -> None:
        """Ask it to stop while it works."""
        self._ready()
        self._stop_after(self._random.uniform(0.0, 0.5), is_up=True)

    def pair(self) -> None:
        """Start two at once: exactly one gets the folder, and the other says so."""
        mine = self._mill.launch()
        rival = self._mill.spawn()
        pair = (rival, mine)
        try:
            wait_for(lambda: any(one.poll() is not None for one in pair), "the end of one of two", _PATIENCE_SECONDS)
            [loser] = [one for one in pair if one.poll() is not None]
            assert loser.returncode == ALREADY_RUNNING, f"{loser.returncode}: {self._mill.words()}"
        except BaseException:
            rival.kill()
            raise
        [winner] = [one for one in pair if one is not loser]
        self._mill.process = winner
        self.counts["second daemons refused"] += 1
        self._pass(winner, self._random.uniform(0, 0.5))
        self._kill()

    def _ready(self) -> None:
        self._mill.launch()
        wait_for(self._mill.is_ready, f"a daemon that is ready; {self._mill.words()}", _PATIENCE_SECONDS)

    def _stop_after(self, seconds: float, *, is_up: bool = False) -> None:
        process = self._mill.process if is_up else self._mill.launch()
        assert process is not None
        self._pass(process, seconds)
        status = self._mill.stop(_PATIENCE_SECONDS)
        # Before it listens to signals the system ends it.
        expected = (0,) if is_up else (0, -signal.SIGTERM)
        assert status in expected, f"asked to stop, it ended with {status}: {self._mill.words()}"
        self.counts["stops"] += 1

    def _pass(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Let time pass; it has to live."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        assert process.poll() is None, f"the daemon ended by itself with {process.returncode}: {self._mill.words()}"

    def _kill(self) -> None:
        self._mill.kill()
        self.counts["kills"] += 1

    def _strike(self, name: str, number: int) -> None:
        found = [each for each in tree.below(self._mill.pid) if not each.is_dead and name_of(each) == name]
        if found and tree.kill(self._random.choice(found), number):
            word = "worker freezes" if number == signal.SIGSTOP else "worker kills"
            self.counts["server kills" if name == _SERVER else word] += 1


def name_of(process: tree.Process) -> str:
    """Return what `ps` calls a process, nothing for one that has ended."""
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
