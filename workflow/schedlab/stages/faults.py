"""Provoke a fault while a trial's workload runs, and take it back."""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import libvirt

from schedlab.errors import SchedlabError
from schedlab.plain import plain
from schedlab.schedulers import Scheduler
from schedlab.schedulers.base import PAYLOAD
from schedlab.schedulers.breaking import FaultCommands
from schedlab.testbed.session import Testbed
from schedlab.testbed.ssh import SSH_FAILED, Node, head_of
from schedlab.workloads import Trace
from schedlab.workloads.fault import FAIL, RESTART, FaultPlan, fault_of

STAGE = "trial"
_FAILURES = (SchedlabError, OSError, ValueError, subprocess.SubprocessError, libvirt.libvirtError)
_LONGEST = 300.0
"""Time for a command of a fault, s: a controller that is stopped writes its state first."""
_COMM = PurePosixPath(PAYLOAD).name[:15]
"""Name of the payload's processes, as the kernel cuts it."""
DOOM = (
    "n=0; while grep -q 1 /sys/class/net/e*/carrier && [ $n -lt 600 ];"
    f" do sleep 0.1; n=$((n+1)); done; pkill -KILL -x {_COMM}"
)
"""Kills the payloads of a node as soon as its network is cut, when no scheduler can hear of it any
more; after a minute in any case."""


def set_link(testbed: Testbed, cluster: str, node: str, *, up: bool) -> None:
    """Plug a guest's network in or out, as one does with a cable."""
    domain = testbed.connection.lookupByName(testbed.domain_name(cluster, node))
    for interface in ElementTree.fromstring(domain.XMLDesc()).iterfind("devices/interface"):
        for link in interface.findall("link"):
            interface.remove(link)
        ElementTree.SubElement(interface, "link", state="up" if up else "down")
        xml = ElementTree.tostring(interface, encoding="unicode")
        domain.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)


class Injection:
    """The fault of one trial.

    Parameters
    ----------
    plan : FaultPlan
        When and where.
    commands : FaultCommands
        How, within the scheduler.
    head : Node
        Runs the commands.
    link : callable
        Plugs the network of the plan's node in (True) or out.
    doom : callable
        Sees to it that what runs on that node ends as soon as the network is cut.

    Attributes
    ----------
    facts : dict
        What was done, for the trial's record: the plan's `kind`, `node`, `at_s`, `lasts_s`; the
        `commands`; `restarts`, the daemons that start again because of it; `begin` and `end`, each
        with the controller's clock (ns) before (`start_ns`) and after (`end_ns`) it was done, and
        None where it was not done; `within`, whether the end came while the workload ran;
        `said`, with what words the controller did not start again, or None; `failure`, why
        something could not be done, or None.
    """

    def __init__(
        self,
        plan: FaultPlan,
        commands: FaultCommands,
        head: Node,
        link: Callable[[bool], None],
        doom: Callable[[], None],
    ) -> None:
        self.plan, self.commands = plan, commands
        self._head, self._link, self._doom = head, link, doom
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.facts: dict[str, Any] = {
            "kind": plan.kind,
            "node": plan.node,
            "at_s": plan.at,
            "lasts_s": plan.lasts,
            "commands": [commands.begin, commands.end],
            "restarts": list(commands.restarts),
            "begin": None,
            "end": None,
            "within": False,
            "said": None,
            "failure": None,
        }

    @property
    def lasting(self) -> bool:
        """Whether the scheduler may feel it for minutes after it was taken back."""
        return self.plan.kind == FAIL

    def workload_begins(self) -> None:
        """Count the plan's seconds from now; further calls change nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def workload_ended(self) -> None:
        """Let no more happen, and wait until what is being done is done."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def take_back(self) -> None:
        """Take the fault back if it still is there, so that records can be fetched."""
        if self.facts["begin"] and not self.facts["end"]:
            self._do("end")

    def require(self) -> None:
        """Check that the fault came as planned.

        Raises
        ------
        SchedlabError
            When it did not come, or could not be brought about or taken back.
        """
        if self.facts["failure"]:
            raise SchedlabError(f"the fault {self.plan.kind} failed: {self.facts['failure']}",
                                stage=STAGE, node=self._head.name)  # fmt: skip
        if not self.facts["begin"]:
            raise SchedlabError(
                f"the fault {self.plan.kind} did not come: the workload ended before"
                f" {self.plan.at:g} s",
                stage=STAGE,
                remedy="set the workload's fault.at lower, or make the workload longer",
            )

    def _run(self) -> None:
        if self._stop.wait(self.plan.at):
            return
        if not self._do("begin") or self.plan.lasts is None:
            return
        # After the workload's end `take_back` does it.
        if not self._stop.wait(self.plan.lasts):
            self.facts["within"] = self._do("end")

    def _do(self, moment: str) -> bool:
        """Bring the fault about (`begin`) or take it back (`end`); tell whether that succeeded."""
        begins = moment == "begin"
        try:
            if begins and self.plan.kind == FAIL:
                self._doom()
            before = time.time_ns()
            if self.plan.kind == FAIL:
                self._link(not begins)
            command = self.commands.begin if begins else self.commands.end
            if command:
                # A controller that does not start again is the scheduler's own outcome.
                self._tell(command, check=begins or self.plan.kind != RESTART)
        except _FAILURES as error:
            self.facts["failure"] = plain(error)
            return False
        self.facts[moment] = {"start_ns": before, "end_ns": time.time_ns()}
        return True

    def _tell(self, command: str, *, check: bool) -> None:
        """Run a command on the head as root; without `check` note what it says if it fails."""
        words = f"sudo sh -c {shlex.quote(command)}"
        done = self._head.run(words, timeout=_LONGEST, check=check, stage=STAGE)
        said = (done.stderr or done.stdout).strip()[-500:]
        if done.returncode == SSH_FAILED:
            raise SchedlabError(f"SSH failed: {said}", stage=STAGE, node=self._head.name)
        if done.returncode:
            self.facts["said"] = said


def planned_fault(
    trace: Trace, scheduler: Scheduler, testbed: Testbed, cluster: str, nodes: Mapping[str, Node]
) -> Injection | None:
    """Fault that a trace plans for a restored cluster; None where it plans none."""
    plan = fault_of(trace)
    if plan is None:
        return None

    def link(up: bool) -> None:
        set_link(testbed, cluster, plan.node, up=up)

    def doom() -> None:
        # Its output is closed, because ssh waits for the end of who holds it.
        quiet = f"setsid sh -c {shlex.quote(DOOM)} </dev/null >/dev/null 2>&1 &"
        nodes[plan.node].run(f"sudo sh -c {shlex.quote(quiet)}", stage=STAGE)

    commands = FaultCommands()
    if plan.kind != FAIL:
        commands = scheduler.fault_commands(plan.kind, plan.node)
    return Injection(plan, commands, head_of(nodes), link, doom)
