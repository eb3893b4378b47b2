"""What was changed in an archived trace when it was cut for a machine, as the report states it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schedlab.config import Experiment
from schedlab.report.trace_scales import scale_of, trace_of

COUNTS = {
    "jobs_capped": "wider than the traced machine, and cut to the whole cluster",
    "jobs_rounded_up": "rounded up to whole processors",
    "jobs_with_dependency_ignored": "started without waiting for the job that the trace names",
    "jobs_with_dependency_on_no_earlier_job": "of these, named themselves or a job that is"
    " submitted later, in a circle for example",
}
"""Counts of jobs of a trace, each with what was done to them."""


def trace_cuts(sources: Iterable[tuple[Path, Experiment]]) -> list[dict[str, Any]]:
    """List what was scaled, capped, rounded and left out, for each trace that was cut.

    Parameters
    ----------
    sources : iterable of (pathlib.Path, Experiment)
        Results folders, each with its experiment.

    Returns
    -------
    list of dict
        For each workload and size of the machine: ``workload``, ``machine``, ``file``, ``jobs``,
        ``changes`` (of `COUNTS`, each with its count) and ``dropped`` (records left out, by
        reason). The first trial that there is stands for all: they cut the same slice.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for results, experiment in sources:
        names = {one.id: experiment.machine_name(one) for one in experiment.clusters()}
        for key in experiment.trials():
            machine = str(names[key.cluster])
            content = trace_of(results, key)
            scale = scale_of(content)
            if "jobs_capped" not in scale:
                continue
            rows.setdefault(
                (str(results), key.workload, machine),
                {
                    "workload": key.workload,
                    "machine": machine,
                    "file": Path(str(scale.get("file", ""))).name,
                    "jobs": len(content.get("jobs") or []),
                    "changes": [
                        {"count": scale[name], "what": what}
                        for name, what in COUNTS.items()
                        if name in scale
                    ],
                    "dropped": sorted((scale.get("dropped") or {}).items()),
                },
            )
    return list(rows.values())
