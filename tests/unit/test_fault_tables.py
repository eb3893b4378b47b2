"""What the tables say of a trial in which something broke, from SYNTHETIC records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import flux_factory as flux
import pytest
from job_factory import frame
from kubernetes_factory import audit, bound, created, ended
from simulated_cluster import SECOND
from trial_factory import make_experiment, make_trial

from schedlab.config.trials import TrialKey
from schedlab.metrics.costs import daemon_failures
from schedlab.metrics.faults import NAMES, fault_metrics
from schedlab.metrics.quantities import BREAKING
from schedlab.report.results_section import table_where_told
from schedlab.results.records import write_json
from schedlab.schedulers.base import DUPLICATED
from schedlab.schedulers.flux import records as flux_records
from schedlab.schedulers.kubernetes import records as kubernetes_records
from schedlab.schedulers.kubernetes.records import BATCH
from schedlab.schedulers.rows import NativeJob, collect
from schedlab.schedulers.slurm import records as slurm_records
from schedlab.tables.build import build_tables, load_tables
from schedlab.tables.clocks import NodeClock
from schedlab.tables.schemas import FAILED, UNKNOWN
from schedlab.tables.trial_rows import read_trial
from schedlab.tables.validity import instants_in_order
from schedlab.workloads import Job, Machine, Trace

START = 1_000 * SECOND
"""The trial's start, ns of the controller's clock."""
TRACE = Trace("w", "burst", 1, Machine(2, 1), (Job(0, 0.0, 1, 1, 1.0),))


def moment(start: float, end: float | None = None) -> dict[str, int]:
    """What was done from one instant to another, s since the trial's start."""
    last = start if end is None else end
    return {"start_ns": START + round(start * SECOND), "end_ns": START + round(last * SECOND)}


def fault(kind: str, begin: float, end: float | None, node: str = "compute1") -> dict[str, Any]:
    """A fault as the trial's record has it; without an end it lasted beyond the workload's."""
    return {
        "kind": kind,
        "node": "" if kind == "restart" else node,
        "begin": moment(begin, begin + 0.5),
        "end": moment(999.0 if end is None else end),
        "within": end is not None,
    }


def ran(
    node: str, started: float, completed: float | None, lost: str | None = None, **more: float
) -> dict[str, Any]:
    """A job that had a node from its allocation, 0.1 s before its start, on."""
    extra: dict[str, Any] = {name: round(seconds * SECOND) for name, seconds in more.items()}
    if "interrupted" in extra:
        extra |= {"given_up": [extra["interrupted"]], "given_up_node": [lost]}
    if "restarted" in extra:
        extra["restarts"] = [extra["restarted"]]
    return {
        "placement": [node],
        "allocated": started - 0.1,
        "started": started,
        "finished": completed,
        "completed": completed,
        "lost_node": lost,
        **extra,
    }


def measured(what: dict[str, Any], *rows: dict[str, Any]) -> dict[str, Any]:
    return fault_metrics(frame(*rows), TRACE, what, START)


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


def stamp(event: str, second: float, node: str) -> dict[str, Any]:
    return {"event": event, "job": 0, "rank": 0, "clock_ns": round(second * SECOND), "node": node}


class Told:
    """A scheduler whose record says of a job at most when it gave up a run of it."""

    def __init__(self, gave_up: float | None = None) -> None:
        self.job = NativeJob(state="COMPLETED")
        if gave_up is not None:
            self.job.gave_up(round(gave_up * SECOND), "log (1 ms)")

    def native_jobs(self, *_: Any) -> dict[str, Any]:
        return {"7": self.job}


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


def test_daemons_that_the_trial_restarted_did_not_fail_unless_they_stay_dead() -> None:
    before = {name: {"processes": 1.0, "starts": 1.0} for name in ("ctld", "auth", "api")}
    after = {
        "ctld": {"processes": 1.0, "starts": 2.0},
        "auth": {"processes": 1.0, "starts": 2.0},
        "api": {"processes": 0.0, "starts": 1.0},
    }
    assert daemon_failures(before, after, before, ("ctld", "api")) == [
        "auth was started again during the trial", "api died during the trial",
    ]  # fmt: skip


def broken(root: Path, kind: str, restarts: list[str], repetition: int = 1) -> Path:
    """A synthetic trial beside whose workload a fault came 1 s after its start."""
    work = {"name": "w", "kind": "burst", "jobs": 24, "runtime": 1.0}
    work["fault"] = {"kind": kind, "at": 1.0, "lasts": 1.0}
    experiment = make_experiment(workloads=[work])
    folder = make_trial(root, TrialKey("slurm-n2", "w", repetition), experiment)
    path = folder / "record.json"
    record = json.loads(path.read_text())
    conditions = record["conditions"]
    start = conditions["start_ns"]
    plan = json.loads((folder / "trace.json").read_text())["scale"]["fault"]
    conditions["fault"] = {
        "kind": kind,
        "node": plan["node"],
        "restarts": restarts,
        "begin": {"start_ns": start + SECOND, "end_ns": start + SECOND},
        "end": {"start_ns": start + 2 * SECOND, "end_ns": start + 2 * SECOND},
        "within": True,
    }
    for at, starts in (("start", 1.0), ("end", 2.0)):
        conditions["daemon_cost"][at]["head"]["slurmctld"] |= {"processes": 1.0, "starts": starts}
    write_json(path, record)
    return folder


def test_a_restart_that_the_trial_provoked_leaves_it_valid_and_withholds_costs(
    tmp_path: Path,
) -> None:
    folder = broken(tmp_path, "restart", ["slurmctld"])
    trial = read_trial(folder).trial
    assert trial["valid"], trial["reasons"]
    assert (trial["fault"], trial["fault_node"], trial["daemons"]) == ("restart", None, [])
    assert trial["fault_begin_s"] == pytest.approx(1.0)
    assert trial["fault_next_start_s"] > 0
    assert trial["scheduler_cpu_s"] is None and "scheduler_cpu_s" in trial["withheld"]


def test_a_restart_that_it_did_not_provoke_is_told_as_before(tmp_path: Path) -> None:
    trial = read_trial(broken(tmp_path, "drain", [])).trial
    assert trial["daemons"] == ["slurmctld was started again during the trial"]
    assert trial["fault_node"] in {"compute1", "compute2"}
    assert trial["scheduler_cpu_s"] is not None


@pytest.mark.parametrize("lost_one", [True, False])
def test_only_the_node_that_was_cut_off_may_lack_samples(lost_one: bool, tmp_path: Path) -> None:
    folder = broken(tmp_path, "fail", [])
    record = json.loads((folder / "record.json").read_text())
    cut_off = record["conditions"]["fault"]["node"]
    other = "compute2" if cut_off == "compute1" else "compute1"
    record["conditions"]["scraped"][f"node/{cut_off if lost_one else other}"] = 0.0
    write_json(folder / "record.json", record)
    checks = {check["name"]: check for check in read_trial(folder).trial["checks"]}
    assert (checks["part of samples missing"]["verdict"] == FAILED) is not lost_one


def test_the_report_has_a_table_of_what_broke(tmp_path: Path) -> None:
    folders = [broken(tmp_path, "restart", ["slurmctld"], number) for number in (1, 2, 3)]
    build_tables(folders, tmp_path / "tables")
    trials = load_tables(tmp_path / "tables").trials
    found = table_where_told(trials, BREAKING)
    titles = [column["title"] for column in found["columns"]]
    assert titles == ["Next start after a restart", "Jobs whose run was given up",
                      "Jobs that ran again"]  # fmt: skip
    (row,) = found["rows"]
    assert row["workload"] == "w" and row["values"][0]["n"] == 3
