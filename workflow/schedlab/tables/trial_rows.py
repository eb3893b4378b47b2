"""Rows of one trial, from its records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from schedlab.metrics.costs import daemon_costs, daemon_failures
from schedlab.metrics.jobs import concurrency
from schedlab.metrics.places import places
from schedlab.metrics.trial_values import trial_metrics, without_payload
from schedlab.outside.foreign import foreign
from schedlab.outside.tree import require_plain
from schedlab.results.digests import digest
from schedlab.results.imports import label, remedied
from schedlab.results.records import load_record
from schedlab.results.series import read_series
from schedlab.schedulers import Scheduler
from schedlab.schedulers.base import COMPLETED, TIMEOUT
from schedlab.schedulers.limits import cycle_time
from schedlab.schedulers.rows import driver_rows
from schedlab.tables.background import background_check, background_columns
from schedlab.tables.carried import carrier_checks
from schedlab.tables.clocks import NodeClock, node_clocks
from schedlab.tables.crosscheck import require_possible
from schedlab.tables.job_rows import job_rows, known_scheduler, release
from schedlab.tables.provoked import fault_checks
from schedlab.tables.schemas import FAILED, JOBS_SCHEMA, SAMPLES_SCHEMA
from schedlab.tables.soundness import json_of, own_trace, require_sound
from schedlab.tables.validity import measure_checks, taken_by_others, trial_checks
from schedlab.workloads import Trace

BATCH = 50_000
"""Samples held in memory at once."""

_HOST = ("cpu", "cores", "memory_mib", "kernel", "system")


@dataclass
class TrialRows:
    """Rows of one trial.

    Parameters
    ----------
    jobs : list of dict
        Rows of the jobs table.
    trial : dict
        Row of the trials table.
    folder : pathlib.Path
        Where the samples are.
    """

    jobs: list[dict[str, Any]]
    trial: dict[str, Any]
    folder: Path

    def samples(self) -> Iterator[pa.RecordBatch]:
        """Batches of the samples table, read when asked for."""
        path = self.folder / "samples.json.gz"
        if not path.is_file():
            return
        start = self.trial["start_ns"]
        rows: list[dict[str, Any]] = []
        for series in read_series(path):
            common = {
                "trial": self.trial["trial"],
                "lineage": self.trial["lineage"],
                "metric": series["metric"],
                "instance": series["labels"].get("instance"),
                "labels": json.dumps(series["labels"], sort_keys=True),
            }
            for moment, value in series["values"]:
                rows.append({**common, "t_ns": round(moment * 1e9) - start, "value": value})
            if len(rows) >= BATCH:
                yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES_SCHEMA)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES_SCHEMA)


def read_trial(
    folder: Path, origin: str = "", record: Mapping[str, Any] | None = None
) -> TrialRows:
    """Read a trial's folder; files that an invalid trial never wrote may be missing.

    Parameters
    ----------
    folder : pathlib.Path
        The trial's.
    origin : str
        Name of the import to which the trial belongs; its ids begin with this name.
    record : mapping, optional
        The trial's record, for who has read it.

    Raises
    ------
    SchedlabError
        When a file does not have the form in which a trial writes it.
    """
    remedy = f"remove {folder / 'record.json'} and run the trial again"
    with remedied(origin), foreign(folder, remedy):
        if record is None:
            require_plain(folder, remedy)
            record = load_record(folder / "record.json")
        trace = own_trace(folder, remedy)
        driver = json_of(folder / "driver" / "driver.json")
        require_sound(folder, record, driver, trace, remedy)
        scheduler = known_scheduler(folder, record, remedy)
        jobs = job_rows(folder, scheduler, record, driver, trace)
        require_possible(folder, scheduler, record, driver, jobs, remedy)
        return _rows(folder, origin, record, driver, trace, scheduler, jobs)


def _rows(
    folder: Path,
    origin: str,
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    trace: Trace,
    scheduler: Scheduler,
    jobs: list[dict[str, Any]],
) -> TrialRows:
    facts, conditions = record["trial"], record["conditions"]
    clocks = node_clocks(conditions)
    variant = facts.get("variant", facts["scheduler"])
    keys = {
        "trial": label(origin, record["id"]),
        "cluster": label(origin, f"{variant}-n{facts['nodes']}"),
        "scheduler": label(origin, variant),
        "adapter": facts["scheduler"],
        "snapshot": facts.get("number", 1),
        "source": origin,
        "workload": facts["workload"],
        "repetition": facts["repetition"],
    }
    jobs = [{**keys, "lineage": record["lineage"], **row} for row in jobs]
    release(jobs, trace)
    background = {job.job for job in trace.jobs if job.background}
    behind = [row for row in jobs if row["job"] in background]
    jobs = [row for row in jobs if row["job"] not in background]
    frame = jobs_frame(jobs)
    costs = conditions.get("daemon_cost", {})
    fault = conditions.get("fault", {})
    daemons: list[str] = []
    if "end" in costs:
        before, after = (costs[moment].get("head", {}) for moment in ("start", "end"))
        steady = [name for name in scheduler.daemons()["head"] if name not in scheduler.passing]
        daemons = daemon_failures(before, after, steady, fault.get("restarts", ()))
    end = _observed_s(driver, clocks, conditions)
    start = int(conditions.get("start_ns", 0))
    native = folder / "native"
    settings, counters = scheduler.settings(native), scheduler.counters(native)
    head = conditions.get("declared", {}).get("head", {}).get("cpus")
    limits = [one.on(head) for one in scheduler.limits(settings, counters)]
    metrics = trial_metrics(
        frame,
        trace,
        _costs(conditions, scheduler),
        end,
        fault,
        start,
        cycle_time(limits),
        payload=scheduler.payload,
    )
    if not scheduler.payload:
        metrics = without_payload(metrics)
    columns = _conditions(record, clocks)
    checks = trial_checks(record, driver, frame, clocks, daemons,
                          gang=scheduler.gang, payload=scheduler.payload)  # fmt: skip
    if behind and scheduler.payload:
        due = [row["intended"] for row in jobs if row.get("intended") is not None]
        checks.append(background_check(behind, trace, min(due, default=None)))
    stamped = any(row.get("ranks") for row in jobs)
    # Without a payload all instants are of the head's clock.
    checks += measure_checks(metrics, columns["clock_uncertainty_s"] if stamped else 0.0)
    checks += [*fault_checks(fault), *carrier_checks(facts, conditions, scheduler)]
    failed = [check for check in checks if check.verdict == FAILED]
    withheld = {name for check in failed for name in check.withholds}
    metrics["at_least"] = [name for name in metrics["at_least"] if name not in withheld]
    reasons = [check.reason for check in failed if not check.withholds]
    trial = {
        **keys,
        **columns,
        "kind": trace.kind,
        **background_columns(trace),
        "payload": scheduler.payload,
        "cores": trace.machine.cores,
        "trace": _same_jobs(trace),
        "settings": json.dumps(settings, sort_keys=True),
        "parity": json.dumps(scheduler.parity(native), sort_keys=True),
        "counters": json.dumps(counters, sort_keys=True),
        "limits": json.dumps([one._asdict() for one in limits]),
        "valid": not reasons,
        "reasons": reasons,
        "checks": [check.row() for check in checks],
        "withheld": [name for name in metrics if name in withheld],
        "timed_out": driver.get("timed_out"),
        "limit_s": conditions.get("limit"),
        "observed_s": end,
        "daemons": daemons,
        "places": places(trace, gang=scheduler.gang),
        "fault": fault.get("kind"),
        "fault_node": fault.get("node") or None,
        "told": fates_told(frame),
        "concurrency": _concurrency(folder),
        "concurrency_bound": driver.get("concurrency", {}).get("bound"),
        "backlog": driver.get("concurrency", {}).get("backlog"),
        **{name: None if name in withheld else value for name, value in metrics.items()},
        "start_ns": start,
    }
    return TrialRows(jobs, trial, folder)


def _costs(conditions: Mapping[str, Any], scheduler: Scheduler) -> list[dict[str, Any]]:
    """Costs of the scheduler's daemons, by unit if they have units, otherwise by process."""
    processes, units = conditions.get("daemon_cost", {}), conditions.get("unit_cost", {})
    return daemon_costs(
        processes.get("start", {}),
        processes.get("end", {}),
        units.get("start", {}),
        units.get("end", {}),
        {
            name: inside
            for of_role in scheduler.cost_units().values()
            for name, inside in of_role.items()
        },
        scheduler.client,
        scheduler.serial,
    )


def _observed_s(
    driver: Mapping[str, Any], clocks: Mapping[str, NodeClock], conditions: Mapping[str, Any]
) -> float | None:
    """Instant until which the jobs were observed, s since the trial's start: the driver's end."""
    if "end_ns" not in driver or "head" not in clocks:
        return None
    start = int(conditions.get("start_ns", 0))
    return (clocks["head"].to_controller(int(driver["end_ns"])) - start) / 1e9


def _concurrency(folder: Path) -> int:
    """Most submissions that the driver had under way at one time."""
    rows = driver_rows(folder / "native")
    return concurrency([r["submit_ns"] for r in rows], [r["accepted_ns"] for r in rows])


def jobs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of the jobs table as a DataFrame in which whole numbers may be missing."""
    table = pa.Table.from_pylist(rows, schema=JOBS_SCHEMA)
    return to_pandas(table)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Table as a DataFrame; integer and truth columns keep their type where values are missing."""
    kinds = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    return frame


def fates_told(jobs: pd.DataFrame) -> list[str]:
    """Fates of jobs other than completed, with what the scheduler said most often of each."""
    return [
        f"{count} of {len(jobs)} jobs {state}{_said(jobs.loc[jobs['state'] == state], str(state))}"
        for state, count in jobs["state"].value_counts().sort_index().items()
        if state != COMPLETED
    ]


def _said(jobs: pd.DataFrame, state: str) -> str:
    """What the scheduler said most often of jobs in a state, unless it is the state's own name."""
    told = jobs["native_state"].dropna().value_counts()
    told = told[told.index != state]
    said = f" (the scheduler: {told.index[0]})" if len(told) else ""
    # A limit beyond the runtime was taken by what comes before and after.
    healthy = jobs[jobs["walltime"] >= jobs["runtime_requested"]] if state == TIMEOUT else jobs[:0]
    if len(healthy):
        limit, length = healthy["walltime"].max(), healthy["runtime_requested"].max()
        said += (
            f": they run {length:g} s at most, and had {limit:g} s at most, in which they also"
            " start and end (walltime of the workload)"
        )
    return said


def _conditions(record: Mapping[str, Any], clocks: Mapping[str, NodeClock]) -> dict[str, Any]:
    """Columns of the trials table that say under which conditions the trial ran."""
    facts, conditions = record["trial"], record["conditions"]
    host = conditions.get("host", {})
    others, stalled = taken_by_others(conditions)
    block = (conditions.get("campaign"), host.get("boot"))
    head = clocks.get("head")
    return {
        "order": facts["order"],
        "nodes": facts["nodes"],
        "cpus_per_node": facts["cpus_per_node"],
        "carriers": facts.get("carriers"),
        "lineage": record["lineage"],
        "parent": record["parents"]["configured"]["lineage"],
        "duration_s": record["duration"],
        "accelerator": conditions.get("accelerator"),
        "oversubscription": conditions.get("oversubscription"),
        "host": _same_host(host),
        "campaign": block[0],
        "boot": block[1],
        "bridge": bool(conditions.get("bridge")),
        "block": digest(list(block))[:12] if all(block) else None,
        "host_cores": host.get("cores"),
        "host_cpu": host.get("cpu"),
        "load_start": host.get("load_start"),
        "load_end": host.get("load_end"),
        "others": others,
        "stalled": stalled,
        "steal_s": host.get("steal"),
        "restore_s": conditions.get("restore_seconds"),
        "scrape_interval_s": conditions.get("scrape_interval"),
        "clock_uncertainty_s": _largest_s(c.uncertainty for c in clocks.values()),
        "clock_drift_s": _largest_s(abs(c.last - c.first) for c in clocks.values()),
        "clock_offset_s": head.first / 1e9 if head else None,
        "conditions": json.dumps(conditions, sort_keys=True),
    }


def _same_jobs(trace: Trace) -> str:
    """Digest of the jobs and the machine's size, without the trace's name and seed."""
    content = trace.to_dict()
    return digest({key: content[key] for key in ("machine", "scale", "jobs")})


def _same_host(host: Mapping[str, Any]) -> str | None:
    """Digest of a host's description without its load; None if nothing was recorded."""
    known = {name: host[name] for name in _HOST if host.get(name) is not None}
    return digest(known) if known else None


def _largest_s(nanoseconds: Iterable[int]) -> float | None:
    """Largest of some durations, in s; None without durations."""
    largest = max(nanoseconds, default=None)
    return None if largest is None else largest / 1e9
