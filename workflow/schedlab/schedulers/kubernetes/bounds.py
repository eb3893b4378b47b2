"""How many jobs can wait: what the controller can have made of them when the workload begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace


def too_many_waiting(
    trace: Trace, made: Callable[[Job], int], settings: Mapping[str, str]
) -> Iterator[Problem]:
    """Jobs of a background that the scheduler cannot know of when the workload begins.

    It sees a job by the objects that the controller makes of it, one request each. What is left to
    make then delays what is made of measured jobs, whose waits would be those of the controller.

    Parameters
    ----------
    trace : Trace
        Trace for one machine.
    made : callable
        Least number of objects that the controller creates for a job that waits.
    settings : mapping of str to str
        Settings in force; `controllerQps` and `controllerBurst` are those of each clientset.
    """
    waiting = [job for job in trace.jobs if job.background and job.priority < 0]
    if not waiting:
        return
    objects = sum(made(job) for job in waiting)
    rate, burst = float(settings["controllerQps"]), int(settings["controllerBurst"])
    seconds = float(trace.scale["background"]["lead_s"]) - waiting[0].arrival
    if objects > burst + rate * seconds:
        yield Problem(
            "background.pending",
            len(waiting),
            f"the controller creates {objects} objects for the waiting jobs, {rate:g} a second"
            f" (controllerQps) after {burst} at once (controllerBurst), and the workload begins"
            f" {math.floor(seconds)} s after the first of them",
            f"set controllerQps to {math.ceil((objects - burst) / seconds)} or more, lower"
            " background.rate, or let fewer jobs wait",
        )
