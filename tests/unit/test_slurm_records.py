"""Slurm's records: instants and states from its log, scontrol and the payload's stamps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.samples import Sample

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.schedulers.rows import collect
from schedlab.schedulers.slurm import records
from schedlab.schedulers.slurm.records import clock_ns, sdiag

SLURM = get_scheduler("slurm")
BASE = 1_774_000_000_000_000_000  # 2026-03-20T09:46:40 UTC

LOG = """\
[2026-03-20T09:46:39.000] sched: _slurm_rpc_allocate_resources JobId=2 NodeList=compute[1-2] usec=1
[2026-03-20T09:46:40.120] _slurm_rpc_submit_batch_job: JobId=3 InitPrio=4294901757 usec=812
[2026-03-20T09:46:40.170] _slurm_rpc_submit_batch_job: JobId=4 InitPrio=4294901756 usec=633
[2026-03-20T09:46:40.220] sched: Allocate JobId=3 NodeList=compute1 #CPUs=1 Partition=debug
[2026-03-20T09:46:40.300] _slurm_rpc_submit_batch_job: JobId=5 InitPrio=4294901755 usec=633
[2026-03-20T09:46:40.310] _slurm_rpc_submit_batch_job: JobId=6 InitPrio=4294901754 usec=633
[2026-03-20T09:46:40.320] _slurm_rpc_submit_batch_job: JobId=7 InitPrio=4294901753 usec=633
[2026-03-20T09:46:40.330] _slurm_rpc_submit_batch_job: JobId=8 InitPrio=4294901752 usec=633
[2026-03-20T09:46:41.400] _job_complete: JobId=3 WEXITSTATUS 0
[2026-03-20T09:46:41.401] _job_complete: JobId=3 done
[2026-03-20T09:46:41.500] sched/backfill: _start_job: Started JobId=4 in debug on compute[1-2]
[2026-03-20T09:46:42.600] _job_complete: JobId=4 WEXITSTATUS 7
[2026-03-20T09:46:42.601] _job_complete: JobId=4 done
[2026-03-20T09:46:42.700] sched: Allocate JobId=5 NodeList=compute2 #CPUs=2 Partition=debug
[2026-03-20T09:46:43.000] _job_complete: JobId=5 WTERMSIG 9
[2026-03-20T09:46:43.001] _job_complete: JobId=5 done
[2026-03-20T09:46:43.100] sched: Allocate JobId=6 NodeList=compute2 #CPUs=1 Partition=debug
[2026-03-20T09:47:43.100] Time limit exhausted for JobId=6
[2026-03-20T09:47:43.200] _slurm_rpc_kill_job: REQUEST_KILL_JOB JobId=7 uid 0
[2026-03-20T09:47:44.000] error: Nodes compute1 not responding
"""

SCONTROL = (
    "JobId=3 JobName=job0 UserId=bench(2000) JobState=COMPLETED Reason=None ExitCode=0:0"
    " NodeList=compute1 BatchHost=compute1 NumNodes=1 NumCPUs=1 NumTasks=1 Comment=user=u1\n"
    "JobId=5 JobName=job2 JobState=FAILED Reason=RaisedSignal:9(Killed) ExitCode=0:9"
    " NodeList=compute2 NumNodes=1 NumCPUs=2 NumTasks=1\n"
    "JobId=8 JobName=job5 JobState=PENDING Reason=Resources ExitCode=0:0"
    " NodeList= NumNodes=1-1 NumCPUs=1 NumTasks=1\n"
)


def at(seconds: float) -> int:
    return BASE + round(seconds * 1e9)


def submission(job: int, native: str | None, code: int | None = 0) -> dict[str, Any]:
    return {
        "job": job,
        "intended_ns": at(0),
        "submit_ns": at(0.05 + 0.01 * job),
        "accepted_ns": at(0.2 + 0.01 * job),
        "native_id": native,
        "returncode": code,
        "stderr": "" if code == 0 else "sbatch: error: Batch job submission failed",
    }


def stamp(node: str, event: str, job: int, rank: int, seconds: float) -> dict[str, Any]:
    return {
        "node": node, "event": event, "job": job, "rank": rank, "clock_ns": at(seconds), "cpus": 1
    }  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> dict[int, dict[str, Any]]:
    """Canonical rows of nine jobs, one of each fate."""
    native = tmp_path / "native"
    native.mkdir()
    (native / "slurmctld.log").write_text(LOG)
    (native / "scontrol-jobs.txt").write_text(SCONTROL)
    driver = [submission(job, str(job + 3)) for job in range(6)]
    driver += [submission(6, None, 1), submission(7, "99")]
    stamps = [
        stamp("compute1", "first", 0, 0, 0.35),
        stamp("compute1", "last", 0, 0, 1.35),
        stamp("compute1", "first", 1, 0, 1.61),
        stamp("compute2", "first", 1, 1, 1.66),
        stamp("compute1", "last", 1, 0, 2.50),
        stamp("compute2", "last", 1, 1, 2.55),
        stamp("compute2", "first", 2, 0, 2.80),
        stamp("compute2", "first", 3, 0, 3.20),
        stamp("compute2", "first", 3, 0, 9.20),
    ]
    found = collect(SLURM, native, stamps, [{"job": job} for job in range(9)], driver)
    return {row["job"]: row for row in found}


def test_completed_job_has_every_instant_and_its_source(rows: dict[int, dict[str, Any]]) -> None:
    row = rows[0]
    assert [row[name] - BASE for name in TIMESTAMPS] == [
        0,
        50_000_000,
        120_000_000,
        220_000_000,
        350_000_000,
        1_350_000_000,
        1_401_000_000,
    ]
    assert all(row[f"{name}_source"] for name in TIMESTAMPS)
    assert "slurmctld.log" in row["accepted_source"]
    assert (row["state"], row["exit_code"], row["placement"]) == ("COMPLETED", 0, ["compute1"])
    assert (row["nodes"], row["cpus"], row["ranks"], row["launch_skew_ns"]) == (1, 1, 1, 0)


def test_gang_started_by_backfill(rows: dict[int, dict[str, Any]]) -> None:
    row = rows[1]
    assert row["allocated"] == at(1.5)
    assert "backfill" in row["allocated_source"]
    assert row["placement"] == ["compute1", "compute2"]
    assert (row["ranks"], row["launch_skew_ns"]) == (2, 50_000_000)
    assert (row["started"], row["finished"]) == (at(1.61), at(2.55))
    assert row["rank_started"] == [at(1.61), at(1.66)]
    assert row["rank_finished"] == [at(2.50), at(2.55)]
    # This rank never stamped its end, so its busy time is unknown.
    assert (rows[2]["rank_started"], rows[2]["rank_finished"]) == ([], [])
    assert (row["state"], row["exit_code"]) == ("FAILED", 7)


def test_other_fates(rows: dict[int, dict[str, Any]]) -> None:
    assert (rows[2]["state"], rows[2]["exit_code"]) == ("FAILED", 137)
    assert rows[2]["finished"] is None
    assert rows[2]["finished_source"] is None
    assert (rows[3]["state"], rows[3]["native_state"]) == ("DUPLICATED", "TIMEOUT")
    assert rows[3]["completed"] == at(63.1)
    assert rows[4]["state"] == "CANCELLED"
    assert (rows[5]["state"], rows[5]["native_state"]) == ("UNFINISHED", "PENDING")
    assert (rows[5]["exit_code"], rows[5]["placement"]) == (None, [])
    assert rows[6]["state"] == "REJECTED"
    assert (rows[6]["submit"], rows[6]["accepted"]) == (at(0.11), None)
    assert (rows[7]["state"], rows[7]["native_id"]) == ("LOST", "99")
    assert rows[7]["accepted_source"] == "driver: submission returned (1 ns)"
    assert rows[8]["state"] == "NOT_SUBMITTED"


def test_states_come_from_the_log_where_scontrol_has_forgotten(tmp_path: Path) -> None:
    native = tmp_path / "native"
    native.mkdir()
    (native / "slurmctld.log").write_text(LOG)
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "submissions.jsonl").write_text(
        json.dumps(submission(0, "3")) + "\n" + json.dumps(submission(3, "6")) + '\n{"job": 4,'
    )
    translations = [{"job": 0}, {"job": 3}, {"job": 4}]
    states = [row["state"] for row in collect(SLURM, native, [], translations)]
    assert states == ["COMPLETED", "TIMEOUT", "NOT_SUBMITTED"]


def test_rows_without_any_record(tmp_path: Path) -> None:
    (row,) = collect(SLURM, tmp_path / "native", [], [{"job": 0}])
    assert row["state"] == "NOT_SUBMITTED"
    assert all(row[name] is None for name in TIMESTAMPS)


def test_completion_pattern_takes_each_end_once() -> None:
    pattern = re.compile(SLURM.completion()["pattern"])
    ended = [m.group(1) for line in LOG.splitlines() if (m := pattern.search(line))]
    assert ended == ["3", "4", "5", "6", "7"]


ARRAY_LOG = """\
[2026-01-02T03:04:05.120] _slurm_rpc_submit_batch_job: JobId=9 InitPrio=5 usec=300
[2026-01-02T03:04:05.220] sched: Allocate JobId=9_0(10) NodeList=compute1 #CPUs=1 Partition=main
[2026-01-02T03:04:05.230] sched/backfill: _start_job: Started JobId=9_1(11) in main on compute2
[2026-01-02T03:04:06.400] _job_complete: JobId=9_0(10) WEXITSTATUS 0
[2026-01-02T03:04:06.401] _job_complete: JobId=9_0(10) done
"""
ARRAY_SCONTROL = """\
JobId=10 ArrayJobId=9 ArrayTaskId=0 JobName=job1 JobState=COMPLETED ExitCode=0:0 NodeList=compute1 NumCPUs=1
JobId=11 ArrayJobId=9 ArrayTaskId=1 JobName=job1 JobState=RUNNING NodeList=compute2 NumCPUs=1
JobId=9 ArrayJobId=9 ArrayTaskId=2-3,5%1 JobName=job1 JobState=PENDING NodeList= NumCPUs=1
"""  # noqa: E501


def test_each_task_of_an_array_has_its_own_record() -> None:
    found = records.jobs(ARRAY_LOG, ARRAY_SCONTROL)
    assert [found[f"9_{task}"].state for task in (0, 1, 2, 3, 5)] == [
        "COMPLETED", *["UNFINISHED"] * 4
    ]  # fmt: skip
    accepted = {found[f"9_{task}"].accepted for task in (0, 1, 2, 3, 5)}
    assert accepted == {records.clock_ns("2026-01-02T03:04:05.120")}
    assert found["9_0"].completed == records.clock_ns("2026-01-02T03:04:06.401")
    pattern = re.compile(SLURM.completion()["pattern"])
    ended = [m.group(1) for line in ARRAY_LOG.splitlines() if (m := pattern.search(line))]
    assert ended == ["9_0"]


def test_a_line_of_scontrol_names_no_more_jobs_than_a_trial_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tasks times nodes, and lines times tasks, must not fill the memory."""
    monkeypatch.setattr(records, "MOST_JOBS", 7)
    line = "JobId=9 ArrayJobId={} ArrayTaskId=0-9999999,0-9999999 JobState=RUNNING"
    wide = "\n".join(line.format(job) + " NodeList=n[1-9999]" for job in range(50)) + "\n"
    found = records.jobs("", wide)
    assert len(found) == 7
    assert not any(job.placement for job in found.values()), "several tasks on one line wait"


def test_a_line_that_says_two_things_of_a_job_is_not_read() -> None:
    line = "JobId=7 JobState=FAILED ExitCode=1:0 Comment=user 1 JobState={} NodeList=a\n"
    assert records.jobs("", line.format("COMPLETED")) == {}
    assert records.jobs("", line.format("FAILED"))["7"].state == "FAILED"


def test_log_time_is_exact() -> None:
    assert clock_ns("2026-03-20T09:46:40.001") == BASE + 1_000_000


SDIAG = """\
*******************************************************
sdiag output at Fri Mar 20 09:50:00 2026 (1774000200)
Data since      Fri Mar 20 09:40:00 2026 (1773999600)
*******************************************************
Server thread count:  1
Agent queue size:     0

Jobs submitted: 30
Jobs started:   30

Main schedule statistics (microseconds):
\tLast cycle:   162
\tMax cycle:    3049
\tTotal cycles: 62
\tMean cycle:   315
\tCycles per minute: 6

Main scheduler exit:
\tEnd of job queue:62

Backfilling stats
\tTotal backfilled jobs (since last slurm start): 2
\tTotal cycles: 5
\tLast cycle when: Fri Mar 20 09:49:50 2026 (1774000190)

Remote Procedure Call statistics by message type
\tREQUEST_SUBMIT_BATCH_JOB                ( 4003) count:30     ave_time:1409   total_time:42286

Remote Procedure Call statistics by user
\tbench           (    2000) count:30     ave_time:1409   total_time:42286

Pending RPC statistics
\tNo pending RPCs
"""


def test_sdiag_counters(tmp_path: Path) -> None:
    (tmp_path / "sdiag.txt").write_text(SDIAG)
    counters = SLURM.counters(tmp_path)
    assert counters == sdiag(SDIAG)
    assert counters["jobs_submitted"] == 30
    assert counters["main.mean_cycle"] == 315
    assert counters["main.total_cycles"] == 62
    assert counters["main_exit.end_of_job_queue"] == 62
    assert "backfill.last_cycle_when" not in counters
    assert counters["backfill.total_cycles"] == 5
    assert counters["rpc.REQUEST_SUBMIT_BATCH_JOB.total_time"] == 42286
    assert counters["user.bench.count"] == 30


def test_daemon_cost() -> None:
    samples = [
        Sample("schedlab_process_cpu_seconds_total", {"process": "slurmctld"}, 1.5),
        Sample("schedlab_process_resident_memory_bytes", {"process": "slurmctld"}, 20000000),
        Sample("schedlab_process_cpu_seconds_total", {"process": "sshd"}, 9.0),
        Sample("schedlab_process_threads", {"process": "slurmctld"}, 9.0),
        Sample("node_load1", {}, 1.0),
    ]
    cost = SLURM.daemon_cost(samples)
    assert cost == {"slurmctld": {"cpu_seconds": 1.5, "rss_bytes": 2e7}}
    # As in the records made so far.
    assert json.dumps(cost["slurmctld"]["rss_bytes"]) == "20000000.0"


def test_the_log_of_slurm_26_05_has_a_further_id_of_the_job() -> None:
    # Written by 26.05.5.
    log = """\
[2026-11-26T13:10:50.224] _slurm_rpc_submit_batch_job: JobId=2 SLUID=s481M8BZNV InitPrio=1 usec=9
[2026-11-26T13:10:50.253] sched: Allocate JobId=2 NodeList=compute1 #CPUs=1 Partition=main
[2026-11-26T13:10:51.511] _job_complete: JobId=2 WEXITSTATUS 0
[2026-11-26T13:10:51.550] _job_complete: JobId=2 done
"""
    job = records.jobs(log, "")["2"]
    assert None not in (job.accepted, job.allocated, job.completed)
    assert job.allocated - job.accepted == 29_000_000  # type: ignore[operator]
    assert (job.state, job.exit_code, job.placement) == ("COMPLETED", 0, ["compute1"])
