"""What happened in one trial, on one time line: ns since its start, by the controller's clock.

Jobs with their phases, ranks on their nodes, and counters: the queue, the scheduler's own counters,
and the load of its daemons and of the nodes.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.errors import SchedlabError
from schedlab.printing import some
from schedlab.results.series import read_series
from schedlab.results.store import Store, origin_of
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.schedulers.exported import COST_METRICS, UNIT_METRICS
from schedlab.schedulers.rows import json_lines
from schedlab.tables.clocks import node_clocks
from schedlab.tables.kept import kept_trial

QUEUE = "queue"
SCHEDULER = "scheduler"
PHASES = ("lateness", "submission", "scheduling", "launch", "run", "completion")
"""What a job does between two neighbours of `TIMESTAMPS` (`schedlab.metrics.jobs.durations`)."""
_CPU, _MEMORY = "cpu_seconds", "rss_bytes"
_NODE_CPU = "node_cpu_seconds_total"
_NETWORK = {
    "node_network_receive_bytes_total": "received",
    "node_network_transmit_bytes_total": "sent",
}
_OF_PROMETHEUS = ("scrape_", "up")
_IDLE = {"idle", "iowait", "steal"}
"""Modes of a node's processor in which the node itself does nothing."""
Points = list[tuple[int, float]]


class Phase(NamedTuple):
    """One part of a job's life: its name, and its instants in ns."""

    name: str
    start: int
    end: int


class Job(NamedTuple):
    """A job from when it was due until the scheduler knew of its end, or until it was last seen."""

    number: int
    start: int
    end: int
    phases: list[Phase]
    facts: dict[str, Any]


class Rank(NamedTuple):
    """One rank of a job on its node, from its first instruction to its last or last seen, in ns."""

    node: str
    job: int
    rank: int
    start: int
    end: int


class Counter(NamedTuple):
    """A quantity over time: each value holds from its instant (ns) until the next one."""

    group: str
    name: str
    unit: str
    points: Points


@dataclass(frozen=True)
class Timeline:
    """One trial on one time line.

    Attributes
    ----------
    trial : dict
        The trial's row of the trials table.
    end : int
        Last instant of a job, or until when jobs were observed, ns.
    jobs : list of Job
        Those that were due, in order of `start`.
    ranks : list of Rank
        In order of `start`.
    folder : pathlib.Path
        The trial's folder, which has the samples.
    """

    trial: dict[str, Any]
    end: int
    jobs: list[Job]
    ranks: list[Rank]
    folder: Path

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes, the head first."""
        clocks = json.loads(self.trial["conditions"]).get("clock", {})
        return sorted(
            {*clocks, *(rank.node for rank in self.ranks)}, key=lambda n: (n != "head", n)
        )

    def counters(self) -> Iterator[Counter]:
        """Yield the queue's counters, then those that Prometheus sampled, read one at a time."""
        yield from _queue(self.jobs)
        path = self.folder / "samples.json.gz"
        if path.is_file():
            yield from sampled(read_series(path), self.trial["start_ns"])


def read_timeline(store: Store, trial: str) -> Timeline:
    """Read one trial of a results folder.

    Raises
    ------
    SchedlabError
        There is no such trial, it did not run, or its files are damaged.
    """
    trials = store.trials()
    if trial not in trials:
        raise SchedlabError(
            f"{store.results} has no trial {trial!r}",
            remedy=f"use one of {some(list(trials), 50)}" if trials else "run an experiment first",
        )
    path = trials[trial]
    record = store.checked(path)
    if "conditions" not in record:
        raise SchedlabError(
            f"{trial} did not run, because its cell had been measured enough",
            remedy="use a trial that `schedlab trials` lists",
        )
    rows = kept_trial((store.results / path).parent, origin_of(path))
    conditions = record["conditions"]
    start = int(conditions.get("start_ns", 0))
    clocks = node_clocks(conditions)
    stamps = [
        {**stamp, "ns": clocks[stamp["node"]].to_controller(stamp["clock_ns"]) - start}
        for stamp in json_lines(rows.folder / "stamps.jsonl")
        if stamp["node"] in clocks
    ]
    known = [row[name] for row in rows.jobs for name in TIMESTAMPS if row.get(name) is not None]
    seen = round((rows.trial["observed_s"] or 0) * 1e9)
    end = max([seen, *known, *(stamp["ns"] for stamp in stamps)])
    ranks = _ranks(stamps, end)
    jobs = [job for row in rows.jobs if (job := _job(row, end))]
    return Timeline(rows.trial, end, sorted(jobs, key=lambda job: job.start), ranks, rows.folder)


def _job(row: Mapping[str, Any], end: int) -> Job | None:
    """Return a row of the jobs table as a job; None if it was never due."""
    instants = [row.get(name) for name in TIMESTAMPS]
    begin = next((instant for instant in instants if instant is not None), None)
    if begin is None:
        return None
    phases: list[Phase] = []
    # Clocks of nodes differ by their uncertainty, so an instant may precede the one before it. A
    # phase then has no length, and phases never overlap.
    at = begin
    for name, ended in zip(PHASES, instants[1:], strict=True):
        if ended is not None and ended > at:
            phases.append(Phase(name, at, ended))
            at = ended
    if instants[-1] is None and row["state"] not in {"REJECTED", "LOST"} and end > at:
        phases.append(Phase("no end seen", at, end))
        at = end
    facts = {
        "state": row["state"],
        "user": row["user"],
        "nodes": row["nodes"],
        "cpus per node": row["cpus"],
        "runtime requested (s)": row["runtime_requested"],
        "native id": row.get("native_id"),
        "placement": ", ".join(row.get("placement") or []),
    }
    return Job(row["job"], begin, at, phases, {k: v for k, v in facts.items() if v is not None})


def _ranks(stamps: Iterable[Mapping[str, Any]], end: int) -> list[Rank]:
    """Pair the first and the last stamp of each rank; one without a last ran until the end."""
    begun: dict[tuple[str, int, int], int] = {}
    found: list[Rank] = []
    for stamp in sorted(stamps, key=lambda stamp: stamp["ns"]):
        key = (stamp["node"], stamp["job"], stamp["rank"])
        if stamp["event"] == "first":
            begun[key] = stamp["ns"]
        elif key in begun:
            found.append(Rank(*key, begun.pop(key), stamp["ns"]))
    found += [Rank(*key, start, end) for key, start in begun.items()]
    return sorted(found, key=lambda rank: rank.start)


def _queue(jobs: Sequence[Job]) -> Iterator[Counter]:
    """Jobs that are due and not begun, that run, and that have ended, over time."""
    changes: dict[str, list[tuple[int, int]]] = {"waiting": [], "running": [], "ended": []}
    for job in jobs:
        run = next((phase for phase in job.phases if phase.name == "run"), None)
        changes["waiting"] += [(job.start, 1), (run.start if run else job.end, -1)]
        if run:
            changes["running"] += [(run.start, 1), (run.end, -1)]
            changes["ended"].append((run.end, 1))
    for name, steps in changes.items():
        value, points = 0, {}
        for at, change in sorted(steps):
            value += change
            points[at] = float(value)
        if points:
            yield Counter(QUEUE, name, "jobs", sorted(points.items()))


def sampled(series: Iterable[Mapping[str, Any]], start_ns: int) -> Iterator[Counter]:
    """Yield what is worth seeing of Prometheus' series, from the trial's start on.

    Parameters
    ----------
    series : iterable of mapping
        As :mod:`schedlab.results.series` has them.
    start_ns : int
        Controller's clock at the trial's start, ns.

    Yields
    ------
    Counter
        Load (cores) and memory of each daemon, busy cores and network of each node, and the
        scheduler's own counters that changed. A quantity that is counted is given as its rate.
    """
    summed: dict[tuple[str, str, str], dict[int, float]] = {}
    for one in series:
        metric, labels = one["metric"], one["labels"]
        node = labels.get("instance", "")
        values = [(round(t * 1e9) - start_ns, v) for t, v in one["values"]]
        values = [(t, v) for t, v in values if t >= 0 and math.isfinite(v)]
        if metric == _NODE_CPU and labels.get("mode") not in _IDLE:
            _add(summed.setdefault((node, "busy cores", "cores"), {}), rate(values))
        elif metric in _NETWORK and labels.get("device") != "lo":
            _add(summed.setdefault((node, _NETWORK[metric], "B/s"), {}), rate(values))
        elif metric in COST_METRICS:
            name = labels.get("process", "")
            if COST_METRICS[metric] == _CPU:
                yield Counter(node, f"{name} load", "cores", rate(values))
            elif COST_METRICS[metric] == _MEMORY:
                yield Counter(node, f"{name} memory", "B", values)
        elif _own(metric, labels) and len({value for _, value in values}) > 1:
            kind = {k: v for k, v in labels.items() if k not in {"job", "instance", "cluster"}}
            yield Counter(SCHEDULER, " ".join([metric, *kind.values()]), "", values)
    for (node, name, unit), points in sorted(summed.items()):
        yield Counter(node, name, unit, sorted(points.items()))


def _own(metric: str, labels: Mapping[str, str]) -> bool:
    """Whether a series is the scheduler's own, and neither of a node nor a part of a histogram."""
    return (
        labels.get("job") != "node"
        and metric not in UNIT_METRICS
        and not metric.startswith(_OF_PROMETHEUS)
        and not metric.startswith(("go_", "process_", "promhttp_"))
        and not {"le", "quantile"} & set(labels)
    )


def rate(values: Sequence[tuple[int, float]]) -> Points:
    """Rate of a counter (1/s) from each sample (ns) to the next; a fall means that it restarted."""
    return [
        (t, (following - value) / ((after - t) / 1e9))
        for (t, value), (after, following) in zip(values, values[1:], strict=False)
        if after > t and following >= value
    ]


def _add(total: dict[int, float], points: Points) -> None:
    for t, value in points:
        total[t] = total.get(t, 0.0) + value


def lanes(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Give each span the first lane, from 0, that is free; spans in order of their start.

    Viewers draw spans of one lane above one another, which is only true where they nest.
    """
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    found: list[int] = []
    count = 0
    for start, end in spans:
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        heapq.heappush(busy, (end, lane))
        found.append(lane)
    return found
