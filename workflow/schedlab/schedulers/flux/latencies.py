"""How late real nodes start jobs and end them; jobs on virtual nodes take the same delays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab.schedulers.flux.records import instants_of, objects
from schedlab.schedulers.rows import driver_rows, text_of


def latencies(native: Path, stamps: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Delays of the jobs of a trial on real nodes.

    They are of jobs and not of ranks, for Flux plays a job as one whole. All that the execution
    takes beside the payload's time is in one of the two, and nothing that a played job takes too:
    `starting` and `complete` are the ends of the part that is played.

    Parameters
    ----------
    native : pathlib.Path
        Folder of native records.
    stamps : sequence of mapping
        Rows of stamps.jsonl, on the head's clock.

    Returns
    -------
    tuple of list of float
        For each job, s: from `starting` to the payload's first instruction on the first rank; from
        the payload's last instruction on the rank that ended first to `complete`. Differences below
        zero are left out, which the error of two clocks makes of very small ones.
    """
    begun: dict[int, int] = {}
    ended: dict[int, int] = {}
    for stamp in stamps:
        found = begun if stamp["event"] == "first" else ended
        number, instant = int(stamp["job"]), int(stamp["clock_ns"])
        found[number] = min(found.get(number, instant), instant)
    numbers = {str(row.get("native_id")): int(row["job"]) for row in driver_rows(native)}
    starts, completions = [], []
    for row in objects(text_of(native / "eventlogs.jsonl")):
        # The second log of a job, of which these two events are of the head's clock.
        job, instants = numbers.get(str(row.get("id"))), instants_of(row.get("exec"))
        if job in begun and "starting" in instants:
            starts.append((begun[job] - instants["starting"]) / 1e9)
        if job in ended and "complete" in instants:
            completions.append((instants["complete"] - ended[job]) / 1e9)
    return [late for late in starts if late >= 0], [late for late in completions if late >= 0]
