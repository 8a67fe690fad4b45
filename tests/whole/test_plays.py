"""Random workflows with branches, fans, loops, called workflows, people and hooks, in a daemon that is killed again and
again: they end as the interpreter says, and nothing is done twice.

DROPMILL_PLAYS is how many documents there are; DROPMILL_SEED repeats a course.
"""

import contextlib
import os
import random
import re
import subprocess
from collections import Counter

import pytest

from engine.points import VARIABLE
from tests.draws import draw_seed
from tests.rules.source import sources
from tests.waiting import wait_for
from tests.whole import checker, plays
from tests.whole.mill import Mill

FEW = 24
A_LIFE = 5  # documents for each
POINTS = sorted(
    {
        name
        for source in sources()
        for name in re.findall(r'sync_point\("([a-z_.]+)"\)', source.text)
        if name.partition(".")[0] in ("executor", "recovery", "store")
    }
)


@pytest.mark.parametrize("mill", [plays.SETTINGS], indirect=True)
@pytest.mark.timeout(3600)  # as long as DROPMILL_PLAYS asks for
def test_random_workflows_end_as_the_interpreter_says_in_a_daemon_that_is_killed_again_and_again(mill):
    seed = draw_seed()
    count = int(os.environ.get("DROPMILL_PLAYS", FEW))
    print(f"DROPMILL_SEED={seed}")
    rng = random.Random(seed)
    troupe = plays.Troupe(mill, plays.drawn(count, seed), rng)
    mill.start()
    troupe.fill_cache()
    lives = Lives(mill, troupe, rng)
    while lives.submitted < len(troupe.documents):
        lives.next()
    mill.launch()
    wait_for(mill.is_ready, f"a daemon that is ready; {mill.words()}", 120.0)
    wait_for(troupe.is_over, f"the end of every run; {mill.words()}", 60.0 + count)
    stories = {number: troupe.judge(number) for number in range(len(troupe.documents))}
    again = troupe.retry(stories)
    lives.end()
    mill.start()
    wait_for(troupe.is_over, f"the end of every rerun; {mill.words()}", 60.0 + count)
    for number, run in again.items():
        troupe.judge_again(number, run, stories[number])
    lives.counts["reruns"] = len(again)
    lives.check()
    checker.check(mill)
    print(lives.counts)
    assert mill.stop() == 0
    assert mill.processes() == []


class Lives:
    """Let daemons live and die while a troupe plays."""

    def __init__(self, mill: Mill, troupe: plays.Troupe, rng: random.Random) -> None:
        self.mill, self.troupe, self.random = mill, troupe, rng
        self.submitted = 0
        self.counts: Counter[str] = Counter()
        self.witnesses: list[tuple[set[tuple[str, str]], int]] = []
        mill.kill()

    def next(self) -> None:
        """Begin one life, give it documents, and have it die somewhere."""
        point = self.random.choice([*POINTS, *[""] * len(POINTS)])
        named = {VARIABLE: f"{point}#{self.random.randrange(1, 25)}"} if point else {}
        process = self.mill.launch(**named)
        new = range(self.submitted, min(self.submitted + A_LIFE, len(self.troupe.documents)))
        self.submitted = new.stop
        wait_for(self.is_ready_or_dead, f"a daemon that is ready or dead; {self.mill.words()}", 120.0)
        for number in new:
            self.troupe.submit(number)
        for _ in range(self.random.randrange(1, 8)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(0.0, 0.2))
            self.act()
        died = process.poll()
        assert died in (None, -9), self.mill.words()
        self.counts["deaths at named moments" if died else "kills"] += 1
        self.end()

    def end(self) -> None:
        """Kill the daemon, if it lives, and remember what is recorded."""
        self.mill.kill()
        self.witnesses.append((self.troupe.completed(), len(self.troupe.told())))

    def is_ready_or_dead(self) -> bool:
        """Tell whether this life has come so far, or is over before."""
        assert self.mill.process is not None
        return any(b"READY=1" in notice for notice in self.mill.notices()) or self.mill.process.poll() is not None

    def act(self) -> None:
        """Do what a person may do."""
        self.troupe.decide()
        some = list(self.troupe.runs)
        if some and self.random.random() < 0.2:
            self.troupe.cancel(self.random.choice(some))
        if some and self.random.random() < 0.3:
            self.troupe.pause(self.random.choice(some))

    def check(self) -> None:
        """Check that nothing recorded was done again in a later life."""
        told = self.troupe.told()
        for completed, since in self.witnesses:
            plays.check_not_again(told, completed, since)
        runs = self.mill.rows("SELECT count(*) FROM runs")[0][0]
        self.counts.update({"runs": runs, "attempts": sum(entry[3] == "begin" for entry in told)})
