"""What every stage needs: the experiment, and the folders of its results."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from schedlab import paths
from schedlab.config import Cluster, Experiment
from schedlab.design import load_experiment, machines_of
from schedlab.results.records import load_record


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
        return self.results / paths.image_folder(image, "image")

    def base(self, image: str) -> Path:
        """Folder of the base disk that an image is built on."""
        return self.results / paths.image_folder(image, "base")

    def machines(self, machines: str) -> Path:
        """Folder of provisioned machines."""
        return self.results / paths.cluster_folder(machines, "provisioned")

    def provisioned(self, cluster: Cluster) -> Path:
        """Folder of the machines that a cluster is configured on."""
        return self.machines(machines_of(self.experiment, cluster))

    def configured(self, cluster: str) -> Path:
        """Folder of a configured cluster."""
        return self.results / paths.cluster_folder(cluster, "configured")

    def trial(self, cluster: str, workload: str, repetition: int) -> Path:
        """Folder of a trial."""
        return self.results / paths.trial_folder(cluster, workload, repetition)

    def trace(self, workload: str, machine: str, repetition: int) -> Path:
        """Neutral trace of a workload for a machine, by its short name."""
        return self.results / paths.trace_file(workload, machine, repetition)

    @property
    def toolchain(self) -> Path:
        """Record of the tools."""
        return self.results / paths.TOOLCHAIN

    @property
    def accelerator(self) -> dict[str, Any]:
        """The accelerator record's finding."""
        finding: dict[str, Any] = load_record(self.results / paths.ACCELERATOR)["accelerator"]
        return finding


def library_versions(*packages: str) -> dict[str, str]:
    """Versions of Python packages, for a stage's record."""
    return {name: version(name) for name in packages}
