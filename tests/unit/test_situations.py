"""Workloads that make a situation: urgent jobs, a wide job, users of equal shares."""

from __future__ import annotations

import pytest
from config_factory import ROOT
from workload_factory import TWO

from schedlab.workloads import Machine
from schedlab.workloads.constant import Constant
from schedlab.workloads.fairness import Fairness
from schedlab.workloads.priority import Priority
from schedlab.workloads.registry import SHORTEST, Workload
from schedlab.workloads.starvation import Starvation


def test_urgent_jobs_meet_a_full_queue() -> None:
    workload = Priority(name="p", depth=4, runtime=2.0, urgent=2, at=3.0)
    jobs = workload.generate(TWO, 1).jobs
    assert len([job for job in jobs if job.priority == 0 and job.arrival == 0]) == 32
    assert [(job.arrival, job.priority) for job in jobs[32:]] == [(3.0, 1), (4.0, 1)]
    assert not workload.problems([TWO], ROOT)
    (problem,) = workload.model_copy(update={"depth": 2}).problems([TWO], ROOT)
    assert (problem.key, problem.remedy[:24]) == ("depth", "set depth to at least 4,")


def test_a_wide_job_comes_among_narrow_ones_that_ask_for_more_than_the_machine() -> None:
    workload = Starvation(name="s", length=40.0, load=1.25, runtime=4.0, at=8.0)
    jobs = workload.generate(TWO, 1).jobs
    wide = [job for job in jobs if job.cores > 1]
    assert [(job.arrival, job.cores) for job in wide] == [(8.0, 8)]
    assert len(jobs) - 1 == 40 * 1.25 * 8 / 4
    assert [problem.key for problem in workload.problems([Machine(1, 1)], ROOT)] == ["kind"]


def test_long_jobs_hold_half_of_the_machine_while_the_wide_job_waits() -> None:
    workload = Starvation(
        name="s", length=120.0, load=0.5, runtime=15.0, at=10.0, long_runtime=90.0
    )
    jobs = workload.generate(TWO, 1).jobs
    long = [job for job in jobs if job.user == "long"]
    assert [(job.arrival, job.cores, job.runtime) for job in long] == [(0.0, 1, 90.0)] * 4
    wide = next(job for job in jobs if job.user == "wide")
    narrow = [job for job in jobs if job.user not in ("long", "wide")]
    assert wide.job > max(job.job for job in long)
    # By their limits, narrow jobs end before the long ones, also if they start after the wide job
    # is due and limits are rounded up to minutes.
    (least,) = {job.walltime for job in narrow}
    assert least is not None and long[0].walltime is not None
    assert wide.arrival + 60 * -(-least // 60) < long[0].walltime
    early = Starvation(name="s", at=8.0, long_runtime=8.0)
    assert [problem.key for problem in early.problems([TWO], ROOT)] == ["long_runtime"]


def test_users_of_equal_shares_come_one_after_the_other() -> None:
    trace = Fairness(name="f", users=2, jobs=1, interval=0.5).generate(TWO, 1)
    assert [job.user for job in trace.jobs] == ["u1"] * 8 + ["u2"] * 8
    assert trace.scale["shares"] == {"u1": 0.5, "u2": 0.5}


LARGE = Machine(10_000, 64)


@pytest.mark.parametrize(
    ("workload", "machine", "key", "remedy"),
    [
        (Priority(name="w", depth=8), LARGE, "depth", "lower it, or urgent"),
        (Fairness(name="w"), LARGE, "jobs", "lower it, or users"),
        (Constant(name="w"), LARGE, "tasks", "leave out the large node counts"),
        # Of the shortest runtimes it would take more than a trace can have.
        (Priority(name="w", runtime=SHORTEST), TWO, "depth", "raise runtime"),
        (Priority(name="w", at=1e9), TWO, "depth", "raise runtime"),
        (Starvation(name="w", runtime=SHORTEST), TWO, "length", "raise runtime"),
        (Starvation(name="w", load=1e-9), TWO, "length", "raise load"),
    ],
)
def test_numbers_of_jobs_that_no_trace_can_have_are_refused(
    workload: Workload, machine: Machine, key: str, remedy: str
) -> None:
    (problem,) = workload.problems([machine], ROOT)
    assert problem.key == key
    assert remedy in problem.remedy
