"""Runs that a scheduler gave up, as its records say, and the runs that came after."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import flux_factory as flux
import pytest
from fault_factory import Told, ran, stamp
from job_factory import frame
from kubernetes_factory import audit, bound, created, ended
from simulated_cluster import SECOND

from schedlab.metrics.jobs import bounded_slowdown
from schedlab.metrics.machine import fragmentation
from schedlab.schedulers.base import DUPLICATED
from schedlab.schedulers.flux import records as flux_records
from schedlab.schedulers.kubernetes import records as kubernetes_records
from schedlab.schedulers.kubernetes.records import BATCH
from schedlab.schedulers.rows import collect
from schedlab.schedulers.slurm import records as slurm_records
from schedlab.tables.clocks import NodeClock
from schedlab.tables.schemas import FAILED, UNKNOWN
from schedlab.tables.validity import instants_in_order

SLURM = """\
[2026-03-20T09:46:40.100] sched: Allocate JobId=3 NodeList=compute1 #CPUs=1 Partition=main
[2026-03-20T09:46:40.100] sched: Allocate JobId=4 NodeList=compute1 #CPUs=1 Partition=main
[2026-03-20T09:47:40.000] error: Nodes compute1 not responding, setting DOWN
[2026-03-20T09:47:40.001] Killing JobId=3 on failed node compute1
[2026-03-20T09:47:40.002] requeue job JobId=4 due to failure of node compute1
[2026-03-20T09:47:41.000] _job_complete: JobId=4 WTERMSIG 9
[2026-03-20T09:47:50.000] sched: Allocate JobId=4 NodeList=compute2 #CPUs=1 Partition=main
[2026-03-20T09:48:00.000] preempted JobId=5 has been killed to reclaim resources for JobId=9
[2026-03-20T09:48:00.100] preempted JobId=6 has been requeued to reclaim resources for JobId=9
[2026-03-20T09:48:00.200] slurm_job_preempt: preempted JobId=7 had to be killed
[2026-03-20T09:48:50.000] _job_complete: JobId=4 WEXITSTATUS 0
[2026-03-20T09:48:50.001] _job_complete: JobId=4 done
"""
SCONTROL = "JobId=6 JobName=job6 JobState=PENDING Reason=BeginTime ExitCode=0:0\n"


def test_slurms_log_says_which_runs_it_gave_up() -> None:
    found = slurm_records.jobs(SLURM, SCONTROL)
    assert {number: job.state for number, job in found.items()} == {
        "3": "NODE_FAIL", "4": "COMPLETED", "5": "PREEMPTED", "6": "UNFINISHED", "7": "PREEMPTED",
    }  # fmt: skip
    assert found["3"].interrupted == found["3"].completed is not None
    assert found["4"].interrupted == slurm_records.clock_ns("2026-03-20T09:47:40.002")
    assert found["4"].placement == ["compute2"]
    assert all(job.interrupted_source for job in found.values())
    assert {number: job.lost_node for number, job in found.items()} == {
        "3": "compute1", "4": "compute1", "5": None, "6": None, "7": None
    }  # fmt: skip
    # The driver waits for a job that will run again, and for no other.
    ends = [match[1] for line in SLURM.splitlines() if (match := re.search(
        slurm_records.ENDED, line))]  # fmt: skip
    assert ends == ["3", "5", "7", "4"]


def test_an_evicted_pod_is_a_run_that_was_given_up() -> None:
    def evicted(reason: str) -> dict[str, Any]:
        return {"status": {"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": reason}]}}  # fmt: skip

    manager = "kube-controller-manager/v1.34.1"
    text = "\n".join(
        [
            *(created(0.0, f"job{number}", "batch") for number in range(4)),
            *(bound(0.5, f"job{number}-0-x", "compute1") for number in range(4)),
            audit(
                9.0,
                "patch",
                "pods/status",
                "job0-0-x",
                evicted("DeletionByTaintManager"),
                agent=manager,
            ),
            audit(
                9.0,
                "patch",
                "pods/status",
                "job3-0-x",
                evicted("PreemptionByScheduler"),
                agent="kube-scheduler/v1.34.1",
            ),
            audit(9.1, "delete", "pods", "job0-0-x", agent=manager),
            audit(9.2, "delete", "pods", "job1-0-x"),  # a scheduler preempts without a patch
            audit(9.3, "delete", "pods", "job2-0-x", agent=manager),  # of a job that failed
            ended(9.5, "job0", "batch", "Failed"),
            "",
        ]
    )
    ranks = {f"job{number}": 1 for number in range(4)}
    found = kubernetes_records.jobs(text, "", BATCH, ranks)
    given_up = {name: job.interrupted for name, job in found.items()}
    assert given_up["job0"] == kubernetes_records.clock_ns("2026-03-20T09:46:49.000000Z")
    assert given_up["job1"] and given_up["job3"] and not given_up["job2"]
    assert {name: job.lost_node for name, job in found.items()} == {
        "job0": "compute1", "job1": None, "job2": None, "job3": None
    }  # fmt: skip


def test_flux_says_which_job_lost_its_node() -> None:
    exception = flux.event(
        5.0, "exception", type="exec", severity=0, note="node failure on compute2"
    )
    events = [*flux.begun(), exception, flux.event(5.5, "clean")]
    job = flux_records.jobs("", flux.log_line(11, events))["11"]
    assert job.state == "NODE_FAIL" and job.interrupted is not None
    assert job.lost_node == "compute2"
    assert job.interrupted < (job.completed or 0)


@pytest.mark.parametrize(
    ("again", "gave_up", "ends", "duplicated"),
    [
        (False, None, [9.0], True),  # nothing ended the first run: it may still go on
        (False, None, [7.0, 9.0], True),
        (False, 5.0, [9.0], False),  # the controller replaced what was killed, without being told
        (False, 5.0, [], False),
        (False, 5.0, [7.0, 9.0], True),
        (True, None, [9.0], False),
        (True, 5.0, [7.0, 9.0], True),
    ],
)
def test_a_second_run_after_one_that_was_given_up_is_no_duplicate_unless_both_ended(
    again: bool, gave_up: float | None, ends: list[float], duplicated: bool, tmp_path: Path
) -> None:
    stamps = [stamp("first", 1.0, "compute1"), stamp("first", 6.0, "compute2")]
    stamps += [stamp("last", end, "compute2") for end in ends]
    driver = [{"job": 0, "native_id": "7", "returncode": 0}]
    (row,) = collect(
        Told(gave_up), tmp_path, stamps, [{"job": 0}], driver, again={0} if again else ()  # type: ignore[arg-type]
    )  # fmt: skip
    assert row["state"] == (DUPLICATED if duplicated else "COMPLETED")
    assert (row["started"], row["restarted"]) == (1 * SECOND, 6 * SECOND)
    assert row["lost_node"] is None
    last = again or gave_up is not None
    assert row["rank_started"] == [(6 if last else 1) * SECOND] * bool(ends)
    assert row["rank_open"] == [6 * SECOND] * (not ends)
    assert row["launch_skew_ns"] == (0 if last else 5 * SECOND)


def test_an_end_before_the_last_start_is_that_of_an_earlier_run(tmp_path: Path) -> None:
    stamps = [stamp("first", 1.0, "a"), stamp("last", 3.0, "a"), stamp("first", 6.0, "b")]
    driver = [{"job": 0, "native_id": "7", "returncode": 0}]
    (row,) = collect(Told(5.0), tmp_path, stamps, [{"job": 0}], driver)  # type: ignore[arg-type]
    assert (row["rank_started"], row["rank_open"]) == ([], [6 * SECOND])


def test_a_rank_that_a_node_reported_as_begun_alone_is_open(tmp_path: Path) -> None:
    told = Told()
    told.job.ranks = {0: (1 * SECOND, 4 * SECOND), 1: (2 * SECOND, None), 2: (None, None)}
    driver = [{"job": 0, "native_id": "7", "returncode": 0}]
    (row,) = collect(told, tmp_path, [], [{"job": 0}], driver)  # type: ignore[arg-type]
    assert (row["rank_started"], row["rank_open"]) == ([1 * SECOND], [2 * SECOND])


def test_instants_of_two_runs_are_in_no_order() -> None:
    clock = {"head": NodeClock(0, 0, 0, 1, 0)}
    # Given up at 50 s; what ran on the node that was cut off went on.
    rows = [ran("compute1", 5, 60), ran("compute1", 5, 60, interrupted=50, restarted=20)]
    for row in rows:
        row["completed"] = 50
    assert instants_in_order(frame(rows[1]), clock, gang=True).verdict == UNKNOWN
    assert instants_in_order(frame(rows[0]), clock, gang=True).verdict == FAILED


def test_the_slowdown_of_a_job_that_ran_again_is_against_its_last_run() -> None:
    """It ran from 0 s, was given up at 9 s, and ran again from 309 s to 329 s."""
    again = {"intended": 0, "submit": 0, "started": 0, "finished": 329, "completed": 329}
    again |= {"restarted": 309 * SECOND}
    jobs = frame(again, again | {"finished": 5})
    # The second one's last instruction is that of the run that was given up.
    assert bounded_slowdown(jobs).seconds.tolist() == [329 / 20, 1.0]
    runs = frame(again | {"finished": None, "state": "UNFINISHED"})
    # It runs since 309 s, and was to run for 20 s.
    found = bounded_slowdown(runs.assign(runtime_requested=20.0), end=349.0)
    assert (found.seconds.tolist(), found.open.tolist()) == ([349 / 40], [True])


def test_a_job_whose_run_was_given_up_holds_no_cores_until_it_runs_again() -> None:
    """An urgent job has the one of two cores that a run gave up, and the other one is idle."""
    again = {"intended": 0, "submit": 0, "accepted": 0, "started": 0, "finished": 30}
    again |= {"completed": 30, "restarted": 20 * SECOND, "restarts": [20 * SECOND]}
    again |= {"given_up": [5 * SECOND], "given_up_node": [None]}
    urgent = {"intended": 5, "submit": 5, "accepted": 5, "started": 5, "finished": 20}
    # It waits for a core from 5 s to 20 s while one is idle. Before and after that nobody waits.
    jobs = frame(again, urgent | {"completed": 20})
    assert fragmentation(jobs, 2) == pytest.approx(15 / 60)
    # On a machine of one core nothing is idle then.
    assert fragmentation(jobs, 1) == 0
    # Given up twice, and never started again: it waits to the end.
    gone = again | {"completed": None, "finished": None, "state": "UNFINISHED"}
    gone |= {"given_up": [5 * SECOND, 25 * SECOND], "given_up_node": [None, None]}
    jobs = frame(gone, urgent | {"completed": 20})
    assert fragmentation(jobs, 2, end=40.0) == pytest.approx((15 + 2 * 15) / 80)
