"""Whether a trial sustained its rate, and why it did not."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from config_factory import ROOT
from search_factory import experiment

from schedlab.metrics.saturation import rates, trend
from schedlab.schedulers.base import COMPLETED, FAILED


def queue(rate: float, capacity: float, seed: int, number: int = 400) -> tuple[Any, Any]:
    """Due and start instants (s) of one server with exponential gaps and service times."""
    chance, due, free = random.Random(seed), 0.0, 0.0
    dues, starts = [], []
    for _ in range(number):
        due += chance.expovariate(rate)
        start = max(due, free)
        free = start + chance.expovariate(capacity)
        dues.append(due)
        starts.append(start)
    return np.array(dues), np.array(starts)


def grows(rate: float, capacity: float, seed: int) -> bool:
    due, left = queue(rate, capacity, seed)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    return low > 0 and slope > 0.025 * rate


def test_a_queue_grows_at_the_difference_of_the_rates() -> None:
    due, left = queue(20.0, 10.0, 1, number=2000)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    assert slope == pytest.approx(10.0, rel=0.15)
    assert 0 < low < slope


def test_a_trend_is_seen_above_the_capacity_and_rarely_below() -> None:
    assert all(grows(15.0, 10.0, seed) for seed in range(20))
    assert sum(grows(5.0, 10.0, seed) for seed in range(100)) <= 10


def judged(
    longest: float | None,
    wait: float = 0.1,
    state: str = COMPLETED,
    *,
    stamped: bool = True,
    payload: bool = True,
) -> tuple[bool | None, list[str] | None]:
    """Outcome of 40 jobs that arrive once a second and wait alike; the last one has a state."""
    due = np.arange(40.0)
    at = dict.fromkeys(("intended", "submit", "accepted"), due)
    ran = {"allocated": due + wait, "started": due + wait, "finished": due + wait + 0.5}
    if not stamped:
        ran = dict.fromkeys(ran, np.full(40, np.nan))
    jobs = pd.DataFrame({**at, **ran, "completed": due + wait + 0.6}) * 1e9
    jobs["state"] = [COMPLETED] * 39 + [state]
    trace = experiment().trace("knee", 1, 1, ROOT)
    asked = replace(trace, scale=trace.scale | {"longest_wait_s": longest})
    found = rates(jobs, asked, 60.0, payload=payload)
    return found.sustained, found.why_not


@pytest.mark.filterwarnings("error")
def test_why_a_rate_is_not_sustained_is_told() -> None:
    assert judged(None) == (True, []) == judged(1.0)
    assert judged(None, state=FAILED) == (False, ["jobs"])
    assert judged(1.0, wait=2.0) == (False, ["wait"])
    assert judged(1.0, wait=2.0, state=FAILED) == (False, ["jobs", "wait"])
    # Every wait is missing, so the bound cannot be judged.
    assert judged(1.0, stamped=False) == (None, None)
    assert judged(None, stamped=False) == (True, [])


def test_jobs_without_a_payload_wait_until_they_are_done() -> None:
    """Else a bound on the wait would leave the submitter without a ceiling."""
    assert judged(1.0, stamped=False, payload=False) == (True, [])
    assert judged(1.0, wait=2.0, stamped=False, payload=False) == (False, ["wait"])


def test_arrivals_within_few_cycles_are_not_judged() -> None:
    """Jobs that arrive in 39 s, and a scheduler that starts jobs every 8 s, or every 7.8 s."""
    due = np.arange(40.0)
    jobs = pd.DataFrame(dict.fromkeys(("intended", "submit", "accepted"), due)) * 1e9
    for name in ("allocated", "started", "finished", "completed"):
        jobs[name] = 60e9
    jobs["state"] = COMPLETED
    trace = experiment().trace("knee", 1, 1, ROOT)
    found = rates(jobs, trace, 90.0, 8.0)
    assert (found.sustained, found.why_not) == (None, ["cycles"])
    assert found.slope is not None
    assert rates(jobs, trace, 90.0, 7.8).why_not == ["queue"]


def test_a_growing_queue_is_told_as_the_reason() -> None:
    due = np.arange(40.0)
    jobs = pd.DataFrame(dict.fromkeys(("intended", "submit", "accepted"), due)) * 1e9
    for name, after in (("allocated", 0.0), ("started", 0.0), ("finished", 0.5), ("completed", 1)):
        jobs[name] = (2 * due + after) * 1e9
    jobs["state"] = COMPLETED
    found = rates(jobs, experiment().trace("knee", 1, 1, ROOT), 90.0)
    assert (found.sustained, found.why_not) == (False, ["queue"])


@pytest.mark.parametrize(("rate", "sustained"), [(0.8, True), (10.0, False)])
@pytest.mark.parametrize("last", [60, 30])
def test_jobs_that_run_after_others_are_offered_when_they_arrive(
    rate: float, sustained: bool, last: int
) -> None:
    """One server of 1 job/s; each job runs after the one ten before it, so that ten are released.

    Of a trial that ended before `last` the later ones are there without the instant of their due.
    """
    trace = experiment().trace("knee", 1, 1, ROOT)
    made = [replace(trace.jobs[0], job=place, arrival=place / rate) for place in range(60)]
    trace = replace(trace, jobs=tuple(made))
    due = 3.0 + np.arange(60) / rate
    start = due.copy()
    for place in range(1, 60):
        start[place] = max(due[place], start[place - 1] + 1.0)
    jobs = pd.DataFrame({"job": range(60), "intended": due, "submit": due, "accepted": due})
    jobs = jobs.assign(allocated=start, started=start, finished=start + 1, completed=start + 1)
    jobs["released"] = jobs["finished"].shift(10)
    if not sustained:
        jobs.loc[last:, ["started", "allocated", "finished", "completed"]] = np.nan
        jobs.loc[last + 10 :, ["intended", "released"]] = np.nan
    jobs = (jobs.set_index("job") * 1e9).reset_index().assign(state=COMPLETED)
    found = rates(jobs, trace, 90.0)
    assert (found.sustained, found.why_not) == (sustained, [] if sustained else ["queue"])
    assert found.offered == pytest.approx(rate)
