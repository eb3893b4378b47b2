"""The report's section on method: definitions with their sources, and rules for statistics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.metrics.ceiling import SAME, ceilings, with_payload, with_submitter
from schedlab.metrics.cells import by_cell
from schedlab.metrics.comparable import NOT_COMPARABLE
from schedlab.metrics.difference import ERROR_RATE, LARGER, MARGIN, SMALLER
from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES, values_of
from schedlab.metrics.searches import without_searches
from schedlab.metrics.statistics import (
    CENTRES,
    CONFIDENCE,
    MINIMUM,
    ONE_MODE_BELOW,
    TOO_SMALL,
)
from schedlab.tables.schemas import RUN_ORDER

YES, PARTLY, NOT_YET, EMPTY = "satisfied", "partly", "not yet", "does not apply"


class Definition(NamedTuple):
    """A metric, its definition, and the source of the definition."""

    name: str
    text: str
    source: str


DEFINITIONS = (
    Definition(
        "Makespan",
        "last instruction of all jobs − first submission; at least to the trial's end if any"
        " job never finished",
        "Feitelson 2015",
    ),
    Definition(
        "Ideal makespan",
        "the larger of two bounds that no scheduler can beat: work over all cores (without those"
        " that a background takes), and the longest job after its arrival",
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
        "max(1, (wait + runtime) / max(runtime, threshold)); of a job that ran again turnaround"
        " over the runtime of its last run; its median over the jobs of a trial, because a mean of"
        " slowdowns is a mean of ratios",
        "Feitelson & Rudolph 1998",
    ),
    Definition(
        "Throughput",
        "completed jobs / (last job's end − first submission), or to the trial's end if any job"
        " did not end; never over an idle tail",
        "Flux throughput test; kubernetes/perf-tests issue 1083",
    ),
    Definition(
        "Utilisation",
        "core time from first to last instruction of each rank / (cores × makespan); a background"
        " is among the cores, and not among the ranks",
        "Feitelson & Rudolph 1998",
    ),
    Definition(
        "Scheduler's processor time",
        "of its daemons on all nodes, without the client's, divided by the jobs of the trace; from"
        " cumulative counters read before and after the workload: those of systemd units, which"
        " include every short process, if no job runs in the unit, otherwise those of processes;"
        " where other daemons play virtual nodes, theirs count in place of those of real nodes",
        "kubernetes/perf-tests issue 694",
    ),
    Definition("Lateness", "submit − due: the driver's own error", ""),
    Definition(
        "Error of virtual nodes",
        "value on virtual nodes / value on real nodes − 1, of geometric means over trials of the"
        " same traces; for the order of starts (1 − τ) / 2, the part of the pairs of jobs that"
        " started in the other order",
        "Kendall 1938",
    ),
)

PERCENTILES = {"wait_p90_s": 10, "wait_p99_s": 100, "lateness_p99_s": 100}
"""Columns of percentiles, and how many jobs of a trial each needs."""


DISTRIBUTIONS = ("wait", "launch", "lateness")
"""Figures of distributions."""


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
    if not len(valid):
        return EMPTY, "No valid trial is a repetition of a cell: there is no number."
    if small == cells:
        return NOT_YET, " ".join(told)
    return (PARTLY if small or few or snapshots.min() < 2 else YES), " ".join(told)


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


def _noise(again: Sequence[str], uncovered: int, compared: int) -> tuple[str, str]:
    """Status and place of the rule on the noise floor."""
    if not again and not compared:
        return EMPTY, "This report compares nothing."
    if not again:
        return NOT_YET, "No A/A comparison is part of this report: no noise floor is applied."
    told = f"Noise floor: {len(again)} comparisons of a variant against itself."
    small = sum(verdict == TOO_SMALL for verdict in again)
    false = sum(verdict in (LARGER, SMALLER) for verdict in again)
    if small:
        told += f" {small} of {len(again)} have too few valid trials for a verdict."
    if false:
        told += f" {false} claim a difference, although both sides are the same."
    if uncovered:
        told += f" {uncovered} of {compared} comparisons of schedulers have no noise floor."
    return (PARTLY if small or false or uncovered else YES), told


def _percentiles(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on percentiles: no trial shows one that it cannot support."""
    if not len(trials):
        return EMPTY, "The tables hold no trial."
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
    if not len(own):
        return EMPTY, "The tables hold no trial of this experiment."
    # Each run of the workflow counts from 0.
    runs = own.sort_values(RUN_ORDER)
    known = runs["order"].notna().all() and not runs.duplicated(RUN_ORDER).any()
    told = "Factors and Order of trials, below."
    if not known:
        return PARTLY, f"{told} The order of some trials is not known."
    # Blocks of one cell in a row: more of them than changes of the cell.
    cell = runs["cluster"].astype(str) + runs["workload"].astype(str)
    mixed = int((cell != cell.shift()).sum()) > cell.nunique() or cell.nunique() == len(cell)
    if len(cell) and cell.nunique() > 1 and not mixed:
        return PARTLY, f"{told} The trials of each cell ran in a row, not interleaved."
    return YES, told


def _clocks(valid: pd.DataFrame, clockless: int) -> tuple[str, str]:
    """Status and place of the rule on clocks."""
    if not len(valid):
        return EMPTY, "No trial is valid: no instant is used."
    unknown = int(valid["clock_uncertainty_s"].isna().sum())
    told = (
        "Clocks and Instants, below. Every trial starts from a snapshot of its cluster, after the"
        " scheduler's health check; no job is discarded as warm-up."
    )
    if unknown:
        told += f" {unknown} valid trials have no measured clock uncertainty."
    if clockless:
        told += f" Of {clockless} clusters the guests' clock sources are not recorded."
    return (PARTLY if unknown or clockless else YES), told


def _bounds(trials: pd.DataFrame) -> tuple[str, str]:
    """Status and place of the rule on bounds."""
    if not len(trials):
        return EMPTY, "The tables hold no trial."
    unknown = int(trials["ideal_makespan_s"].isna().sum())
    if unknown == len(trials):
        return NOT_YET, "No bound is known."
    told = "Machine's area and critical path: yes."
    bounded = {
        (bound.workload, bound.nodes, bound.source, bound.head) for bound in ceilings(trials)
    }
    measured = with_submitter(with_payload(trials))[SAME]
    cells = set(measured.itertuples(index=False, name=None))
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


def _distributions(valid: pd.DataFrame, drawn: Collection[str]) -> tuple[str, str]:
    """Status and place of the rule on distributions."""
    if not len(valid):
        return EMPTY, "No trial is valid: there is no distribution to show."
    lacking = [name for name in DISTRIBUTIONS if name not in drawn]
    told = "Distribution functions of wait, launch latency and lateness; points are not joined."
    if lacking:
        told += f" The file of these figures is missing: {', '.join(lacking)}."
    status = YES if not lacking else NOT_YET if len(lacking) == len(DISTRIBUTIONS) else PARTLY
    return status, told


def _lineages(trials: pd.DataFrame, *, pooled: bool, absent: bool) -> tuple[str, str]:
    """Status and place of the rule on pooling and on what is left out."""
    if not len(trials):
        return EMPTY, "The tables hold no trial."
    bad = trials[~trials["valid"].astype(bool)]
    silent = sum(reasons is None or not len(reasons) for reasons in bad["reasons"])
    named = "; cells without trials are named at the top" if absent else ""
    told = (
        "All trials of a cluster start from one record"
        + (" EXCEPT where Order of trials shows different ones" if pooled else "")
        + f"; invalid trials are named below the results{named}."
    )
    if silent:
        told += f" {silent} invalid trials have no recorded reason."
    return (PARTLY if pooled or silent else YES), told


def rules(
    trials: pd.DataFrame,
    verdicts: Sequence[str],
    *,
    pooled: bool,
    absent: bool,
    again: Sequence[str] = (),
    uncovered: int = 0,
    clockless: int = 0,
    drawn: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The rules for statistics, whether this report keeps them, and where.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    verdicts : sequence of str
        Verdicts of all differences that the report shows; empty if it compares nothing.
    pooled : bool
        Trials of one cluster differ in the record that they started from.
    absent : bool
        Whether trials of the experiment are missing in the tables.
    again : sequence of str
        Verdicts of the variant that ran a second time against itself.
    uncovered : int
        Differences for which no noise floor is known.
    clockless : int
        Number of clusters whose guests' clock sources are not recorded.
    drawn : collection of str
        Names of the figures that the report shows.
    """
    valid = trials[trials["valid"].astype(bool)]
    repeated = without_searches(valid)
    cells = sum(1 for _ in by_cell(trials, ("workload", "cluster")))
    rows = [
        (
            "The replicate is the trial, and the cluster above it. Every number carries an interval"
            " and its n.",
            *_replicates(repeated, cells),
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
            *_noise(again, uncovered, len(verdicts)),
        ),
        ("Percentiles only where n supports them.", *_percentiles(trials)),
        (
            "All factors, levels and the run order are listed; the order is seeded and random.",
            *_order(trials),
        ),
        (
            "Clock source, synchronisation, resolutions, warm-up and summarisation are stated.",
            *_clocks(valid, clockless),
        ),
        ("Upper bounds are drawn.", *_bounds(trials)),
        (
            "Distributions are shown; points are joined only where that has a meaning.",
            *_distributions(valid, drawn),
        ),
        (
            "No pooling across lineages. Omitted or failed cells are named with the reason.",
            *_lineages(trials, pooled=pooled, absent=absent),
        ),
    ]
    return [
        {"number": place, "rule": rule, "status": status, "where": where}
        for place, (rule, status, where) in enumerate(rows, 1)
    ]
