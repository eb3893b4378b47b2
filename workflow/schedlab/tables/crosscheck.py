"""Refuses a trial whose driver, payload and scheduler tell of it what cannot all be true.

Digests show that files are those of the record. A record that was written anew with its digests
agrees with any files, so the files are compared with one another: the driver's rows, the stamps of
the jobs, the scheduler's own log, the limit, and the trial's begin and end. Only what no trial can
have left is named here, however it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.paths import RECORD
from schedlab.results.contradictions import SET, TRANSLATIONS
from schedlab.results.form_checks import shown
from schedlab.schedulers import Scheduler
from schedlab.schedulers.base import RUNS_AGAIN, TIMESTAMPS
from schedlab.schedulers.rows import driver_rows
from schedlab.schedulers.translation import jobs_of
from schedlab.tables.clocks import NodeClock, node_clocks
from schedlab.tables.soundness import DRIVER, json_of

_READINGS = "driver/submissions.jsonl"
_LATE = 5.0
"""s. A driver that finds all jobs ended looks so soon after its limit at the latest."""
_CLOSING = 60.0
"""s. A trial lets its driver run so much longer than its limit, for the records."""
_EARLY = 0.9
"""Part of the limit that has passed by the guest's clock when time is up by its steady one."""


def require_possible(
    folder: Path,
    scheduler: Scheduler,
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    remedy: str,
) -> None:
    """Check that the files of a trial, each in its form, can be of one run.

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
    rows : sequence of mapping
        Rows of the jobs (`schedlab.tables.job_rows`).
    remedy : str
        What the user can do about damage.

    Raises
    ------
    SchedlabError
        They cannot; the message names the file, the key and the value.
    """
    clocks = node_clocks(record["conditions"])
    told = (
        _of_another_length(record, driver)
        or _outside(record, driver, clocks, rows)
        or _never_submitted(folder, scheduler, record, driver, rows)
    )
    if told:
        name, problem = told
        raise SchedlabError(f"{folder / name} is damaged: {problem}", remedy=remedy)


def _of_another_length(
    record: Mapping[str, Any], driver: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return which file contradicts the limit, and how, or None."""
    limit, up = record["conditions"].get("limit"), driver.get("timed_out")
    # A driver that failed, or that was ended, says in the verdict why.
    if limit is None or up is None or record["verdict"]["reasons"] or "end_ns" not in driver:
        return None
    ran = (driver["end_ns"] - driver.get("start_ns", driver["end_ns"])) / 1e9
    longest = limit + _LATE + (_CLOSING if up else 0.0)
    if ran > longest:
        return RECORD, (
            f"conditions.limit is {limit} s, but by {DRIVER} the jobs were waited for during"
            f" {ran:.1f} s"
        )
    if up and ran < _EARLY * limit - 1.0:
        return DRIVER, f"timed_out is true after {ran:.1f} s, but the limit is {limit} s"
    return None


def _outside(
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    clocks: Mapping[str, NodeClock],
    rows: Sequence[Mapping[str, Any]],
) -> tuple[str, str] | None:
    """Return which file has an instant from before or after the trial, and how, or None."""
    conditions = record["conditions"]
    if record["verdict"]["reasons"] or "head" not in clocks or "end_ns" not in conditions:
        # A clock that was set is a reason.
        return None
    start = conditions["start_ns"]
    # By how much clocks went apart says by how much an instant in between may be wrong.
    slack = SET + max(abs(clock.last - clock.first) for clock in clocks.values()) / 1e9
    workload = (conditions["end_ns"] - start) / 1e9
    for key in ("start_ns", "end_ns"):
        if key in driver:
            at = (clocks["head"].to_controller(driver[key]) - start) / 1e9
            if not -slack <= at <= workload + slack:
                return DRIVER, f"{key} is {driver[key]}, {_apart(at, workload)} by {RECORD}"
    # Jobs that did not end go on until the record is written.
    for row in rows:
        for name in (*TIMESTAMPS, *RUNS_AGAIN):
            instant, source = row.get(name), str(row.get(f"{name}_source"))
            # When a job that was not submitted was due may be after the end.
            last = float("inf") if name == "intended" else workload + record["duration"] + slack
            if instant is not None and not -slack <= instant / 1e9 <= last:
                told = f"{name} of job {row['job']} is {_apart(instant / 1e9, workload)} by"
                return _file_of(source), f"{told} {RECORD} ({source})"
    return None


def _apart(at: float, workload: float) -> str:
    if at < 0:
        return f"{-at:.0f} s before the trial's start"
    return f"{at - workload:.0f} s after the trial's end"


def _file_of(source: str) -> str:
    """Return the file from which an instant was read, as its source tells."""
    name = source.partition(":")[0]
    return {"driver": _READINGS, "payload": "stamps.jsonl"}.get(name, f"native/{name}")


def _never_submitted(
    folder: Path,
    scheduler: Scheduler,
    record: Mapping[str, Any],
    driver: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> tuple[str, str] | None:
    """Return what has a job of which the driver, which ran to its end, has no row, or None.

    Such a driver has a row of every submission that it began. One that failed may lack some.
    """
    given = driver_rows(folder / "native")
    lacking = sorted({row["job"] for row in rows} - {int(row["job"]) for row in given})
    if not lacking or not _ran_whole(record, driver):
        return None
    first = f"has no row of job {lacking[0]}"
    translations = json_of(folder / TRANSLATIONS).get("submissions", [])
    behind = {int(job) for one in translations if one.get("background") for job in jobs_of(one)}
    unfinished = driver.get("unfinished")
    if isinstance(unfinished, list) and (wrong := set(lacking) - {*unfinished} - behind):
        return _READINGS, (
            f"it has no row of job {min(wrong)}, but unfinished of {DRIVER} is {shown(unfinished)}"
        )
    for row in rows:
        if row["job"] in lacking and row.get("started") is not None:
            return _READINGS, f"it has no row of job {row['job']}, which has stamps in stamps.jsonl"
    begun, ended = (driver.get(key) for key in ("start_ns", "end_ns"))
    if begun is None or ended is None:
        return None
    named = {_whole(str(row["native_id"])) for row in given if row.get("native_id")}
    known = scheduler.native_jobs(folder / "native", translations)
    strays = {
        _whole(native)
        for native, job in known.items()
        if job.accepted is not None and begun <= job.accepted <= ended
    } - named
    # A submission that was answered too late, or refused, may have been accepted all the same.
    if len(strays) > sum(not row.get("native_id") for row in given):
        return _READINGS, (
            f"it {first}, but the scheduler's own records (native) have"
            f" {shown(sorted(strays)[0])}, which it accepted during the workload"
        )
    return None


def _whole(native: str) -> str:
    """Return the native id of a submission by that of any of its jobs."""
    return native.partition("_")[0]


def _ran_whole(record: Mapping[str, Any], driver: Mapping[str, Any]) -> bool:
    """Whether a driver ran to its end, and its files were fetched."""
    lost = record["conditions"].get("not_taken", ())
    if any(text.startswith(("submissions.jsonl ", "driver.json ")) for text in lost):
        return False
    if not record["verdict"]["reasons"]:
        return True
    return "failure" in driver and driver["failure"] is None and "end_ns" in driver
