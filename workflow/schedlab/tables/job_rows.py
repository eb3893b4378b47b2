"""Rows of a trial's jobs, from the trace and the records of driver, scheduler and payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.paths import RECORD
from schedlab.results.contradictions import TRANSLATIONS
from schedlab.results.form_checks import shown
from schedlab.schedulers import Scheduler, get_scheduler, scheduler_names
from schedlab.schedulers.base import NOT_SUBMITTED, RUNS_AGAIN, TIMESTAMPS
from schedlab.schedulers.register import FURTHER
from schedlab.schedulers.rows import collect, driver_rows, json_lines
from schedlab.tables.clocks import NodeClock, node_clocks
from schedlab.tables.soundness import STAMP, SUBMISSION, json_of
from schedlab.workloads import Trace


def known_scheduler(folder: Path, record: Mapping[str, Any], remedy: str) -> Scheduler:
    """Return the adapter of a trial's scheduler.

    Raises
    ------
    SchedlabError
        There is none of that name. Which scheduler a trial had is not the reader's to choose.
    """
    name = record["trial"]["scheduler"]
    if name not in scheduler_names():
        raise SchedlabError(
            f"{folder / RECORD}: trial.scheduler is {shown(name)}, for which this schedlab has no"
            " adapter",
            remedy=f"name the folder with its package in {FURTHER}, if it is a further scheduler;"
            f" if the record is damaged, {remedy}",
        )
    return get_scheduler(name)


def job_rows(
    folder: Path,
    scheduler: Scheduler,
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    trace: Trace,
) -> list[dict[str, Any]]:
    """Return rows of the trace's jobs, with instants since the trial's start.

    Parameters
    ----------
    folder : pathlib.Path
        The trial's.
    scheduler : Scheduler
        Adapter of its scheduler.
    record : mapping
        The trial's.
    driver : mapping
        Content of driver.json; empty where the driver left none.
    trace : Trace
        The trial's.
    """
    conditions = record["conditions"]
    clocks = node_clocks(conditions)
    translations = json_of(folder / TRANSLATIONS).get("submissions", [])
    began = driver.get("start_ns")
    rows: list[dict[str, Any]]
    if not translations or "head" not in clocks:
        # The trial ended before a clock was measured: nothing was submitted.
        rows = [{"job": job.job, "state": NOT_SUBMITTED} for job in trace.jobs]
    else:
        stamps = list(stamps_of(folder, clocks))
        again = {job.job for job in trace.jobs if job.requeue}
        native = folder / "native"
        given = driver_rows(native, SUBMISSION)
        rows = collect(scheduler, native, stamps, translations, given, again=again)
    start, jobs = int(conditions.get("start_ns", 0)), {job.job: job for job in trace.jobs}
    for row in rows:
        job = jobs[row["job"]]
        if row.get("intended") is None and began is not None:
            # A job that the driver never submitted was due all the same.
            row["intended"] = int(began) + round(job.arrival * 1e9)
            row["intended_source"] = "driver: plan (1 ns)"
        for name in (*TIMESTAMPS, *RUNS_AGAIN):
            if row.get(name) is not None:
                row[name] = clocks["head"].to_controller(row[name]) - start
        for name in ("rank_started", "rank_finished", "rank_open", "given_up", "restarts"):
            row[name] = [clocks["head"].to_controller(ns) - start for ns in row.get(name, ())]
        row["allocated_nodes"], row["allocated_cpus"] = (
            row.pop("nodes", None),
            row.pop("cpus", None),
        )
        row |= {
            "user": job.user,
            "nodes": job.nodes,
            "cpus": job.cpus,
            "runtime_requested": job.runtime,
            "walltime": job.walltime,
            "priority": job.priority,
        }
    return rows


def release(rows: list[dict[str, Any]], trace: Trace) -> None:
    """Add to rows when the last of the jobs that each runs after had ended.

    A job whose predecessor never ended was never due: it has no `intended`.
    """
    ends = {row["job"]: row.get("completed") or row.get("finished") for row in rows}
    after = {job.job: job.held for job in trace.jobs if job.held}
    for row in rows:
        before = [ends.get(number) for number in after.get(row["job"], ())]
        known = [end for end in before if end is not None]
        row["released"] = max(known) if before and len(known) == len(before) else None
        if len(known) < len(before):
            row["intended"] = row["intended_source"] = None


def stamps_of(folder: Path, clocks: Mapping[str, NodeClock]) -> Iterator[dict[str, Any]]:
    """Payload stamps, converted from each node's clock to the head's."""
    path = folder / "stamps.jsonl"
    head = clocks["head"]
    for stamp in json_lines(path, STAMP):
        if stamp["node"] not in clocks:
            raise SchedlabError(
                f"{path} is damaged: node is {shown(stamp['node'])}, of which {RECORD} has no"
                " clock",
                remedy="remove the trial's record.json and run the trial again",
            )
        apart = clocks[stamp["node"]].to_controller(stamp["clock_ns"]) - head.to_controller(
            stamp["clock_ns"]
        )
        yield stamp | {"clock_ns": stamp["clock_ns"] + apart}
