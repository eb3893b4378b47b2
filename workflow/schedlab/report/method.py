"""How it was measured: definitions with their sources, and the rules for statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.metrics.ceiling import ceilings, with_payload
from schedlab.metrics.comparable import NOT_COMPARABLE
from schedlab.metrics.difference import ERROR_RATE, MARGIN
from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES, values_of
from schedlab.metrics.statistics import (
    CENTRES,
    CONFIDENCE,
    MINIMUM,
    ONE_MODE_BELOW,
    TOO_SMALL,
)

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
        "max(1, (wait + runtime) / max(runtime, threshold)); its median over the jobs of a trial,"
        " because a mean of slowdowns is a mean of ratios",
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
        " over the jobs of the trace: those of their systemd units, which count every short-lived"
        " process, where no job runs in them, else those of their processes; without the client's",
        "kubernetes/perf-tests issue 694",
    ),
    Definition("Lateness", "submit − due: the driver's own error", ""),
)

PERCENTILES = {"wait_p99_s": 100, "lateness_p99_s": 100}
"""Columns of percentiles, and how many jobs of a trial each needs."""


def quantities() -> list[dict[str, Any]]:
    """Quantities by the way in which they are summarised over trials."""
    return [
        {
            "how": f"{centre.capitalize()}",
            "titles": [q.title for q in QUANTITIES.values() if q.scale == scale],
        }
        for scale, centre in CENTRES.items()
    ]


def _replicates(valid: pd.DataFrame, cells: int) -> tuple[str, str]:
    """Status and place of the rule on replicates and intervals."""
    sizes = valid.groupby(["workload", "cluster"], observed=True).size()
    small = cells - int((sizes >= MINIMUM).sum())
    few = int((sizes[sizes >= MINIMUM] < ONE_MODE_BELOW).sum())
    told = [f"Results table: {100 * CONFIDENCE:.0f} % intervals by Student's t over trials."]
    if small:
        told.append(
            f"{small} of {cells} cells have fewer than {MINIMUM} valid trials and no interval."
        )
    if few:
        told.append(
            f"{few} of {cells} cells have fewer than {ONE_MODE_BELOW}: their intervals (†) assume"
            " noise with one mode."
        )
    snapshots = valid.groupby(["workload", "cluster"], observed=True)["snapshot"].nunique()
    if len(snapshots) and snapshots.min() > 1:
        told.append(
            f"Trials of a cell ran on at least {snapshots.min()} clusters, each made anew; the"
            " variance is split over clusters and trials in Clusters and trials."
        )
    else:
        told.append("All trials of a cluster start from one snapshot: only one was sampled.")
    return (PARTLY if len(valid) else EMPTY), " ".join(told)


def _summaries(valid: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on means."""
    told = (
        "Times, rates and parts of the machine by the geometric mean over trials, which is the same"
        " for a rate and for the time per unit of work; launch latency, lateness and ideal"
        " makespan, which can be 0 or less, by the arithmetic mean. Slowdowns by their median over"
        " jobs."
    )
    bad = [
        QUANTITIES[name].title.lower()
        for name in MAIN_QUANTITIES
        if QUANTITIES[name].scale == "log" and (values_of(valid, name) <= 0).any()
    ]
    if bad:
        told += f" Not summarised where a trial's value is not positive: {', '.join(bad)}."
    return (PARTLY if bad else YES if len(valid) else EMPTY), told


def _comparisons(verdicts: Sequence[str]) -> tuple[str, str]:
    """Status and place of the rule on comparisons."""
    if not verdicts:
        return EMPTY, "This report compares nothing."
    small = sum(verdict == TOO_SMALL for verdict in verdicts)
    other = sum(verdict.startswith(NOT_COMPARABLE) for verdict in verdicts)
    told = (
        f"Schedulers side by side: {len(verdicts)} comparisons judged as one table, Holm-corrected,"
        f" false verdicts in at most {100 * ERROR_RATE:g} % of tables; effects with interval and"
        f" Cliff's delta; equivalence within {100 * MARGIN:g} % by two one-sided tests."
    )
    if small:
        told += f" {small} of {len(verdicts)} have too few valid trials for a verdict."
    if other:
        told += f" {other} of {len(verdicts)} are not comparable."
    return (PARTLY if small or other else YES), told


def _noise(cells: int, *, any_verdict: bool) -> tuple[str, str]:
    """Status and place of the rule on the noise floor."""
    if cells:
        return YES, f"Noise floor: {cells} workloads and node counts of a variant against itself."
    if any_verdict:
        return NOT_YET, "No A/A comparison is part of this report: no noise floor is applied."
    return EMPTY, "This report compares nothing."


def _percentiles(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on percentiles: no trial shows one that it cannot support."""
    unsupported = sum(
        int((trials[column].notna() & (trials["jobs"] < least)).sum())
        for column, least in PERCENTILES.items()
    )
    if unsupported:
        return NOT_YET, f"{unsupported} percentiles of the tables are of too few jobs."
    return YES, "Only medians are shown; the tables hold the 99th from 100 jobs a trial on."


def _order(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on factors and order."""
    own = trials[trials["source"].fillna("") == ""]
    runs = own.sort_values("order")
    known = runs["order"].notna().all() and runs["order"].is_unique
    told = "Factors and Order of trials, below."
    if not known:
        return PARTLY, f"{told} The order of some trials is not known."
    # Blocks of one cell in a row: more of them than changes of the cell.
    cell = runs["cluster"].astype(str) + runs["workload"].astype(str)
    mixed = int((cell != cell.shift()).sum()) > cell.nunique() or cell.nunique() == len(cell)
    if len(cell) and cell.nunique() > 1 and not mixed:
        return PARTLY, f"{told} The trials of each cell ran in a row, not interleaved."
    return YES, told


def _clocks(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on clocks."""
    valid = trials[trials["valid"].astype(bool)]
    unknown = int(valid["clock_uncertainty_s"].isna().sum())
    told = (
        "Clocks and Instants, below. Every trial starts from the same snapshot, after the"
        " scheduler's health check; no job is discarded as warm-up."
    )
    if unknown:
        told += f" {unknown} valid trials have no measured clock uncertainty."
    return (PARTLY if unknown else YES), told


def _bounds(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on bounds."""
    unknown = int(trials["ideal_makespan_s"].isna().sum())
    if unknown == len(trials):
        return NOT_YET, "No bound is known."
    told = "Machine's area and critical path: yes."
    bounded = {(bound.workload, bound.nodes) for bound in ceilings(trials)}
    measured = with_payload(trials)
    cells = {(str(w), int(n)) for w, n in zip(measured["workload"], measured["nodes"], strict=True)}
    without = len(cells - bounded)
    if without:
        told += (
            f" The submitter's ceiling is not measured for {without} of {len(cells)} workloads and"
            " node counts; the rate that the submitter reached is in Order of trials."
        )
    else:
        told += " The submitter's ceiling: in the figure of throughput and its own table."
    status = PARTLY if without or unknown else YES
    return status, told + (f" {unknown} trials have no bound." if unknown else "")


def _distributions(valid: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on distributions."""
    if not len(valid):
        return EMPTY, "No trial is valid: there is no distribution to show."
    return (
        YES,
        "Distribution functions of wait, launch latency and lateness; points are not joined.",
    )


def rules(
    trials: pd.DataFrame,
    verdicts: Sequence[str],
    *,
    pooled: bool,
    absent: bool,
    noise: int = 0,
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
    noise : int
        Cells in which a variant that ran a second time was compared with itself.
    """
    valid = trials[trials["valid"].astype(bool)]
    cells = trials.groupby(["workload", "cluster"], observed=True).ngroups
    named = "; cells without trials are named at the top" if absent else ""
    rows = [
        (
            "The replicate is the trial, and the cluster above it. Every number carries an interval"
            " and its n.",
            *_replicates(valid, cells),
        ),
        (
            "Costs by mean or median, rates such that they agree with times, no arithmetic means of"
            " ratios.",
            *_summaries(valid),
        ),
        (
            "Comparisons of trials that ran the same trace, corrected for their number, with effect"
            " size; equivalence and too small n are possible verdicts.",
            *_comparisons(verdicts),
        ),
        (
            "An A/A comparison gives the noise floor.",
            *_noise(noise, any_verdict=bool(verdicts)),
        ),
        ("Percentiles only where n supports them.", *_percentiles(trials)),
        (
            "All factors, levels and the run order are listed; the order is seeded and random.",
            *_order(trials),
        ),
        (
            "Clock source, synchronisation, resolutions, warm-up and summarisation are stated.",
            *_clocks(trials),
        ),
        ("Upper bounds are drawn.", *_bounds(trials)),
        (
            "Distributions are shown; points are joined only where that has a meaning.",
            *_distributions(valid),
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
