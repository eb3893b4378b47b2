"""Checks of searches for the highest sustained rate that need the schedulers' settings."""

from __future__ import annotations

import math
from pathlib import Path

from schedlab.config import Experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.limits import cycle_time
from schedlab.workloads.ladder import FEWEST, FEWEST_CYCLES


def require_cycles(experiment: Experiment, path: Path, root: Path) -> None:
    """Refuse a search whose jobs arrive within few cycles of a scheduler at its highest rate.

    Parameters
    ----------
    experiment : Experiment
        With its variants whose limits are lifted; those are left to their decisions.
    path : pathlib.Path
        File that it is from.
    root : pathlib.Path
        Folder that relative file names in it are relative to.

    Raises
    ------
    SchedlabError
        Of the first such search.
    """
    for index, search in enumerate(experiment.workloads):
        highest = search.fastest
        if highest is None:
            continue
        for cluster in experiment.clusters():
            scheduler = get_scheduler(cluster.scheduler, cluster.settings)
            cycle = cycle_time(scheduler.limits(scheduler.in_force, {}))
            least = math.ceil(FEWEST_CYCLES * cycle * highest) + 1
            # A search has no fewer jobs than that, so most need no trace for this.
            if experiment.lifted_from(cluster.id) or least <= FEWEST:
                continue
            seed = experiment.trace_seed(search.name, 1)
            jobs = len(search.generate(cluster.machine, seed, root).measured)
            if jobs >= least:
                continue
            rate = math.floor(1e3 * (jobs - 1) / (FEWEST_CYCLES * cycle)) / 1e3
            raise SchedlabError(
                f"{path}: workloads[{index}].rate.high = {highest:g}: on {cluster.id} its"
                f" {jobs} jobs arrive within fewer than {FEWEST_CYCLES} scheduling cycles, one in"
                f" {cycle:.3g} s, and cannot say whether the queue grows",
                remedy=f"let workload {search.name} have {least} jobs or more, or set rate.high to"
                f" {rate:g} or less, and rate.low below that",
            )
