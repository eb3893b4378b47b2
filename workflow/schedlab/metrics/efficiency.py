"""ESP's efficiency: the ideal time of the mix over the time that it took.

References
----------
.. [1] A. Wong et al., "ESP: A System Utilization Benchmark", SC2000.
"""

from __future__ import annotations

import pandas as pd

from schedlab.metrics.cells import summary_interval
from schedlab.metrics.statistics import Interval


def efficiency(trials: pd.DataFrame, ideal: float) -> Interval:
    """Efficiency sum(p t) / (P T) over trials of one cell [1]_.

    The ideal time sum(p t) / P is the same in all of them, so that the geometric mean of the
    efficiencies is the ideal over that of the makespans T, and so are its bounds.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table, all of one cell, that completed all jobs.
    ideal : float
        Ideal time, s.
    """
    time = summary_interval(trials, "makespan")
    if time.estimate is None:
        return time
    return Interval(
        ideal / time.estimate,
        ideal / time.high if time.high is not None else None,
        # No machine does more than all its processors can; instants have a resolution.
        min(1.0, ideal / time.low) if time.low is not None else None,
        time.n,
        time.method,
        time.note,
    )
