"""Clusters that differ in one limit, and what was predicted of them before."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from record_factory import write_record
from search_factory import SPEC, experiment

from schedlab.metrics.confirmation import Lifting, Prediction
from schedlab.paths import decision_record
from schedlab.report.lifting import liftings
from schedlab.results.imports import Origin


def test_clusters_that_differ_in_one_limit_are_a_pair(tmp_path: Path) -> None:
    spec = SPEC | {"confirm": True}
    variants = [
        {"name": "a", "scheduler": "slurm", "settings": {"CPUQuota": "5 %"}},
        {"name": "b", "scheduler": "slurm", "settings": {"CPUQuota": "20 %"}},
        {"name": "c", "scheduler": "slurm",
         "settings": {"CPUQuota": "20 %", "SchedulerType": "sched/builtin"}},
    ]  # fmt: skip
    lifted = {"a": {"quota": {"CPUQuota": "10 %"}}}
    made = experiment(schedulers=variants, workloads=[spec], lifted=lifted, nodes=[1, 2])
    told = {"run": True, "rate": 1.0, "predicted": 2.5, "why": "twice"}
    path = decision_record("a-quota-lifted-n1", "knee", 1)
    write_record(tmp_path / path, tmp_path, "decision", "a-quota-lifted-n1.knee.1", decision=told)
    found = {(one.cluster, one.other): one for one in liftings([Origin("", tmp_path, made)])}
    names = ["a-n1", "a-quota-lifted-n1", "b-n1"]
    assert {pair for pair in found if pair[0].endswith("n1")} == set(permutations(names, 2))
    assert all(one.settings == {"CPUQuota"} for one in found.values())
    recorded = {pair: one.recorded for pair, one in found.items() if one.recorded}
    assert recorded == {("a-n1", "a-quota-lifted-n1"): {"knee": Prediction(2.5, "twice")}}
    imported = liftings([Origin("lab", tmp_path, made)])
    assert imported[0].cluster.startswith("lab:") and imported[0].other.startswith("lab:")


def test_predictions_of_equal_clusters_are_joined_as_their_knee_is(tmp_path: Path) -> None:
    variants = [{"name": "a", "scheduler": "slurm", "settings": {"CPUQuota": "5 %"}}]
    made = experiment(
        schedulers=variants,
        workloads=[SPEC | {"confirm": True}],
        lifted={"a": {"quota": {"CPUQuota": "10 %"}}},
        repetitions={"trials": 1, "clusters": 2},
    )

    def decide(**told: dict[str, Any]) -> Lifting:
        for suffix, decision in zip(("", "-c2"), told.values(), strict=True):
            key = f"a-quota-lifted-n1{suffix}"
            path = tmp_path / decision_record(key, "knee", 1)
            write_record(path, tmp_path, "decision", f"{key}.knee.1", decision=decision)
        (pair,) = (one for one in liftings([Origin("", tmp_path, made)]) if one.cluster == "a-n1")
        return pair

    one, other = ({"run": True, "rate": 1.0, "predicted": rate, "why": "twice"} for rate in (2, 8))
    joined = decide(first=one, second=other).recorded["knee"]
    assert joined.rate == pytest.approx(4.0)
    assert joined.why == "twice (mean of the predictions of 2 equal clusters)"
    no = {"run": False, "rate": None, "limiter": "x", "why": "another"}
    found = decide(first=no, second=other)
    assert (found.recorded, found.refused) == ({"knee": Prediction(8.0, "twice")}, {})
    found = decide(first=no, second=no)
    assert (found.recorded, found.refused) == ({}, {"knee": "another"})
