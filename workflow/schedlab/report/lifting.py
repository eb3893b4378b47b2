"""Which clusters of an experiment lift a limit of another one, and what was predicted of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, permutations
from statistics import geometric_mean
from typing import Any

from schedlab.config import Cluster
from schedlab.metrics.confirmation import Lifting, Prediction
from schedlab.paths import decision_record
from schedlab.results.imports import Origin
from schedlab.results.store import Store
from schedlab.schedulers import get_scheduler


def liftings(origins: Iterable[Origin]) -> list[Lifting]:
    """Pairs of clusters that differ in nothing but the settings of one limit.

    Parameters
    ----------
    origins : iterable of Origin
        Of the trials. Clusters of two origins are no pair: their hosts differ.
    """
    found = []
    for origin in origins:
        searched = [one.name for one in origin.experiment.workloads if one.steps > 1]
        if not searched:
            continue
        store = Store(origin.results)
        clusters = origin.experiment.clusters()
        for pair in _pairs(clusters):
            lifted = origin.experiment.lifted_from(pair.other) == pair.cluster
            equal = [one.id for one in clusters if replace(one, number=1).id == pair.other]
            told = {
                name: [_decision(store, cluster, name) for cluster in equal]
                for name in searched * lifted
            }
            joined = {name: _joined(each) for name, each in told.items()}
            refused = {name: _refused(each) for name, each in told.items()}
            found.append(
                pair._replace(
                    cluster=origin.label(pair.cluster),
                    other=origin.label(pair.other),
                    recorded={name: one for name, one in joined.items() if one},
                    refused={name: why for name, why in refused.items() if why},
                )
            )
    return found


def _pairs(clusters: list[Cluster]) -> Iterator[Lifting]:
    """Pairs among the clusters of one experiment; equal clusters of a variant count once."""
    first = [cluster for cluster in clusters if cluster.number == 1]
    in_force = {one.id: dict(get_scheduler(one.scheduler, one.settings).in_force) for one in first}

    def kind(cluster: Cluster) -> str:
        return repr(replace(cluster, variant="", settings={}))

    for _, alike in groupby(sorted(first, key=kind), kind):
        for one, other in permutations(alike, 2):
            before, after = in_force[one.id], in_force[other.id]
            differ = {key for key in before if before[key] != after[key]}
            for lift in get_scheduler(one.scheduler, one.settings).lifts():
                if differ and differ <= set(lift.settings):
                    yield Lifting(one.id, other.id, frozenset(lift.settings), {})


def _decision(store: Store, cluster: str, workload: str) -> Mapping[str, Any]:
    """Return the decision before the first trial of a cluster with a lifted limit."""
    record = store.record(decision_record(cluster, workload, 1)) or {}
    found: Mapping[str, Any] = record.get("decision", {})
    return found


def _joined(decisions: Sequence[Mapping[str, Any]]) -> Prediction | None:
    """What was predicted of equal clusters together: the geometric mean, as their knee is one."""
    made = [one for one in decisions if "predicted" in one]
    if not made:
        return None
    rates = [float(one["predicted"]) for one in made]
    why = "; ".join(dict.fromkeys(str(one.get("why", "")) for one in made))
    if len(rates) == 1:
        return Prediction(rates[0], why)
    mean = f"mean of the predictions of {len(rates)} equal clusters"
    return Prediction(geometric_mean(rates), f"{why} ({mean})")


def _refused(decisions: Sequence[Mapping[str, Any]]) -> str:
    """Why none of equal clusters was to confirm the limiter; empty where one was."""
    if any("predicted" in one for one in decisions):
        return ""
    return "; ".join(dict.fromkeys(str(one["why"]) for one in decisions if one.get("why")))
