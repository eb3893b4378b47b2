"""The Slurm adapter: translation, and canonical rows from Slurm 24.11's records."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.samples import Sample

from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.schedulers.hosts import expand_host_list
from schedlab.schedulers.slurm import records
from schedlab.schedulers.slurm.records import clock_ns, key_values, sdiag
from schedlab.workloads import Job, Machine, Trace

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
    found = SLURM.collect(native, stamps, [{"job": job} for job in range(9)], driver)
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
    states = [row["state"] for row in SLURM.collect(native, [], translations)]
    assert states == ["COMPLETED", "TIMEOUT", "NOT_SUBMITTED"]


def test_rows_without_any_record(tmp_path: Path) -> None:
    (row,) = SLURM.collect(tmp_path / "native", [], [{"job": 0}])
    assert row["state"] == "NOT_SUBMITTED"
    assert all(row[name] is None for name in TIMESTAMPS)


def test_completion_pattern_takes_each_end_once() -> None:
    pattern = re.compile(SLURM.completion()["pattern"])
    ended = [m.group(1) for line in LOG.splitlines() if (m := pattern.search(line))]
    assert ended == ["3", "4", "5", "6", "7"]


def translate(way: str = "cli", **fields: Any) -> Any:
    job = Job(**({"job": 0, "arrival": 0.5, "nodes": 1, "cpus": 2, "runtime": 1.0} | fields))
    return get_scheduler("slurm", {"submission": way}).translate(
        job, Trace("w", "gang", 1, Machine(4, 2), (job,))
    )


def test_one_node_job_is_the_payload_itself() -> None:
    done = translate(walltime=61.0, user="u7")
    assert done.argv[:2] == ["sbatch", "--parsable"]
    for option in ("--nodes=1", "--cpus-per-task=2", "--time=2", "--no-requeue", "--job-name=job0"):
        assert option in done.argv
    assert "--comment=user=u7" in done.argv
    assert done.stdin == (
        "#!/bin/sh\nexec /usr/local/bin/schedlab-payload /var/lib/schedlab/stamps.txt"
        " 0 0 1.000000 sleep\n"
    )


def test_gang_runs_one_rank_a_node() -> None:
    done = translate(nodes=3, runtime=0.0)
    assert "--nodes=3" in done.argv
    assert "srun --nodes=3 --ntasks-per-node=1 --cpus-per-task=2 " in done.stdin
    assert '0 "$SLURM_PROCID" 0.000000 sleep\'' in done.stdin


@pytest.mark.parametrize(
    "fields", [{}, {"nodes": 3, "cpus": 1}, {"walltime": 61.0, "user": "u7"}, {"priority": -1}]
)
def test_the_api_is_asked_for_the_job_that_sbatch_is_asked_for(fields: dict[str, Any]) -> None:
    """Options are compared one by one; a real Slurm showed the same job for both ways."""
    by_command, by_request = translate(**fields), translate("api", **fields)
    assert (by_request.argv, by_command.request) == ([], None)
    assert by_request.request["path"] == "/slurm/{version}/job/submit"
    job = by_request.request["body"]["job"]
    options = dict(word[2:].partition("=")[::2] for word in by_command.argv[1:])
    assert job["script"] == by_command.stdin
    assert job["minimum_nodes"] == job["maximum_nodes"] == int(options["nodes"])
    assert job["tasks_per_node"] == int(options["ntasks-per-node"])
    assert job["cpus_per_task"] == int(options["cpus-per-task"])
    assert job["time_limit"] == {"set": True, "number": int(options["time"])}
    assert (job["requeue"], options["no-requeue"]) == (False, "")
    for key, option in (("name", "job-name"), ("comment", "comment"),
                        ("current_working_directory", "chdir"), ("standard_input", "input"),
                        ("standard_output", "output"), ("standard_error", "error")):  # fmt: skip
        assert job[key] == options[option]
    assert SLURM.read_back(asdict(by_command)) == SLURM.read_back(asdict(by_request))


def test_the_way_of_submission_is_the_adapters_and_reaches_no_slurm_conf(tmp_path: Path) -> None:
    default, other = get_scheduler("slurm"), get_scheduler("slurm", {"submission": "cli"})
    assert default.plan_extra()["api"]["url"].startswith("unix:")
    assert other.plan_extra() == {}
    for adapter, way in ((default, "api"), (other, "cli")):
        variables = adapter.variables(adapter.in_force)
        assert variables["slurm_submission"] == way
        assert "submission" not in variables["slurm_settings"]
    assert [p.key for p in default.settings_problems({"submission": "rest"})] == ["submission"]
    assert not default.settings_problems({"Submission": "cli"})


@pytest.mark.parametrize(
    ("record", "said"),
    [("v0.0.42\n", "slurmrestd's API v0.0.42"), ("cli\n", "sbatch"), ("", "sbatch")],
)
def test_the_manifest_says_how_jobs_were_submitted(tmp_path: Path, record: str, said: str) -> None:
    (tmp_path / "submission.txt").write_text(record)
    assert said in SLURM.parity(tmp_path)["submission"]
    assert SLURM.settings(tmp_path).get("submission", "") == record.strip()


def test_no_unit_in_which_jobs_run_counts_as_a_daemons_cost() -> None:
    """Slurm's use of control groups is off, so its jobs run in slurmd's group."""
    units = SLURM.cost_units()
    assert set(units["head"]) == {"slurmctld", "munge", "slurmrestd"}
    assert set(units["compute"]) == {"munge"}
    assert SLURM.client == ("slurmrestd",)


def test_a_priority_is_a_partition_that_the_role_writes() -> None:
    """The tier of a partition orders jobs; one without priority is in the default partition."""
    variables = SLURM.variables(SLURM.in_force)
    tiers = {entry["name"]: entry["tier"] for entry in variables["slurm_partitions"]}
    assert tiers["low"] < tiers["main"] < tiers["urgent"]
    assert "--partition=urgent" in translate(priority=1).argv
    assert translate("api", priority=-1).request["body"]["job"]["partition"] == "low"
    assert "partition" not in translate("api").request["body"]["job"]
    (problem,) = SLURM.cannot(trace_of(Job(0, 0.0, 1, 1, 0.0, priority=3)))
    assert "only -1 to 1" in problem.what
    with pytest.raises(SchedlabError, match="priority"):
        SLURM.submissions(trace_of(Job(0, 0.0, 1, 1, 0.0, priority=3)))


def trace_of(*jobs: Job) -> Trace:
    return Trace("w", "gang", 1, Machine(4, 2), jobs)


ARRAY = [Job(number, 0.0, 1, 1, 1.0, array=0 if number else None) for number in range(4)]


@pytest.mark.parametrize("way", ["api", "cli"])
def test_an_array_is_one_submission_whose_tasks_have_their_own_numbers(way: str) -> None:
    single, array = get_scheduler("slurm", {"submission": way}).submissions(trace_of(*ARRAY))
    assert (single.jobs, array.jobs) == ([], [1, 2, 3])
    script = array.stdin or (array.request or {"body": {"job": {}}})["body"]["job"].get("script")
    assert "stamps.txt $((1+SLURM_ARRAY_TASK_ID)) 0 1.000000 sleep" in script
    if way == "cli":
        assert "--array=0-2" in array.argv
    else:
        assert array.request is not None and array.request["body"]["job"]["array"] == "0-2"


def test_an_array_that_slurm_does_not_take_is_refused_with_the_setting() -> None:
    trace = trace_of(*(Job(number, 0.0, 1, 1, 0.0, array=0) for number in range(1001)))
    (problem,) = SLURM.cannot(trace)
    assert (problem.key, problem.value) == ("array", 1001)
    assert "settings.slurm.MaxArraySize to 1002" in problem.remedy
    # Keys of slurm.conf ignore case; Slurm itself refuses what is no number.
    for settings in ({"MaxArraySize": "1002"}, {"maxarraysize": "1002"}, {"MaxArraySize": "x"}):
        assert not list(get_scheduler("slurm", settings).cannot(trace))


def jobs_refused(*jobs: Job, **settings: str) -> list[str]:
    found = get_scheduler("slurm", settings).cannot(trace_of(*jobs))
    return [f"{one.key} {one.value}: {one.remedy}" for one in found]


def test_more_jobs_than_slurm_takes_are_refused_with_the_setting() -> None:
    jobs = [Job(number, 0.0, 1, 1, 0.0) for number in range(10_000)]
    assert jobs_refused(*jobs[:9_999]) == []
    (told,) = jobs_refused(*jobs)
    assert told.startswith("jobs 10000: set settings.slurm.MaxJobCount to 10001 or more")
    assert jobs_refused(*jobs, maxjobcount="10001") == []
    # Finished jobs are forgotten after MinJobAge, unless it is 0.
    apart = [Job(number, number * 1.0, 1, 1, 0.0) for number in range(10_000)]
    assert jobs_refused(*apart) == [] != jobs_refused(*apart, MinJobAge="0")
    waiting = [Job(number, 0.0, 4, 2, 9.0, background=True) for number in range(10_001)]
    (told,) = jobs_refused(*waiting, Job(10_001, 1.0, 1, 1, 0.0))
    assert told.startswith("background.pending 10002: ")


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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("compute1", ["compute1"]),
        ("compute[1-3,7]", ["compute1", "compute2", "compute3", "compute7"]),
        ("n[08-10],head", ["n08", "n09", "n10", "head"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("(null)", []),
        ("", []),
    ],
)
def test_host_lists(text: str, names: list[str]) -> None:
    assert expand_host_list(text) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n[1-99999999]", "more than 10000 members"),
        ("n[1-1000][1-1000]", "more than 10 members"),
        ("n[1-6000],m[1-6000]", "more than 4000 members"),
        ("n[1-1024]" + "x" * 300, "a name is longer than 255"),
        ("n," * 20000 + "n", "more than 10000 names"),
        ("n[1-3", "a bracket is not closed"),
        ("n1]", "a bracket is not closed"),
        ("n[]", "not of the form"),
        ("n[3-1]", "not of the form"),
        ("n[a]", "not of the form"),
        ("n[0-8/2]", "not of the form"),
        ("n[1-2-3-4-5]", "not of the form"),
        ("a,,b", "a name is empty"),
    ],
)
def test_damaged_and_hostile_host_lists_are_refused(text: str, why: str) -> None:
    with pytest.raises(SchedlabError, match=why) as caught:
        expand_host_list(text)
    assert "damaged" in str(caught.value.remedy)
    assert len(caught.value.message) < 250


def test_log_time_is_exact() -> None:
    assert clock_ns("2026-03-20T09:46:40.001") == BASE + 1_000_000


def test_settings_are_what_was_in_force(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text(
        "# x\nClusterName=c\nSchedulerType=sched/builtin # why\nReturnToService=2\n"
        "NodeName=compute1 CPUs=2\nPartitionName=debug Nodes=ALL\n"
    )
    assert SLURM.settings(tmp_path) == {
        "ReturnToService": "2",
        "SchedulerType": "sched/builtin",
    }
    (tmp_path / "scontrol-config.txt").write_text(
        "Configuration data as of 2026-03-20T09:46:40\nSchedulerType           = sched/backfill\n"
        "SLURM_VERSION           = 24.11.5\nReturnToService         = 2\nFoo = bar\n"
        "\nCgroup Support Configuration:\nAllowedRAMSpace = 100.0%\n"
    )
    assert SLURM.settings(tmp_path) == {
        "ReturnToService": "2",
        "SLURM_VERSION": "24.11.5",
        "SchedulerType": "sched/backfill",
    }
    assert key_values("") == {}


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


def test_unknown_scheduler() -> None:
    with pytest.raises(SchedlabError, match="not registered"):
        get_scheduler("pbs")


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
