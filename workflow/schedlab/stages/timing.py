"""Times the parts of a stage, for its record, and watches the clock that it reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from schedlab.errors import SchedlabError

SET = 1_000_000_000
"""ns. Time servers correct a clock by less without setting it."""


class Phases:
    """Durations of named parts of a stage.

    Attributes
    ----------
    seconds : dict of str to float
        Seconds by part, in the order in which the parts first began; a part that runs again adds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Time what runs inside, also when it fails."""
        start = time.monotonic()
        self.seconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds[name] + time.monotonic() - start, 3)


class HostClock:
    """The controller's clock as it went when this was made, whatever it is set to afterwards."""

    def __init__(self) -> None:
        self._began, self._steady = time.time_ns(), time.monotonic_ns()

    def now(self) -> int:
        """Nanoseconds since 1970 by the clock as it went at first; never less than before."""
        return self._began + time.monotonic_ns() - self._steady

    def require_unset(self, stage: str) -> None:
        """Check that the controller's clock still tells the time that has passed.

        Raises
        ------
        SchedlabError
            When it was set, or the host slept.
        """
        apart = time.time_ns() - self.now()
        if abs(apart) > SET:
            raise SchedlabError(
                f"the host's clock was set, or the host slept: it is {apart / 1e9:+.1f} s away from"
                " the time that passed since the trial began",
                stage=stage,
            )
