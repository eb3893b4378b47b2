"""Metrics on examples worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from job_factory import THREE, frame
from simulated_cluster import SECOND

from schedlab.metrics import costs as of_costs
from schedlab.metrics import jobs as of_jobs
from schedlab.metrics import machine as of_machine
from schedlab.metrics.definitions import ideal_bounds, jain


def test_a_wait_begins_when_the_job_was_due() -> None:
    jobs = frame(*THREE)
    parts = of_jobs.durations(jobs)
    # Job 1 was due at 0 and submitted at 0.5: the driver's lateness is in its wait.
    assert parts["lateness"].tolist() == [0.0, 0.5, 0.0]
    assert parts["wait"].tolist() == [1.0, 4.0, 6.0]
    assert parts["turnaround"].tolist() == [3.0, 6.0, 7.0]
    assert parts["launch"].tolist() == [0.5, 0.5, 0.5]
    assert parts["completion"].tolist() == [0.5, 0.5, 0.5]
    assert of_jobs.makespan(jobs) == (8.0, False)


def test_throughput_is_over_completed_jobs_in_the_window_of_all() -> None:
    assert of_jobs.throughput(frame(*THREE)) == pytest.approx(3 / 8.5)
    # The slowest job failed: the window still ends with it.
    failed = frame(*THREE[:2], THREE[2] | {"state": "FAILED"})
    assert of_jobs.throughput(failed, 9.0) == pytest.approx(2 / 8.5)
    # It was lost: the window ends with the trial.
    lost = frame(*THREE[:2], THREE[2] | {"state": "LOST", "completed": None})
    assert of_jobs.throughput(lost, 60.0) == pytest.approx(2 / 60)
    nothing = frame({"submit": 0.0, "state": "REJECTED"})
    assert of_jobs.throughput(nothing) is None
    assert of_jobs.throughput(nothing, 10.0) == 0.0


def test_a_job_without_an_end_is_busy_to_the_end_of_the_trial() -> None:
    rows = [{"submit": 0.0, "completed": second + 0.5} for second in range(4)]
    lost = frame(*rows, {"submit": 0.0, "state": "LOST"})
    assert of_jobs.throughput_busy(lost, end=40.0) == 0.0
    # A refused job leaves the system at once.
    refused = frame(*rows, {"submit": 0.0, "state": "REJECTED"})
    assert of_jobs.throughput_busy(refused, end=40.0) == 1.0


def test_most_submissions_at_one_time() -> None:
    assert of_jobs.concurrency([0, 1, 2], [3, 2, 4]) == 2
    assert of_jobs.concurrency([0, 1, 1], [3, 2, 4]) == 3
    assert of_jobs.concurrency([], []) == 0


def test_median_rate_ignores_the_idle_tail() -> None:
    # Four completions, one a second, then a gap of 95 s and one more: the mean rate is misleading.
    rows = [{"submit": 0.0, "completed": second + 0.5} for second in range(4)]
    rows.append({"submit": 99.0, "completed": 99.5})
    jobs = frame(*rows)
    assert of_jobs.throughput(jobs) == pytest.approx(5 / 99.5)
    assert of_jobs.throughput_busy(jobs) == 1.0


def test_bounded_slowdown_by_hand() -> None:
    jobs = frame(*THREE)
    # (wait + r) / max(r, 2): 3/2, 6/2, 7/2
    assert of_jobs.bounded_slowdown(jobs, 2.0).seconds.tolist() == [1.5, 3.0, 3.5]
    # With the usual 10 s all are below 1, so 1.
    assert of_jobs.bounded_slowdown(jobs).seconds.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="positive"):
        of_jobs.bounded_slowdown(jobs, 0)


def test_fairness() -> None:
    assert jain([1.0, 1.0, 1.0]) == 1.0
    assert jain([1.0, 0.0, 0.0]) == pytest.approx(1 / 3)
    assert jain([]) is None
    # Users' means with threshold 2: u1 (1.5 + 3.5) / 2 = 2.5, u2 3.
    expected = (2.5 + 3.0) ** 2 / (2 * (2.5**2 + 3.0**2))
    assert of_jobs.fairness(frame(*THREE), 2.0) == pytest.approx(expected)
    assert of_jobs.fairness(frame(THREE[0]), 2.0) is None
    assert of_jobs.maximum_wait_by_size(frame(*THREE)).to_dict() == {1: 6.0, 2: 4.0}
    # A bound of one job's slowdown does not give a bound of the index.
    unfinished = frame(*THREE[:2], THREE[2] | {"state": "UNFINISHED", "finished": None})
    assert of_jobs.fairness(unfinished, 2.0, 60.0) is None


def test_every_job_has_one_fate() -> None:
    states = ["COMPLETED", "FAILED", "TIMEOUT", "REJECTED", "LOST", "DUPLICATED", "UNFINISHED",
              "NOT_SUBMITTED", "CANCELLED"]  # fmt: skip
    counts = of_jobs.failures(frame(*({"state": state} for state in states)))
    assert counts.pop("jobs") == len(states)
    assert counts == {"completed": 1, "rejected": 1, "lost": 1, "duplicated": 1, "unfinished": 1,
                      "not_submitted": 1, "failed": 3}  # fmt: skip


def test_skew_of_gangs_only() -> None:
    jobs = frame({"ranks": 1, "launch_skew_ns": 0}, {"ranks": 2, "launch_skew_ns": SECOND // 2})
    assert of_jobs.launch_skew(jobs).tolist() == [0.5]


def test_ranks_that_ran_one_after_the_other_are_busy_each_for_itself() -> None:
    # Without gangs: both ranks of a job on the same 2 cores, 28 s apart.
    ranks = {"rank_started": [2 * SECOND, 30 * SECOND], "rank_finished": [3 * SECOND, 32 * SECOND]}
    jobs = frame({"submit": 0, "started": 2, "finished": 32, "nodes": 2, "cpus": 2, **ranks})
    # (1 s + 2 s) x 2 cores of 4 x 32, not the 30 s x 4 from the first instruction to the last.
    assert of_machine.utilisation(jobs, 4).value == pytest.approx(6 / 128)
    steps = of_machine.busy_cores(jobs)
    assert steps["t"].tolist() == [2, 3, 30, 32]
    assert steps["cores"].tolist() == [2, 0, 2, 0]


def test_submission_rate() -> None:
    assert of_jobs.submission_rate(frame(*THREE)) == pytest.approx(3 / 1.25)


def test_utilisation_by_hand() -> None:
    jobs = frame(*THREE)
    # 1 x 2 s + 2 x 2 s + 1 x 1 s = 7 core seconds of 2 x 8.
    assert of_machine.utilisation(jobs, 2).value == pytest.approx(7 / 16)
    # 10 % of the starts (1, 4, 7): 1.6 s, 90 %: 6.4 s; 1.4 + 4 of 2 x 4.8.
    assert of_machine.utilisation_steady(jobs, 2).value == pytest.approx(5.4 / 9.6)
    steps = of_machine.busy_cores(jobs)
    assert steps["t"].tolist() == [1, 3, 4, 6, 7, 8]
    assert steps["cores"].tolist() == [1, 0, 2, 0, 1, 0]


RUNNING = {"intended": 0, "submit": 0.0, "allocated": 0, "started": 0, "state": "UNFINISHED"}


@pytest.mark.parametrize(
    ("second", "end", "busy", "at_least"),
    [
        ({}, 10.0, 8 + 4 + 4, False),  # it runs until the trial's end
        ({"completed": 8, "state": "TIMEOUT"}, 10.0, 8 + 4 + 2, False),
        ({"given_up": [3 * SECOND, 8 * SECOND], "state": "FAILED"}, 10.0, 8 + 4 + 2, False),
        ({"given_up": [3 * SECOND]}, 10.0, 8 + 4 + 4, False),  # that was an earlier run
        ({"state": "LOST"}, 10.0, 8 + 4, True),
        ({}, None, 4, True),
    ],
)
def test_a_rank_without_a_last_stamp_is_busy_until_its_run_was_over(
    second: dict[str, Any], end: float | None, busy: float, at_least: bool
) -> None:
    others = [RUNNING | {"started": 2}, RUNNING | {"started": 6} | second]
    whole = {"intended": 0, "submit": 0.0, "started": 6, "finished": 10, "completed": 10}
    jobs = frame(*others, whole)
    assert of_machine.utilisation(jobs, 4, end).value == pytest.approx(busy / 40)
    assert of_machine.utilisation(jobs, 4, end).at_least is at_least
    # 10 to 90 % of the starts are 2.8 to 6 s: the first job alone.
    steady = of_machine.utilisation_steady(jobs, 4, end)
    assert steady.value == pytest.approx(0.25 if end else 0.0)
    assert steady.at_least is (end is None)


def test_a_machine_that_runs_long_jobs_until_the_limit_is_busy() -> None:
    waits = {"intended": 5, "submit": 5, "accepted": 5, "state": "UNFINISHED"}
    jobs = frame(*(RUNNING | {"started": 0.1 + 0.01 * n} for n in range(4)), *[waits] * 40)
    found = of_machine.utilisation(jobs, 4, 400.0)
    assert found.value == pytest.approx(1.0, abs=0.001) and not found.at_least
    steady = of_machine.utilisation_steady(jobs, 4, 400.0)
    # Between the starts of the first and of the last, by what then runs: 1 to 3 of them.
    assert steady.value == pytest.approx(0.5, abs=0.01)


def test_fragmentation_by_hand() -> None:
    # While job 0 holds one core (0.5..3.5), job 2 of one core waits from 1.25: 2.25 core seconds.
    # Job 1 does not fit the one idle core. Before, from 0.25 to 0.5, job 0 waits on two idle cores
    # (0.5 core seconds). While job 1 holds both cores nothing is idle.
    lost = of_machine.fragmentation(frame(*THREE), 2)
    assert lost == pytest.approx((0.5 + 2.25) / 16)
    assert of_machine.fragmentation(frame(THREE[0]), 1) == pytest.approx(0.25 / 3)
    # Job 2 was cancelled at 2 s: it waits no longer.
    gone = THREE[2] | {"state": "CANCELLED", "completed": 2.0}
    gone |= dict.fromkeys(("allocated", "started", "finished"))
    lost = of_machine.fragmentation(frame(*THREE[:2], gone), 2)
    assert lost == pytest.approx((0.5 + 0.75) / 12)


def test_a_job_that_runs_after_others_leaves_no_cores_idle_before_these_have_ended() -> None:
    first = {"intended": 0, "submit": 0, "accepted": 0, "allocated": 0, "started": 0,
             "finished": 10, "completed": 10}  # fmt: skip
    second = {"intended": 0, "submit": 0, "accepted": 0, "allocated": 12, "started": 12,
              "finished": 20, "completed": 20, "released": 10_000_000_000}  # fmt: skip
    # From 10 to 12 it waits on two idle cores; until then it may not start.
    assert of_machine.fragmentation(frame(first, second), 2) == pytest.approx(4 / 40)
    # One whose predecessor never ended was never due; it is known to the scheduler all the same.
    never = {"submit": 0, "accepted": 0, "state": "UNFINISHED"}
    assert of_machine.fragmentation(frame(first, never), 2, 40.0) == 0


def test_no_scheduler_beats_the_bounds() -> None:
    arrival, cores_of, runtime = (
        np.array([0.0, 0.0, 5.0]),
        np.array([1.0, 2, 1]),
        np.array([2, 2, 1.0]),
    )
    bounds = ideal_bounds(arrival, cores_of, runtime, 2)
    # All: 7 / 2 = 3.5 s from 0; the last alone: 5 + 0.5.
    assert bounds == {"area": 5.5, "critical_path": 6.0, "ideal": 6.0}
    together = ideal_bounds(np.zeros(3), cores_of, runtime, 2)
    assert together == {"area": 3.5, "critical_path": 2.0, "ideal": 3.5}
    assert ideal_bounds(np.array([]), np.array([]), np.array([]), 2)["ideal"] == 0


def test_daemons_cost_from_counters() -> None:
    def cost(cpu: float, peak: float) -> dict[str, float]:
        return {"cpu_seconds": cpu, "rss_bytes": peak / 2, "peak_rss_bytes": peak}

    start = {"head": {"slurmctld": cost(5, 10), "munged": cost(3, 2)}}
    # munged was restarted: its counter began anew.
    end = {"head": {"slurmctld": cost(7.5, 12), "munged": cost(0.5, 2)}}
    costs = of_costs.daemon_costs(start, end)
    assert [(row["process"], row["cpu_s"]) for row in costs] == [
        ("munged", 0.5),
        ("slurmctld", 2.5),
    ]
    total = of_costs.scheduler_cost(costs, 10)
    assert total == {"cpu_s": 3.0, "cpu_per_job_s": 0.3, "peak_rss_bytes": 14.0}
    assert of_costs.scheduler_cost([], 10)["cpu_s"] is None


def test_nothing_known_is_none_and_not_zero() -> None:
    jobs = frame({"state": "NOT_SUBMITTED"})
    assert of_jobs.makespan(jobs).value is None
    assert of_jobs.throughput(jobs) is None
    assert of_jobs.throughput_busy(jobs) is None
    assert of_machine.utilisation(jobs, 2).value is None
    assert of_machine.fragmentation(jobs, 2) is None


def test_a_daemon_that_did_not_live_through_a_trial_is_named() -> None:
    start = {name: {"processes": 1, "starts": 1} for name in ("etcd", "kube-apiserver", "munged")}
    end = start | {
        "etcd": {"processes": 0, "starts": 1},
        "kube-apiserver": {"processes": 1, "starts": 2},
    }
    assert of_costs.daemon_failures(start, end, ["etcd", "kube-apiserver", "munged"]) == [
        "etcd died during the trial",
        "kube-apiserver was started again during the trial",
    ]
    assert of_costs.daemon_failures(start, start, start) == []
