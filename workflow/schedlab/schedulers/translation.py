"""What a neutral job becomes for one scheduler, and what a scheduler cannot be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace


@dataclass(frozen=True)
class Submission:
    """What the guest driver executes on the head for one job, or for one array of jobs.

    Parameters
    ----------
    job : int
        Number in the trace.
    arrival : float
        Intended submission, s from the driver's start.
    argv : list of str
        Command; its standard output's first word is the native job id.
    request : dict or None
        API call in place of a command: `method`, `path`, `body`; see the driver.
    stdin : str or None
        Standard input of the command.
    workdir : str
        Working folder of the command.
    env : dict
        Environment variables of the command, in addition to the driver's.
    jobs : list of int
        Numbers of all jobs of an array, in their order in it; empty for a single job.
    after : list of int
        Jobs that this one runs after; see `native_id`.
    think : float or None
        Seconds that the driver waits after their end, where the scheduler is not told of them.
    background : bool
        The driver does not wait for its end.
    """

    job: int
    arrival: float
    argv: list[str] = field(default_factory=list)
    request: dict[str, Any] | None = None
    stdin: str | None = None
    workdir: str = "/tmp"
    env: dict[str, str] = field(default_factory=dict)
    jobs: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    think: float | None = None
    background: bool = False


class Request(NamedTuple):
    """What a native submission asks for.

    Attributes
    ----------
    nodes, cpus : int
        Nodes, and processors on each.
    runtime : float
        Of the payload, s.
    user : str
        User of the trace, wherever the submission names it.
    priority : int
        In the trace's terms.
    after : tuple of int
        Numbers of the jobs whose end the scheduler waits for.
    limit : float or None
        Time limit, s; None where the submission has none.
    requeue : bool
        It may start again after the scheduler gave up a run.
    """

    nodes: int
    cpus: int
    runtime: float
    user: str = ""
    priority: int = 0
    after: tuple[int, ...] = ()
    limit: float | None = None
    requeue: bool = False


def groups(trace: Trace, *, arrays: bool) -> list[list[Job]]:
    """Jobs that one submission makes: each alone or, with `arrays`, those of an array together."""
    found: list[list[Job]] = []
    started: dict[int, list[Job]] = {}
    for job in trace.jobs:
        if job.array is None or not arrays:
            found.append([job])
        elif job.array in started:
            started[job.array].append(job)
        else:
            started[job.array] = [job]
            found.append(started[job.array])
    return found


def for_driver(submission: Submission, jobs: Sequence[Job], *, array: bool) -> Submission:
    """Add to a translation what the driver needs of its jobs, whatever the scheduler is."""
    return replace(
        submission,
        jobs=[job.job for job in jobs] if array else [],
        after=list(jobs[0].after),
        think=jobs[0].think,
        background=jobs[0].background,
    )


def native_id(job: int) -> str:
    """Text that the driver replaces by the native id of a job, once it was accepted."""
    return f"{{job:{job}}}"


def jobs_of(submission: Mapping[str, Any]) -> Sequence[int]:
    """Numbers of the jobs that a native submission (translations.json) makes."""
    numbers: Sequence[int] = submission.get("jobs") or [submission["job"]]
    return numbers


def cannot_prioritise(
    trace: Trace, scheduler: str, least: int, most: int, remedy: str
) -> Iterator[Problem]:
    """Yield the fault of a trace with a priority that a scheduler cannot be given.

    Parameters
    ----------
    trace : Trace
        Trace.
    scheduler : str
        Name of the scheduler.
    least, most : int
        Priorities of the trace that it can be given.
    remedy : str
        What to do, besides another workload.
    """
    for job in trace.jobs:
        if not least <= job.priority <= most:
            has = f"only {least} to {most}" if least < most else "none"
            yield Problem(
                "priority",
                job.priority,
                f"job {job.job} has this priority, {scheduler} can be given {has}",
                remedy,
            )
            return


def cannot_wait(trace: Trace, scheduler: str) -> Iterator[Problem]:
    """Yield the fault of a trace with dependencies, for a scheduler that knows none."""
    job: Job | None = next((job for job in trace.jobs if job.held), None)
    if job is not None:
        yield Problem(
            "after",
            list(job.after),
            f"job {job.job} runs after job {', '.join(map(str, job.after))}, and {scheduler} has no"
            " dependencies between jobs",
            f"use a workload without dependencies, or leave out {scheduler}",
        )
