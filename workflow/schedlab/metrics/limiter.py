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
from schedlab.metrics import processor_rules
from schedlab.metrics.cycles import Row, cycle_rate, limits_of, places_of, value_of, window
from schedlab.metrics.limiting import BUSY, HALF, NEAR, TIME, Limiter, not_judged
from schedlab.metrics.saturation import QUEUE, REASONS
from schedlab.schedulers.limits import Cycle

PARTS = {
    "lateness": "submitter",
    "submission": "acceptance by the API server or controller",
    "scheduling": "scheduling",
    "launch": "launcher",
}
"""Part of the wait -> who is at work during it."""


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


def _wait(row: Row) -> float:
    """Mean wait (s): the sum of its parts or, as one of them may be unknown, that of whole waits.

    0 where neither is known. The known parts alone would make each of them look large.
    """
    parts = _parts(row)
    if len(parts) == len(PARTS):
        return sum(parts.values())
    return value_of(row, "wait_mean_s") or 0.0


def _machine(row: Row) -> Limiter | None:
    """Processors that are busy, or that jobs hold and mostly run on, all the time."""
    used, cores = value_of(row, "utilisation_steady"), value_of(row, "cores")
    places, each = places_of(row), value_of(row, "processors_mean")
    usable = cores
    if places is not None and each and cores:
        usable = min(cores, places.number * each)
    if used is not None and used * (cores or 1.0) >= BUSY * (usable or 1.0):
        told = f"{100 * used:.0f} % of its cores are busy in the steady state"
        if cores and usable and usable < cores:
            told += f", and the jobs can use {100 * usable / cores:.0f} % at most"
        return Limiter("the machine", told)
    held = _all_held(row)
    if held is None or held.runs < max(held.launch, held.completion):
        return None
    return Limiter(
        "the machine",
        f"jobs hold all its places for {number(held.held)} s each, of which they run"
        f" {number(held.runs)} s",
    )


class _Held(NamedTuple):
    """What a job does while it holds its processors, mean over jobs, s."""

    held: float
    launch: float
    completion: float

    @property
    def runs(self) -> float:
        """From its first instruction to its last."""
        return self.held - self.launch - self.completion


def _all_held(row: Row) -> _Held | None:
    """How jobs hold their processors, where they hold all of them nearly all the time."""
    places, achieved = places_of(row), value_of(row, "achieved_rate_jobs_per_s")
    launch, completion = value_of(row, "launch_mean_s"), value_of(row, "completion_mean_s")
    if places is None or achieved is None or launch is None or completion is None:
        return None
    if achieved < BUSY * places.rate:
        return None
    return _Held(places.held, launch, completion)


def _submitter(row: Row) -> Limiter | None:
    wait, late = _wait(row), _parts(row).get("lateness")
    if late is None or wait <= 0 or late < HALF * wait:
        return None
    return Limiter(
        PARTS["lateness"],
        f"jobs are submitted {number(late)} s late on average, {100 * late / wait:.0f} % of their"
        " wait",
    )


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
    rates = [
        (requests / (one.seconds or time or 0.0), most, one)
        for requests, most, one in counted
        if one.seconds or time
    ]
    if len(rates) < len(counted):
        return not_judged("the number of requests")
    rate, most, one = max(rates, key=lambda entry: entry[0] / entry[1])
    if rate < NEAR * most:
        return None
    of = f" of its busiest client ({one.client})" if one.client else ""
    return Limiter(
        f"limit of {one.name}",
        f"{number(rate)} requests/s{of} were counted, {number(most)} are allowed",
        one.setting,
    )


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
    return _parts(row).get("scheduling", 0.0) >= HALF * _wait(row) > 0


def _held(row: Row) -> Limiter | None:
    """Processors that jobs hold all the time, and most of it before or after they run."""
    held = _all_held(row)
    if held is None:
        return None
    name = "launcher" if held.launch >= held.completion else "completion"
    return Limiter(
        name,
        f"jobs hold all processors for {number(held.held)} s each: {number(held.launch)} s until"
        f" they run, {number(held.completion)} s after they ran",
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
    parts, wait = _parts(row), _wait(row)
    if not parts or wait <= 0:
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
        f"the machine: at least {100 * BUSY:.0f} % of the cores that its jobs can use are busy in"
        " the steady state, or jobs hold all of them as long, and run longer than their launch or"
        " completion takes",
        _machine,
    ),
    ("the submitter: lateness is at least half of the wait", _submitter),
    (f"a client's limit: the requests counted reach {100 * NEAR:.0f} % of it", _client),
    (
        "a daemon's quota: it is held back in at least half of the periods in which it runs, and"
        " uses at least half of the processor time that it may; where no record counts these"
        f" periods, it uses at least {100 * NEAR:.0f} % of that time",
        processor_rules.quota,
    ),
    (
        f"scheduling cycles: scheduling is at least half of the wait, jobs start at {NEAR} to"
        f" {1 / NEAR} times the rate that the periods allow, and that is at most {NEAR} times what"
        " the processors would take without waiting for a cycle",
        _cycle,
    ),
    (
        f"processors: all daemons of the head, or those of all compute nodes together, use at least"
        f" {100 * NEAR:.0f} % of the processors there",
        processor_rules.processors,
    ),
    (
        "a daemon's processor time: a daemon of the head that works in one thread uses at least"
        f" {NEAR} cores on average",
        processor_rules.processor,
    ),
    (
        f"launcher or completion: jobs hold all processors for at least {100 * BUSY:.0f} % of the"
        " time, and the longer of what comes before and after they run is longer than their run",
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
