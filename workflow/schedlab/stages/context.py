"""What every stage shares: the experiment, the folders, the cluster at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedlab.config import Experiment, load_experiment
from schedlab.records import load_record

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""

INFRASTRUCTURE = ROOT / "workflow" / "infrastructure"


@dataclass(frozen=True)
class Context:
    """Experiment and folders of one job.

    Attributes
    ----------
    experiment : Experiment
        The validated configuration.
    results : pathlib.Path
        The results folder.
    """

    experiment: Experiment
    results: Path

    @classmethod
    def load(cls, config: Path, results: Path) -> Context:
        """Load and validate the configuration."""
        return cls(load_experiment(config), results)

    def image(self, image: str) -> Path:
        """Folder of an image."""
        return self.results / "images" / image / "image"

    def base(self, image: str) -> Path:
        """Folder of the base disk that an image is built on."""
        return self.results / "images" / image / "base"

    def cluster(self, cluster: str, state: str) -> Path:
        """Folder of a cluster in state ``provisioned`` or ``configured``."""
        return self.results / "clusters" / cluster / state

    def trial(self, cluster: str, workload: str, repetition: int) -> Path:
        """Folder of a trial."""
        return self.results / "trials" / cluster / workload / str(repetition)

    def trace(self, workload: str, nodes: int, repetition: int) -> Path:
        """Neutral trace of a workload for a node count."""
        return self.results / "traces" / f"{workload}-n{nodes}-r{repetition}.json"

    @property
    def accelerator(self) -> dict[str, Any]:
        """The accelerator record's finding."""
        finding: dict[str, Any] = load_record(self.results / "accelerator.json")["accelerator"]
        return finding
