"""Times of jobs: the parts of the wait, and bounds for jobs that came to no end."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from job_factory import THREE, frame
from simulated_cluster import SECOND

from schedlab.metrics import jobs as of_jobs
from schedlab.metrics.bounds import Times, largest, mean, quantile
from schedlab.metrics.durations import nanoseconds, times
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.tables.trial_rows import jobs_frame

WAIT = ("lateness", "submission", "scheduling", "launch")


def gone(**changes: Any) -> dict[str, Any]:
    """A job that was submitted and never started."""
    return THREE[0] | dict.fromkeys(("allocated", "started", "finished", "completed")) | changes


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_of_the_wait_add_up_to_it_exactly(seed: int) -> None:
    """This holds for any instants, to the nanosecond, in a trial of up to a month."""
    rng = random.Random(seed)
    rows = []
    for number in range(200):
        instants = sorted(rng.randrange(30 * 86_400 * SECOND) for _ in TIMESTAMPS)
        if rng.random() < 0.2:  # Steps backwards, which differing clocks cause, add up, too.
            rng.shuffle(instants)
        rows.append(
            {"job": number, "state": "COMPLETED"} | dict(zip(TIMESTAMPS, instants, strict=True))
        )
    jobs = jobs_frame(rows)
    parts = of_jobs.durations(jobs)
    whole = np.rint(parts * 1e9).astype("int64")
    assert (sum(whole[name] for name in WAIT) == whole["wait"]).all()
    assert (whole["wait"] == jobs["started"] - jobs["intended"]).all()
    assert (whole["wait"] + whole["runtime"] == whole["turnaround"]).all()
    assert (whole["turnaround"] + whole["completion"] == jobs["completed"] - jobs["intended"]).all()


def test_a_job_that_runs_after_others_waits_from_their_end() -> None:
    """The parts before the release are 0, and all parts still add up."""
    held = THREE[0] | {"intended": 0, "submit": 1, "accepted": 2, "released": 5 * SECOND}
    held |= {"allocated": 6, "started": 8}
    jobs = frame(held)
    parts = of_jobs.durations(jobs)
    assert parts["wait"].tolist() == [3.0]
    assert [parts[name].iloc[0] for name in WAIT] == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("state", ["UNFINISHED", "LOST", "REJECTED", "CANCELLED"])
def test_a_job_that_never_started_waited_at_least_to_the_end(state: str) -> None:
    found = times(frame(*THREE, gone(intended=2, submit=2.5, state=state)), "wait", 50.0)
    assert found.seconds.tolist() == [1.0, 4.0, 6.0, 48.0]
    assert found.open.tolist() == [False, False, False, True]


def test_without_an_end_nothing_is_bounded() -> None:
    found = times(frame(*THREE, gone(state="LOST")), "wait")
    assert np.isnan(found.seconds[3]) and not found.open.any()


def test_a_completed_job_without_a_stamp_is_unknown_and_no_bound() -> None:
    found = times(frame(gone(completed=4)), "wait", 50.0)
    assert np.isnan(found.seconds[0]) and not found.open[0]


def test_a_job_that_was_not_yet_due_says_nothing() -> None:
    found = times(frame(gone(intended=60, submit=None, state="NOT_SUBMITTED")), "wait", 50.0)
    assert np.isnan(found.seconds[0]) and not found.open[0]


def test_only_the_part_that_a_job_is_in_is_open() -> None:
    waiting = frame(gone(state="UNFINISHED"))  # accepted at 0.25
    assert times(waiting, "scheduling", 50.0).seconds.tolist() == [49.75]
    assert not times(waiting, "submission", 50.0).open[0]
    assert np.isnan(times(waiting, "launch", 50.0).seconds[0])
    # The scheduler's record of the allocation is missing, but the job ran.
    ran = frame(THREE[0] | {"allocated": None, "state": "FAILED"})
    assert not times(ran, "scheduling", 50.0).open[0]


def test_a_running_job_has_a_wait_and_no_turnaround() -> None:
    jobs = frame(THREE[0] | {"finished": None, "completed": None, "state": "UNFINISHED"})
    assert times(jobs, "wait", 50.0) == (1.0, False)
    assert times(jobs, "turnaround", 50.0) == (50.0, True)
    # It ran for 49 s, more than any threshold: (1 + 49) / 49.
    slowdown = of_jobs.bounded_slowdown(jobs.assign(runtime_requested=2.0), 10.0, 50.0)
    assert slowdown.seconds.tolist() == [pytest.approx(50 / 49)] and slowdown.open.all()


def test_a_job_that_never_ran_is_slowed_down_by_the_runtime_that_it_asked_for() -> None:
    jobs = frame(gone(state="LOST")).assign(runtime_requested=20.0)
    assert of_jobs.bounded_slowdown(jobs, 10.0, 50.0).seconds.tolist() == [2.5]


@pytest.mark.parametrize(
    ("open_at", "at_least"),
    [
        ((), False),
        ((9.0,), False),  # The bound is above the median, so the median is exact.
        ((3.0,), True),  # The median itself.
        ((1.0,), True),  # Below it, but truly perhaps above.
    ],
)
def test_a_median_is_exact_until_an_open_job_can_move_it(
    open_at: tuple[float, ...], at_least: bool
) -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    found = Times(values, np.isin(values, open_at))
    assert quantile(found, 0.5) == (3.0, at_least)
    assert mean(found) == (3.8, bool(open_at))
    assert largest(found) == (9.0, bool(open_at))


def test_a_median_between_two_values_looks_at_both() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    assert quantile(Times(values, values == 4.0), 0.5) == (3.0, True)
    assert quantile(Times(values, values == 9.0), 0.5) == (3.0, False)


def test_bounds_are_never_above_the_truth() -> None:
    """Trials with known ends are cut off: each bounded summary is at most the true one."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        due = rng.uniform(0, 20, 15)
        truth = rng.exponential(10, 15)
        cut = rng.uniform(20, 60)
        is_open = due + truth > cut
        found = Times(np.where(is_open, cut - due, truth), is_open)
        whole = Times(truth, np.zeros(15, dtype=bool))
        for summary in (mean, largest, lambda t: quantile(t, 0.5), lambda t: quantile(t, 0.9)):
            bounded, true = summary(found), summary(whole)
            assert bounded.value <= true.value + 1e-12
            assert bounded.at_least or bounded.value == pytest.approx(true.value)


def test_p99_needs_a_hundred_jobs() -> None:
    row = {"intended": 0, "submit": 0.5}
    assert quantile(times(frame(*[row] * 99), "lateness"), 0.99).value is None
    assert quantile(times(frame(*[row] * 100), "lateness"), 0.99).value == 0.5


def test_instants_are_exact() -> None:
    jobs = jobs_frame([{"job": 0, "submit": 30 * 86_400 * SECOND + 1}])
    assert int(nanoseconds(jobs, "submit")[0]) == 30 * 86_400 * SECOND + 1


def test_a_makespan_reaches_at_least_to_the_end_of_the_trial() -> None:
    assert of_jobs.makespan(frame(*THREE, gone(state="LOST")), 50.0) == (50.0, True)
    assert of_jobs.makespan(frame(*THREE), 50.0) == (8.0, False)
