"""Rules that name the processor time of daemons as a limiter (`schedlab.metrics.limiter`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from schedlab.formatting import number
from schedlab.metrics.costs import CLIENT
from schedlab.metrics.cycles import Row, limits_of, value_of
from schedlab.metrics.limiting import HALF, HEAD, NEAR, TIME, Limiter, not_judged

MOST_NAMED = 4
"""Daemons that are named where many use processors together."""


def quota(row: Row) -> Limiter | None:
    """A daemon that the kernel holds back, as it has used the processor time that it is given."""
    time, costs = value_of(row, TIME), row.get("daemon_cost")
    for one in limits_of(row):
        if not one.cores or costs is None:
            continue
        used = [cost for cost in costs if cost["process"] == one.process and cost["node"] == HEAD]
        seconds = _sum_of(used, "cpu_s")
        if seconds and not time:
            return not_judged(f"the processor time of {one.process}")
        periods, held = (_sum_of(used, name) for name in ("quota_periods", "throttled_periods"))
        if not seconds or not time or seconds < (HALF if periods else NEAR) * one.cores * time:
            continue
        told = (
            f"{one.process} uses {number(seconds / time)} processors on average,"
            f" {number(one.cores)} are allowed"
        )
        if periods is None:
            told += "; the record does not tell how often it was held back"
        elif not periods or held is None or held < HALF * periods:
            continue
        else:
            part = f"{100 * held / periods:.0f} % of the periods in which it ran"
            told += f", and it was held back in {part}"
        return Limiter(one.name, told, one.setting)
    return None


def _sum_of(costs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Sum of a counter of some daemons; None where none has it."""
    known = [value for cost in costs if (value := value_of(cost, name)) is not None]
    return sum(known) if known else None


def _daemons(row: Row) -> list[Mapping[str, Any]]:
    """Costs of daemons whose processor time is known, the largest first."""
    costs = row.get("daemon_cost")
    known = [cost for cost in costs if value_of(cost, "cpu_s")] if costs is not None else []
    return sorted(known, key=lambda cost: -float(cost["cpu_s"]))


def processors(row: Row) -> Limiter | None:
    """Daemons that use the processors of the head, or of all other nodes, together."""
    costs, time = _daemons(row), value_of(row, TIME)
    if costs and not time:
        return not_judged("the processor time of daemons")
    cpus = _declared(row)
    for name, nodes in (
        ("the head's processors", {HEAD} & cpus.keys()),
        ("the compute nodes' processors", cpus.keys() - {HEAD}),
    ):
        there = sum(cpus[node] for node in nodes)
        inside = [cost for cost in costs if cost["node"] in nodes]
        used = sum(float(cost["cpu_s"]) for cost in inside) / (time or 1.0)
        if not inside or used < NEAR * there:
            continue
        by_name: dict[str, float] = {}
        for cost in inside:
            process = str(cost["process"])
            by_name[process] = by_name.get(process, 0.0) + float(cost["cpu_s"]) / (time or 1.0)
        largest = sorted(by_name.items(), key=lambda item: -item[1])[:MOST_NAMED]
        told = ", ".join(f"{process} {number(cores)}" for process, cores in largest)
        return Limiter(name, f"daemons use {number(used)} of {there:g} on average: {told}")
    return None


def _declared(row: Row) -> dict[str, float]:
    """Processors of each node that the trial's record has; empty where it tells none."""
    text = row.get("conditions")
    declared = json.loads(text).get("declared", {}) if isinstance(text, str) else {}
    return {str(name): float(machine["cpus"]) for name, machine in declared.items()}


def processor(row: Row) -> Limiter | None:
    """A daemon of the head that can use no more than one core, and has one all the time."""
    costs = [cost for cost in _daemons(row) if cost.get("serial") and cost["node"] == HEAD]
    costs = [cost for cost in costs if cost["group"] != CLIENT]
    if not costs:
        return None
    time = value_of(row, TIME)
    if not time:
        return not_judged("the processor time of daemons")
    cores = float(costs[0]["cpu_s"]) / time
    if cores < NEAR:
        return None
    return Limiter(
        f"processor time of {costs[0]['process']}",
        f"it works in one thread, and uses {number(cores)} cores on average",
    )
