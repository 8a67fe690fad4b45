"""The pools of the configuration: who holds how much of which, and which are closed now and until when. Pure.

Held in memory alone: after a restart nothing is held. `granting` asks before a start and gives back what has ended;
who waits for a pool, and in which order, is in `slots`.
"""

from collections import deque
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

Holder = tuple[str, str, int]  # run, key of the task, attempt


Count = Annotated[int, Meta(ge=1, le=100_000)]
Period = Annotated[float, Meta(gt=0, le=86400, extra={"unit": "seconds"})]


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something scarce tasks may take at a time, all runs together: a task asks for it with `pool`."""

    size: Annotated[Count, Meta(description="Slots: what the running tasks of the pool may take together.")] = 1
    rate: Annotated[
        Count | None,
        Meta(description="Most tasks of the pool that start within `per`; without it, any.", examples=[10]),
    ] = None
    per: Annotated[Period, Meta(description="The time that `rate` speaks of.")] = 1.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Show a pool: `held` of `size` slots are taken; `opens_in` is seconds, where its rate keeps it closed."""

    name: str
    size: int
    held: int
    rate: int | None
    per: float
    opens_in: float | None


class _Pool:
    """One pool; `starts` are the moments (monotonic seconds) of the last starts, as many as its rate speaks of."""

    __slots__ = ("held", "quota", "starts")

    def __init__(self, quota: Quota) -> None:
        self.quota, self.held = quota, 0
        self.starts: deque[float] = deque(maxlen=quota.rate)

    def free_at(self) -> float | None:
        """Return the moment from which its rate lets another start; None for at once."""
        rate = self.quota.rate
        return self.starts[0] + self.quota.per if rate is not None and len(self.starts) >= rate else None


class Quotas:
    """Keep the slots of every pool; `closed` names those of which nothing more may be taken for now."""

    def __init__(self, quotas: Mapping[str, Quota] | None = None) -> None:
        """Start with nothing taken."""
        self._pools = {name: _Pool(quota) for name, quota in (quotas or {}).items()}
        self._holders: dict[Holder, tuple[str, int]] = {}
        self.closed: set[str] = set()

    def knows(self, pool: str) -> bool:
        """Tell whether there is a pool of this name."""
        return pool in self._pools

    def names(self) -> list[str]:
        """Return the names of all pools."""
        return list(self._pools)

    def fits(self, pool: str, weight: int, ticks: float) -> bool:
        """Tell whether an attempt of this weight may start now; if not, the pool is closed until that may change.

        So nobody light passes by somebody heavy who was there before. What weighs more than there is takes it all.
        """
        held = self._pools[pool]
        at = held.free_at()
        if (at is None or at <= ticks) and held.held + _weight(held, weight) <= held.quota.size:
            return True
        self.closed.add(pool)
        return False

    def take(self, pool: str, weight: int, holder: Holder, ticks: float) -> None:
        """Give an attempt its slots; `fits` was asked before."""
        held = self._pools[pool]
        taken = _weight(held, weight)
        held.held += taken
        self._holders[holder] = pool, taken
        if held.quota.rate is not None:
            held.starts.append(ticks)
        at = held.free_at()
        if held.held >= held.quota.size or (at is not None and at > ticks):
            self.closed.add(pool)

    def give_back(self, holder: Holder) -> None:
        """Take back what an attempt held that has ended or waits; harmless for one that held nothing."""
        pool, taken = self._holders.pop(holder, ("", 0))
        held = self._pools.get(pool)
        if held is not None:
            held.held -= taken
            # Whether its rate lets somebody start shows when somebody wants to.
            self.closed.discard(pool)

    def refill(self, ticks: float) -> None:
        """Open the pools whose rate lets somebody start again."""
        if self.closed:
            for name in list(self.closed):
                pool = self._pools[name]
                at = pool.free_at()
                if at is not None and at <= ticks and pool.held < pool.quota.size:
                    self.closed.discard(name)

    def opens_in(self, pool: str, ticks: float) -> float | None:
        """Return the seconds until the rate of a closed pool lets somebody start; None where a slot must come free."""
        held = self._pools[pool]
        at = held.free_at() if pool in self.closed and held.held < held.quota.size else None
        return at - ticks if at is not None and at > ticks else None

    def resize(self, quotas: Mapping[str, Quota]) -> None:
        """Let other pools hold from now on; what is held stays held until it is given back."""
        for name in set(self._pools) - set(quotas):
            del self._pools[name]
        for name, quota in quotas.items():
            former = self._pools.get(name)
            if former is None or former.quota != quota:
                pool = self._pools[name] = _Pool(quota)
                pool.held = sum(taken for held, taken in self._holders.values() if held == name)
                pool.starts.extend(former.starts if former is not None and quota.rate is not None else ())
        self.closed.clear()

    def standings(self, ticks: float) -> list[Standing]:
        """Show every pool."""
        return [
            Standing(
                name=name,
                size=pool.quota.size,
                held=pool.held,
                rate=pool.quota.rate,
                per=pool.quota.per,
                opens_in=self.opens_in(name, ticks),
            )
            for name, pool in self._pools.items()
        ]


def _weight(pool: _Pool, weight: int) -> int:
    return min(weight, pool.quota.size)
