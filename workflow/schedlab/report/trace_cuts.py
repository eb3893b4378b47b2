"""What fitting jobs to a machine changed in them, as the report states it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schedlab.config import Experiment
from schedlab.formatting import number
from schedlab.report.trace_scales import scale_of, trace_of

COUNTS = {
    "jobs_capped": "wider than the traced machine, and cut to the whole cluster",
    "jobs_rounded_up": "rounded up to whole processors, the same on each node",
    "jobs_with_rounded_runtime": "with a runtime that rounding to a microsecond changed by more"
    " than 1 %",
    "jobs_with_longer_limit": "with a longer time limit than the trace's: the workload's walltime,"
    " or twice the runtime",
    "jobs_without_limit": "without a time limit in the trace, which got the same",
    "jobs_with_number_of_another": "with the number of another job",
    "jobs_with_dependency_ignored": "started without waiting for the job that the trace names",
    "jobs_with_dependency_on_no_earlier_job": "of these, named themselves or a job that is"
    " submitted later, in a circle for example",
}
"""Counts of jobs of a trace, each with what was done to them."""


def trace_cuts(sources: Iterable[tuple[Path, Experiment]]) -> list[dict[str, Any]]:
    """List what was scaled, capped, rounded and left out, for each trace of fitted jobs.

    Parameters
    ----------
    sources : iterable of (pathlib.Path, Experiment)
        Results folders, each with its experiment.

    Returns
    -------
    list of dict
        For each workload, or part of a mix, and size of the machine for which jobs were changed:
        ``workload``, ``machine``, ``file`` (or kind, where the jobs are from none), ``jobs`` (of
        the whole workload), ``changes`` (of `COUNTS`, each with its count), ``work`` (how much
        rounding added to all processor-seconds, as text, or empty) and ``dropped`` (records left
        out, by reason). The first trial that there is stands for all, whose random sizes may
        differ.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for results, experiment in sources:
        names = {one.id: experiment.machine_name(one) for one in experiment.clusters()}
        for key in experiment.trials():
            machine = str(names[key.cluster])
            content = trace_of(results, key)
            for of, kind, scale in _fitted(content):
                rows.setdefault(
                    (str(results), key.workload + of, machine),
                    {
                        "workload": key.workload + of,
                        "machine": machine,
                        "file": Path(str(scale["file"])).name if "file" in scale else kind,
                        "jobs": len(content.get("jobs") or []),
                        "changes": _changes(scale),
                        "work": _work(scale),
                        "dropped": sorted((scale.get("dropped") or {}).items()),
                    },
                )
    return list(rows.values())


def _changes(scale: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Counts of jobs, with what was done to them; of an archive also those of no job."""
    archive = "dropped" in scale
    return [
        {"count": scale[name], "what": what}
        for name, what in COUNTS.items()
        if name in scale and (archive or scale[name])
    ]


def _fitted(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Facts of a trace, or of the parts of a mix, with what to add to the name, and the kind."""
    scale = scale_of(dict(content))
    if "jobs_capped" in scale and _changes(scale):
        yield "", str(content.get("kind", "")), scale
    parts = scale.get("parts")
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and "jobs_capped" in part and _changes(part):
            yield f", part of {part.get('user')}", str(part.get("kind", "")), part


def _work(scale: Mapping[str, Any]) -> str:
    """How much more, or less, all jobs together take than they ask for; empty if unknown."""
    asked, taken = scale.get("asked_core_s"), scale.get("taken_core_s")
    if not all(isinstance(work, (int, float)) and work > 0 for work in (asked, taken)):
        return ""
    return f"{number(asked)} core-s asked for, {number(taken)} core-s taken"
