"""How it was measured: definitions with their sources, and the rules for statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.metrics.cells import QUANTITIES
from schedlab.metrics.statistics import CONFIDENCE, MINIMUM, RESAMPLES, TOO_SMALL

YES, PARTLY, NOT_YET, EMPTY = "satisfied", "partly", "not yet", "does not apply"


class Definition(NamedTuple):
    """A metric, what it is, and who defined it."""

    name: str
    text: str
    source: str


DEFINITIONS = (
    Definition(
        "Makespan",
        "last instruction of all jobs − first submission; at least to the trial's end where any"
        " job never finished",
        "Feitelson 2015",
    ),
    Definition(
        "Ideal makespan",
        "the larger of two bounds that no scheduler can beat: work over all cores, and the longest"
        " job after its arrival",
        "Graham 1969; Wong et al., SC2000",
    ),
    Definition(
        "Wait",
        "started − due, the instant at which the trace wants the job, not that at which the driver"
        " came to it; its parts: lateness, submission, scheduling, launch",
        "Feitelson & Rudolph 1998; Tene 2015, coordinated omission",
    ),
    Definition("Launch latency", "started − allocated", "part of the wait"),
    Definition(
        "Bounded slowdown",
        "max(1, (wait + runtime) / max(runtime, threshold))",
        "Feitelson & Rudolph 1998",
    ),
    Definition(
        "Throughput",
        "completed jobs / (last job's end − first submission), or to the trial's end where any job"
        " came to none; never over an idle tail",
        "Flux throughput test; kubernetes/perf-tests issue 1083",
    ),
    Definition(
        "Utilisation",
        "core time from first to last instruction of each rank / (cores × makespan)",
        "Feitelson & Rudolph 1998",
    ),
    Definition(
        "Scheduler's processor time",
        "of its daemons on all nodes, from cumulative counters read before and after the workload,"
        " over the jobs of the trace",
        "kubernetes/perf-tests issue 694",
    ),
    Definition("Lateness", "submit − due: the driver's own error", ""),
)

_SUMMARY = {
    "cost": "Arithmetic mean",
    "rate": "Harmonic mean",
    "ratio": "Ratio of sums",
}


def quantities() -> list[dict[str, Any]]:
    """Quantities by the way in which they are summarised over trials."""
    return [
        {"how": how, "titles": [q.title for q in QUANTITIES.values() if q.kind == kind]}
        for kind, how in _SUMMARY.items()
    ]


def _comparisons(verdicts: Sequence[str]) -> tuple[str, str]:
    """Status and place of the rule on comparisons."""
    if not verdicts:
        return EMPTY, "This report compares nothing."
    small = sum(verdict == TOO_SMALL for verdict in verdicts)
    few = f" {small} of {len(verdicts)} have too few valid trials for a verdict." if small else ""
    return (
        PARTLY if small else YES,
        "Schedulers side by side: differences with interval and Cliff's delta; overlapping"
        f" intervals are not evidence of equality.{few}",
    )


def rules(
    trials: pd.DataFrame, verdicts: Sequence[str], *, pooled: bool, absent: bool
) -> list[dict[str, Any]]:
    """The rules for statistics, whether this report keeps them, and where.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    verdicts : sequence of str
        Verdicts of all differences that the report shows; empty where it compares nothing.
    pooled : bool
        Trials of one cluster differ in the record that they started from.
    absent : bool
        Trials of the experiment are not in the tables.
    """
    valid = trials[trials["valid"].astype(bool)]
    sizes = valid.groupby(["workload", "cluster"], observed=True).size()
    cells = trials.groupby(["workload", "cluster"], observed=True).ngroups
    small = cells - int((sizes >= MINIMUM).sum())
    percent = f"{100 * CONFIDENCE:.0f} %"
    few = (
        f"; {small} of {cells} cells have fewer than {MINIMUM} valid trials and no interval"
        if small
        else ""
    )
    named = "; cells without trials are named at the top" if absent else ""
    rows = [
        (
            "The replicate is the trial. Every number carries an interval and its n.",
            PARTLY if small else YES,
            f"Results table: {percent} BCa bootstrap ({RESAMPLES} resamples) over trials, by"
            f" percentiles where BCa is not defined{few}. With n = 3 a nominal 95 % interval"
            " covers about three quarters of the time: more repetitions are the only remedy.",
        ),
        (
            "Costs by arithmetic mean or median, rates by harmonic mean, no means of ratios.",
            YES,
            "The list of summaries is above.",
        ),
        (
            "Comparisons by the interval of the difference and effect size.",
            *_comparisons(verdicts),
        ),
        (
            "An A/A comparison gives the noise floor.",
            NOT_YET,
            "No A/A comparison is part of this report: differences between clusters may be noise.",
        ),
        (
            "Percentiles only where n supports them.",
            YES,
            "Only medians are shown; the tables hold the 99th percentile from 100 jobs a trial on.",
        ),
        (
            "All factors, levels and the run order are listed; the order is seeded and random.",
            YES,
            "Factors and Order of trials, below.",
        ),
        (
            "Clock source, synchronisation, resolutions, warm-up and summarisation are stated.",
            YES,
            "Clocks and Instants, below. Every trial starts from the same snapshot, after the"
            " scheduler's health check; no job is discarded as warm-up.",
        ),
        (
            "Upper bounds are drawn.",
            PARTLY,
            "Machine's area and critical path: yes. The submitter's ceiling is not measured apart;"
            " the rate that it reached is in Order of trials.",
        ),
        (
            "Distributions are shown; points are joined only where that has a meaning.",
            YES,
            "Distribution functions of wait, launch latency and lateness; points are not joined.",
        ),
        (
            "No pooling across lineages. Omitted or failed cells are named with the reason.",
            PARTLY if pooled else YES,
            "All trials of a cluster start from one record"
            + (" EXCEPT where Order of trials shows different ones" if pooled else "")
            + f"; invalid trials are named below the results{named}.",
        ),
    ]
    return [
        {"number": place, "rule": rule, "status": status, "where": where}
        for place, (rule, status, where) in enumerate(rows, 1)
    ]
