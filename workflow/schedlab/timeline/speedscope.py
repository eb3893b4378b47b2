"""A trial as a file that speedscope (https://www.speedscope.app) shows.

Speedscope draws no counters and one profile at a time. The first two profiles say where time went
(its view "Left Heavy"), the others what each node ran when ("Time Order").

References
----------
.. [1] https://www.speedscope.app/file-format-schema.json
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schedlab.timeline.text import json_object
from schedlab.timeline.trial import Timeline, lanes

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Frames:
    """Names of frames, which profiles refer to by their number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))

    def all(self) -> list[dict[str, str]]:
        return [{"name": name} for name in self.numbers]


def _cost(timeline: Timeline, frames: _Frames) -> dict[str, Any]:
    """Processor time of the daemons (s), by node and daemon, in the order of the samples."""
    taken: list[tuple[int, list[int], float]] = []
    for counter in timeline.counters():
        name = counter.name.removesuffix(" load")
        if counter.group not in timeline.nodes or name == counter.name:
            continue
        stack = [frames[counter.group], frames[name]]
        ends = [at for at, _ in counter.points[1:]]
        for (at, cores), end in zip(counter.points, ends, strict=False):
            if cores:
                taken.append((at, stack, cores * (end - at) / 1e9))
    taken.sort(key=lambda one: one[0])
    return _sampled(
        "processor time of the daemons", "seconds", [(stack, weight) for _, stack, weight in taken]
    )


def _phases(timeline: Timeline, frames: _Frames) -> dict[str, Any]:
    """Time of all jobs (ns), by phase and job."""
    stacks = [
        ([frames[phase.name], frames[f"job {job.number}"]], float(phase.end - phase.start))
        for job in timeline.jobs
        for phase in job.phases
    ]
    return _sampled("time of the jobs by phase", "nanoseconds", stacks)


def _sampled(name: str, unit: str, stacks: list[tuple[list[int], float]]) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weight for _, weight in stacks),
        "samples": [stack for stack, _ in stacks],
        "weights": [weight for _, weight in stacks],
    }


def _node(timeline: Timeline, node: str, frames: _Frames) -> Iterator[dict[str, Any]]:
    """One profile for each slot of a node, because frames of a profile must not overlap."""
    here = [rank for rank in timeline.ranks if rank.node == node]
    of = lanes((rank.start, rank.end) for rank in here)
    for lane in sorted(set(of)):
        mine = [rank for rank, place in zip(here, of, strict=True) if place == lane]
        yield {
            "type": "evented",
            "name": f"{node}, slot {lane + 1}",
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": timeline.end,
            "events": [
                {"type": kind, "frame": frames[f"job {rank.job}"], "at": at}
                for rank in mine
                for kind, at in (("O", rank.start), ("C", rank.end))
            ],
        }


def parts(timeline: Timeline) -> Iterator[str]:
    """Yield the text of the file, a part at a time."""
    frames = _Frames()
    profiles = [_cost(timeline, frames), _phases(timeline, frames)]
    for node in timeline.nodes:
        profiles += _node(timeline, node, frames)
    trial = timeline.trial
    head = {
        "$schema": SCHEMA,
        "exporter": "schedlab",
        "name": f"{trial['trial']} ({trial['lineage'][:12]})",
        "shared": {"frames": frames.all()},
    }
    # Speedscope refuses a profile without samples.
    return json_object(head, "profiles", (one for one in profiles if _filled(one)))


def _filled(profile: dict[str, Any]) -> bool:
    return bool(profile.get("samples") or profile.get("events"))
