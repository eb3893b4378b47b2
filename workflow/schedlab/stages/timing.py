"""Times the parts of a stage, for its record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


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
