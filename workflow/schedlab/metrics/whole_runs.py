"""Trials whose makespan is that of all the work, with the machine to itself.

What sets a trial's time against an ideal (ESP's efficiency, the overhead of constant-time tasks)
takes these alone. Jobs that never ran make a makespan shorter, not longer, and work beside a
background has less than the machine.
"""

from __future__ import annotations

import pandas as pd


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
