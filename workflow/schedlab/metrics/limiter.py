"""What limits a cell at its highest sustained rate: named by stated rules, with the evidence.

The rules are tried in the order of `RULES`; the first whose condition holds names the limiter. They
read a trial whose queue just grew: there the limiter works without a pause. A rate that was not
sustained for another reason alone, a job that failed or a wait that was too long, tells nothing of
a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.cycles import Row, cycle_rate, limits_of, places_of, value_of, window
from schedlab.metrics.saturation import QUEUE, REASONS
from schedlab.schedulers.limits import Cycle

BUSY = 0.9
"""Part of the machine's cores from which they count as busy, or as held, all the time."""
NEAR = 0.8
"""Part of a limit from which actions count as limited by it: counters include pauses at the ends of
a trial and, for clients, leave out reads."""
HEAD = "head"
"""Node of the scheduler's own daemons."""
TIME = "observed_s"
"""Column with the time in which requests and processor time were counted, s. Other than the
makespan it is never withheld."""
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


def limiter(row: Row) -> Limiter:
    """Name what limited a trial.

    Parameters
    ----------
    row : mapping
        Row of the trials table, of a trial whose queue grew.
    """
    for _, rule in RULES:
        found = rule(row)
        if found is not None:
            return found
    parts = _parts(row)
    told = ", ".join(f"{name} {number(value)} s" for name, value in parts.items())
    return Limiter("", f"no rule holds; mean parts of the wait: {told or 'unknown'}")


def _parts(row: Row) -> dict[str, float]:
    """Mean parts of the wait (s) that are known."""
    found = {name: value_of(row, f"{name}_mean_s") for name in PARTS}
    return {name: value for name, value in found.items() if value is not None}


def _machine(row: Row) -> Limiter | None:
    used = value_of(row, "utilisation_steady")
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


def _not_judged(what: str) -> Limiter:
    """No limiter, as a later rule might name another one than the rule that cannot be judged."""
    return Limiter("", f"not judged: no record tells in which time {what} was counted")


def _client(row: Row) -> Limiter | None:
    """Clients of an API whose counted requests come near their limit."""
    counted = [
        (one.counted, one.per_second, one)
        for one in limits_of(row)
        if one.counted is not None and one.per_second
    ]
    if not counted:
        return None
    time = value_of(row, TIME)
    if not time:
        return _not_judged("the number of requests")
    requests, most, one = max(counted, key=lambda entry: entry[0] / entry[1])
    rate = requests / time
    if rate < NEAR * most:
        return None
    return Limiter(
        f"limit of {one.name}",
        f"{number(rate)} requests/s were counted, {number(most)} are allowed",
        one.setting,
    )


def _quota(row: Row) -> Limiter | None:
    """A daemon that uses the processor time that it is given."""
    time, costs = value_of(row, TIME), row.get("daemon_cost")
    for one in limits_of(row):
        if not one.cores or costs is None:
            continue
        used = [cost for cost in costs if cost["process"] == one.process and cost["node"] == HEAD]
        seconds = sum(float(cost["cpu_s"]) for cost in used if cost["cpu_s"] is not None)
        if seconds and not time:
            return _not_judged(f"the processor time of {one.process}")
        if time and seconds >= NEAR * one.cores * time:
            return Limiter(
                one.name,
                f"{one.process} uses {number(seconds / time)} processors on average,"
                f" {number(one.cores)} are allowed",
                one.setting,
            )
    return None


def _cycle(row: Row) -> Limiter | None:
    """Cycles that start as many jobs as they can, while processors wait for the next one."""
    places, achieved = places_of(row), value_of(row, "achieved_rate_jobs_per_s")
    if places is None or achieved is None or not _scheduling(row):
        return None
    for one in limits_of(row):
        allowed = cycle_rate(one.cycles, places)
        if allowed is None or not NEAR <= achieved / allowed <= 1 / NEAR:
            continue
        if allowed > NEAR * places.rate:
            continue
        return Limiter(
            one.name,
            f"{number(achieved)} jobs/s start; a period of {_periods(one.cycles)} allows"
            f" {number(allowed)}, and the processors {number(places.rate)}",
            one.setting,
        )
    return None


def _periods(cycles: Sequence[Cycle]) -> str:
    return " and of ".join(f"{cycle.period:g} s" for cycle in cycles)


def _scheduling(row: Row) -> bool:
    """Whether scheduling is at least half of the wait."""
    parts = _parts(row)
    return parts.get("scheduling", 0.0) >= HALF * sum(parts.values()) > 0


def _processor(row: Row) -> Limiter | None:
    """A daemon that has a core to itself all the time; it may have several threads, so more."""
    costs = row.get("daemon_cost")
    if costs is None or not len(costs):
        return None
    head = [cost for cost in costs if cost["cpu_s"] is not None and cost["group"] != "client"]
    if not head:
        return None
    most = max(head, key=lambda cost: float(cost["cpu_s"]))
    time = value_of(row, TIME)
    if not time:
        return _not_judged("the processor time of daemons")
    cores = float(most["cpu_s"]) / time
    if cores < NEAR:
        return None
    return Limiter(
        f"processor time of {most['process']}",
        f"it uses {number(cores)} cores on {most['node']} on average",
    )


def _held(row: Row) -> Limiter | None:
    """Processors that jobs hold all the time, though they do not run all the time."""
    places, achieved = places_of(row), value_of(row, "achieved_rate_jobs_per_s")
    launch, completion = value_of(row, "launch_mean_s"), value_of(row, "completion_mean_s")
    if places is None or achieved is None or launch is None or completion is None:
        return None
    if achieved < BUSY * places.rate:
        return None
    name = "launcher" if launch >= completion else "completion"
    return Limiter(
        name,
        f"jobs hold all processors for {number(places.held)} s each: {number(launch)} s until they"
        f" run, {number(completion)} s after they ran",
    )


def _window(row: Row) -> Limiter | None:
    """Jobs that a scheduler looks at on each event, while processors are free."""
    places, achieved = places_of(row), value_of(row, "achieved_rate_jobs_per_s")
    if places is None or achieved is None or not _scheduling(row):
        return None
    if achieved > NEAR * places.rate:
        return None
    for one in limits_of(row):
        if (depth := window(one.cycles)) is not None:
            return Limiter(
                one.name,
                f"{number(achieved)} jobs/s start and the processors allow {number(places.rate)},"
                f" while jobs wait of which {depth} are looked at",
                one.setting,
            )
    return None


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
    (
        f"a daemon's quota: it uses at least {100 * NEAR:.0f} % of the processor time that it may",
        _quota,
    ),
    (
        f"scheduling cycles: scheduling is at least half of the wait, jobs start at {NEAR} to"
        f" {1 / NEAR} times the rate that the periods allow, and that is at most {NEAR} times what"
        " the processors would take without waiting for a cycle",
        _cycle,
    ),
    (f"a daemon's processor time: at least {NEAR} cores on average", _processor),
    (
        f"launcher or completion: jobs hold all processors for at least {100 * BUSY:.0f} % of the"
        " time, and the longer of what comes before and after they run",
        _held,
    ),
    (
        "the depth of the queue: scheduling is at least half of the wait, jobs hold at most"
        f" {100 * NEAR:.0f} % of the processors, and the scheduler looks at a fixed number of jobs",
        _window,
    ),
    ("the part that takes at least half of the wait", _part),
)
"""What each rule says, and the rule, in the order in which they are tried."""


def of_cell(trials: pd.DataFrame) -> Limiter | None:
    """Limiter of a cell by its trial in which the queue `first_failed`.

    Parameters
    ----------
    trials : pandas.DataFrame
        Steps of the searches of one cell.

    Returns
    -------
    Limiter or None
        None where every rate was sustained. Without a name where some were not, and in none of
        these the queue grew.
    """
    row = first_failed(trials)
    if row is not None:
        return limiter(row)
    told = {reason for reasons in _failed(trials)["why_not"] for reason in reasons}
    if not told:
        return None
    words = ", ".join(REASONS[reason] for reason in REASONS if reason in told)
    return Limiter("", f"not judged: no rate made the queue grow ({words})")


def first_failed(trials: pd.DataFrame) -> dict[str, Any] | None:
    """Row of a cell's trial at a rate that was just too high; None where no queue grew.

    Of each search that is its valid trial at the lowest rate whose queue grew. Near the capacity a
    queue that comes and goes may be taken for a growing one, and the lowest rate of several
    searches is likely to be such a one. So it is the trial of the search in the middle by its rate,
    of an even number the upper one of the two.
    """
    failed = _failed(trials)
    grew = failed[failed["why_not"].map(lambda reasons: QUEUE in reasons).astype(bool)]
    first = grew.sort_values("rate").drop_duplicates(["snapshot", "search"])
    if not len(first):
        return None
    found = first.iloc[len(first) // 2].to_dict()
    return {str(name): value for name, value in found.items()}


def _failed(trials: pd.DataFrame) -> pd.DataFrame:
    """Valid trials at rates that were not sustained."""
    failed = trials["sustained"].fillna(value=True).astype(bool) == 0
    return trials[trials["valid"].astype(bool) & failed]
