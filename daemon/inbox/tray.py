"""One folder that is dropped into: its rules, its folders, what has arrived, and how changes are noticed.

Called by the inbox's thread alone. Knows no document and no run.
"""

from daemon.bell import Bell
from daemon.claims import Claims
from daemon.config import Inbox as Settings
from daemon.inbox.arrivals import Arrivals
from daemon.inbox.noted import Noted, Observe
from daemon.inbox.policy import Policy
from engine.clock import Clock
from engine.errors import InputError


class Tray:
    """Hold the parts of one folder together."""

    def __init__(self, policy: Policy, settings: Settings, bell: Bell, clock: Clock, observe: Observe) -> None:
        """Touch nothing yet."""
        self.claims = Claims(policy.path)
        self.arrivals = Arrivals(self.claims, policy, clock)
        self._settings, self._bell, self._clock, self._observe = settings, bell, clock, observe
        self.watch = ""
        self.trouble = ""
        self._scan_at = 0.0

    @property
    def policy(self) -> Policy:
        """Return the rules in force."""
        return self.arrivals.policy

    def change(self, policy: Policy, settings: Settings) -> None:
        """Put other rules in force."""
        self.arrivals.policy, self._settings = policy, settings
        self.arm()

    def open(self) -> None:
        """Make and check the folders; raises InputError."""
        self.claims.open(is_open_to_all=self.policy.is_open_to_all)

    def arm(self) -> None:
        """Have the bell watch, or say why the folder is polled; the next `look_around` looks at everything."""
        if self._settings.watch == "poll":
            why: str | None = "the configuration asks for it"
            self._bell.leave(self.policy.path)
        else:
            why = self._bell.watch(self.policy.path)
        before, self.watch = self.watch, "inotify" if why is None else f"polling: {why}"
        if before != self.watch and why is not None:
            self._observe(Noted(kind="watch", folder=str(self.policy.path), message=self.watch))
        self.look_soon()

    def close(self) -> None:
        """Watch no more; what is claimed can still be filed."""
        self._bell.leave(self.policy.path)

    def look_soon(self) -> None:
        """Have everything looked at in the next turn."""
        self._scan_at = 0.0

    def look_around(self) -> None:
        """Look at the whole folder if it is time; one that was replaced by another is opened and watched anew.

        Raises OSError.
        """
        if self._clock.ticks() < self._scan_at:
            return
        self._scan_at = self._clock.ticks() + self._pause()
        try:
            if self.claims.was_replaced():
                self.open()
                message = "the folder was replaced by another one, which is watched now"
                self._observe(Noted(kind="watch", folder=str(self.policy.path), message=message))
                self.arm()
                self._scan_at = self._clock.ticks() + self._pause()
            self.arrivals.scan()
        except (InputError, OSError) as error:
            self.worry(str(error))
        else:
            self.worry("")

    def worry(self, sentence: str) -> None:
        """Take down what is wrong with the folder, or with an empty sentence that nothing is; tell a change once."""
        if sentence and sentence != self.trouble:
            self._observe(Noted(kind="stuck", folder=str(self.policy.path), message=sentence))
        self.trouble = sentence

    def due_in(self) -> float:
        """Return in how many seconds there may be something to do without a ring of the bell."""
        scan = max(0.0, self._scan_at - self._clock.ticks())
        settle = self.arrivals.due_in()
        return scan if settle is None else min(scan, settle)

    def _pause(self) -> float:
        is_watched = self.watch == "inotify"
        return self._settings.rescan_interval if is_watched else self._settings.poll_interval
