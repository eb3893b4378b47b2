"""Whether a trial's measurement can be believed: checks with value, limit and verdict.

The checks judge only the measurement: machine, clocks, driver, host, guests, monitoring. What the
scheduler did to the jobs is the result, and is never judged. A failed check of the whole trial
makes the trial invalid; a failed check of a measure only removes that measure from the trial's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from schedlab.schedulers.base import COMPLETED, ENDED_BY_THEMSELVES
from schedlab.tables.checks import Check, at_most, counted
from schedlab.tables.clocks import NodeClock, largest_drift
from schedlab.workloads.fault import FAIL

LATE_PART = 0.05
"""Largest lateness of the driver as a part of a measure that includes the lateness. 5 % is half of
the 10 % difference that comparisons should find."""
LATE_FLOOR = 0.010
"""s. Lateness below this never withholds a measure: a process cannot be started in less than some
milliseconds, and a wait that short is one of the client, not of the scheduler."""
CLOCK_PART = 0.10
"""Largest error of a difference between two nodes' clocks as a part of a measure. The error may
have the same sign in every trial, so repetitions do not show it."""
OTHERS_PART = 0.10
"""Largest part of the host's processor time that others may take, including the hypervisor's
steal. A part p makes work on all cores 1 / (1 - p) times as long, 11 % longer at this limit, which
is about the difference that comparisons should find."""
STALL_PART = 0.01
"""Largest part of the workload in which every runnable task of the host waited for memory."""
SWAP_BYTES = 16 * 2**20
"""Bytes that the host may swap out and in during the workload, enough for some idle pages of other
programs. To read a guest's page back from disk stops the guest's processor for milliseconds."""
SCRAPED_PART = 0.5
"""Least part of the scrapes that must succeed on every target. Costs come from counters that are
read separately, so a lost sample only makes the curve over time less exact."""
SLOW_SCRAPE = 0.9
"""Least part of the interval between two scrapes that the median scrape takes when it is named as
what loses samples: the timeout is the interval."""
DRIFT_PART = 0.10
"""Largest part by which a guest's clock may go faster or slower than the host's. Emulated
guests differ by up to 1 %; a clock that was set meanwhile did not change linearly."""
MEMORY_PART = 0.80
"""Least part of the declared memory that a guest's kernel reports: it keeps some for itself."""
RESOLUTION_NS = 1_000_000
"""Coarsest resolution of an instant (a scheduler's own log, 1 ms), for the order check."""

_ORDER = ("intended", "submit", "allocated", "started", "finished", "completed")
_WAITS = ("wait_mean_s", "wait_median_s", "wait_p90_s", "wait_p99_s", "wait_max_s")
_WHOLE = ("turnaround_mean_s", "turnaround_median_s", "bounded_slowdown_mean",
          "bounded_slowdown_median", "fairness_jain", "urgent_wait_s", "wide_wait_s")  # fmt: skip
_SPANS = ("makespan_s", "throughput_jobs_per_s", "throughput_busy_jobs_per_s", "utilisation",
          "fragmentation")  # fmt: skip

LATE: dict[str, tuple[str, ...]] = {
    "wait_median_s": _WAITS,
    "turnaround_median_s": _WHOLE,
    "makespan_s": _SPANS,
}
"""Measure with which the driver's lateness is compared -> metrics that include the lateness."""
ACROSS = {
    **LATE,
    "launch_median_s": ("launch_median_s",),
    "completion_median_s": ("completion_median_s",),
    "launch_skew_median_s": ("launch_skew_median_s", "launch_skew_max_s"),
}
"""Measure with which an error of the clocks is compared -> metrics from instants of two nodes."""


def trial_checks(
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    jobs: pd.DataFrame,
    clocks: Mapping[str, NodeClock],
    daemons: Sequence[str],
    *,
    gang: bool,
    payload: bool = True,
) -> list[Check]:
    """Checks of a whole trial.

    Parameters
    ----------
    record : mapping
        The trial's.
    driver : mapping
        Content of driver.json; empty where the driver left none.
    jobs : pandas.DataFrame
        Rows of the jobs table.
    clocks : mapping
        Of the nodes.
    daemons : sequence of str
        The scheduler's daemons that died or started again. This is the scheduler's own failure, so
        failed health checks and missing records afterwards do not count against the measurement.
    gang : bool
        Whether all ranks of a job start together.
    payload : bool
        Whether jobs run their payload, which writes stamps.
    """
    conditions = record["conditions"]
    # A node that the trial itself cut off is not scraped meanwhile.
    fault = conditions.get("fault", {})
    cut_off = str(fault["node"]) if fault.get("kind") == FAIL else None
    health, not_taken = conditions.get("health", {}).get("after"), conditions.get("not_taken")
    broken = list(record["verdict"]["reasons"])

    drift = largest_drift(clocks)
    drifted = f"a guest's clock differs from the host's by {drift or 0:.3g} of the time passed"

    def none_if_broken(found: list[str]) -> list[str] | None:
        # A failure of the testbed is one reason. Records that are missing because of it are not
        # another one.
        return None if broken else found

    return [
        counted("failures of the testbed", broken),
        counted(
            "missing result of the driver",
            [] if driver else none_if_broken(["the driver left no driver.json"]),
        ),
        counted("machines not as declared", _machine(record)),
        counted("guests that restarted", _restarted(conditions)),
        counted("failed health checks afterwards", None if health is None or daemons else health),
        counted("records not taken", None if not_taken is None or daemons else not_taken),
        counted(
            "completed jobs without stamps", none_if_broken(_missing(jobs)) if payload else None
        ),
        instants_in_order(jobs, clocks, gang=gang),
        at_most("drift of the clocks", drift, DRIFT_PART, "1", drifted),
        _monitoring(conditions, cut_off),
        *_host(conditions),
    ]


def instants_in_order(jobs: pd.DataFrame, clocks: Mapping[str, NodeClock], *, gang: bool) -> Check:
    """Check the order of each job's instants; the value is the largest step backwards.

    Without gangs a job's first rank may start, and even end, before its last one is allocated. Jobs
    of which a run was given up, or that ran again, are left out: their instants are of two runs. A
    job that its scheduler ended may run on until it is killed.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    clocks : mapping
        Of the nodes; two instants may be apart by both their uncertainties.
    gang : bool
        Whether all ranks of a job start together.
    """
    allowed = 2 * max((clock.uncertainty for clock in clocks.values()), default=0) + RESOLUTION_NS
    jobs = jobs[jobs["interrupted"].isna() & jobs["restarted"].isna()]
    alone = jobs["nodes"] == 1
    worst, said = None, []
    for earlier, later in zip(_ORDER, _ORDER[1:], strict=False):
        checked = jobs[alone] if not gang and earlier == "allocated" else jobs
        if later == "completed":
            checked = jobs[jobs["state"].isin(ENDED_BY_THEMSELVES)]
        backwards = (checked[earlier] - checked[later]).dropna()
        if len(backwards):
            largest = max(float(backwards.max()), 0.0)
            worst = max(worst or 0.0, largest)
            if count := int((backwards > allowed).sum()):
                said.append(
                    f"{count} jobs were {later} before they were {earlier}, by up to "
                    f"{largest / 1e6:.1f} ms (clocks allow {allowed / 1e6:.1f} ms)"
                )
    value = None if worst is None else worst / 1e9
    return at_most("steps backwards in time", value, allowed / 1e9, "s", "; ".join(said))


def measure_checks(metrics: Mapping[str, Any], uncertainty: float | None) -> list[Check]:
    """Checks of single measures: the driver's lateness and the clocks' error against each measure.

    Parameters
    ----------
    metrics : mapping
        Metrics of the trial.
    uncertainty : float or None
        Largest uncertainty of a node's clock, s. An interval between instants of two nodes has
        twice that. 0 where all instants are of one node.
    """
    late = metrics["lateness_p99_s"]
    what = "99th percentile of the lateness"
    if late is None:
        late, what = metrics["lateness_max_s"], "largest lateness"
    error = None if uncertainty is None else 2 * uncertainty
    found = []
    for against, columns in LATE.items():
        size = metrics[against]
        if size is not None:
            limit = max(LATE_PART * size, LATE_FLOOR)
            said = (
                f"the driver was late: {what} {_ms(late)} is more than {_ms(limit)}"
                f" ({LATE_PART:.0%} of {_named(against)}, {_ms(size)}): {_list(columns)} withheld"
            )
            found.append(at_most(f"lateness in {_named(against)}", late, limit, "s", said, columns))
    for against, columns in ACROSS.items():
        size = metrics[against]
        if size is not None:
            limit = CLOCK_PART * size
            said = (
                f"two nodes' clocks agree to {_ms(error)}, more than {_ms(limit)}"
                f" ({CLOCK_PART:.0%} of {_named(against)}, {_ms(size)}): {_list(columns)} withheld"
            )
            found.append(at_most(f"clocks in {_named(against)}", error, limit, "s", said, columns))
    return found


def _ms(value: float | None) -> str:
    return (
        "unknown" if value is None else f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    )


def _named(column: str) -> str:
    name = column.removesuffix("_s").replace("_", " ")
    return f"median {name.removesuffix(' median')}" if name.endswith(" median") else name


def _list(columns: Sequence[str]) -> str:
    return ", ".join(name.removesuffix("_s").replace("_", " ") for name in columns)


def _machine(record: Mapping[str, Any]) -> list[str] | None:
    """Guests that are not as declared."""
    declared = record["conditions"].get("declared", {})
    realised = record["conditions"].get("machine", {}).get("start")
    if not realised:
        return None
    wrong = [f"{name} is missing" for name in declared if name not in realised]
    for name, facts in realised.items():
        wanted = declared.get(name, {})
        if facts["cpus"] != wanted.get("cpus"):
            wrong.append(f"{name} has {facts['cpus']} processors, not {wanted.get('cpus')}")
        least = MEMORY_PART * wanted.get("memory_mib", 0)
        if not least <= facts["memory_mib"] <= wanted.get("memory_mib", 0):
            wrong.append(f"{name} has {facts['memory_mib']} MiB of {wanted.get('memory_mib')} MiB")
    return wrong


def _restarted(conditions: Mapping[str, Any]) -> list[str] | None:
    """Guests that were started again during the trial."""
    moments = conditions.get("machine", {})
    if "start" not in moments or "end" not in moments:
        return None
    return [
        f"{name} was started again during the trial"
        for name, facts in moments["start"].items()
        if moments["end"].get(name, {}).get("boot") != facts["boot"]
    ]


def _missing(jobs: pd.DataFrame) -> list[str]:
    """Completed jobs whose payload left fewer stamps than the job has ranks."""
    completed = jobs[jobs["state"] == COMPLETED]
    stamped = completed["rank_finished"].map(len, na_action="ignore").fillna(0)
    count = int((stamped < completed["nodes"]).sum())
    return (
        [
            f"{count} of {len(completed)} {COMPLETED} jobs lack stamps of their payload: fewer "
            "ranks stamped their start and end than the job has nodes"
        ]
        if count
        else []
    )


def _monitoring(conditions: Mapping[str, Any], cut_off: str | None) -> Check:
    """Check that every target was scraped; the value is the part of the scrapes that are lost.

    Targets on a node that was cut off do not count.
    """
    scraped, name, limit = conditions.get("scraped"), "part of samples missing", 1 - SCRAPED_PART
    if scraped is None:
        return at_most(name, None, limit, "1", "")
    scraped = {
        name: number for name, number in scraped.items() if name.partition("/")[2] != cut_off
    }
    interval = conditions["scrape_interval"]
    wanted = conditions["observed_seconds"] / interval
    least = min(scraped, key=scraped.__getitem__, default=None)
    lost = 1.0 if least is None else max(0.0, 1 - scraped[least] / max(wanted, 1.0))
    said = f"{lost:.0%} of the samples of {least or 'every target'} are missing"
    took = conditions.get("scrape_durations", {}).get(least, 0.0)
    if took >= SLOW_SCRAPE * interval:
        said += (
            f": half of its scrapes took {took:.2f} s or more of the {interval:g} s between two "
            "(metrics.scrape_interval)"
        )
    return at_most(name, round(lost, 4), limit, "1", said)


def taken_by_others(conditions: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Load and pressure on the host from outside the testbed during the workload.

    Returns
    -------
    tuple of float or None
        Part of the processor time of all cores that others took, the hypervisor's steal among
        them; part of the time in which every runnable task waited for memory.
    """
    host = conditions.get("host", {})
    during, cores = host.get("during", {}), host.get("cores")
    seconds = (conditions.get("end_ns", 0) - conditions.get("start_ns", 0)) / 1e9
    others = stalled = None
    if seconds > 0 and cores and "own" in during:
        processor = during["processor"]
        guests = sum(node.get("run_seconds", 0.0) for node in during.get("emulators", {}).values())
        taken = processor["busy"] - guests - during["own"] + processor["steal"]
        others = max(0.0, taken) / (seconds * cores)
    if seconds > 0 and "memory_full" in during.get("pressure", {}):
        stalled = during["pressure"]["memory_full"] / seconds
    return others, stalled


def _host(conditions: Mapping[str, Any]) -> list[Check]:
    """Check what else the host did during the workload."""
    others, stalled = taken_by_others(conditions)
    during, swapped = conditions.get("host", {}).get("during", {}), None
    if "swap" in during:
        swapped = float(during["swap"]["out"] + during["swap"]["in"])
    return [
        at_most(
            "processor time of others",
            others,
            OTHERS_PART,
            "1",
            f"others took {others or 0:.0%} of the host's processor time"
            f" (at most {OTHERS_PART:.0%} may be taken)",
        ),
        at_most(
            "time stalled for memory",
            stalled,
            STALL_PART,
            "1",
            f"the host stood still for memory {stalled or 0:.1%} of the time"
            f" (at most {STALL_PART:.0%})",
        ),
        at_most(
            "bytes swapped by the host",
            swapped,
            float(SWAP_BYTES),
            "B",
            f"the host swapped {(swapped or 0) / 2**20:.0f} MiB"
            f" (at most {SWAP_BYTES // 2**20} MiB)",
        ),
    ]
