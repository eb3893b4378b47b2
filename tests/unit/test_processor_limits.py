"""Daemons that use up processors as limiters, from SYNTHETIC rows of the trials table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schedlab.metrics.costs import daemon_costs
from schedlab.metrics.limiter import limiter
from schedlab.schedulers import get_scheduler, scheduler_names

PLANE = {"apiserver": 75.0, "etcd": 45.0, "scheduler": 40.0, "manager": 35.0}


def cost(process: str, seconds: float | None, node: str = "head", **more: Any) -> dict[str, Any]:
    return {"node": node, "process": process, "group": "scheduler", "cpu_s": seconds, **more}


def row(costs: list[dict[str, Any]], **cpus: int) -> dict[str, Any]:
    """A step in which jobs wait for scheduling; the nodes have so many processors."""
    declared = {name: {"cpus": count, "memory_mib": 1024} for name, count in cpus.items()}
    return {
        "lateness_mean_s": 0.01, "submission_mean_s": 0.05, "scheduling_mean_s": 20.0,
        "launch_mean_s": 0.4, "observed_s": 100.0, "daemon_cost": costs, "limits": "[]",
        "conditions": json.dumps({"declared": declared} if declared else {}),
    }  # fmt: skip


def test_daemons_that_fill_the_head_together_are_named_together() -> None:
    plane = [cost(process, seconds) for process, seconds in PLANE.items()]
    found = limiter(row(plane, head=2, compute1=2))
    assert found.name == "the head's processors"
    assert "1.95 of 2" in found.evidence and "apiserver 0.750, etcd 0.450" in found.evidence
    assert limiter(row(plane, head=4, compute1=2)).name == "scheduling"
    # The client's daemons are on the head too.
    client = cost("api", 130.0) | {"group": "client"}
    assert limiter(row([*plane, client], head=4)).name == "the head's processors"
    # A record that does not tell how many processors there are.
    assert limiter(row(plane)).name == "scheduling"


def test_a_daemon_with_several_threads_is_not_limited_by_one_core() -> None:
    assert limiter(row([cost("apiserver", 85.0)], head=16)).name == "scheduling"
    assert limiter(row([cost("apiserver", 85.0, serial=None)], head=16)).name == "scheduling"
    one = limiter(row([cost("loop", 85.0, serial=True)], head=16))
    assert one.name == "processor time of loop" and "0.850 cores" in one.evidence
    assert limiter(row([cost("loop", 75.0, serial=True)], head=16)).name == "scheduling"


def test_daemons_of_compute_nodes_limit_only_where_they_fill_all_of_them() -> None:
    cpus = {f"compute{number}": 2 for number in range(4)}
    one = [cost("containerd", 85.0, "compute3", serial=True)]
    assert limiter(row(one, head=2, **cpus)).name == "scheduling"
    # 1.7 of 2 processors, of which two daemons have a part each, on three of four nodes.
    some = [cost(name, 85.0, node) for node in list(cpus)[:3] for name in ("kubelet", "containerd")]
    assert limiter(row(some, head=2, **cpus)).name == "scheduling"
    most = [cost(name, 85.0, node) for node in cpus for name in ("kubelet", "containerd")]
    found = limiter(row(most, head=2, **cpus))
    assert found.name == "the compute nodes' processors"
    assert "6.80 of 8" in found.evidence and "kubelet 3.40" in found.evidence


def test_a_unit_with_several_processes_is_not_serial() -> None:
    end = {"head": {"loop": {"cpu_seconds": 9.0}, "other": {"cpu_seconds": 1.0}}}
    alone = daemon_costs({}, end, serial={"loop"})
    assert [(one["process"], one["serial"]) for one in alone] == [("loop", True), ("other", False)]
    units, unit_end = {"unit": ["loop", "other"]}, {"head": {"unit": {"cpu_seconds": 10.0}}}
    (both,) = daemon_costs({}, end, {}, unit_end, units, (), {"loop"})
    assert not both["serial"]


@pytest.mark.parametrize("name", scheduler_names())
def test_serial_daemons_are_daemons(name: str) -> None:
    scheduler = get_scheduler(name)
    assert scheduler.serial <= {one for found in scheduler.daemons().values() for one in found}
