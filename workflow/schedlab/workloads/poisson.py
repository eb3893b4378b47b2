"""Poisson: an open loop with exponential interarrival times."""

from __future__ import annotations

import random
from typing import Literal

from schedlab.workloads.open_loop import OpenLoop
from schedlab.workloads.registry import register


@register
class Poisson(OpenLoop):
    """Jobs that arrive in a Poisson process."""

    kind: Literal["poisson"] = "poisson"

    def gap(self, arrivals: random.Random) -> float:
        """Drawn from the exponential distribution."""
        return arrivals.expovariate(self.rate)
