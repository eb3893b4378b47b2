"""Generator of the small trace in resources/traces/sample.swf.

It replaces a recorded trace, which cannot be shipped here. Its load is light and it has no
bursts, so that twenty of its jobs at a hundredth of their time run in well under a minute on a
cluster of two emulated cores. Two of its lines exercise the rules for the status field.
"""

from __future__ import annotations

import random
from pathlib import Path

_HEADER = """\
; Version: 2.2
; Computer: none (generated)
; Installation: none (generated)
; Acknowledge: schedlab, schedlab.swf.sample
; Information: resources/traces/README.md
; MaxJobs: {jobs}
; MaxRecords: {jobs}
; Preemption: No
; UnixStartTime: 0
; TimeZoneString: UTC
; MaxNodes: {processors}
; MaxProcs: {processors}
; MaxRuntime: {longest}
; MaxQueues: 1
; Queue: 1 batch
; Note: generated with seed {seed}; interarrival times are uniform from 100 to 300 s, runtimes
;       log-normal with median 120 s, sizes powers of two with the small ones more frequent
; Note: a reader should drop job 7 (cancelled before it started) and keep job 12 (failed)
;
"""


def sample_text(seed: int = 1993, jobs: int = 100, processors: int = 16) -> str:
    """Text of the trace.

    Parameters
    ----------
    seed : int
        The same seed gives the same text.
    jobs : int
        Number of job lines.
    processors : int
        Size of the imagined machine; at least 16.

    Returns
    -------
    str
        Standard Workload Format 2.2.
    """
    rng = random.Random(seed)
    rows: list[list[int]] = []
    submit = 0
    for number in range(1, jobs + 1):
        runtime = min(600, max(10, round(rng.lognormvariate(4.787, 0.6))))
        size = rng.choices((1, 2, 4, 8, 16), weights=(35, 25, 20, 12, 8))[0]
        estimate = 300 * -(-runtime * rng.choice((1, 2, 4)) // 300)
        user = rng.choices(range(1, 6), weights=(30, 25, 20, 15, 10))[0]
        status = 1
        if number == 7:
            runtime, status = 0, 5
        elif number == 12:
            status = 0
        rows.append(
            [number, submit, 0, runtime, size if runtime else -1, -1, -1, size, estimate, -1]
            + [status, user, 1, -1, 1, 1, -1, -1]
        )
        submit += rng.randint(100, 300)
    lines = [" ".join(f"{value:>5}" for value in row) for row in rows]
    longest = max(row[3] for row in rows)
    head = _HEADER.format(jobs=jobs, processors=processors, seed=seed, longest=longest)
    return head + "\n".join(lines) + "\n"


def write_sample(path: Path) -> None:
    """Write the trace to the file that is shipped."""
    path.write_text(sample_text(), encoding="utf-8")
