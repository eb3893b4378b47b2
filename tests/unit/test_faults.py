"""Faults beside a workload: their plan, and who is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from config_factory import HOST, load, refusal

from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.workloads import Machine, Trace, read_trace, workload_from
from schedlab.workloads.fault import FaultPlan, fault_of

ROOT = Path(__file__).resolve().parents[2]
TWO = Machine(2, 2)


def traced(fault: dict[str, Any], machine: Machine = TWO, seed: int = 1, **more: Any) -> Trace:
    """Trace of a burst that lasts 60 s on four processors."""
    spec = {"name": "w", "kind": "burst", "jobs": 24, "runtime": 10.0, "fault": fault, **more}
    return workload_from(spec).generate(machine, seed)


def test_a_trace_says_when_and_where_a_fault_comes(tmp_path: Path) -> None:
    trace = traced({"kind": "drain", "at": 5.0, "lasts": 20.0})
    plan = fault_of(trace)
    assert plan is not None
    assert (plan.kind, plan.at, plan.lasts) == ("drain", 5.0, 20.0)
    assert plan.node in {"compute1", "compute2"}
    trace.write(tmp_path / "trace.json")
    assert fault_of(read_trace(tmp_path / "trace.json")) == plan
    assert fault_of(workload_from({"name": "w", "kind": "burst"}).generate(TWO, 1)) is None


def test_the_node_is_the_seeds_choice_and_any_may_be_chosen() -> None:
    fault = {"kind": "fail", "at": 5.0}
    chosen = [fault_of(traced(fault, seed=seed)) for seed in range(20)]
    assert chosen == [fault_of(traced(fault, seed=seed)) for seed in range(20)]
    assert {plan.node for plan in chosen if plan} == {"compute1", "compute2"}


def test_a_restart_has_no_node_and_lasts_no_longer_than_it_takes() -> None:
    assert fault_of(traced({"kind": "restart", "at": 5.0})) == FaultPlan("restart", 5.0, 0.0, "")


def test_a_fault_comes_after_the_background() -> None:
    background = {"filled": "50 %", "settle": 7.0}
    trace = traced({"kind": "restart", "at": 5.0}, background=background)
    assert fault_of(trace) == FaultPlan("restart", 12.0, 0.0, "")


def test_jobs_that_could_never_start_again_are_refused() -> None:
    with pytest.raises(SchedlabError, match=r"wants 1 of 1 compute nodes.*may never start"):
        traced({"kind": "drain", "at": 5.0}, Machine(1, 4))
    assert fault_of(traced({"kind": "drain", "at": 5.0, "lasts": 9.0}, Machine(1, 4)))


def test_only_jobs_that_are_measured_may_start_again() -> None:
    fault = {"kind": "restart", "at": 5.0}
    trace = traced(fault, requeue=True, background={"filled": "50 %"})
    assert {(job.background, job.requeue) for job in trace.jobs} == {(True, False), (False, True)}
    assert "requeue" not in traced(fault).jobs[0].to_dict()


LONG = {"name": "long", "kind": "burst", "jobs": 64, "runtime": 10.0}
"""On 4 processors it takes at least 160 s."""
RESTART = {"kind": "restart", "at": 5.0}
URGENT = {"name": "u", "kind": "priority", "depth": 8, "preempt": True}


def refused(folder: Path, workload: dict[str, Any], **keys: Any) -> str:
    """The one line with which an experiment with this workload is refused."""
    (line,) = refusal(folder, workloads=[workload], **keys)
    return line


@pytest.mark.parametrize("kind", ["restart", "fail", "drain"])
def test_a_scheduler_without_the_notion_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    fault = {"kind": kind, "at": 5.0, "lasts": 9.0}
    line = refused(tmp_path, {**LONG, "fault": fault}, schedulers=["slurm", "nullscheduler"])
    assert f"workloads[0].fault.kind = '{kind}'" in line
    assert "nullscheduler has none" in line
    assert "leave out nullscheduler" in line


@pytest.mark.parametrize(
    ("workload", "keys", "at", "what", "remedy"),
    [
        (
            {**LONG, "fault": {"kind": "restart", "at": 400.0}}, {},
            "workloads[0].fault.at = 400", "the workload may have ended at 160 s", "below 160",
        ),
        (
            {**LONG, "fault": {"kind": "drain", "at": 5.0, "lasts": 1000.0}},
            {"limits": {"trial": 900}},
            "workloads[0].fault.lasts = 1000", "ends 1005 s after", "raise limits.trial",
        ),
        (
            {**LONG, "fault": {"kind": "fail", "at": 5.0, "lasts": 9.0}},
            {"virtual": {"carriers": 1}},
            "workloads[0].fault.kind = 'fail'", "slurm has virtual nodes", "real nodes",
        ),
        (
            {
                **LONG, "jobs": 8, "background": {"filled": "50 %"},
                "fault": {"kind": "fail", "at": 5.0, "lasts": 9.0},
            }, {},
            "workloads[0].fault.kind = 'fail'", "the background's job would end when", "drain",
        ),
        *(
            (
                {**LONG, **more, "fault": {"kind": "fail", "at": 5.0}},
                {"schedulers": [name], "nodes": [2], "head": {"memory": "2 GiB"}},
                "workloads[0].fault.lasts = null",
                f"jobs of {name} on a node that fails neither end nor start again",
                f"give the time after which the node comes back, or leave out {name}",
            )
            for name in ("kubernetes", "volcano")
            for more in ({}, {"requeue": True})
        ),
        (
            {**LONG, "requeue": True}, {"schedulers": ["nullscheduler"]},
            "workloads[0].requeue = true", "starts no job again", "leave out nullscheduler",
        ),
        (
            URGENT, {"schedulers": ["slurm"]},
            "workloads[0].preempt = true", "PreemptType is not set, PreemptMode is not set",
            "set PreemptType: preempt/partition_prio",
        ),
        (
            URGENT,
            {
                "settings": {
                    "slurm": {
                        "PreemptType": "preempt/partition_prio", "PreemptMode": "SUSPEND,GANG",
                    }
                }
            },
            "workloads[0].preempt = true", "PreemptMode is SUSPEND,GANG", "CANCEL or REQUEUE",
        ),
        (
            URGENT, {"schedulers": ["volcano"], "head": {"memory": "2 GiB"}},
            "workloads[0].preempt = true",
            "its actions are enqueue, allocate, backfill, and enqueue admits no job",
            "set actions: allocate, backfill, preempt",
        ),
        (
            {**URGENT, "level": 0},
            {"schedulers": ["kubernetes"], "head": {"memory": "2 GiB"}},
            "workloads[0].level = 0", "without priority preempt no others", "raise it",
        ),
        (
            {
                "name": "m", "kind": "mix",
                "parts": [{"user": "ann", "workload": {"kind": "burst", "fault": RESTART}}],
            }, {},
            "workloads[0].parts[0].workload.fault", "given for an inner workload", "beside parts",
        ),
        (
            {
                "name": "m", "kind": "mix",
                "parts": [{"user": "ann", "workload": {"kind": "burst", "requeue": True}}],
            }, {},
            "workloads[0].parts[0].workload.requeue = true", "inner workload", "beside parts",
        ),
        (
            {
                "name": "s", "kind": "saturate", "rate": {"low": 1.0, "high": 9.0},
                "workload": {"kind": "poisson", "jobs": 200}, "fault": RESTART,
            }, {},
            "workloads[0].fault", "a search tries many rates", "without saturate",
        ),
    ],
)  # fmt: skip
def test_faults_that_make_no_sense_are_refused(
    workload: dict[str, Any],
    keys: dict[str, Any],
    at: str,
    what: str,
    remedy: str,
    tmp_path: Path,
) -> None:
    line = refused(tmp_path, workload, **keys)
    assert at in line
    assert what in line
    assert remedy in line


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("slurm", {"kind": "fail", "at": 5.0}),  # it starts the jobs of a lost node elsewhere
        ("kubernetes", {"kind": "fail", "at": 5.0, "lasts": 420.0}),
        ("kubernetes", {"kind": "drain", "at": 5.0}),
    ],
)
def test_a_node_may_stay_away_where_its_jobs_end_without_it(
    name: str, fault: dict[str, Any], tmp_path: Path
) -> None:
    load(
        tmp_path,
        schedulers=[name],
        nodes=[2],
        head={"memory": "2 GiB"},
        workloads=[{**LONG, "requeue": True, "fault": fault}],
    )


def test_settings_that_preempt_are_accepted(tmp_path: Path) -> None:
    slurm = {"PreemptType": "preempt/partition_prio", "preemptmode": "requeue"}
    volcano = {"actions": "allocate, preempt"}
    load(
        tmp_path,
        schedulers=["slurm", "volcano", "kubernetes"],
        settings={"slurm": slurm, "volcano": volcano},
        head={"memory": "2 GiB"},
        workloads=[URGENT],
    )


def test_where_preemption_is_allowed_settings_without_it_meet_the_same_trace(
    tmp_path: Path,
) -> None:
    allowed = URGENT | {"preempt": "allowed", "requeue": True}
    slurm = {"PreemptType": "preempt/partition_prio", "PreemptMode": "REQUEUE"}
    experiment = load(
        tmp_path,
        schedulers=[
            "slurm",
            {"name": "taking", "scheduler": "slurm", "settings": slurm},
            "volcano",
        ],
        head={"memory": "2 GiB"},
        workloads=[allowed],
    )
    assert len(experiment.clusters()) == 3 * len(experiment.nodes)
    trace = workload_from(allowed).generate(TWO, 1)
    assert trace.scale["preempt"] == "allowed"
    (request,) = get_scheduler("kubernetes").preparation(trace)
    assert request["body"]["preemptionPolicy"] == "PreemptLowerPriority"
    parts = [{"user": f"u{n}", "workload": one} for n, one in enumerate((allowed, URGENT))]
    both = workload_from({"kind": "mix", "name": "m", "parts": parts}).generate(TWO, 1)
    assert both.scale["preempt"] is True
    alone = workload_from({"kind": "mix", "name": "m", "parts": parts[:1]}).generate(TWO, 1)
    assert alone.scale["preempt"] == "allowed"


@pytest.mark.parametrize(
    ("name", "kinds"), [("behaviour", {"restart", "fail", "drain"}), ("preemption", set())]
)
def test_experiments_that_are_shipped_are_in_working_order(name: str, kinds: set[str]) -> None:
    experiment = load_experiment(ROOT / "config" / f"{name}.yaml", HOST, ROOT)
    assert {one.fault.kind for one in experiment.workloads if one.fault} == kinds


@pytest.mark.parametrize("name", scheduler_names())
def test_every_scheduler_says_how_its_faults_come_and_go(name: str) -> None:
    scheduler = get_scheduler(name)
    assert scheduler.virtual_faults <= scheduler.faults <= {"restart", "fail", "drain"}
    for kind in scheduler.faults - {"fail"}:
        node = "" if kind == "restart" else "compute2"
        commands = scheduler.fault_commands(kind, node)
        assert commands.begin != commands.end
        for command in (commands.begin, commands.end):
            subprocess.run(["sh", "-n", "-c", command], check=True)
            assert node in command
        assert bool(commands.restarts) == (kind == "restart")
        assert set(commands.restarts) <= set(scheduler.daemons()["head"])


def test_urgent_pods_evict_others_only_where_the_trace_wants_it() -> None:
    for preempt, policy in ((False, "Never"), (True, "PreemptLowerPriority")):
        trace = workload_from({**URGENT, "preempt": preempt}).generate(TWO, 1)
        (request,) = get_scheduler("kubernetes").preparation(trace)
        assert request["body"]["preemptionPolicy"] == policy
