"""Clocks that move by hand; they obey `engine.clock.Clock`."""

from engine.clock import Clock, SystemClock


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


class ShiftedClock:
    """Go as the system's clock does, and ahead of it by what it was advanced: for what waits in real time too."""

    def __init__(self) -> None:
        self._real: Clock = SystemClock()
        self._seconds = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch, UTC."""
        return self._real.wall() + self._seconds

    def ticks(self) -> float:
        """Return monotonic seconds."""
        return self._real.ticks() + self._seconds

    def advance(self, seconds: float) -> None:
        """Let so many seconds have passed."""
        self._seconds += seconds
