"""What a fault did to the jobs beside it: losses, detection, next starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_factory import Told, fault, measured, ran, stamp
from simulated_cluster import SECOND

from schedlab.metrics.faults import NAMES
from schedlab.schedulers.rows import collect
from schedlab.schedulers.slurm import records as slurm_records


def test_the_next_start_after_a_restart_counts_from_the_command_that_starts_it() -> None:
    jobs = [ran("compute1", start, start + 5) for start in (1, 8, 19.5, 23, 30)]
    found = measured(fault("restart", 10, 20), *jobs)
    assert found["fault_next_start_s"] == pytest.approx(3.0)
    assert (found["fault_begin_s"], found["fault_end_s"]) == (10.0, 20.0)
    assert (found["interrupted"], found["restarted"], found["fault_hit"]) == (0, 0, None)


def test_only_jobs_that_the_controller_placed_since_its_restart_are_its_next_start() -> None:
    what = fault("restart", 10, 20)
    # Placed before the fault; the launch was still under way when the controller came back.
    early = ran("compute1", 20.5, 30) | {"allocated": 9.5}
    late = ran("compute1", 23, 30)
    assert measured(what, early)["fault_next_start_s"] is None
    assert measured(what, early, late)["fault_next_start_s"] == pytest.approx(3.0)
    # Where no record says when it was placed, its start counts.
    unknown = ran("compute1", 22, 30) | {"allocated": None}
    assert measured(what, early, late, unknown)["fault_next_start_s"] == pytest.approx(2.0)
    # Of a job that ran again only the last run does.
    again = ran("compute1", 20.2, 40, restarted=25) | {"allocated": None}
    assert measured(what, early, again)["fault_next_start_s"] == pytest.approx(5.0)


@pytest.mark.parametrize("end", [20, None])
def test_no_start_after_a_restart_has_no_time(end: float | None) -> None:
    found = measured(fault("restart", 10, end), ran("compute1", 5, 8))
    assert found["fault_next_start_s"] is None


def test_a_lost_node_its_detection_and_what_became_of_its_jobs() -> None:
    found = measured(
        fault("fail", 10, 90),
        ran("compute1", 1, 9),  # had ended
        ran("compute2", 5, 30),  # ran elsewhere
        ran("compute1", 5, 50, "compute1", interrupted=50),  # given up, and did not run again
        # Given up, and ran again on the other node.
        ran("compute2", 6, 80, "compute1", interrupted=52, restarted=60),
        ran("compute1", 7, 95),  # survived the time without the node
        ran("compute1", 93, 99),  # started when the node was back
        # No record says on which of the two nodes it ran again.
        ran("compute1", 9.5, 99, "compute1", interrupted=51, restarted=91)
        | {"placement": ["compute1", "compute2"]},
    )
    assert found["fault_hit"] == 4
    assert found["fault_detection_s"] == pytest.approx(40.0)
    assert found["fault_requeue_s"] == pytest.approx((8.0 + 40.0) / 2)
    assert found["fault_return_s"] == pytest.approx(3.0)
    assert (found["interrupted"], found["restarted"]) == (3, 2)


def test_only_the_loss_of_that_node_is_its_detection() -> None:
    others = [
        ran("compute2", 5, 40, interrupted=12, restarted=30),  # preempted
        ran("compute1", 6, 14, interrupted=14),  # preempted on the node that nobody missed yet
        ran("compute2", 5, 15, "compute2", interrupted=15),  # lost with another node
    ]
    found = measured(fault("fail", 10, None), *others)
    assert (found["fault_hit"], found["fault_detection_s"]) == (1, None)
    assert (found["interrupted"], found["fault_requeue_s"]) == (3, None)
    mine = ran("compute2", 5, 99, "compute1", interrupted=60, restarted=64)
    found = measured(fault("fail", 10, None), *others, mine)
    assert (found["fault_hit"], found["fault_detection_s"]) == (2, pytest.approx(50.0))
    assert found["fault_requeue_s"] == pytest.approx(4.0)


TWICE = """\
[2026-03-20T09:46:40.100] sched: Allocate JobId=3 NodeList=compute2 #CPUs=1 Partition=main
[2026-03-20T09:46:50.000] preempted JobId=3 has been requeued to reclaim resources for JobId=9
[2026-03-20T09:46:51.000] sched: Allocate JobId=3 NodeList=compute1 #CPUs=1 Partition=main
[2026-03-20T09:48:10.000] requeue job JobId=3 due to failure of node compute1
[2026-03-20T09:48:20.000] sched: Allocate JobId=3 NodeList=compute2 #CPUs=1 Partition=main
[2026-03-20T09:49:00.000] preempted JobId=3 has been requeued to reclaim resources for JobId=9
[2026-03-20T09:49:10.000] sched: Allocate JobId=3 NodeList=compute2 #CPUs=1 Partition=main
"""


def test_a_job_that_was_preempted_before_its_node_failed_is_seen(tmp_path: Path) -> None:
    job = slurm_records.jobs(TWICE, "")["3"]
    first = slurm_records.clock_ns("2026-03-20T09:46:50.000")
    assert (job.interrupted, job.lost_node) == (first, None)
    assert [node for _, node in job.given_up] == [None, "compute1", None]
    start = slurm_records.clock_ns("2026-03-20T09:46:40.000")
    told = Told()
    told.job = job
    runs = ((0.2, "compute2"), (11.2, "compute1"), (100.2, "compute2"), (150.2, "compute2"))
    stamps = [stamp("first", second, node) for second, node in runs]
    for one in stamps:
        one["clock_ns"] += start
    driver = [{"job": 0, "native_id": "7", "returncode": 0}]
    (row,) = collect(told, tmp_path, stamps, [{"job": 0}], driver)  # type: ignore[arg-type]
    assert row["restarts"] == [start + round(second * SECOND) for second in (11.2, 100.2, 150.2)]
    for name in ("given_up", "restarts", "rank_open"):
        row[name] = [instant - start for instant in row[name]]
    # It is given up 60 s after the fault's begin, and starts 10.2 s later: not 60.2 s.
    found = measured(
        fault("fail", 30, None),
        row | {"started": 0.2, "restarted": round(150.2 * SECOND), "allocated": None, "nodes": 1,
               "cpus": 1},
    )  # fmt: skip
    assert (found["fault_hit"], found["interrupted"]) == (1, 1)
    assert found["fault_detection_s"] == pytest.approx(60.0)
    assert found["fault_requeue_s"] == pytest.approx(10.2)


def test_what_ran_again_on_a_node_before_it_failed_was_hit() -> None:
    found = measured(
        fault("fail", 30, None),
        ran("compute1", 2, None, interrupted=10, restarted=20),
        ran("compute1", 2, None, interrupted=10),  # waits for its next run
        ran("compute1", 2, None, interrupted=10, restarted=40),
    )
    assert (found["fault_hit"], found["fault_detection_s"]) == (1, None)


def test_a_node_that_did_not_come_back_has_no_return() -> None:
    found = measured(fault("fail", 10, None), ran("compute1", 5, None))
    assert (found["fault_hit"], found["fault_detection_s"]) == (1, None)
    assert (found["fault_end_s"], found["fault_return_s"]) == (None, None)


def test_starts_on_a_drained_node_and_its_first_one_after_the_return() -> None:
    found = measured(
        fault("drain", 10, 40),
        ran("compute1", 5, 30),  # stays
        ran("compute1", 10.3, 30),  # allocated while the command ran
        ran("compute1", 20, 30),  # should not have been given it
        ran("compute2", 25, 30),
        ran("compute2", 41, 45),
        ran("compute1", 44, 50),
    )
    assert found["fault_starts_away"] == 1
    assert found["fault_return_s"] == pytest.approx(4.0)
    assert found["fault_detection_s"] is None


def test_preempted_jobs_are_counted_without_a_fault() -> None:
    found = measured({}, ran("compute1", 1, 9), ran("compute1", 1, 30, interrupted=5, restarted=20))
    assert (found["interrupted"], found["restarted"]) == (1, 1)
    assert all(found[name] is None for name in NAMES)
    assert measured({}, ran("compute1", 1, 9))["interrupted"] is None
