"""Experiments that are shipped: they are well formed, and ask for what docs/saturation.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schedlab.config import Experiment, HostFacts
from schedlab.design import load_experiment
from schedlab.workloads.duration import earliest_end

ROOT = Path(__file__).resolve().parents[2]
HOST = HostFacts(cores=2, memory_mib=24 * 1024)
ROW = re.compile(
    r"^\| `(config/\S+\.yaml)` \| (\d+) \| (\d+) \| (\d+) \| (\d+ GiB) \| (\d+) \|$", re.MULTILINE
)
TOLD = {row[0]: row[1:] for row in ROW.findall((ROOT / "docs/saturation.md").read_text())}


def least(experiment: Experiment) -> float:
    """Least time of the workloads, s: of a search its first step, where no limit is lifted."""
    total = 0.0
    for key in experiment.trials():
        workload, cluster = experiment.workload(key.workload), experiment.cluster(key.cluster)
        lifted = experiment.lifted_from(cluster.id) is not None
        if workload.kind != "saturate" or (key.repetition == 1 and not lifted):
            seed = experiment.trace_seed(workload.name, key.repetition)
            total += earliest_end(workload.generate(cluster.machine, seed, ROOT)).seconds
    return total


def test_all_of_them_are_told() -> None:
    names = {f"config/{name}.yaml" for name in ("behaviour", "preemption")}
    names |= {f"config/{path.name}" for path in (ROOT / "config").glob("saturation*.yaml")}
    assert set(TOLD) == names


@pytest.mark.parametrize("name", sorted(TOLD))
def test_what_is_told_of_an_experiment(name: str) -> None:
    experiment = load_experiment(ROOT / name, HOST, ROOT)
    clusters = experiment.clusters()
    memory = max(cluster.memory_total_mib for cluster in clusters)
    found = (len(clusters), len(experiment.trials()), memory, experiment.limits.disk)
    assert TOLD[name][:4] == tuple(map(str, found))
    assert int(TOLD[name][4]) == int(least(experiment) / 60)


def test_ready_made_experiments_are_well_formed() -> None:
    paths = list((ROOT / "config").glob("*.yaml"))
    assert {"saturation.yaml", "saturation-slurm.yaml", "saturation-volcano.yaml"} <= {
        path.name for path in paths
    }
    for path in paths:
        found = load_experiment(path, HostFacts(cores=8, memory_mib=32768), ROOT)
        assert found.trials()


@pytest.mark.parametrize(
    ("name", "lifted"),
    [
        ("saturation", {"kubernetes": ["requests"], "volcano": ["requests", "cycle"]}),
        ("saturation-slurm", {"main": ["cycle"], "backfill": ["cycle"]}),
        ("saturation-volcano", {"volcano": ["requests", "cycle"]}),
    ],
)
def test_showpieces_lift_the_limits_that_they_set(name: str, lifted: dict[str, list[str]]) -> None:
    host = HostFacts(cores=8, memory_mib=32768)
    found = load_experiment(ROOT / "config" / f"{name}.yaml", host, ROOT)
    assert {of: list(lifts) for of, lifts in found.lifted.items()} == lifted
