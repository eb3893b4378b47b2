"""Lublin: jobs of the workload model of Lublin and Feitelson."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from schedlab.workloads.registry import SHORTEST, Workload, register, walltime
from schedlab.workloads.scaling import Fitted, facts_of, taken
from schedlab.workloads.trace import BOUNDED_SLOWDOWN_THRESHOLD, Job, Machine

SERIAL, POWER_OF_TWO = 0.244, 0.576
"""Parts of the jobs of one processor, and of a power of two of them."""
SMALLEST, BELOW_LARGEST, MOSTLY_SMALL = 0.8, 2.5, 0.86
"""log2 of the size of a parallel job is uniform from the first to a middle in this part of the
jobs, and else uniform from the middle, which is that much below log2 of the machine, to that."""
SHORT, LONG = (4.2, 0.94), (312.0, 0.03)
"""Shape and scale of the two gamma distributions that ln of the runtime (s) is from."""
SLOPE, INTERCEPT = -0.0054, 0.78
"""Probability of the first of the two: intercept + slope x processors."""
GAP = (10.2303 * 1.0225, 0.4871)
"""Shape and scale of the gamma distribution of ln of the rush hours' interarrival time (s); the
factor makes it that of all hours."""
CYCLE = (8.1737, 3.9631)
"""Shape and scale of the gamma distribution, over half hours, that the daily cycle is cut from."""
LONGEST_LOG, LARGEST_GAP_LOG = 12.0, 13.0
"""Logarithms of s above which a runtime (two days) and a gap (five days) are drawn again."""

BUCKETS, BUCKET = 48, 1800.0
"""Half hours of a day, and their length, s."""
_CYCLE_START = 11


def daily_weights() -> list[float]:
    """Arrival rate in each half hour of the day, relative to the mean rate.

    The cycle's distribution covers the 48 half hours from the eleventh on, and is wrapped at
    midnight.
    """
    # Only who makes such a trace needs scipy, whose import takes a fifth of a second.
    from scipy.special import gammainc

    shape, scale = CYCLE
    weights = [0.0] * BUCKETS
    for bucket in range(_CYCLE_START, _CYCLE_START + BUCKETS):
        low, high = gammainc(shape, [(bucket - 0.5) / scale, (bucket + 0.5) / scale])
        weights[(bucket - 1) % BUCKETS] = float(high - low)
    mean = sum(weights) / BUCKETS
    return [weight / mean for weight in weights]


def _below(rng: random.Random, shape: float, scale: float, limit: float) -> float:
    while (value := rng.gammavariate(shape, scale)) > limit:
        pass
    return value


def sizes(rng: random.Random, count: int, largest: int) -> list[int]:
    """Processors of jobs on a machine of `largest` processors."""
    top = math.log2(largest)
    middle = max(SMALLEST, top - BELOW_LARGEST)
    found = []
    for _ in range(count):
        which = rng.random()
        if which <= SERIAL:
            found.append(1)
            continue
        low, high = (SMALLEST, middle) if rng.random() <= MOSTLY_SMALL else (middle, top)
        power = rng.uniform(low, high)
        if which <= SERIAL + POWER_OF_TWO:
            power = math.floor(power + 0.5)
        found.append(min(largest, math.floor(2**power + 0.5)))
    return found


def runtimes(rng: random.Random, processors: list[int]) -> list[float]:
    """Runtimes (s) of jobs of so many processors: wider ones are more often long."""
    found = []
    for size in processors:
        short = rng.random() <= min(1.0, max(0.0, SLOPE * size + INTERCEPT))
        found.append(math.exp(_below(rng, *(SHORT if short else LONG), LONGEST_LOG)))
    return found


def arrivals(rng: random.Random, count: int, hour: float) -> list[float]:
    """Arrivals, s since 0 h of the first day, at or after `hour` o'clock, in order.

    Gaps are drawn as in a day of constant rate. Time then runs faster or slower so that the rate
    follows the daily cycle.
    """
    weights = daily_weights()
    paid = [0.0, *accumulate(weight * BUCKET for weight in weights)]
    day = paid[-1]
    bucket, rest = divmod(hour * 3600, BUCKET)
    total = paid[int(bucket)] + rest * weights[int(bucket)]
    found = []
    for _ in range(count):
        days, left = divmod(total, day)
        place = min(bisect_right(paid, left), BUCKETS) - 1
        inside = (left - paid[place]) / weights[place]
        found.append(days * BUCKETS * BUCKET + place * BUCKET + inside)
        total += math.exp(_below(rng, *GAP, LARGEST_GAP_LOG))
    return found


@register
class Lublin(Workload):
    """Jobs of the model of Lublin and Feitelson [1]_, without its two types (batch, interactive).

    The model makes jobs for a machine of `machine_size` processors, 128 in the paper; sizes are
    then scaled to ours as in the kind `swf`: rounded up, at most all. Arrivals and runtimes are
    multiplied by `time_scale`. The first job arrives at `hour` o'clock, which is 0 s.

    References
    ----------
    .. [1] U. Lublin, D. G. Feitelson, "The Workload on Parallel Supercomputers: Modeling the
       Characteristics of Rigid Jobs", Journal of Parallel and Distributed Computing 63, 2003; the
       parameters are those of the authors' program, for all jobs together.
    """

    quantity: ClassVar[str] = "wait_median"
    kind: Literal["lublin"] = "lublin"
    jobs: int = Field(default=30, ge=1, le=100_000, description="Number of jobs.")
    time_scale: float = Field(
        default=0.001, ge=SHORTEST, le=1000, description="Our seconds per second of the model."
    )
    machine_size: int = Field(
        default=128, ge=8, le=2**20, description="Processors of the model's machine."
    )
    hour: float = Field(default=9.0, ge=0, lt=24, description="Time of day of the first job, h.")

    def _model(self, seed: int) -> tuple[list[float], list[int], list[float]]:
        """Arrivals, processors and runtimes as the model makes them."""
        # A stream each, so that another number of jobs does not change the first of them.
        size = sizes(random.Random(f"{seed}/sizes"), self.jobs, self.machine_size)
        runtime = runtimes(random.Random(f"{seed}/runtimes"), size)
        return arrivals(random.Random(f"{seed}/arrivals"), self.jobs, self.hour), size, runtime

    def _cores(self, size: int, machine: Machine) -> int:
        """Processors of our machine for those of the model's."""
        return min(machine.cores, -(-size * machine.cores // self.machine_size))

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Scaled jobs in order of arrival."""
        jobs = []
        arrival, size, runtime = self._model(seed)
        for number in range(self.jobs):
            nodes, cpus = machine.shape(self._cores(size[number], machine))
            length = round(runtime[number] * self.time_scale, 6)
            due = round((arrival[number] - arrival[0]) * self.time_scale, 6)
            jobs.append(Job(number, due, nodes, cpus, length, walltime=walltime(length)))
        return jobs

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """How time and sizes were scaled, and what was rounded."""
        _, size, runtime = self._model(seed)
        fitted = (
            Fitted(
                wanted * machine.cores,
                self.machine_size,
                taken(machine, self._cores(wanted, machine)),
                exact * self.time_scale,
                round(exact * self.time_scale, 6),
            )
            for wanted, exact in zip(size, runtime, strict=True)
        )
        return {
            "bounded_slowdown_threshold": BOUNDED_SLOWDOWN_THRESHOLD * self.time_scale,
            "time_scale": self.time_scale,
            "model_processors": self.machine_size,
            "size_scale": machine.cores / self.machine_size,
            **facts_of(fitted, machine),
        }
