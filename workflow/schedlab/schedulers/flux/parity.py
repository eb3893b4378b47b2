"""What was in force in a Flux instance, and its rows of the parity manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schedlab.schedulers.flux.records import within

SIMPLE = "sched-simple"
QMANAGER = "sched-fluxion-qmanager"
"""Modules that schedule; the second is Fluxion's."""

SIMPLE_DEPTH = "8"
"""Pending jobs that sched-simple asks for by default (flux-core 0.85 to 0.88)."""
FLUXION_DEPTH = "32"
"""Pending jobs that Fluxion looks at by default (flux-config-sched-fluxion-qmanager(5))."""


def settings(facts: Mapping[str, Any]) -> dict[str, str]:
    """What bounds the results, from what the instance told at the trial's end.

    Parameters
    ----------
    facts : mapping
        As of `records.facts`.

    Returns
    -------
    dict
        `flux-core version`, `flux-sched version` (where it is installed), each with the program's
        name, `scheduler` (unknown where no module answered and none is configured),
        `queue-policy`, `queue-depth`, and Fluxion's `match-policy`, `match-format`; with virtual
        nodes `virtual nodes`, what they are. Empty where nothing was told.
    """
    if not facts["versions"]:
        return {}
    versions = sorted(facts["versions"].items())
    found = {f"{name} version": f"{name} {version}" for name, version in versions}
    configured = facts["configuration"]
    if virtual := within(configured, "schedlab", "virtual"):
        found["virtual nodes"] = _nodes(virtual)
    module = _module(facts)
    if module == SIMPLE:
        depth = _simple_depth(configured)
        return found | {"scheduler": SIMPLE, "queue-policy": "fcfs", "queue-depth": depth}
    if module != QMANAGER:
        return found | {"scheduler": module, "queue-policy": "unknown", "queue-depth": "unknown"}
    # A queue manager that did not answer tells neither.
    queue = within(facts["statistics"], QMANAGER, "queues", "default")
    match = within(facts["parameters"], "sched-fluxion-resource", "params")
    return found | {
        "scheduler": "fluxion",
        "queue-policy": _told(queue, "policy"),
        "queue-depth": _told(queue, "queue_depth"),
        "match-policy": _told(match, "policy"),
        "match-format": _told(match, "match-format"),
    }


def _module(facts: Mapping[str, Any]) -> str:
    """The module that schedules: the one that answered, else the configured one, else unknown."""
    for name in (QMANAGER, SIMPLE):
        if name in facts["statistics"] or name in facts["parameters"]:
            return name
    return _told(within(facts["configuration"], "modules", "alternatives"), "sched")


def _simple_depth(configured: Mapping[str, Any]) -> str:
    """Depth of sched-simple, which has its default where the configuration gives none."""
    if not configured:
        return "unknown"
    arguments = within(configured, "modules", SIMPLE, "args")
    text = " ".join(map(str, arguments)) if isinstance(arguments, list) else ""
    depth = re.search(r"queue-depth=(\w+)", text)
    return depth[1] if depth else SIMPLE_DEPTH


def _nodes(virtual: Any) -> str:
    """What the virtual nodes are, from their table of the configuration."""
    nodes, carriers, delays = (_told(virtual, key) for key in ("nodes", "carriers", "delays"))
    return (
        f"{nodes} virtual nodes, of which Flux knows the resources alone; its mock execution, in"
        " the broker on the head, plays their jobs, and no payload runs; carriers, which run"
        f" nothing of Flux: {carriers}; delays of start and end: {delays}"
    )


def _told(value: Any, key: str) -> str:
    found = within(value, key)
    return "unknown" if found is None else str(found)


def manifest(in_force: Mapping[str, str]) -> dict[str, str]:
    """Rows of the parity manifest from `settings`."""
    scheduler = in_force.get("scheduler", "unknown")
    policy = in_force.get("queue-policy", "unknown")
    depth = in_force.get("queue-depth", "unknown")
    match = "".join(
        f", {name}={in_force[name]}"
        for name in ("match-policy", "match-format")
        if name in in_force
    )
    virtual = in_force.get("virtual nodes")
    program = {SIMPLE: "flux-core", "fluxion": "flux-sched"}.get(scheduler, "Flux")
    version = in_force.get(f"{program} version", f"{program}, version unknown,")
    backfill = {
        "fcfs": "no: strictly in order of urgency and submission",
        "easy": "yes: easy, a reservation for the first job that waits",
        "conservative": "yes: conservative, a reservation for every job that waits",
        "hybrid": "yes: hybrid, reservations for the first jobs that wait",
    }
    return {
        "gang": "yes: a job gets all its resources at once"
        + ("" if virtual else ", then a shell starts on each node"),
        "accounting": "none beside the event log that Flux keeps of every job",
        "scheduling period": f"none: {scheduler} of {version} acts on every submission and release,"
        f" on up to {depth} pending jobs{match}",
        "client limits": "none",
        "submission": "by the Python API, asynchronously in one process on the head, which the"
        " driver reaches over kept connections to its socket; each jobspec is validated",
        "costs": "on the head by systemd unit (control group): the broker with its scheduler and"
        " validators, and the submitter as client; "
        + (
            "the broker also plays the jobs, and carriers run nothing of Flux"
            if virtual
            else "on compute nodes by process, for jobs run in the broker's unit: what a flux-shell"
            " used after it was last seen is missed"
        ),
        "back-fill": backfill.get(policy, "unknown"),
        "priority": "urgency 16 with the priority of the job in the trace added",
        "users": "one guest user submits all jobs; an attribute names the trace's user",
        "dependencies": "afterany: after the end of the other jobs, however they end",
        "arrays": "none: one submission for each job",
        "time limit": "in whole seconds, rounded up; from the allocation"
        + (", for Fluxion from its whole second, rounded down" if scheduler == "fluxion" else "")
        + "; a job that starts later than that by more than 25 % of its limit gets the delay back",
        "preemption": "none",
        "requeue": "none: a job whose node was lost has ended; a broker on the head that stops"
        " cancels the jobs that still run",
        "logging level": "info (log-stderr-level=6)",
        "node daemons": f"none: {virtual}" if virtual else "a broker on each node",
        "a job is translated to": "a jobspec with a slot on each node, whose processors its task is"
        " bound to; its output goes nowhere; no prolog, epilog or housekeeping; no IMP, as all jobs"
        " are the instance owner's" + "; the submitter adds the mock execution" * bool(virtual),
    }
