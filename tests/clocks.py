"""A clock that moves by hand; it obeys `engine.clock.Clock`."""


class HandClock:
    """Stand still until told otherwise; both times start far apart and odd, so that mixing them shows."""

    def __init__(self, wall: float = 1_799_999_993.25, ticks: float = 7_411.5) -> None:
        self._wall, self._ticks = wall, ticks

    def wall(self) -> float:
        """Return seconds since the epoch, UTC."""
        return self._wall

    def ticks(self) -> float:
        """Return monotonic seconds."""
        return self._ticks

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks move, forward only."""
        if seconds < 0:
            message = f"time does not pass backwards ({seconds} s); `step` sets the wall clock"
            raise ValueError(message)
        self._wall += seconds
        self._ticks += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or NTP would; `ticks` does not notice."""
        self._wall += seconds
