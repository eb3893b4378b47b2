"""Fast sums over many jobs give what slow, plain definitions give."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
import pytest
from job_factory import frame

from schedlab.metrics import jobs as of_jobs
from schedlab.metrics import machine as of_machine
from schedlab.metrics.intervals import area, median_rate, steps
from schedlab.metrics.jobs import seconds

CORES = 8


def some_jobs(seed: int) -> pd.DataFrame:
    """Jobs with gaps, ties and clocks that disagree; not of a sound schedule."""
    rng = np.random.default_rng(seed)
    # A coarse grid makes events meet; a fine one gives every event its own instant.
    grid = rng.choice([0.5, 0.25, 1e-4])
    rows = []
    for _ in range(rng.integers(1, 25)):
        instants = np.cumsum(rng.exponential(1.5, 7)).round(9) + rng.exponential(8)
        instants = np.round(instants / grid) * grid + rng.choice([0.0, -0.5], 7, p=[0.9, 0.1])
        row: dict[str, Any] = dict(
            zip(
                ("intended", "submit", "accepted", "allocated", "started", "finished", "completed"),
                np.maximum(instants, 0.0).tolist(),
                strict=True,
            )
        )
        row |= {"cpus": int(rng.choice([1, 2, 4])), "nodes": int(rng.choice([1, 2]))}
        row["state"] = str(rng.choice(["COMPLETED", "FAILED", "REJECTED"], p=[0.7, 0.2, 0.1]))
        for name in ("accepted", "allocated", "started", "finished", "completed"):
            if rng.random() < 0.08:
                row[name] = None
        rows.append(row)
    return frame(*rows)


def plain_fragmentation(jobs: pd.DataFrame, cores: int, end: float) -> float | None:
    """Event by event, with the sizes of the waiting jobs in a sorted list."""
    window = of_jobs.makespan(jobs, end).value
    if not window:
        return None
    given, freed = seconds(jobs, "allocated"), seconds(jobs, "completed")
    given = np.where(np.isnan(given), seconds(jobs, "started"), given)
    freed = np.where(np.isnan(freed), seconds(jobs, "finished"), freed)
    events: list[tuple[float, str, float]] = []
    waits, sizes = seconds(jobs, "accepted"), of_machine.processors(jobs)
    for size, a, b, c in zip(sizes, waits, given, freed, strict=True):
        if np.isnan(a):
            continue
        events.append((a, "wait", size))
        if not np.isnan(b):
            events += [(max(a, b), "take", size)]
            events += [(max(a, b, c), "free", size)] if not np.isnan(c) else []
        elif not np.isnan(c):
            events += [(max(a, c), "leave", size)]
    start = float(np.nanmin(seconds(jobs, "submit")))
    events.sort(key=lambda e: (e[0], ("free", "wait", "take", "leave").index(e[1])))
    events.append((np.inf, "end", 0.0))
    waiting: list[float] = []
    now, taken, lost = start, 0.0, 0.0
    for instant, event, size in events:
        until = min(max(instant, start), start + window)
        if waiting and waiting[0] <= cores - taken:
            lost += (cores - taken) * (until - now)
        now = until
        if event == "wait":
            insort(waiting, size)
        elif event in ("take", "leave"):
            waiting.pop(bisect_left(waiting, size))
        taken += {"take": size, "free": -size}.get(event, 0.0)
    return lost / (cores * window)


def plain_throughput_busy(jobs: pd.DataFrame, step: float, end: float) -> float | None:
    """Bin by bin, with every bin in memory."""
    left = seconds(jobs, "completed")
    left = np.where(np.isnan(left) & (jobs["state"] != "REJECTED").to_numpy(), end, left)
    came = seconds(jobs, "submit")
    known = ~np.isnan(left)
    if not known.any():
        return None
    came, left, good = came[known], left[known], (jobs["state"] == "COMPLETED").to_numpy()[known]
    first, last = came.min(), left.max()
    bins = max(1, int(np.ceil((last - first) / step - 1e-9)))
    rates = []
    for number in range(bins):
        low, high = first + step * number, first + step * (number + 1)
        if number == bins - 1:
            ended = (left >= low) & (left <= np.maximum(high, last))
        else:
            ended = (left >= low) & (left < high)
        if np.sum(came < high) > np.sum(left <= low) and high <= last + 1e-9:
            rates.append(np.sum(ended & good) / step)
    return float(np.median(rates)) if rates else None


def plain_utilisation(jobs: pd.DataFrame, low: float, high: float) -> float:
    total = 0.0
    for row in jobs.itertuples():
        for begun, ended in zip(row.rank_started, row.rank_finished, strict=True):
            total += max(0.0, min(ended / 1e9, high) - max(begun / 1e9, low)) * row.cpus
    return total


def close(found: float | None, wanted: float | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return found == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_metrics_are_those_of_the_plain_definitions(seed: int) -> None:
    jobs = some_jobs(seed)
    end = 60.0
    assert close(of_machine.fragmentation(jobs, CORES, end), plain_fragmentation(jobs, CORES, end))
    for step in (1.0, 0.5, 7.0):
        assert close(
            of_jobs.throughput_busy(jobs, step, end), plain_throughput_busy(jobs, step, end)
        )
    jobs["rank_started"] = [ranks if ranks is not None else [] for ranks in jobs["rank_started"]]
    jobs["rank_finished"] = [ranks if ranks is not None else [] for ranks in jobs["rank_finished"]]
    jobs["rank_open"] = [[] for _ in jobs["rank_open"]]
    for low, high in ((0.0, end), (5.0, 9.5)):
        found = of_machine.busy_core_seconds(jobs, low, high).value
        assert close(found, plain_utilisation(jobs, low, high))
    begun, ended = seconds(jobs, "submit"), seconds(jobs, "submit") + 2.5
    changes = sorted([(t, 1) for t in begun] + [(t, -1) for t in ended])
    most = max(accumulate(change for _, change in changes))
    assert of_jobs.concurrency(begun.tolist(), ended.tolist()) == most


def test_a_step_function_has_each_instant_once() -> None:
    found = steps(np.array([0.0, 1, 1]), np.array([1.0, 3, 1]), np.array([2.0, 1, 5]))
    assert found.t.tolist() == [0, 1, 3]
    assert found.level.tolist() == [2, 1, 0]
    assert steps(np.empty(0), np.empty(0), np.empty(0)).t.size == 0


def test_an_interval_outside_the_window_adds_nothing() -> None:
    start, end, height = np.array([0.0, 5.0]), np.array([2.0, 6.0]), np.array([3.0, 7.0])
    assert area(start, end, height, 1.0, 4.0) == 3.0


def test_the_rate_of_a_long_quiet_time_takes_no_memory() -> None:
    # Two jobs thirty thousand years apart: a bin for every second would not fit into memory.
    came = np.array([0.0, 1e12])
    left = came + 10.0
    assert median_rate(came, left, left > 0, 1.0) == 0.0
    assert median_rate(came, left, left > 0, 1e11) == pytest.approx(1e-11)
    assert median_rate(np.empty(0), np.empty(0), np.empty(0, dtype=bool), 1.0) is None
