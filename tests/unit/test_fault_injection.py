"""How a trial provokes a fault, takes it back, and says what went wrong with it."""

from __future__ import annotations

import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.breaking import FaultCommands
from schedlab.stages.faults import Injection, planned_fault, set_link
from schedlab.workloads import Machine, workload_from
from schedlab.workloads.fault import FaultPlan

TWO = Machine(2, 2)


class Head:
    """A head that notes what it is told, and fails where a command is named."""

    name = "head"

    def __init__(self, fails: str = "", status: int = 1) -> None:
        self.told: list[str] = []
        self.fails, self.status = fails, status
        self.came = threading.Semaphore(0)

    def run(self, command: str, *, check: bool, **_: Any) -> SimpleNamespace:
        self.told.append(command)
        self.came.release()
        status = self.status if self.fails and self.fails in command else 0
        if check and status:
            raise SchedlabError(f"`it` ended with status {status}")
        return SimpleNamespace(returncode=status, stdout="", stderr="no state\n" if status else "")


COMMANDS = FaultCommands("begin it", "end it", ("ctld",))


def injection(
    plan: FaultPlan, head: Head, link: Callable[[bool], None] = lambda _: None
) -> Injection:
    doom = head.told.append
    return Injection(plan, COMMANDS, head, link, lambda: doom("doom"))  # type: ignore[arg-type]


def test_a_fault_comes_and_goes_while_the_workload_runs() -> None:
    head = Head()
    fault = injection(FaultPlan("restart", 0.0, 0.0, ""), head)
    assert head.told == []
    fault.workload_begins()
    fault.workload_begins()
    assert head.came.acquire(timeout=60) and head.came.acquire(timeout=60)
    fault.workload_ended()
    fault.take_back()
    fault.require()
    assert head.told == ["sudo sh -c 'begin it'", "sudo sh -c 'end it'"]
    begin, end = fault.facts["begin"], fault.facts["end"]
    assert begin["start_ns"] <= begin["end_ns"] <= end["start_ns"] <= end["end_ns"]
    assert fault.facts["within"] and fault.facts["restarts"] == ["ctld"]


@pytest.mark.parametrize("lasts", [None, 3600.0])
def test_a_node_that_stays_away_comes_back_after_the_workload(lasts: float | None) -> None:
    head, links = Head(), []
    fault = injection(FaultPlan("fail", 0.0, lasts, "compute1"), head, links.append)
    fault.workload_begins()
    assert head.came.acquire(timeout=60)
    fault.workload_ended()
    assert links == [False]
    assert head.told == ["doom", "sudo sh -c 'begin it'"]
    fault.take_back()
    fault.require()
    assert links == [False, True]
    assert fault.facts["end"] and not fault.facts["within"]
    assert fault.lasting


def test_a_fault_that_did_not_come_is_a_fault_of_the_trial() -> None:
    head = Head()
    fault = injection(FaultPlan("restart", 3600.0, 0.0, ""), head)
    fault.workload_begins()
    fault.workload_ended()
    fault.take_back()
    assert head.told == []
    with pytest.raises(SchedlabError, match="did not come: the workload ended before 3600 s"):
        fault.require()


@pytest.mark.parametrize("fails", ["begin", "end"])
def test_a_fault_that_fails_says_why(fails: str) -> None:
    head = Head(fails)
    fault = injection(FaultPlan("drain", 0.0, None, "compute1"), head)
    fault.workload_begins()
    assert head.came.acquire(timeout=60)
    fault.workload_ended()
    fault.take_back()
    with pytest.raises(SchedlabError, match="the fault drain failed: `it` ended with status 1"):
        fault.require()


def restarted(head: Head) -> Injection:
    """A restart during a workload."""
    fault = injection(FaultPlan("restart", 0.0, 0.0, ""), head)
    fault.workload_begins()
    assert head.came.acquire(timeout=60) and head.came.acquire(timeout=60)
    fault.workload_ended()
    fault.take_back()
    return fault


def test_a_controller_that_does_not_start_again_is_an_outcome() -> None:
    fault = restarted(Head("end"))
    fault.require()
    assert fault.facts["said"] == "no state"
    assert fault.facts["end"] and not fault.facts["failure"]


def test_a_head_that_cannot_be_told_to_start_it_is_a_fault_of_the_trial() -> None:
    with pytest.raises(SchedlabError, match="the fault restart failed: SSH failed: no state"):
        restarted(Head("end", status=255)).require()


XML = """<domain><devices>
<interface type="network"><mac address="52:54:00:00:00:01"/>{link}</interface>
</devices></domain>"""


@pytest.mark.parametrize("link", ["", '<link state="up"/>'])
def test_a_guests_network_is_plugged_out(link: str) -> None:
    changed: list[str] = []
    domain = SimpleNamespace(
        XMLDesc=lambda: XML.format(link=link),
        updateDeviceFlags=lambda xml, flags: changed.append(xml),
    )
    bed: Any = SimpleNamespace(
        connection=SimpleNamespace(lookupByName=lambda name: domain),
        domain_name=lambda cluster, node: f"{cluster}-{node}",
    )
    set_link(bed, "slurm-n2", "compute1", up=False)
    (interface,) = map(ElementTree.fromstring, changed)
    assert [one.get("state") for one in interface.findall("link")] == ["down"]
    assert interface.find("mac") is not None


def test_a_trial_without_a_fault_provokes_none() -> None:
    trace = workload_from({"name": "w", "kind": "burst"}).generate(TWO, 1)
    assert planned_fault(trace, get_scheduler("slurm"), None, "c", {}) is None  # type: ignore[arg-type]


def test_the_payloads_of_a_node_that_fails_are_killed_on_it() -> None:
    told: list[str] = []
    node = SimpleNamespace(role="compute", run=lambda command, **_: told.append(command))
    nodes: Any = {
        "head": SimpleNamespace(role="head"), "compute1": node, "compute2": node,
    }  # fmt: skip
    failing = {"name": "w", "kind": "burst", "fault": {"kind": "fail", "at": 0.0}}
    trace = workload_from(failing).generate(TWO, 1)
    fault = planned_fault(trace, get_scheduler("slurm"), None, "c", nodes)  # type: ignore[arg-type]
    assert fault is not None
    fault._doom()
    (command,) = told
    subprocess.run(["sh", "-n", "-c", command], check=True)
    # The kernel keeps 15 characters of a process' name, by which pkill -x compares.
    assert "pkill -KILL -x schedlab-payloa" in command
