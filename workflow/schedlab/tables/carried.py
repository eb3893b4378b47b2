"""Whether the carriers of a trial had their virtual nodes from its start to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedlab.config.cluster import carrier_name, dealt
from schedlab.schedulers import Scheduler
from schedlab.tables.checks import Check, counted

_START, _END = "start", "end"


def carrier_checks(
    facts: Mapping[str, Any], conditions: Mapping[str, Any], scheduler: Scheduler
) -> list[Check]:
    """Check that no process that has virtual nodes was missing, or was started again.

    Without it the scheduler has fewer nodes than the trial says, or nodes whose jobs nobody ends.

    Parameters
    ----------
    facts, conditions : mapping
        The record's `trial` and `conditions`.
    scheduler : Scheduler
        The adapter, which names the process (`virtual_daemon`).

    Returns
    -------
    list of Check
        Empty where the nodes are real, where carriers run nothing of the scheduler, and where the
        trial itself made that process start again. Unknown where it was not counted.
    """
    name, costs = scheduler.virtual_daemon, conditions.get("daemon_cost", {})
    restarted = conditions.get("fault", {}).get("restarts", ())
    if not facts.get("carriers") or not name or name in restarted:
        return []
    found: list[str] = []
    nodes, count = int(facts["nodes"]), int(facts["carriers"])
    for number in range(1, count + 1):
        carrier = carrier_name(number)
        read = {at: costs.get(at, {}).get(carrier, {}).get(name, {}) for at in (_START, _END)}
        if any("processes" not in one for one in read.values()):
            return [counted("daemons of virtual nodes missing", None)]
        wanted = len(dealt(nodes, count, number)) if scheduler.virtual_daemon_each else 1
        # More may be there: a process that starts another one has its own name in both for a
        # moment. So starts tell something only of a single process, which has no others.
        for at, one in read.items():
            if one["processes"] < wanted:
                there = f"{one['processes']:g} of {wanted}"
                found.append(f"{carrier} had {there} {name} at the trial's {at}")
                break
        else:
            first, last = (one.get("starts", 0) for one in read.values())
            if not scheduler.virtual_daemon_each and last > first:
                found.append(f"{name} of {carrier} was started again during the trial")
    return [counted("daemons of virtual nodes missing", found)]
