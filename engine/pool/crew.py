"""The workers of a pool: as many as wanted, whatever dies, on the plugins as they are now.

Owns generations (fork servers), lanes (workers) and the descriptors the pool waits for; decides who is forked,
dismissed and replaced, and how long to wait after a failure. What the workers do is `pool`'s.
"""

import select
from collections.abc import Callable, Hashable, Iterator, Mapping
from os import close
from pathlib import Path
from typing import NamedTuple

from engine.board import SLOTS, Board
from engine.clock import Clock
from engine.errors import BackendError
from engine.messages import Exited, Forked, Load, Ready, Refused
from engine.pool.generation import Generation
from engine.pool.lane import NEVER, Lane
from engine.task import Catalogue

_FINGERPRINT_SECONDS = 0.1
# After a failure: at once, then twice as long each time.
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 10.0
# A dismissed worker has nothing to do but to end.
EXIT_SECONDS = 2.0
# Importing plugins takes seconds at worst; one that hangs only the second time must not hold up the others for ever.
_LOAD_SECONDS = 120.0
# What a plugin's import left to be done after a fork may hang as well.
_GREETING_SECONDS = 30.0


class Death(NamedTuple):
    """A worker is gone, and nothing of its tree is alive; without `exited`, `detail` says what else went wrong."""

    lane: Lane
    exited: Exited | None
    detail: str = ""


class Patience:
    """Say how long to wait after failures in a row."""

    def __init__(self) -> None:
        """Begin without one; `until` is monotonic seconds."""
        self.failures, self.until = 0, 0.0

    def lose(self, now: float) -> None:
        """Count a failure."""
        pause = _FIRST_PAUSE_SECONDS * 2.0 ** (self.failures - 1) if self.failures else 0.0
        self.failures += 1
        self.until = now + min(pause, _LONGEST_PAUSE_SECONDS)

    def regain(self) -> None:
        """Forget the failures."""
        self.failures, self.until = 0, 0.0


class Crew:
    """Keep the workers; `mend` after each change."""

    def __init__(
        self,
        size: int,
        load: Load,
        fingerprint: Callable[[], Hashable],
        *,
        state: str,
        environment: Mapping[str, str],
        directory: Path | None,
        clock: Clock,
    ) -> None:
        """Describe them; nothing is started before `mend`."""
        self._size, self._load, self._fingerprint = size, load, fingerprint
        self._state, self._environment, self._clock = state, environment, clock
        self._directory = directory
        self.lanes: dict[int, Lane] = {}
        self.by_descriptor: dict[int, Lane] = {}
        self.open: list[Lane] = []
        self.deaths: list[Death] = []
        self.fresh = 0
        self.catalogue = Catalogue()
        self.is_untidy, self.has_news, self.is_stopping = True, False, False
        self._load_problem = self._fork_problem = ""
        self._page = Board.make()
        self.board = Board(self._page)
        self._poll = select.epoll()
        self._slots = list(range(SLOTS))
        self._number = 0
        self._generations: dict[int, Generation] = {}
        self._current: Generation | None = None
        self._coming: Generation | None = None
        self._home: dict[int, Generation] = {}
        self._known: Hashable = None
        self._look_at, self._give_up_at = 0.0, NEVER
        self.loading_since = 0.0
        self._start_patience, self._fork_patience = Patience(), Patience()

    def watch(self, descriptor: int) -> None:
        """Let `wait` return when this descriptor becomes readable."""
        self._poll.register(descriptor, select.EPOLLIN)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Wait at most this long for descriptors that are ready: (descriptor, events)."""
        return self._poll.poll(seconds if seconds != NEVER else None)

    @property
    def problem(self) -> str:
        """Say what keeps plugins from being loaded or workers from being forked; empty if nothing does."""
        return self._load_problem or self._fork_problem

    @property
    def is_loading(self) -> bool:
        """Tell whether a fork server is importing plugins."""
        return self._coming is not None

    @property
    def is_complete(self) -> bool:
        """Tell whether every wanted worker is there."""
        return not self.is_loading and len(self.open) == self._size

    def can_fork(self, reserved: int = 0) -> bool:
        """Tell whether one more fresh process may be forked now, beside the reserved ones."""
        is_possible = self._current is not None and self.fresh + reserved < self._size
        return is_possible and self._clock.ticks() >= self._fork_patience.until

    @property
    def server_pids(self) -> list[int]:
        """List the fork servers, the present one last."""
        return [generation.pid for generation in self._generations.values()]

    def refresh(self) -> None:
        """Begin to load the plugins anew if their files have changed since they were loaded."""
        now = self._clock.ticks()
        if now < self._look_at or self.is_stopping:
            return
        self._look_at = now + _FINGERPRINT_SECONDS
        if self._fingerprint() != self._known:
            self._begin_generation(now)

    def mend(self, now: float) -> None:
        """Start, fork and dismiss what is missing or left over."""
        self.is_untidy = False
        for lane in self.lanes.values():
            if lane.is_closed and not lane.line and not lane.is_dismissed:
                lane.dismiss()
                lane.hard_at = now + EXIT_SECONDS
        for generation in list(self._generations.values()):
            is_wanted = generation in {self._current, self._coming} and not self.is_stopping
            if not is_wanted and not generation.lanes and not generation.is_finishing:
                generation.finish()
                if generation is self._coming:
                    # It may be importing for long yet, in a child that keeps its socket open.
                    generation.abort()
                    self._lose(generation)
        if self.is_stopping:
            return
        if self._coming is not None and now >= self._give_up_at:
            self._give_up_at = NEVER
            self._coming.abort()
        if self._current is None and self._coming is None and now >= self._start_patience.until:
            self._begin_generation(now)
        if self._current is not None and now >= self._fork_patience.until:
            for _ in range(self._missing()):
                self.hire(is_fresh=False)

    def next_mend(self) -> float:
        """Return when `mend` has something to do that waits for a time, in monotonic seconds."""
        if self.is_stopping:
            return NEVER
        if self._coming is not None:
            return self._give_up_at
        if self._current is None:
            return self._start_patience.until
        if not self._fork_patience.failures:
            return NEVER
        until = self._fork_patience.until
        return until if until > self._clock.ticks() or self._missing() else NEVER

    def _missing(self) -> int:
        """Return how many workers to fork: what old generations still run counts, so that no more run than wanted."""
        have = 0
        for lane in self.lanes.values():
            if not lane.is_fresh and (lane.line or (self._home[lane.number] is self._current and not lane.is_closed)):
                have += 1
        return max(0, self._size - have)

    def hire(self, *, is_fresh: bool) -> Lane | None:
        """Have one more worker forked and return its lane, at once; None if there are no descriptors left."""
        if self._current is None or not self._slots:
            return None
        self._number += 1
        lane = Lane(self._number, self._slots.pop(), self._load.limits.output_bytes, is_fresh=is_fresh)
        self.board.clear(lane.slot)
        try:
            is_sent = self._current.fork(lane)
        except OSError as error:
            self._fork_problem = f"no worker can be forked: {error.strerror}"
            lane.disconnect()
            self._current.lanes.pop(lane.number, None)
            self._slots.append(lane.slot)
            self._fork_patience.lose(self._clock.ticks())
            return None
        self.lanes[lane.number] = self.by_descriptor[lane.descriptor] = lane
        self._home[lane.number] = self._current
        self.fresh += is_fresh
        self._poll.register(lane.descriptor, select.EPOLLIN)
        self._mind(self._current.descriptor, is_sent)
        lane.hard_at = self._clock.ticks() + _GREETING_SECONDS
        self.is_untidy = True
        return lane

    def admit(self, lane: Lane) -> None:
        """Take note that a worker has begun to read."""
        lane.is_ready, lane.hard_at = True, NEVER
        self._fork_problem = ""
        if not lane.is_closed:
            self.open.append(lane)
        self.has_news = True

    def end(self, lane: Lane, *, hard: bool) -> None:
        """Have a worker asked to end what it runs, or its whole tree killed; it gets nothing new."""
        self.close_lane(lane)
        lane.is_ended = True
        home = self._home[lane.number]
        if home.descriptor in self._generations:
            self._mind(home.descriptor, home.end(lane, hard=hard))

    def close_lane(self, lane: Lane) -> None:
        """Give a worker nothing new; `mend` dismisses it when its line is empty."""
        if not lane.is_closed and lane in self.open:
            self.open.remove(lane)
        lane.is_closed = self.is_untidy = True

    def mind_lane(self, lane: Lane, *, is_sent: bool) -> None:
        """Wait for room in a worker's socket while something has to be sent."""
        self._mind(lane.descriptor, is_sent)

    def ignore(self, lane: Lane) -> None:
        """Listen to a worker no more: it is ending, and the fork server will tell."""
        if self.by_descriptor.pop(lane.descriptor, None) is not None:
            self._poll.unregister(lane.descriptor)

    def prove(self) -> None:
        """Take note that workers do work: what failed before is over."""
        if self._fork_patience.failures:
            self._fork_patience.regain()

    def release(self, death: Death) -> None:
        """Forget a dead worker."""
        lane = death.lane
        self.ignore(lane)
        lane.disconnect()
        if lane in self.open:
            self.open.remove(lane)
        if not lane.is_ready and not lane.is_ended:
            self._fork_patience.lose(self._clock.ticks())
            if death.exited is not None:
                said = death.exited.said.decode("utf-8", "replace").strip()
                self._fork_problem = f"a worker ended at once (wait status {death.exited.status}) {said}".strip()
        self.fresh -= lane.is_fresh
        self._slots.append(lane.slot)
        del self.lanes[lane.number]
        self._home.pop(lane.number).lanes.pop(lane.number, None)
        self.is_untidy = self.has_news = True

    def react(self, descriptor: int) -> None:
        """Take in what a fork server says."""
        generation = self._generations.get(descriptor)
        if generation is None:
            return
        self._mind(descriptor, generation.flush())
        heard = generation.receive()
        if heard is None:
            self._lose(generation)
            return
        for message in heard:
            match message:
                case Ready(catalogue):
                    self._take_over(generation, catalogue)
                case Forked(worker, pid):
                    generation.lanes[worker].pid = pid
                case Refused(worker, detail):
                    self._fork_patience.lose(self._clock.ticks())
                    self._fork_problem = f"no worker can be forked: {detail}"
                    self.deaths.append(Death(generation.lanes.pop(worker), None, detail))
                case Exited(worker):
                    self.deaths.append(Death(generation.lanes.pop(worker), message))

    def _begin_generation(self, now: float) -> None:
        if self._coming is not None:
            self._coming.abort()
        # Taken before the import: what changes meanwhile is found changed the next time.
        self._known = self._fingerprint()
        try:
            generation = Generation(self._state, self._environment, self._page, self._directory)
        except BackendError as error:
            self._load_problem = str(error)
            self._start_patience.lose(now)
            return
        self._generations[generation.descriptor] = self._coming = generation
        self.loading_since, self._give_up_at = now, now + _LOAD_SECONDS
        self._poll.register(generation.descriptor, select.EPOLLIN)
        self._mind(generation.descriptor, generation.load(self._load))

    def _take_over(self, generation: Generation, catalogue: Catalogue) -> None:
        if generation is not self._coming:
            return  # another change of the files has overtaken it
        self._current, self._coming = generation, None
        self.catalogue, self._load_problem = catalogue, ""
        for lane in self.lanes.values():
            if self._home[lane.number] is not generation:
                self.close_lane(lane)
        self.is_untidy = self.has_news = True

    def _lose(self, generation: Generation) -> None:
        """Take in that a fork server is gone, in order or not."""
        self._poll.unregister(generation.descriptor)
        del self._generations[generation.descriptor]
        detail = generation.bury()
        self.deaths += [Death(lane, None, detail) for lane in generation.lanes.values()]
        if not generation.is_finishing:
            self._load_problem = detail
            self._start_patience.lose(self._clock.ticks())
        if generation is self._current:
            self._current = None
        if generation is self._coming:
            self._coming = None
        self.is_untidy = self.has_news = True

    def _mind(self, descriptor: int, is_sent: bool) -> None:  # noqa: FBT001 -- private
        self._poll.modify(descriptor, select.EPOLLIN if is_sent else select.EPOLLIN | select.EPOLLOUT)

    def __iter__(self) -> Iterator[Lane]:
        """Yield every worker that has not been told to be dead."""
        return iter(list(self.lanes.values()))

    def give_up(self) -> None:
        """Kill every fork server that is still there, with all its trees."""
        for generation in list(self._generations.values()):
            self._lose(generation)

    def close(self) -> None:
        """Close what is shared; every worker was released before."""
        self._poll.close()
        self.board.close()
        close(self._page)
