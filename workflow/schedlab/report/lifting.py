"""Which clusters of an experiment lift a limit of another one, and what was predicted of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, permutations

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
        for pair in _pairs(origin.experiment.clusters()):
            lifted = origin.experiment.lifted_from(pair.other) == pair.cluster
            predicted = {name: _recorded(store, pair.other, name) for name in searched * lifted}
            found.append(
                pair._replace(
                    cluster=origin.label(pair.cluster),
                    other=origin.label(pair.other),
                    recorded={name: told for name, told in predicted.items() if told},
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


def _recorded(store: Store, cluster: str, workload: str) -> Prediction | None:
    """What the decision before the first trial with a lifted limit predicted."""
    told = (store.record(decision_record(cluster, workload, 1)) or {}).get("decision", {})
    if "predicted" not in told:
        return None
    return Prediction(float(told["predicted"]), str(told.get("why", "")))
