"""What limits a cell at its highest sustained rate: named by stated rules, with the evidence.

The rules are tried in the order of `RULES`; the first whose condition holds names the limiter. They
read the trials at rates that were just not sustained: there the limiter works without a pause.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from schedlab.formatting import number

BUSY = 0.9
"""Part of the machine's cores in the steady state from which the machine is the limiter."""
NEAR = 0.8
"""Part of a limit from which actions count as limited by it: counters include pauses at the ends of
a trial and, for clients, leave out reads."""
HALF = 0.5
"""Part of the wait from which one part of it names the limiter."""
PARTS = {
    "lateness": "submitter",
    "submission": "acceptance by the API server or controller",
    "scheduling": "scheduling",
    "launch": "launcher",
}
"""Part of the wait -> who is at work during it."""


class Limiter(NamedTuple):
    """What limits a cell.

    Attributes
    ----------
    name : str
        In words; empty where no rule holds.
    evidence : str
        Figures by which the rule holds, or those that were looked at.
    lift : str
        Native setting that lifts it; empty where none is known.
    """

    name: str
    evidence: str
    lift: str = ""


Row = Mapping[str, Any]


def limiter(row: Row) -> Limiter:
    """Name what limited a trial.

    Parameters
    ----------
    row : mapping
        Row of the trials table, at a rate that was not sustained.
    """
    for _, rule in RULES:
        found = rule(row)
        if found is not None:
            return found
    parts = _parts(row)
    told = ", ".join(f"{name} {number(value)} s" for name, value in parts.items())
    return Limiter("", f"no rule holds; mean parts of the wait: {told or 'unknown'}")


def _value(row: Row, column: str) -> float | None:
    value = row.get(column)
    return None if value is None or pd.isna(value) else float(value)


def _parts(row: Row) -> dict[str, float]:
    """Mean parts of the wait (s) that are known."""
    found = {name: _value(row, f"{name}_mean_s") for name in PARTS}
    return {name: value for name, value in found.items() if value is not None}


def _machine(row: Row) -> Limiter | None:
    used = _value(row, "utilisation_steady")
    if used is None or used < BUSY:
        return None
    return Limiter("the machine", f"{100 * used:.0f} % of its cores are busy in the steady state")


def _submitter(row: Row) -> Limiter | None:
    parts = _parts(row)
    wait, late = sum(parts.values()), parts.get("lateness")
    if late is None or wait <= 0 or late < HALF * wait:
        return None
    return Limiter(
        PARTS["lateness"],
        f"jobs are submitted {number(late)} s late on average, {100 * late / wait:.0f} % of their"
        " wait",
    )


def _client(row: Row) -> Limiter | None:
    """Clients of an API whose counted requests come near their limit."""
    window = _value(row, "makespan_s")
    text = row.get("limits")
    if not window or not isinstance(text, str):
        return None
    near = []
    for one in json.loads(text):
        if one["counted"] is None:
            continue
        rate = one["counted"] / window
        if rate >= NEAR * one["per_second"]:
            near.append((rate / one["per_second"], rate, one))
    if not near:
        return None
    _, rate, one = max(near, key=lambda entry: entry[0])
    return Limiter(
        f"limit of {one['name']}",
        f"{number(rate)} requests/s were counted, {number(one['per_second'])} are allowed",
        one["setting"],
    )


def _processor(row: Row) -> Limiter | None:
    """A daemon that has a core to itself all the time; it may have several threads, so more."""
    window = _value(row, "makespan_s")
    costs = row.get("daemon_cost")
    if not window or costs is None or not len(costs):
        return None
    head = [cost for cost in costs if cost["cpu_s"] is not None and cost["group"] != "client"]
    if not head:
        return None
    most = max(head, key=lambda cost: float(cost["cpu_s"]))
    cores = float(most["cpu_s"]) / window
    if cores < NEAR:
        return None
    return Limiter(
        f"processor time of {most['process']}",
        f"it uses {number(cores)} cores on {most['node']} on average",
    )


def _part(row: Row) -> Limiter | None:
    parts = _parts(row)
    wait = sum(parts.values())
    if wait <= 0:
        return None
    name = max(parts, key=parts.__getitem__)
    if parts[name] < HALF * wait:
        return None
    return Limiter(
        PARTS[name],
        f"{name} takes {number(parts[name])} s on average, {100 * parts[name] / wait:.0f} % of the"
        " wait",
    )


RULES: tuple[tuple[str, Callable[[Row], Limiter | None]], ...] = (
    (
        f"the machine: at least {100 * BUSY:.0f} % of its cores are busy in the steady state",
        _machine,
    ),
    ("the submitter: lateness is at least half of the wait", _submitter),
    (f"a client's limit: the requests counted reach {100 * NEAR:.0f} % of it", _client),
    (f"a daemon's processor time: at least {NEAR} cores on average", _processor),
    ("the part that takes at least half of the wait", _part),
)
"""What each rule says, and the rule, in the order in which they are tried."""


def of_cell(trials: pd.DataFrame) -> Limiter | None:
    """Limiter of a cell by its trial at the lowest rate that was not sustained; None without one.

    Parameters
    ----------
    trials : pandas.DataFrame
        Steps of the searches of one cell.
    """
    failed = trials[
        trials["valid"].astype(bool) & (trials["sustained"].fillna(value=True).astype(bool) == 0)
    ]
    if not len(failed):
        return None
    first = failed.sort_values("rate").iloc[0].to_dict()
    return limiter({str(name): value for name, value in first.items()})
