"""How near a search comes to a planted capacity, by the arrivals and the number of jobs.

python tests/benchmarks/knee.py [--searches 400]

SYNTHETIC: one server that serves jobs in order, at one job a second on average. The ladder and the
test of the queue are the project's. Printed for each kind of arrivals, coefficient of variation of
the service time and number of jobs: the 5, 50 and 95 % quantiles of knee / capacity, how many of
the searches are within 10 %, how many intervals of 3 and of 10 searches cover the capacity, and how
often a queue at 0.7, 0.8 and 0.9 of the capacity is taken for a growing one.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schedlab.metrics.saturation import WARM_UP, grows, trend
from schedlab.metrics.searches import Knee, knees
from schedlab.workloads.ladder import Step, next_rate

PRECISION = 0.1
LOW, HIGH = 0.4, 4.0
"""Ends of the ladder over the capacity; both are moved by a random factor."""
LOADS = (0.7, 0.8, 0.9)
TOGETHER = (3, 10)
"""Searches of which an interval is made."""
Floats = NDArray[np.float64]


def arrivals(kind: str, jobs: int, chance: np.random.Generator) -> Floats:
    """Instants at one job a second on average, from 0 s on."""
    gaps = chance.exponential(size=jobs - 1) if kind == "poisson" else np.ones(jobs - 1)
    return np.concatenate([[0.0], np.cumsum(gaps * (jobs - 1) / gaps.sum())])


def services(variation: float, jobs: int, chance: np.random.Generator) -> Floats:
    """Service times (s) of mean 1 with a coefficient of variation, of the gamma distribution."""
    if not variation:
        return np.ones(jobs)
    shape = variation**-2
    return chance.gamma(shape, 1 / shape, size=jobs)


def growing(due: Floats, service: Floats, rate: float) -> bool:
    """Whether the queue of a server counts as growing."""
    left, free = np.empty_like(due), 0.0
    for place, (instant, time) in enumerate(zip(due, service, strict=True)):
        left[place] = max(free, instant)
        free = left[place] + time
    slope, low = trend(due, left, WARM_UP * float(due[-1]), float(due[-1]))
    return grows(slope, low, rate, PRECISION)


def climb(due: Floats, service: Floats, chance: np.random.Generator) -> list[Step]:
    """Steps of one search."""
    moved = np.exp(chance.uniform(-0.2, 0.2))
    steps: list[Step] = []
    while (rate := next_rate(steps, LOW * moved, HIGH * moved, PRECISION)) is not None:
        steps.append(Step(rate, not growing(due / rate, service, rate)))
    return steps


def knee_of(searches: list[list[Step]]) -> Knee:
    """Knee of a cell with these searches, as the report has it."""
    cell = {"workload": "w", "cluster": "c", "scheduler": "c", "nodes": 1, "snapshot": 1,
            "source": "", "conditions": None, "valid": True, "payload": True,
            "precision": PRECISION}  # fmt: skip
    rows = [
        cell | {"search": number, "why_not": ["queue"] * (not step.sustained), **step._asdict()}
        for number, steps in enumerate(searches)
        for step in steps
    ]
    return knees(pd.DataFrame(rows))[0]


def covered(searches: list[list[Step]], together: int) -> float:
    """Part of the intervals, each of so many searches, in which the capacity lies."""
    groups = [searches[at : at + together] for at in range(0, len(searches), together)]
    found = [knee_of(group) for group in groups if len(group) == together]
    told = [(one.low, one.high) for one in found if one.low is not None and one.high is not None]
    return float(np.mean([low <= 1 <= high for low, high in told]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=400)
    wanted = parser.parse_args().searches
    print("| arrivals | variation of service | jobs | knee / capacity, 5 to 95 % | within 10 % |"
          + "".join(f" interval of {number} covers |" for number in TOGETHER)
          + "".join(f" growing at {load} |" for load in LOADS))  # fmt: skip
    print("|---" * (5 + len(TOGETHER) + len(LOADS)) + "|")
    for variation in (0.0, 0.3, 1.0):
        for kind in ("poisson", "regular"):
            for jobs in (60, 240):
                chance = np.random.default_rng(jobs)
                found, taken = [], np.zeros(len(LOADS))
                for _ in range(wanted):
                    due, service = arrivals(kind, jobs, chance), services(variation, jobs, chance)
                    found.append(climb(due, service, chance))
                    taken += [growing(due / load, service, load) for load in LOADS]
                # Of a search that ends at an end of the ladder that end.
                alone = [(one := knee_of([steps])).estimate or one.low or one.high or np.nan
                         for steps in found]  # fmt: skip
                low, middle, high = np.quantile(alone, [0.05, 0.5, 0.95])
                within = np.mean(np.abs(np.array(alone) - 1) <= 0.1)
                print(f"| {kind} | {variation:g} | {jobs} | {low:.2f} to {high:.2f} (median"
                      f" {middle:.2f}) | {100 * within:.0f} % |"
                      + "".join(f" {100 * covered(found, size):.0f} % |" for size in TOGETHER)
                      + "".join(f" {100 * part:.0f} % |" for part in taken / wanted),
                      flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
