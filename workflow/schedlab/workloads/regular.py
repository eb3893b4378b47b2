"""Regular: an open loop with equal interarrival times."""

from __future__ import annotations

import random
from typing import Literal

from schedlab.workloads.open_loop import OpenLoop
from schedlab.workloads.registry import register


@register
class Regular(OpenLoop):
    """Jobs that arrive at equal intervals.

    Below its capacity a scheduler then has a short queue, whatever the utilisation, where random
    arrivals make queues that take long to tell from growing ones. So a search for the highest
    sustained rate needs far fewer jobs for the same error.
    """

    kind: Literal["regular"] = "regular"

    def gap(self, arrivals: random.Random) -> float:
        """The same each time."""
        return 1 / self.rate
