"""A trial as a file in Chrome's trace event format, which ui.perfetto.dev shows.

References
----------
.. [1] "Trace Event Format", Google, 2016, which Perfetto reads ("Other formats" in its docs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schedlab.timeline.text import json_object
from schedlab.timeline.trial import QUEUE, SCHEDULER, Timeline, lanes

JOBS = "jobs"


def events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Yield the trace's events.

    Jobs, the scheduler and each node are processes of the trace. Spans that overlap get threads of
    their own, for the format shows those of one thread as nested.

    Yields
    ------
    dict
        An event [1]_; its times are in microseconds since the trial's start.
    """
    groups = [QUEUE, JOBS, SCHEDULER, *timeline.nodes]
    places = {group: number for number, group in enumerate(groups, 1)}
    for group, place in places.items():
        yield _named("process_name", place, {"name": group})
        yield _named("process_sort_index", place, {"sort_index": place})
    spans = [
        (JOBS, "row", [(job.start, job.end) for job in timeline.jobs]),
        *(
            (node, "slot", [(r.start, r.end) for r in timeline.ranks if r.node == node])
            for node in timeline.nodes
        ),
    ]
    of = {group: lanes(each) for group, _, each in spans}
    for group, word, _ in spans:
        for lane in sorted(set(of[group])):
            yield _named("thread_name", places[group], {"name": f"{word} {lane + 1}"}, lane + 1)
            yield _named("thread_sort_index", places[group], {"sort_index": lane}, lane + 1)
    for job, lane in zip(timeline.jobs, of[JOBS], strict=True):
        at = {"pid": places[JOBS], "tid": lane + 1}
        yield _span(f"job {job.number}", job.start, job.end) | at | {"args": job.facts}
        for phase in job.phases:
            yield _span(phase.name, phase.start, phase.end) | at
    for node in timeline.nodes:
        here = [rank for rank in timeline.ranks if rank.node == node]
        for rank, lane in zip(here, of[node], strict=True):
            yield _span(f"job {rank.job} rank {rank.rank}", rank.start, rank.end) | {
                "pid": places[node],
                "tid": lane + 1,
                "args": {"job": rank.job, "rank": rank.rank},
            }
    for counter in timeline.counters():
        if counter.group not in places:
            continue
        label = f"{counter.name} ({counter.unit})" if counter.unit else counter.name
        for at_ns, value in counter.points:
            yield {
                "ph": "C",
                "name": label,
                "pid": places[counter.group],
                "ts": at_ns / 1000,
                "args": {counter.unit or "value": value},
            }


def _span(name: str, start: int, end: int) -> dict[str, Any]:
    return {"ph": "X", "name": name, "ts": start / 1000, "dur": (end - start) / 1000}


def _named(kind: str, process: int, what: dict[str, Any], thread: int = 0) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": what}


def parts(timeline: Timeline) -> Iterator[str]:
    """Yield the text of the file, a part at a time."""
    trial = timeline.trial
    facts = {
        "trial": trial["trial"],
        "lineage": trial["lineage"],
        "valid": trial["valid"],
        "time": "since the trial's start, by the host's clock",
    }
    return json_object(
        {"displayTimeUnit": "ms", "otherData": facts}, "traceEvents", events(timeline)
    )
