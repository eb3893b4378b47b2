"""Check that a cluster can be measured: its clocks agree, and its scheduler is healthy."""

from __future__ import annotations

import time

from schedlab.config.cluster import Cluster
from schedlab.errors import SchedlabError
from schedlab.printing import LONGEST_COMMAND, brief, printable
from schedlab.schedulers import Scheduler
from schedlab.testbed.clock import measure_offsets
from schedlab.testbed.ssh import Node, head_of

CLOCK_AGREEMENT_NS = 50_000_000
"""Largest difference between nodes' clocks, ns, beyond the uncertainty of the measurement."""
WIDEST, WIDEST_VIRTUAL = 64, 16
"""Most nodes of the job that shows that jobs run, of real and of virtual ones: these register as
real ones do, and their daemons are counted. Of 1,024 a job on 64 took 33 s and more, emulated."""
TOLD_EVERY = 30.0
"""A health check that goes on failing is told again after this time, s."""


def clocks_agree(nodes: dict[str, Node], stage: str) -> dict[str, dict[str, int]]:
    """Check that the nodes' clocks agree; return their offsets to the controller.

    Raises
    ------
    SchedlabError
        When two clocks differ by more than the tolerance plus both uncertainties.
    """
    offsets = measure_offsets(nodes)
    reference_name, reference = next(iter(offsets.items()))
    for name, offset in offsets.items():
        apart = abs(offset["offset_ns"] - reference["offset_ns"])
        allowed = CLOCK_AGREEMENT_NS + offset["uncertainty_ns"] + reference["uncertainty_ns"]
        if apart > allowed:
            raise SchedlabError(
                f"the clocks of {name} and {reference_name} differ by {apart / 1e6:.1f} ms "
                f"(allowed {allowed / 1e6:.1f} ms)",
                stage=stage,
                node=name,
            )
    return offsets


def health_gate(
    scheduler: Scheduler,
    nodes: dict[str, Node],
    cluster: Cluster,
    stage: str,
    timeout: float = 240.0,
) -> None:
    """Wait until the scheduler's own health commands succeed on the head.

    Parameters
    ----------
    scheduler : Scheduler
        The cluster's.
    nodes : dict of str to Node
        The cluster's machines.
    cluster : Cluster
        Its virtual nodes are more than the machines, and may add delays to a job.
    stage : str
        Stage that waits, for the message.
    timeout : float
        Time for all commands to succeed, s; the delays of virtual nodes come on top.

    Raises
    ------
    SchedlabError
        When a command still fails after that time; the message has the last answer. It is
        told while it is waited for, too.
    """
    head = head_of(nodes)
    timeout += cluster.longest_delay
    deadline = time.monotonic() + timeout
    told = time.monotonic()
    wide = min(cluster.nodes, WIDEST_VIRTUAL if cluster.virtual else WIDEST)
    for command in scheduler.health(cluster.nodes, wide, cluster.longest_delay):
        shown = brief(command, LONGEST_COMMAND)
        while True:
            done = head.run(command, check=False, timeout=timeout, stage=stage)
            if done.returncode == 0:
                break
            answer = (done.stdout + done.stderr).strip()
            if time.monotonic() > deadline:
                raise SchedlabError(
                    f"health check `{shown}` fails: {answer[-600:]}", stage=stage, node=head.name
                )
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                left = f"at most {deadline - told:.0f} s more"
                print(printable(f"waiting for `{shown}` ({left}): {answer[-200:]}"), flush=True)
            time.sleep(1)
