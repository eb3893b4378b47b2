"""What the rules that name a limiter have in common: what they return, and their thresholds."""

from __future__ import annotations

from typing import NamedTuple

BUSY = 0.9
"""Part of the machine's cores from which they count as busy, or as held, all the time."""
NEAR = 0.8
"""Part of a limit from which actions count as limited by it: counters include pauses at the ends of
a trial and, for clients, leave out reads and events."""
HEAD = "head"
"""Node of the scheduler's own daemons."""
TIME = "observed_s"
"""Column with the time in which requests and processor time were counted, s. Other than the
makespan it is never withheld."""
HALF = 0.5
"""Part of the wait from which one part of it names the limiter."""


class Limiter(NamedTuple):
    """What limits a cell.

    Attributes
    ----------
    name : str
        In words; empty where no rule holds.
    evidence : str
        Figures by which the rule holds, or those that were looked at.
    lift : str
        Native setting that lifts it; empty where none is known.
    """

    name: str
    evidence: str
    lift: str = ""


def not_judged(what: str) -> Limiter:
    """No limiter, as a later rule might name another one than the rule that cannot be judged."""
    return Limiter("", f"not judged: no record tells in which time {what} was counted")
