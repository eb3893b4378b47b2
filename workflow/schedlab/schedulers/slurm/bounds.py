"""How many jobs Slurm takes, by its settings (slurm.conf(5))."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Trace

MAX_ARRAY_SIZE = "1001"
"""Slurm's default."""
MAX_JOB_COUNT = "10000"
"""Slurm's default."""
AGE = "MinJobAge"
A_YEAR = "31536000"
"""s; no trial lasts as long. Slurm's manual has 0 for ever, but slurmctld takes 2 s for 0."""
TAKING = 300
"""Most seconds between the end of a workload and that of its jobs' records (stages.collect)."""


def forgotten(written: Mapping[str, str], seconds: float) -> Iterator[Problem]:
    """An age at which the controller forgets jobs before the end of a trial of so many seconds.

    Their states, processors and nodes are read from the controller when the workload has ended;
    `written` has settings in lower case.
    """
    age = written[AGE.lower()]
    needed = math.ceil(seconds) + TAKING
    if age.isdecimal() and int(age) < needed:
        yield Problem(
            AGE,
            age,
            f"slurmctld forgets finished jobs {'after 2 s' if int(age) < 2 else 'then'}, before"
            f" they are read, at most {needed} s after their end: limits.trial, and {TAKING} s for"
            " reading",
            f"write {needed} or more, or lower limits.trial",
        )


def too_many(trace: Trace, written: Mapping[str, str]) -> Iterator[Problem]:
    """More jobs than the controller knows at one time; `written` has settings in lower case.

    It knows all jobs of a trial until its end (`forgotten`).
    """
    limit = written.get("maxjobcount", MAX_JOB_COUNT)
    if not limit.isdecimal():
        return  # a fault of the settings, which is told as one
    jobs, measured = len(trace.jobs), len(trace.measured)
    # One more is that of the health check.
    if jobs + 1 > int(limit):
        yield Problem(
            "background.pending" if jobs - measured > measured else "jobs",
            jobs,
            f"{jobs} jobs, and slurm knows at most {int(limit) - 1} until the trial's end"
            " (MaxJobCount - 1)",
            f"set settings.slurm.MaxJobCount to {jobs + 1} or more, or use fewer jobs",
        )


def too_large_an_array(trace: Trace, written: Mapping[str, str]) -> Iterator[Problem]:
    """An array of more jobs than one may have; `written` has settings in lower case."""
    limit = written.get("maxarraysize", MAX_ARRAY_SIZE)
    if not limit.isdecimal():
        return
    most = int(limit) - 1
    sizes = Counter(job.array for job in trace.jobs if job.array is not None)
    size = max(sizes.values(), default=0)
    if size > most:
        yield Problem(
            "array",
            size,
            f"an array of {size} jobs, and slurm takes at most {most} (MaxArraySize - 1)",
            f"set settings.slurm.MaxArraySize to {size + 1}, and MaxJobCount above it, or"
            " make the array smaller",
        )
