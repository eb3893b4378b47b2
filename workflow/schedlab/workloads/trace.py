"""The neutral trace: what is submitted, in terms of no particular scheduler.

One trace is made for a workload, a node count and a repetition, and every scheduler gets the
same file, so that differences between schedulers cannot come from different inputs.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.outside.output import write_output
from schedlab.plain import plain

SCHEMA = "schedlab.trace/1"

BOUNDED_SLOWDOWN_THRESHOLD = 10.0
"""Runtime (s) below which bounded slowdown stops growing (Feitelson & Rudolph 1998)."""


@dataclass(frozen=True)
class Machine:
    """The compute part of a cluster as a workload sees it.

    Parameters
    ----------
    nodes : int
        Number of compute nodes.
    cpus_per_node : int
        Processors (guest cores) of each.
    """

    nodes: int
    cpus_per_node: int

    @property
    def cores(self) -> int:
        """Processors of all the compute nodes."""
        return self.nodes * self.cpus_per_node

    def shape(self, cores: int) -> tuple[int, int]:
        """Return the nodes, and processors on each, of a job of `cores` processors.

        A job is rigid: it uses as few nodes as possible, and the same number of processors on each.
        So the product can exceed `cores`: 3 processors on nodes of 2 become 2 nodes of 2.

        Parameters
        ----------
        cores : int
            Wanted processors, from 1 to `Machine.cores`.

        Returns
        -------
        tuple of int
            Nodes, processors per node.

        Raises
        ------
        ValueError
            When the job does not fit the machine.
        """
        if not 1 <= cores <= self.cores:
            raise ValueError(f"{cores} processors do not fit a machine of {self.cores}")
        nodes = math.ceil(cores / self.cpus_per_node)
        return nodes, math.ceil(cores / nodes)


@dataclass(frozen=True)
class Job:
    """One job of a trace.

    Parameters
    ----------
    job : int
        Number within the trace, from 0.
    arrival : float
        Intended submission, seconds from the start of the trial.
    nodes : int
        Compute nodes.
    cpus : int
        Processors on each node.
    runtime : float
        Time that the payload sleeps or spins, seconds.
    user : str
        Neutral user, for fairness; not an account of the guests.
    priority : int
        Larger is more urgent; 0 is normal.
    walltime : float
        Requested time limit, seconds.
    after : tuple of int
        Jobs that must have ended, however, before this one may start. Without `think` it is
        submitted at its arrival, and the scheduler holds it back.
    think : float or None
        Seconds between the end of the jobs in `after` and the submission of this one, by a user who
        waits for them (closed loop). The scheduler is not told. The arrival is then the earliest
        instant at which this can come about.
    array : int or None
        Number of the array that the job is a part of; its jobs are equal.
    background : bool
        Part of the load beside which the workload is measured: the trial does not wait for its end,
        and it is in no table.
    requeue : bool
        The scheduler may start it again after it gave up a run: a node was lost, or an urgent job
        took its place.
    """

    job: int
    arrival: float
    nodes: int
    cpus: int
    runtime: float
    user: str = "u1"
    priority: int = 0
    walltime: float = 60.0
    after: tuple[int, ...] = ()
    think: float | None = None
    array: int | None = None
    background: bool = False
    requeue: bool = False

    @property
    def cores(self) -> int:
        """Processors of the job on all its nodes."""
        return self.nodes * self.cpus

    @property
    def held(self) -> tuple[int, ...]:
        """Jobs whose end the scheduler is told to wait for."""
        return self.after if self.think is None else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; what few jobs have is left out where a job does not have it."""
        row = asdict(self)
        return {key: value for key, value in row.items() if value != _RARE.get(key, row)}

    def without_number(self) -> Job:
        """Return the same job as number 0: jobs of an array differ in nothing else."""
        return replace(self, job=0)


_RARE: dict[str, Any] = {
    "after": (),
    "think": None,
    "array": None,
    "background": False,
    "requeue": False,
}
"""Keys that a job in a file may lack, with their defaults. Traces without them have the same bytes
as before these keys existed, so their trials are not stale."""


@dataclass(frozen=True)
class Trace:
    """Jobs in order of arrival, with the machine that they were made for.

    Parameters
    ----------
    workload, kind : str
        Name in the experiment, and generator.
    seed : int
        Seed that the generator was given.
    machine : Machine
        Machine whose size shaped the jobs.
    jobs : tuple of Job
        In order of arrival; job numbers are 0 to n - 1, each once.
    scale : dict
        Facts about how the trace was scaled. `bounded_slowdown_threshold` (s) is always there:
        a trace whose runtimes are scaled scales the threshold too.
    """

    workload: str
    kind: str
    seed: int
    machine: Machine
    jobs: tuple[Job, ...]
    scale: dict[str, Any] = field(
        default_factory=lambda: {"bounded_slowdown_threshold": BOUNDED_SLOWDOWN_THRESHOLD}
    )

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise SchedlabError(
                f"trace of workload {self.workload} on {self.machine.nodes} nodes is unsound: "
                + "; ".join(problems[:5])
                + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""),
                remedy="correct the workload's parameters, or the generator of its kind",
            )

    def _problems(self) -> list[str]:
        """List faults with which no scheduler could run the trace or no table could hold it."""
        found = []
        if not self.measured:
            found.append("it has no jobs")
        if sorted(job.job for job in self.jobs) != list(range(len(self.jobs))):
            found.append("job numbers are not 0 to n - 1, each once")
        if "bounded_slowdown_threshold" not in self.scale:
            found.append("scale lacks bounded_slowdown_threshold")
        found += self._array_problems()
        previous = 0.0
        earlier: set[int] = set()
        for job in self.jobs:
            if not (math.isfinite(job.arrival) and job.arrival >= previous):
                found.append(f"job {job.job} arrives at {job.arrival} s, after one at {previous} s")
            previous = max(previous, job.arrival)
            found += self._dependency_problems(job, earlier)
            earlier.add(job.job)
            if not (math.isfinite(job.runtime) and job.runtime >= 0):
                found.append(f"job {job.job} has runtime {job.runtime} s")
            if not (math.isfinite(job.walltime) and job.walltime >= max(1.0, job.runtime)):
                found.append(
                    f"job {job.job} has walltime {job.walltime} s for a runtime of {job.runtime} s"
                )
            if not 1 <= job.nodes <= self.machine.nodes:
                found.append(f"job {job.job} wants {job.nodes} of {self.machine.nodes} nodes")
            if not 1 <= job.cpus <= self.machine.cpus_per_node:
                found.append(
                    f"job {job.job} wants {job.cpus} of {self.machine.cpus_per_node} processors"
                    " of a node"
                )
        return found

    @staticmethod
    def _dependency_problems(job: Job, earlier: set[int]) -> list[str]:
        found = [
            f"job {job.job} runs after job {number}, which does not come before it"
            for number in job.after
            if number not in earlier
        ]
        think = job.think
        if think is not None and not (job.after and math.isfinite(think) and think >= 0):
            found.append(f"job {job.job} comes {job.think} s after the end of no job")
        return found

    def _array_problems(self) -> list[str]:
        first: dict[int, Job] = {}
        seen: Counter[int] = Counter()
        found = []
        for job in self.jobs:
            if job.array is None:
                continue
            one = first.setdefault(job.array, job)
            if job.without_number() != one.without_number() or job.think is not None:
                found.append(f"job {job.job} differs from job {one.job} of the same array")
            if job.job != one.job + seen[job.array]:
                found.append(f"job {job.job} does not follow the job before it in its array")
            seen[job.array] += 1
        return found

    @property
    def measured(self) -> tuple[Job, ...]:
        """Jobs that are not of the background."""
        return tuple(job for job in self.jobs if not job.background)

    def at_rate(self, rate: float, search: int) -> Trace:
        """Return the same jobs at another rate of arrivals (1/s) than `scale` has.

        The arrivals are scaled from the end of the background's on. `search` is the number of the
        search that the trial is a step of; it is kept in `scale`, like the rate.
        """
        lead = float(self.scale.get("background", {}).get("lead_s", 0.0))
        factor = float(self.scale["rate"]) / rate
        jobs = tuple(
            job
            if job.background
            else replace(job, arrival=round(lead + (job.arrival - lead) * factor, 6))
            for job in self.jobs
        )
        return replace(self, jobs=jobs, scale={**self.scale, "rate": rate, "search": search})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, as in the file."""
        return {
            "schema": SCHEMA,
            "workload": self.workload,
            "kind": self.kind,
            "seed": self.seed,
            "machine": asdict(self.machine),
            "scale": self.scale,
            "jobs": [job.to_dict() for job in self.jobs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "trace") -> Trace:
        """Build a trace from its JSON form.

        Parameters
        ----------
        data : mapping
            As made by `to_dict`.
        source : str
            Named in errors.

        Raises
        ------
        SchedlabError
            When the schema is another one, or keys are missing, unknown or of a wrong type.
        """
        remedy = "remove the file and run Snakemake again, which makes it again"
        if data.get("schema") != SCHEMA:
            raise SchedlabError(
                f"{source}: schema = {data.get('schema')!r}: expected {SCHEMA!r}", remedy=remedy
            )
        names = {entry.name for entry in fields(Job)}
        jobs = []
        for index, row in enumerate(data.get("jobs", [])):
            if names - _RARE.keys() - set(row) or set(row) - names:
                different = ", ".join(sorted((set(row) ^ names) - (_RARE.keys() - set(row))))
                raise SchedlabError(
                    f"{source}: jobs[{index}]: missing or unknown keys: {different}", remedy=remedy
                )
            jobs.append(Job(**{**row, "after": tuple(row.get("after", ()))}))
        try:
            return cls(
                workload=data["workload"],
                kind=data["kind"],
                seed=data["seed"],
                machine=Machine(**data["machine"]),
                jobs=tuple(jobs),
                scale=dict(data["scale"]),
            )
        except (KeyError, TypeError) as error:
            raise SchedlabError(f"{source}: not a trace: {plain(error)}", remedy=remedy) from error

    def write(self, path: Path) -> None:
        """Write the trace as JSON, one job per line; the same trace gives the same bytes."""
        data = self.to_dict()
        rows = data.pop("jobs")
        head = json.dumps(data, sort_keys=True)[:-1]
        body = ",\n  ".join(json.dumps(row, sort_keys=True) for row in rows)
        write_output(path, f'{head}, "jobs": [\n  {body}\n]}}\n')


_LARGEST = 1 << 30
"""Largest size of a trace file, bytes; a trace of a million jobs is smaller."""


def read_trace(path: Path) -> Trace:
    """Read a trace.

    Raises
    ------
    SchedlabError
        When the file is missing or is not a sound trace.
    """
    remedy = "remove the file and run Snakemake again, which makes it again"
    try:
        data = read_json(path, _LARGEST)
    except (OSError, ValueError) as error:
        raise SchedlabError(
            f"{path}: cannot be read as a trace: {plain(error)}", remedy=remedy
        ) from error
    if not isinstance(data, dict):
        raise SchedlabError(f"{path}: not a trace: no JSON object", remedy=remedy)
    return Trace.from_dict(data, source=str(path))
