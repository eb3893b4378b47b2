"""Experiments that a test writes, loads, or sees refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schedlab.config import Experiment, HostFacts
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError

ROOT = Path(__file__).resolve().parents[2]
HOST = HostFacts(cores=8, memory_mib=16384, numa_nodes=frozenset({0}), hugepages_mib=0)
BURST = {"name": "burst", "kind": "burst", "jobs": 3}
SLOW = {"name": "slow", "scheduler": "slurm", "settings": {"MinJobAge": "5000"}}


def write(folder: Path, **keys: Any) -> Path:
    """Write an experiment with one burst workload and the given keys."""
    path = folder / "experiments.yaml"
    path.write_text(yaml.safe_dump({"workloads": [BURST], **keys}))
    return path


def load(folder: Path, host: HostFacts = HOST, **keys: Any) -> Experiment:
    """Load such an experiment."""
    return load_experiment(write(folder, **keys), host, ROOT)


def refusal(folder: Path, host: HostFacts = HOST, **keys: Any) -> list[str]:
    """Lines of the error with which an experiment is refused, without the closing remedy."""
    with pytest.raises(SchedlabError) as caught:
        load(folder, host, **keys)
    return caught.value.message.splitlines()
