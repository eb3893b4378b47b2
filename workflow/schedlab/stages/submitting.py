"""How much the guest driver of a trial prepares for, and has under way at one time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from schedlab.workloads import Trace

MOST_SUBMISSIONS = 1000
"""Most submissions under way at one time; a scheduler's server must allow as many connections."""
COMMAND_MIB = 4
"""Memory of the head that each submission by a command may need, MiB; sbatch needs 1.6."""
MOST_READY = 200
"""Most threads and open connections that the driver prepares before the first submission."""


def submissions_at_once(submissions: Sequence[Mapping[str, Any]], memory_mib: int) -> int:
    """Return how many submissions may be under way at one time.

    The driver is an open loop, so this number is limited only by the head's memory.

    Parameters
    ----------
    submissions : sequence of mapping
        Submissions of the plan; a command needs a process, a request only a connection.
    memory_mib : int
        Memory of the head, MiB.
    """
    commands = any(submission["argv"] for submission in submissions)
    return min(MOST_SUBMISSIONS, memory_mib // COMMAND_MIB) if commands else MOST_SUBMISSIONS


def most_due(trace: Trace) -> int:
    """Return the largest number of jobs that are due within one second; at least 1."""
    arrivals = sorted(job.arrival for job in trace.jobs)
    return max(
        (bisect_right(arrivals, first + 1.0) - place for place, first in enumerate(arrivals)),
        default=1,
    )
