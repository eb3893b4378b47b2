"""Delays for virtual nodes, from the trials of a campaign on real ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.paths import RECORD
from schedlab.results.records import is_stopped, load_record
from schedlab.schedulers.delays import Latencies
from schedlab.tables.clocks import node_clocks
from schedlab.tables.job_rows import stamps_of
from schedlab.tables.kept import kept_trial

PARTS = 10
"""Intervals of equal probability: deciles, for which the jobs of a few trials suffice."""
FEWEST = 20
"""Delays from which on a distribution is described, two for each interval."""


class Found(NamedTuple):
    """Quantiles (s) of both delays, from how many trials, and from how many delays of each."""

    start: list[float]
    completion: list[float]
    trials: int
    delays: int


def measured_delays(folders: Iterable[Path], measure: Latencies) -> Found:
    """Distributions of the delays of the valid ones among some trials.

    Parameters
    ----------
    folders : iterable of pathlib.Path
        Folders of trials on real nodes; those that did not run are left out.
    measure : callable
        The adapter's (`Scheduler.virtual_delays`).

    Raises
    ------
    SchedlabError
        When there are fewer than `FEWEST` delays of a kind.
    """
    starts: list[float] = []
    completions: list[float] = []
    trials = 0
    for folder in folders:
        if not (folder / RECORD).is_file() or is_stopped(folder / RECORD):
            continue
        if not kept_trial(folder).trial["valid"]:
            continue
        with foreign(folder, f"remove {folder / RECORD} and run the trial again"):
            clocks = node_clocks(load_record(folder / RECORD)["conditions"])
            own = measure(folder / "native", list(stamps_of(folder, clocks)))
        starts += own[0]
        completions += own[1]
        trials += 1
    count = min(len(starts), len(completions))
    if count < FEWEST:
        raise SchedlabError(
            f"{trials} valid trials on real nodes have {count} delays; it takes {FEWEST}",
            remedy="run more trials of node counts that virtual.real lists, then calibrate again",
        )
    return Found(_quantiles(starts), _quantiles(completions), trials, count)


def _quantiles(values: list[float]) -> list[float]:
    """Smallest value, deciles and largest value, to 0.1 ms."""
    found = np.quantile(np.array(values), np.linspace(0.0, 1.0, PARTS + 1))
    return [round(float(value), 4) for value in found]
