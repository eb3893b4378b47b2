"""Variants in which one limit is lifted: how an experiment has them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_factory import ROOT
from search_factory import SPEC, experiment

from schedlab.config import Experiment, HostFacts
from schedlab.config.load import read_experiment, write_experiment
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError

SEARCH = (
    "name: s\nnodes: [1]\nrepetitions: 1\nhead: {memory: 3 GiB}\n"
    "placement: {oversubscribe: true}\nschedulers: %s\n"
    "workloads:\n  - {name: knee, kind: saturate, confirm: true,"
    " workload: {kind: poisson, jobs: %s}, rate: {low: 1, high: 9}, precision: 20 %%}\n"
)


def load(tmp_path: Path, schedulers: str, jobs: str = "20") -> Any:
    (tmp_path / "e.yaml").write_text(SEARCH % (schedulers, jobs))
    return load_experiment(tmp_path / "e.yaml", HostFacts(cores=8, memory_mib=16384), ROOT)


def test_a_search_within_few_cycles_is_refused(tmp_path: Path) -> None:
    """9 jobs/s and a cycle in 5 s: 226 jobs arrive in 25 s."""
    slow = "[{name: slow, scheduler: volcano, settings: {schedulePeriod: 5s}}]"
    where = r"workloads\[0\].rate.high = 9: on slow-n1 its 20 jobs arrive within fewer than 5"
    with pytest.raises(SchedlabError, match=where) as error:
        load(tmp_path, slow)
    # rate.low is 1: the end alone would be refused again.
    remedy = "let workload knee have 226 jobs or more, or set rate.high to 0.76 or less, and"
    assert error.value.remedy == f"{remedy} rate.low below that"
    assert load(tmp_path, slow, "226").workload("knee").confirms
    with pytest.raises(SchedlabError, match="225 jobs arrive"):
        load(tmp_path, slow, "225")


def test_each_limit_is_lifted_alone(tmp_path: Path) -> None:
    slow = "[{name: slow, scheduler: volcano, settings: {schedulePeriod: 5s}}]"
    made = load(tmp_path, slow, "300")
    lifted = {cluster.variant: cluster.settings for cluster in made.clusters()}
    assert list(lifted) == ["slow", "slow-requests-lifted", "slow-cycle-lifted"]
    assert lifted["slow-cycle-lifted"] == {"schedulePeriod": "500ms"}
    assert lifted["slow-requests-lifted"]["schedulePeriod"] == "5s"


def test_a_confirmation_that_can_lift_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="confirm = true in workload knee: no variant") as error:
        load(tmp_path, "[nullscheduler]")
    assert "leave out confirm" in str(error.value.remedy)


def test_the_name_of_a_lifted_variant_is_taken(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match=r"schedulers\[1\].name = 'slurm-cycle-lifted'"):
        load(tmp_path, "[slurm, {name: slurm-cycle-lifted, scheduler: slurm}]")


def write(experiment: Experiment, path: Path) -> Path:
    write_experiment(experiment, path)
    return path


def test_a_search_is_confirmed_only_where_the_lifted_limit_is_the_limiter(tmp_path: Path) -> None:
    text = (
        "name: s\nnodes: [1]\nrepetitions: 1\nhead: {memory: 3 GiB}\n"
        "placement: {oversubscribe: true}\n"
        "schedulers: [slurm, {name: volcano, settings: {schedulerQps: '5', logLevel: '3'}}]\n"
        "workloads:\n  - {name: b, kind: burst}\n  - {name: knee, kind: saturate, confirm: true,"
        " workload: {kind: poisson, jobs: 50}, rate: {low: 1, high: 9}, precision: 20 %}\n"
    )
    (tmp_path / "e.yaml").write_text(text)
    made = load_experiment(tmp_path / "e.yaml", HostFacts(cores=8, memory_mib=16384), ROOT)
    assert {name: list(lifts) for name, lifts in made.lifted.items()} == {
        "slurm": ["cycle"],
        "volcano": ["requests", "cycle"],
    }
    cluster = made.cluster("volcano-requests-lifted-n1")
    assert cluster.settings["schedulerQps"] == "50" and cluster.settings["logLevel"] == "3"
    cells = {(key.cluster, key.workload) for key in made.trials()}
    assert ("volcano-requests-lifted-n1", "knee") in cells
    assert ("volcano-requests-lifted-n1", "b") not in cells and len(cells) == 7
    read = made.decided_by("volcano-requests-lifted-n1", "knee", 1)
    assert {key.cluster for key in read} == {"volcano-n1"}
    assert len(read) == made.workload("knee").steps
    read = made.decided_by("volcano-requests-lifted-n1", "knee", 2)
    assert [key.id for key in read] == ["volcano-requests-lifted-n1.knee.1"]
    again = read_experiment(write(made, tmp_path / "kept.yaml"))
    assert [key.id for key in again.trials()] == [key.id for key in made.trials()]


def test_limits_are_also_lifted_on_virtual_nodes() -> None:
    made = experiment(
        workloads=[SPEC | {"confirm": True}],
        virtual={"carriers": 1, "real": [1]},
        lifted={"slurm": {"jobs": {"MaxJobCount": "9"}}},
    )
    found = {cluster.id: made.lifted_from(cluster.id) for cluster in made.clusters()}
    assert found == {
        "slurm-n1": None,
        "slurm-virtual-n1": None,
        "slurm-jobs-lifted-n1": "slurm-n1",
        "slurm-jobs-lifted-virtual-n1": "slurm-virtual-n1",
    }
