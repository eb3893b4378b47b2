"""How many jobs Slurm takes, by its settings (slurm.conf(5))."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Trace

MAX_ARRAY_SIZE = "1001"
"""Slurm's default."""
MAX_JOB_COUNT = "10000"
"""Slurm's default."""


_COUNTS = ("MaxArraySize", "MaxJobCount")


def count_problems(overrides: Mapping[str, str]) -> Iterator[Problem]:
    """Bounds of an experiment's settings that are no whole numbers, so that none could be kept."""
    known = {key.lower() for key in _COUNTS}
    for key, text in overrides.items():
        if key.lower() in known and not re.fullmatch("[1-9][0-9]{0,8}", text):
            yield Problem(
                key,
                text,
                "not a whole number from 1 to 999999999",
                "correct it, or remove it for Slurm's default",
            )


def too_many(trace: Trace, written: Mapping[str, str]) -> Iterator[Problem]:
    """More jobs than the controller knows at one time; `written` has settings in lower case."""
    limit, age = written.get("maxjobcount", MAX_JOB_COUNT), written["minjobage"]
    if not (limit.isdecimal() and age.isdecimal()):
        return  # a fault of the settings, which is told as one
    kept = float(age) or math.inf  # 0: for ever
    stays = sum(job.background for job in trace.jobs)
    arrivals = sorted(job.arrival for job in trace.measured)
    most, first = 0, 0
    for place, arrival in enumerate(arrivals):
        while arrivals[first] < arrival - kept:
            first += 1
        most = max(most, place + 1 - first)
    # One more is that of the health check.
    needed = stays + most + 1
    if needed > int(limit):
        key = "background.pending" if stays > most else "jobs"
        yield Problem(
            key,
            stays + most,
            f"{stays + most} jobs at one time, and slurm takes at most {int(limit) - 1}"
            " (MaxJobCount - 1; finished ones count for MinJobAge s)",
            f"set settings.slurm.MaxJobCount to {needed} or more, or use fewer jobs",
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
