"""Trials whose makespan is that of all the work, with the machine to itself.

What sets a trial's time against an ideal (ESP's efficiency, the overhead of constant-time tasks)
takes these alone. Jobs that never ran make a makespan shorter, not longer, and work beside a
background has less than the machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.cells import named

WITHOUT_END = ("unfinished", "lost", "not_submitted", "rejected")
"""Fates of jobs that did not come to their end, columns of the trials table."""


def not_ended(trials: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell of each trial whether some job did not come to its end.

    The jobs that ran are then a part that the trial's limit chose, or the scheduler. Rates and
    parts of the machine of two such trials agree where their limits do, and no column says that
    they are bounds: what the others would have added can make them larger or smaller.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table.

    Returns
    -------
    numpy.ndarray of bool
        Of each row. True as well where a job of another fate has no last instruction (the makespan
        is then a lower bound): it was cancelled, or its node failed.
    """
    counts = trials[list(WITHOUT_END)].fillna(0).to_numpy(dtype=np.int64)
    return np.asarray((counts > 0).any(axis=1) | named(trials, "at_least", "makespan_s"))


def alone(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials without a background beside the workload and without a fault."""
    beside = trials["background_filled"].notna() | trials["fault"].notna()
    return trials[~beside]


def whole(trials: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Valid trials that completed all jobs and whose makespan is not withheld.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table.

    Returns
    -------
    pandas.DataFrame
        Those rows.
    str
        How many others there are, and why they are left out; empty where there are none.
    """
    valid = trials["valid"].fillna(value=False).astype(bool)
    complete = (trials["completed"] == trials["jobs"]).fillna(value=False).astype(bool)
    known = trials["makespan_s"].notna()
    counts = {
        "invalid": int((~valid).sum()),
        "with jobs that did not complete": int((valid & ~complete).sum()),
        "whose makespan is withheld": int((valid & complete & ~known).sum()),
    }
    told = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
    return trials[valid & complete & known], told
