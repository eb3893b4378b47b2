"""What limits how often a scheduler acts, by its settings, and the settings that lift it.

An adapter states both; the metrics read them and know no scheduler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

LIFT = 10
"""By how much a lifted limit exceeds that in force: so far that another limiter comes first."""


class Cycle(NamedTuple):
    """A loop of a scheduler that starts jobs.

    Attributes
    ----------
    period : float or None
        s between two of them; None where events begin one, so that no setting gives a period.
    jobs : int or None
        Most jobs that one of them looks at; None where no setting limits them.
    turns : int
        How many of them a job needs, one after the other. From the first on it counts among those
        that hold processors.
    """

    period: float | None
    jobs: int | None = None
    turns: int = 1


class Limit(NamedTuple):
    """Settings that limit how often a part of a scheduler acts: requests, cycles, processor time.

    Attributes
    ----------
    name : str
        Part and setting, in words.
    setting : str
        Native setting by which an experiment lifts it.
    per_second : float or None
        Most requests per second; None for others.
    counted : float or None
        Requests that were counted in the trial; None where no record counts them. Of several
        clients that have the limit each, those of the busiest one.
    cycles : tuple of Cycle
        Loops that start jobs beside one another; empty for others.
    cores : float or None
        Processors that a daemon may use on average; None for others.
    process : str
        That daemon, as `metrics.costs.daemon_costs` names it.
    seconds : float or None
        Time in which requests were counted, s; None: that in which the jobs were observed.
    client : str
        Client whose requests these are, where several have the limit each.
    ends_jobs : bool
        Whether a job that has ended holds its processors until such requests were sent. The limit
        then lengthens that time.
    """

    name: str
    setting: str
    per_second: float | None
    counted: float | None
    cycles: tuple[Cycle, ...] = ()
    cores: float | None = None
    process: str = ""
    seconds: float | None = None
    client: str = ""
    ends_jobs: bool = False

    @property
    def allowed(self) -> tuple[float | None, tuple[Cycle, ...], float | None]:
        """What it allows, whatever a trial has counted."""
        return self.per_second, self.cycles, self.cores

    def on(self, processors: float | None) -> Limit:
        """The same limit on a machine with so many processors, which bound a daemon too."""
        if self.cores is None or processors is None:
            return self
        return self._replace(cores=min(self.cores, processors))


def cycle_time(limits: Iterable[Limit]) -> float:
    """Time (s) between two cycles, if a scheduler with these limits starts jobs in cycles alone.

    Loops beside one another start jobs as often as all of them together. 0 where events begin a
    cycle, or no cycle is known.
    """
    found = [0.0]
    for one in limits:
        periods = [cycle.period for cycle in one.cycles]
        if periods and all(periods):
            found.append(1 / sum(1 / period for period in periods if period))
    return max(found)


class Lift(NamedTuple):
    """A way to lift a limit: what a further variant sets.

    Attributes
    ----------
    name : str
        Ends the name of that variant, before `-lifted`.
    settings : mapping of str to str
        Native settings with values that lift the limit far above that in force.
    """

    name: str
    settings: Mapping[str, str]
