"""The load beside which a workload was measured, and whether it was there all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schedlab.tables.checks import Check, counted
from schedlab.workloads import Trace


def background_columns(trace: Trace) -> dict[str, Any]:
    """Columns of the trials table that tell what the background was on the trial's machine."""
    facts = trace.scale.get("background", {})
    return {
        "background_filled": facts.get("filled"),
        "background_pending": facts.get("pending"),
        "background_level_of": facts.get("level_of"),
    }


def background_check(rows: Sequence[Mapping[str, Any]], trace: Trace, begins: int | None) -> Check:
    """Check that the background ran and waited as it should.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the background's jobs, as those of the jobs table.
    trace : Trace
        Trace of the trial.
    begins : int or None
        When the first measured job was due, ns since the trial's start.
    """
    wanted = {job.job: job for job in trace.jobs if job.background}
    late, gone, early = 0, 0, 0
    for row in rows:
        started = row.get("started")
        if wanted[row["job"]].priority < 0:
            early += started is not None
        elif started is None or begins is None or started > begins:
            late += 1
        elif row.get("finished") is not None:
            gone += 1
    found = [
        f"{number} of {len(rows)} jobs of the background {what}"
        for number, what in (
            (late, "did not run when the workload began"),
            (gone, "ended before the workload"),
            (early, "started, and should have waited"),
        )
        if number
    ]
    return counted("background", found)
