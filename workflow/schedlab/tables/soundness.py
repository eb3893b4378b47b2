"""Refuses a trial whose record and files cannot all be true: it was damaged, or never measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.paths import RECORD
from schedlab.results.conditions_form import count, instant
from schedlab.results.contradictions import (
    TRACE,
    TRANSLATIONS,
    chain_contradiction,
    record_contradiction,
)
from schedlab.results.form_checks import (
    FieldCheck,
    keys,
    perhaps,
    rows,
    shown,
    text,
    truth,
    whole,
)
from schedlab.schedulers.translation import jobs_of
from schedlab.workloads import Trace, read_trace

DRIVER = "driver/driver.json"
"""What the driver tells of its run, in a trial's folder."""
_RAN: dict[str, FieldCheck] = {
    "start_ns": instant,
    "end_ns": instant,
    "timed_out": truth,
    "failure": perhaps(text),
    "unfinished": perhaps(rows(count)),
    "concurrency": keys({}, {"bound": perhaps(whole(1)), "backlog": perhaps(count)}),
}
"""What is read of driver.json; a driver of an older release leaves some of it out."""
SUBMISSION = keys(
    {"job": whole(0)},
    {
        **dict.fromkeys(("intended_ns", "submit_ns", "accepted_ns"), perhaps(instant)),
        "returncode": whole(-(1 << 31)),
        **dict.fromkeys(("native_id", "stderr"), perhaps(text)),
    },
)
"""A row of driver/submissions.jsonl."""
STAMP = keys({"node": text, "event": text, "job": whole(0), "rank": whole(0), "clock_ns": instant})
"""A row of stamps.jsonl."""


def own_trace(folder: Path, remedy: str) -> Trace:
    """Return the jobs that a trial ran.

    Parameters
    ----------
    folder : pathlib.Path
        The trial's.
    remedy : str
        What the user can do about damage.

    Raises
    ------
    SchedlabError
        The file cannot be read, or is no trace.
    """
    try:
        return read_trace(folder / TRACE)
    except SchedlabError as error:
        # Who wrote the workload could correct it; of a trial that ran, only the file is wrong.
        told = error.message.removeprefix(f"{folder / TRACE}: ")
        raise SchedlabError(f"{folder / TRACE} is damaged: {told}", remedy=remedy) from error


def require_sound(
    folder: Path, record: Mapping[str, Any], driver: Mapping[str, Any], trace: Trace, remedy: str
) -> None:
    """Check that a trial's record, its cluster's, the driver's result and the trace agree.

    Parameters
    ----------
    folder : pathlib.Path
        The trial's, in its results folder.
    record : mapping
        The trial's, in the form of a record.
    driver : mapping
        Content of driver.json; empty where the driver left none.
    trace : Trace
        The trial's.
    remedy : str
        What the user can do about damage.

    Raises
    ------
    SchedlabError
        They do not; the message names the file, the key and the value.
    """
    told = {
        RECORD: record_contradiction(record)
        or chain_contradiction(record, folder.parents[3])
        or _another_machine(record["trial"], trace),
        DRIVER: (keys({}, _RAN)(driver) or "").lstrip(" .") or _another_end(driver, record),
        TRANSLATIONS: _other_jobs(json_of(folder / TRANSLATIONS), record, trace),
    }
    for name, problem in told.items():
        if problem:
            raise SchedlabError(f"{folder / name} is damaged: {problem}", remedy=remedy)


def json_of(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty if a failed trial wrote none, or only a part of it."""
    try:
        content = read_json(path)
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _another_machine(facts: Mapping[str, Any], trace: Trace) -> str | None:
    """Return how the cluster is not the one that the trace was made for, or None."""
    for key in ("nodes", "cpus_per_node"):
        if facts[key] != getattr(trace.machine, key):
            made = getattr(trace.machine, key)
            return f"trial.{key} is {facts[key]}, but trace.json was made for {made}"
    return None


def _another_end(driver: Mapping[str, Any], record: Mapping[str, Any]) -> str | None:
    """Return how the driver ended otherwise than the record says, or None."""
    failure = driver.get("failure")
    if failure is None or record["verdict"]["reasons"]:
        return None
    return f"failure is {shown(failure)}, but verdict.reasons of {RECORD} is []"


def _other_jobs(told: Mapping[str, Any], record: Mapping[str, Any], trace: Trace) -> str | None:
    """Return how the translations are not those of the trace's jobs, or None.

    A job without a translation would have no row, and so would not count as lost.
    """
    entries = told.get("submissions", [])
    if not entries and record["verdict"]["reasons"]:
        return None
    translated = Counter(int(job) for entry in entries for job in jobs_of(entry))
    wrong = translated - Counter(one.job for one in trace.jobs)
    lacking = Counter(one.job for one in trace.jobs) - translated
    if wrong or lacking:
        job, words = (min(wrong), "has") if wrong else (min(lacking), "lacks")
        return f"submissions {words} job {job}, {'unlike' if wrong else 'which is in'} trace.json"
    return None
