"""Canonical job rows, built from the driver's, the scheduler's and the payload's records.

This is the same for every scheduler; an adapter only reads what its scheduler recorded of each job.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import parse_json
from schedlab.schedulers.base import (
    DUPLICATED,
    LOST,
    NOT_SUBMITTED,
    REJECTED,
    RUNS_AGAIN,
    TIMESTAMPS,
    Scheduler,
)
from schedlab.schedulers.translation import jobs_of

FormCheck = Callable[[dict[str, Any]], str | None]
"""Returns how a row differs from its form, or None."""

UNKNOWN = 502
"""Status of a submission that a server may have got before it went (schedlab_submit.py)."""


@dataclass
class NativeJob:
    """What a scheduler's records say about one job; a value is None if no record has it.

    Parameters
    ----------
    accepted, allocated, completed : int or None
        Instants, ns of the head's clock.
    accepted_source, allocated_source, completed_source : str or None
        Record from which each instant was read, with its resolution.
    placement : list of str
        Names of the job's nodes.
    nodes, cpus : int or None
        Nodes and processors of the allocation.
    state, native_state : str or None
        State in the tables' words, and in the scheduler's words.
    exit_code : int or None
        128 + n after signal n.
    ranks : dict
        Rank -> instants of start and end as the nodes reported them, for jobs without a payload.
    ranks_source : str or None
        Record from which these were read, with its resolution.
    interrupted : int or None
        When the scheduler first gave up a run of it (a node was lost, an urgent job took its
        place), ns of the head's clock.
    interrupted_source : str or None
        Record from which that was read, with its resolution.
    lost_node : str or None
        Node whose loss ended that run; None where an urgent job did, or no record says.
    given_up : list of (int, str or None)
        Every time that the scheduler gave up a run, in the order of its record: when, and the node.
    absent : str or None
        Why the job, which ran, has no instants of allocation and payload.
    """

    accepted: int | None = None
    accepted_source: str | None = None
    allocated: int | None = None
    allocated_source: str | None = None
    completed: int | None = None
    completed_source: str | None = None
    placement: list[str] = field(default_factory=list)
    nodes: int | None = None
    cpus: int | None = None
    state: str | None = None
    native_state: str | None = None
    exit_code: int | None = None
    ranks: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    ranks_source: str | None = None
    interrupted: int | None = None
    interrupted_source: str | None = None
    lost_node: str | None = None
    given_up: list[tuple[int, str | None]] = field(default_factory=list)
    absent: str | None = None

    def gave_up(self, instant: int, source: str, lost_node: str | None = None) -> None:
        """Note when the scheduler gave up a run, and why."""
        self.given_up.append((instant, lost_node))
        if self.interrupted is None:
            self.interrupted, self.interrupted_source = instant, source
            self.lost_node = lost_node


def text_of(path: Path) -> str:
    """Text of a record; empty if a failed trial did not write the record."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def json_lines(path: Path, form: FormCheck | None = None) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file, one a line; skip lines that are not a whole object.

    Raises
    ------
    SchedlabError
        An object has not the form that is asked for.
    """
    for number, line in enumerate(text_of(path).split("\n"), 1):
        with contextlib.suppress(ValueError):
            row = parse_json(line)
            if not isinstance(row, dict):
                continue
            if form and (problem := form(row)):
                raise SchedlabError(
                    f"{path}, line {number}, is damaged: {problem.lstrip(' .')}",
                    remedy="remove the trial's record.json and run the trial again",
                )
            yield row


def driver_rows(native: Path, form: FormCheck | None = None) -> list[dict[str, Any]]:
    """Rows of driver/submissions.jsonl beside the folder of native records."""
    return list(json_lines(native.parent / "driver" / "submissions.jsonl", form))


def driver_span(native: Path) -> tuple[int, int] | None:
    """When the driver beside the folder of native records began and ended, ns of the head's clock.

    None where it did not come to its end.
    """
    try:
        told = parse_json(text_of(native.parent / "driver" / "driver.json"))
        begun, ended = int(told["start_ns"]), int(told["end_ns"])
    except (ValueError, KeyError, TypeError):
        return None
    return (begun, ended) if begun < ended else None


def collect(
    scheduler: Scheduler,
    native: Path,
    stamps: Sequence[Mapping[str, Any]],
    translations: Sequence[Mapping[str, Any]],
    submissions: Sequence[Mapping[str, Any]] | None = None,
    again: Collection[int] = (),
) -> list[dict[str, Any]]:
    """Canonical job rows from a trial's records.

    Parameters
    ----------
    scheduler : Scheduler
        Adapter of the trial's scheduler.
    native : pathlib.Path
        Folder of native record files; any file may be missing or cut short.
    stamps : sequence of mapping
        Rows of stamps.jsonl.
    translations : sequence of mapping
        The `submissions` of translations.json.
    submissions : sequence of mapping, optional
        Rows of driver/submissions.jsonl; by default read from beside `native`.
    again : collection of int
        Jobs that may start again after the scheduler gave up a run. Such a job, like one of which a
        record says that a run was given up (a controller may replace it unasked), is duplicated
        only if one of its ranks came to its end more than once, and its ranks are those of its last
        run. Any other is if one of its ranks began more than once: nothing ended the first run.

    Returns
    -------
    list of dict
        One row per translated job, in order of job number. Keys: `job`, `native_id`, the names in
        `TIMESTAMPS` and `RUNS_AGAIN` (int ns of the head's CLOCK_REALTIME, or None), each with a
        `<name>_source` (str; where the instant is None, why a job that ran has none, or None),
        `lost_node` (str or None: the node whose loss was the interruption), `given_up` and
        `given_up_node` (lists: every time that a run was given up, and its node), `restarts` (list
        of int: when ranks started that had started before, in order),
        `placement` (list of str, node names), `nodes`, `cpus` (realised: nodes and processors of
        the allocation, or None), `state`, `native_state`, `exit_code` (int or None), `ranks` (int,
        distinct ranks that stamped their start), `launch_skew_ns` (int or None), `rank_started`,
        `rank_finished` (lists of int: the instants of each rank that stamped both, in order of
        rank), `rank_open` (list of int: the start of each rank that stamped no end of that run).

        All instants are absolute; the tables later subtract the trial's start on the same clock.
        `started`, `finished` and the instants of ranks are the stamps' `clock_ns` as given: the
        caller first converts stamps of compute nodes to the head's clock (minus the node's offset,
        plus the head's offset).
    """
    driver = driver_rows(native) if submissions is None else submissions
    known = scheduler.native_jobs(native, translations)
    submitted = {int(row["job"]): row for row in driver}
    stamped: dict[int, list[Mapping[str, Any]]] = {}
    for stamp in stamps:
        stamped.setdefault(int(stamp["job"]), []).append(stamp)
    return [
        _row(number, submitted.get(number), stamped.get(number, []), known, again=number in again)
        for number in sorted(int(job) for entry in translations for job in jobs_of(entry))
    ]


def _row(
    number: int,
    driver: Mapping[str, Any] | None,
    stamps: Sequence[Mapping[str, Any]],
    known: Mapping[str, NativeJob],
    *,
    again: bool,
) -> dict[str, Any]:
    row: dict[str, Any] = {"job": number, "native_id": None}
    for name in (*TIMESTAMPS, *RUNS_AGAIN):
        row[name] = row[f"{name}_source"] = None
    accepted = False
    if driver is not None:
        accepted = driver.get("returncode") == 0 and bool(driver.get("native_id"))
        row["native_id"] = str(driver["native_id"]) if driver.get("native_id") else None
        _set(row, "intended", driver.get("intended_ns"), "driver: plan (1 ns)")
        _set(row, "submit", driver.get("submit_ns"), "driver: before the submission (1 ns)")
        if accepted:
            _set(row, "accepted", driver.get("accepted_ns"), "driver: submission returned (1 ns)")
    job = known.get(row["native_id"] or "", NativeJob())
    again = again or job.interrupted is not None
    _set(row, "accepted", job.accepted, job.accepted_source)
    _set(row, "allocated", job.allocated, job.allocated_source)
    _set(row, "completed", job.completed, job.completed_source)
    _set(row, "interrupted", job.interrupted, job.interrupted_source)
    row["lost_node"] = job.lost_node
    given_up = sorted(job.given_up, key=lambda one: one[0])
    row["given_up"] = [instant for instant, _ in given_up]
    row["given_up_node"] = [node for _, node in given_up]
    firsts = [stamp for stamp in stamps if stamp["event"] == "first"]
    lasts = [stamp for stamp in stamps if stamp["event"] == "last"]
    starts = [int(stamp["clock_ns"]) for stamp in firsts]
    if starts:
        _set(row, "started", min(starts), "payload: first stamp of the first rank (1 ns)")
    if lasts:
        last = max(int(stamp["clock_ns"]) for stamp in lasts)
        _set(row, "finished", last, "payload: last stamp of the last rank (1 ns)")
    row["restarts"] = _restarts(firsts)
    ranks = Counter(int(stamp["rank"]) for stamp in firsts)
    ends = Counter(int(stamp["rank"]) for stamp in lasts)
    if max(ranks.values(), default=0) > 1:
        latest = _by_rank(firsts, max)
        last_run = min(instant for rank, instant in latest.items() if ranks[rank] > 1)
        _set(row, "restarted", last_run, "payload: first stamp of the last run (1 ns)")
        # The record has the allocation of the last run, and the wait ended with the first one.
        row["allocated"] = row["allocated_source"] = None
    # A run that was given up was no use of the machine for the job.
    begun, ended = _by_rank(firsts, max if again else min), _by_rank(lasts, max)
    # An end before the start is that of an earlier run.
    whole = sorted(rank for rank in begun if ended.get(rank, begun[rank] - 1) >= begun[rank])
    row["rank_open"] = [begun[rank] for rank in sorted(begun.keys() - {*whole})]
    row["rank_started"] = [begun[rank] for rank in whole]
    row["rank_finished"] = [ended[rank] for rank in whole]
    if not stamps:
        _as_reported(row, job)
    for name in ("allocated", "started", "finished"):
        row[f"{name}_source"] = row[f"{name}_source"] or job.absent
    row["placement"] = job.placement or sorted({str(stamp["node"]) for stamp in firsts})
    row |= {"nodes": job.nodes, "cpus": job.cpus, "exit_code": job.exit_code}
    row["native_state"] = job.native_state
    row["ranks"] = len(ranks)
    row["launch_skew_ns"] = _spread(begun.values() if again else starts)
    if driver is None:
        row["state"] = NOT_SUBMITTED
    elif not accepted:
        row["state"] = LOST if driver.get("returncode") == UNKNOWN else REJECTED
        row["native_state"] = str(driver.get("stderr") or "").strip()[-300:] or None
    elif max((ends if again else ranks).values(), default=0) > 1:
        row["state"] = DUPLICATED
    else:
        row["state"] = job.state or LOST
    return row


def _as_reported(row: dict[str, Any], job: NativeJob) -> None:
    """Take start and end from the nodes' reports, where no payload could stamp them."""
    starts = [begun for begun, _ in job.ranks.values() if begun is not None]
    ends = [ended for _, ended in job.ranks.values() if ended is not None]
    _set(row, "started", min(starts, default=None), job.ranks_source)
    _set(row, "finished", max(ends, default=None), job.ranks_source)
    pairs = [job.ranks[rank] for rank in sorted(job.ranks)]
    whole = [(begun, ended) for begun, ended in pairs if None not in (begun, ended)]
    row["rank_open"] = [begun for begun, ended in pairs if begun is not None and ended is None]
    row["rank_started"] = [begun for begun, _ in whole]
    row["rank_finished"] = [ended for _, ended in whole]


def _by_rank(
    stamps: Sequence[Mapping[str, Any]], choose: Callable[[int, int], int]
) -> dict[int, int]:
    """Instant of each rank's stamp; `choose` picks one if a rank ran twice."""
    found: dict[int, int] = {}
    for stamp in stamps:
        rank, instant = int(stamp["rank"]), int(stamp["clock_ns"])
        found[rank] = choose(found.get(rank, instant), instant)
    return found


def _restarts(firsts: Sequence[Mapping[str, Any]]) -> list[int]:
    """Starts of ranks that had started before, in order."""
    starts: dict[int, list[int]] = {}
    for stamp in firsts:
        starts.setdefault(int(stamp["rank"]), []).append(int(stamp["clock_ns"]))
    return sorted(instant for found in starts.values() for instant in sorted(found)[1:])


def _spread(starts: Collection[int]) -> int | None:
    return max(starts) - min(starts) if starts else None


def _set(row: dict[str, Any], name: str, value: Any, source: str | None) -> None:
    """Put an instant and its source into a row; replace a less direct instant if there is one."""
    if value is not None:
        row[name] = int(value)
        row[f"{name}_source"] = source
