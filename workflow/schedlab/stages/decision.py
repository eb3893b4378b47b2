"""Whether a cell goes on: the stop rule, applied to the trials of the cell that have run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.config import TrialKey
from schedlab.config.variants import Rounds
from schedlab.errors import SchedlabError
from schedlab.metrics.confirmation import Unlifted, prediction
from schedlab.metrics.limiter import of_cell
from schedlab.metrics.saturation import CYCLES, REASONS
from schedlab.metrics.searches import knees
from schedlab.metrics.stopping import NARROW, StopRule, standing
from schedlab.paths import CHECKOUT, RECORD, cluster_decision_record, decision_record
from schedlab.results.records import RecordWriter, load_record, verify_outputs, was_stopped
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.limits import Limit
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.tables.trial_rows import read_trial
from schedlab.units import part
from schedlab.workloads.ladder import bracket, next_rate, steps_of
from schedlab.workloads.saturate import Saturate

STAGE = "decision"
REACH = 1.5
"""Highest rate of a search with a lifted limit, at least, over what it should find."""
BELOW = 0.8
"""Its lowest rate, at most, over the knee without the limit lifted."""


def write_decision(context: Context, cluster: str, workload: str, repetition: int) -> None:
    """Decide whether a trial runs, and write the record of the decision.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    cluster, workload : str
        The cell.
    repetition : int
        Of the trial that it is about. The decision reads the records of those before it.
    """
    keys = context.experiment.decided_by(cluster, workload, repetition)
    folders = {key: context.trial(key.cluster, key.workload, key.repetition) for key in keys}
    about = context.experiment.workload(workload)
    lifts = isinstance(about, Saturate) and context.experiment.lifted_from(cluster) is not None
    # The ends of a search with a lifted limit follow from its prediction.
    first = {"decision": context.results / decision_record(cluster, workload, 1)}
    record = RecordWriter(
        STAGE,
        f"{cluster}.{workload}.{repetition}",
        CHECKOUT,
        context.results,
        parents={key.id: path / RECORD for key, path in folders.items()}
        | (first if lifts and repetition > 1 else {}),
        inputs=stage_files(STAGE, scheduler=context.experiment.cluster(cluster).scheduler),
    )
    ran = {
        key: path for key, path in folders.items() if not was_stopped(load_record(path / RECORD))
    }
    for path in ran.values():
        verify_outputs(path / RECORD)
    rows = [read_trial(path).trial for key, path in ran.items() if key.cluster == cluster]
    if not isinstance(about, Saturate):
        found = of_rows(rows, about.quantity, context.experiment.rounds)
    elif not lifts:
        found = of_search(rows, about, repetition)
    elif repetition == 1:
        base = [read_trial(path).trial for path in ran.values()]
        lifted = context.experiment.cluster(cluster)
        adapter = get_scheduler(lifted.scheduler, lifted.settings)
        limits = [one.on(lifted.head.vcpus) for one in adapter.limits(adapter.in_force, {})]
        told = unless_limited(base, limits)
        ends = moved(about, told)
        found = of_search(rows, about, repetition, ends) | {"ladder": ends._asdict()} | told
    else:
        told = load_record(first["decision"])["decision"]
        ladder = told.get("ladder")
        found = of_search(rows, about, repetition, Ends(**ladder) if ladder else None)
        if keys[0] not in ran:
            # Decided with the cell's first trial.
            found |= {"run": False, "rate": None, "why": told.get("why", "")}
    record.write(
        context.results / decision_record(cluster, workload, repetition),
        settings=context.experiment.decision_spec(workload),
        decision=found,
    )


def renew_decision(context: Context, key: TrialKey) -> None:
    """Make the decision on a trial that runs again anew, if it is out of date.

    Snakemake leaves the decision on a trial that ran as it is, so that another decision alone makes
    no trial run again. When the trial does, because its cluster or its workload was changed, a
    search would go through rates that were chosen for what was there before.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    key : TrialKey
        The trial. Nothing is done if no decision was made on it.
    """
    if why := out_of_date(context, key):
        write_decision(context, key.cluster, key.workload, key.repetition)
        print(f"{key.id}: decided again: {why}", flush=True)


def out_of_date(context: Context, key: TrialKey) -> str:
    """Return why another decision would be made now; empty where none would, or none was made."""
    path = context.results / decision_record(key.cluster, key.workload, key.repetition)
    if not context.experiment.decided(key.workload, key.repetition) or not path.is_file():
        return ""
    record = load_record(path)
    ran = [
        name
        for name, parent in record["parents"].items()
        if load_record(context.results / parent["path"])["lineage"] != parent["lineage"]
    ]
    if ran:
        return f"{', '.join(ran)} ran again"
    current = context.experiment.decision_spec(key.workload)
    return "" if record.get("settings") == current else "its rule was changed"


def write_cluster_decision(context: Context, cluster: str) -> None:
    """Decide whether a cluster with a lifted limit is configured, and write the record of that.

    It is where any search on it is made. The decisions before the first trials of the searches
    tell that; a search whose decision is not there was made before there were any.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    cluster : str
        Id of the cluster.

    Raises
    ------
    SchedlabError
        The cluster lifts no limit, so that it is configured in any case.
    """
    lifted = context.experiment.lifted_clusters()
    if cluster not in lifted:
        raise SchedlabError(
            f"the cluster {cluster} lifts no limit: no decision on it is due",
            remedy=f"use one of {', '.join(lifted)}" if lifted else "name a trial of it",
        )
    keys = lifted[cluster]
    paths = {
        key: context.results / decision_record(cluster, key.workload, key.repetition)
        for key in keys
    }
    there = {key: path for key, path in paths.items() if path.is_file()}
    identifier = f"{cluster}/configured"
    record = RecordWriter(
        STAGE,
        identifier,
        CHECKOUT,
        context.results,
        parents={key.id: path for key, path in there.items()},
        inputs=stage_files(STAGE, scheduler=context.experiment.cluster(cluster).scheduler),
    )
    told = {key: load_record(path)["decision"] for key, path in there.items()}
    record.write(
        context.results / cluster_decision_record(cluster),
        decision=of_searches({key.workload: told.get(key) for key in keys}),
    )


def of_searches(told: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Decision on a cluster, by the decisions on the searches that could be made on it.

    Parameters
    ----------
    told : mapping of str to mapping or None
        Workload -> decision before the first trial of its search; None where there is none.

    Returns
    -------
    dict
        `run`, whether the cluster is configured, and `why`: the workloads that need it, or for
        each of them why it does not.
    """
    needed = [name for name, one in told.items() if one is None or one.get("run") is not False]
    if needed:
        return {"run": True, "why": f"needed by {', '.join(needed)}"}
    reasons = {name: (one or {}).get("why") or "no search" for name, one in told.items()}
    return {"run": False, "why": "; ".join(f"{name}: {why}" for name, why in reasons.items())}


class Ends(NamedTuple):
    """Between which rates (1/s) a search looks."""

    low: float
    high: float


def moved(search: Saturate, told: Mapping[str, Any]) -> Ends:
    """Ends of a search with a lifted limit, so that it can find what is `told` to be predicted.

    Both move by one factor, so that the steps that were planned suffice; the lower end stays below
    the knee without the limit lifted.
    """
    ends = Ends(search.rate.low, search.rate.high)
    factor = REACH * told.get("predicted", 0.0) / ends.high
    if factor <= 1:
        return ends
    low = max(ends.low, min(factor * ends.low, BELOW * told["knee"]))
    return Ends(float(f"{low:.6g}"), float(f"{factor * ends.high:.6g}"))


def of_search(
    rows: list[dict[str, Any]], search: Saturate, repetition: int, ends: Ends | None = None
) -> dict[str, Any]:
    """Decision on a step of a search, by the rows of the trials before it in the same search.

    Parameters
    ----------
    rows : list of dict
        Rows of the trials table.
    search : Saturate
        The search.
    repetition : int
        Of the trial that it is about.
    ends : Ends or None
        Where the search looks, if not where its workload says.

    Returns
    -------
    dict
        `run` (whether the trial runs), `rate` (1/s; None where the search has ended), `why` where
        it has because a rate cannot be judged, `search` and `step` (from 1), `low` and `high` (the
        bracket so far, 1/s).
    """
    number, step = divmod(repetition - 1, search.steps)
    first = number * search.steps + 1
    steps = steps_of(row for row in rows if first <= row["repetition"] < repetition)
    low, high = ends or (search.rate.low, search.rate.high)
    rate = next_rate(steps, low, high, part(search.precision))
    why = {}
    if any(CYCLES in (row.get("why_not") or ()) for row in rows if first <= row["repetition"]):
        rate, why = None, {"why": REASONS[CYCLES]}
    return {
        "run": rate is not None,
        "rate": rate,
        **why,
        "search": number + 1,
        "step": step + 1,
        **bracket(steps)._asdict(),
    }


def unless_limited(base: list[dict[str, Any]], lifted: Sequence[Limit]) -> dict[str, Any]:
    """Tell what a search with a lifted limit should find, or that it is not made.

    It is not made where another limiter was named without it.

    Returns
    -------
    dict
        `limiter` of the cell whose limit is lifted; its `knee` and what is `predicted` (1/s) from
        its trials alone, and `why`; or `run` false, and `why`.
    """
    if not base:
        return _not_made("none", Unlifted.NO_TRIAL)
    cell = pd.DataFrame(base)
    (knee,), named = knees(cell), of_cell(cell)
    expected = prediction(cell, knee, named, lifted)
    limiter = named.name if named else "none"
    if isinstance(expected, Unlifted):
        return _not_made(limiter, expected)
    return {
        "limiter": limiter,
        "knee": knee.estimate,
        "predicted": expected.rate,
        "why": expected.why,
    }


def _not_made(limiter: str, why: Unlifted) -> dict[str, Any]:
    return {"limiter": limiter, "run": False, "rate": None, "why": why.value}


def of_rows(rows: list[dict[str, Any]], quantity: str, rounds: Rounds | None) -> dict[str, Any]:
    """Decision on rows of the trials table, all of one cell.

    Returns
    -------
    dict
        `run` (whether the trial runs), `quantity`, `n` (trials with a value), `half_width`
        (relative; None where there is no interval) and `until`. Without a rule the trial runs.
    """
    if rounds is None:
        return {"run": True}
    rule = StopRule(rounds.min, rounds.max, rounds.width)
    found = standing(rows, quantity, rule)
    told = found._asdict() | {"run": found.decision != NARROW, "until": rule.until}
    del told["decision"]
    return told
