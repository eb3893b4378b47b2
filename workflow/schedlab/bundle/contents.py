"""Which files of a results folder go into a bundle: only those that records name.

A secret key, a log or the output of a console is therefore never packed because it lies in a
folder of results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedlab import design
from schedlab.config import Experiment, read_experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.invocation import command
from schedlab.paths import (
    ACCELERATOR,
    EXPERIMENTS,
    IMPORT,
    IMPORTED,
    RECORD,
    REPORT,
    REPORT_RECORD,
    TABLE_FILES,
    TABLES,
    TABLES_RECORD,
    TOOLCHAIN,
    cluster_decision_record,
    cluster_record,
    decision_record,
    figure_file,
    figure_record,
    image_record,
    trace_record,
    trial_folder,
)
from schedlab.printing import some
from schedlab.results.imports import origins
from schedlab.results.records import is_stopped, load_record
from schedlab.schedulers import has_programs

_NEVER = ("console/", "console.log", "prometheus/prometheus.log", "secrets/")
"""Outputs that serve only a diagnosis on this machine. The records keep their digests."""
_DOCUMENTS = (".json", ".txt")
"""Outputs of images and clusters that are small texts. All others are disks or saved memory."""
SHOWN = 20
"""Largest number of names in one message."""


@dataclass(frozen=True)
class Choice:
    """Parts that go into a bundle only when the user asks for them.

    Parameters
    ----------
    blocks : bool
        Pack the Prometheus blocks of the trials.
    images : bool
        Pack the disks of the images.
    snapshots : bool
        Pack memory and disks of the clusters. They contain keys and paths of this machine.
    """

    blocks: bool = False
    images: bool = False
    snapshots: bool = False

    def takes(self, folder: str, name: str) -> bool:
        """Tell whether an output of a stage goes into the bundle.

        Parameters
        ----------
        folder : str
            Folder of the stage, below the results folder.
        name : str
            Name of the output in the stage's record.
        """
        if name.startswith(_NEVER):
            return False
        kind = folder.partition("/")[0]
        if kind == "trials":
            return self.blocks or not name.startswith("prometheus/block/")
        if kind == "clusters" and name.startswith("snapshot/"):
            return self.snapshots
        return name.endswith(_DOCUMENTS) or (self.images and kind == "images")


@dataclass(frozen=True)
class Content:
    """A file of the results that goes into a bundle.

    Attributes
    ----------
    name : str
        Path below the results folder.
    sha256 : str or None
        SHA-256 that a record gives for the file; None if no record names it.
    opaque : bool
        The file is a disk or saved memory. It is packed without a search for secrets.
    """

    name: str
    sha256: str | None = None
    opaque: bool = False


def stage_records(experiment: Experiment) -> Iterator[str]:
    """Yield the names of all records of an experiment except those of traces and trials."""
    yield ACCELERATOR
    yield TOOLCHAIN
    for image in design.images(experiment):
        for stage in ("base", "image", *(["programs"] * has_programs(image))):
            yield image_record(image, stage)
    for machines in design.machines(experiment):
        yield cluster_record(machines, "provisioned")
    for cluster in experiment.clusters():
        yield cluster_record(cluster.id, "configured")


def trace_records(experiment: Experiment) -> Iterator[str]:
    """Yield the names of the records of all traces of an experiment."""
    for workload in experiment.workloads:
        for machine in experiment.machine_names():
            for repetition in range(1, experiment.most(workload) + 1):
                yield trace_record(workload.name, machine, repetition)


def trial_folders(experiment: Experiment) -> list[str]:
    """Return the folders of all trials of an experiment, relative to the results folder, sorted."""
    return sorted(
        trial_folder(key.cluster, key.workload, key.repetition) for key in experiment.trials()
    )


def load_packed_experiment(results: Path) -> Experiment:
    """Read the experiment that the report stage saved in a results folder.

    Raises
    ------
    SchedlabError
        The results have no report yet.
    """
    path = results / EXPERIMENTS
    if not path.is_file():
        raise SchedlabError(
            f"{path} is missing: these results have no report yet",
            remedy=f"make it first: {command(results)}",
        )
    return read_experiment(path)


def require_complete(results: Path, experiment: Experiment) -> None:
    """Check that every record, table and figure of an experiment exists.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiment : Experiment
        The experiment of these results.

    Raises
    ------
    SchedlabError
        Files are missing. The message names them.
    """
    wanted = [
        *stage_records(experiment),
        *trace_records(experiment),
        *(f"{folder}/{RECORD}" for folder in trial_folders(experiment)),
        TABLES_RECORD,
        *(f"{TABLES}/{name}" for name in TABLE_FILES),
        *map(figure_file, FIGURES),
        *map(figure_record, FIGURES),
        REPORT,
        REPORT_RECORD,
    ]
    missing = [name for name in wanted if not (results / name).is_file()]
    if missing:
        raise SchedlabError(
            f"{results}: {len(missing)} files that a bundle must have are missing: "
            + some(missing, SHOWN),
            remedy=f"run the experiment to the end: {command(results)}",
        )


def contents(results: Path, experiment: Experiment, choice: Choice) -> Iterator[Content]:
    """Yield every file of a results folder that goes into the bundle, stage by stage.

    Only one record at a time is held in memory.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiment : Experiment
        The experiment of these results.
    choice : Choice
        Optional parts that the user asked for.
    """
    yield Content(EXPERIMENTS)
    yield Content(REPORT)
    yield Content(REPORT_RECORD)
    yield Content(TABLES_RECORD)
    yield from (Content(f"{TABLES}/{name}") for name in TABLE_FILES)
    for name in FIGURES:
        yield Content(figure_file(name))
        yield Content(figure_record(name))
    yield from recorded(results, "", experiment, choice)
    # Imported here because only packing reads tables, and the import of their library is slow.
    from schedlab.tables.build import load_left_out

    # The report does not show imports that the tables left out.
    left_out = load_left_out(results / TABLES)
    for origin in origins(results, experiment).sound[1:]:
        if origin.name in left_out:
            continue
        below = f"{IMPORTED}/{origin.name}/"
        yield Content(f"{below}{EXPERIMENTS}")
        yield Content(f"{below}{IMPORT}")
        yield from recorded(results, below, origin.experiment, choice)


def recorded(
    results: Path, below: str, experiment: Experiment, choice: Choice
) -> Iterator[Content]:
    """Yield the records of an experiment and the outputs that they name.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    below : str
        Folder of the experiment's results below `results`: empty, or a path that ends with a
        slash.
    experiment : Experiment
        The experiment, which determines the names of stages and trials.
    choice : Choice
        Optional parts that the user asked for.
    """
    for name in (*stage_records(experiment), *trace_records(experiment)):
        yield from _stage(results, below, name, choice)
    for cluster in experiment.lifted_clusters():
        if is_stopped(results / below / cluster_record(cluster, "configured")):
            yield Content(below + cluster_decision_record(cluster))
    for folder in trial_folders(experiment):
        yield from _stage(results, below, f"{folder}/{RECORD}", choice)
        # Of decisions only those that a record names: by which a trial did not run, or which gave a
        # step of a search its rate.
        cell = folder.split("/")[1:]
        step = experiment.workload(cell[1]).steps > 1
        if step or is_stopped(results / below / folder / RECORD):
            yield Content(below + decision_record(*cell))


def _stage(results: Path, below: str, name: str, choice: Choice) -> Iterator[Content]:
    folder = name.rpartition("/")[0]
    yield Content(f"{below}{name}")
    if not folder:
        return
    outputs: dict[str, Any] = load_record(results / below / name).get("outputs") or {}
    for output, sha256 in sorted(outputs.items()):
        if choice.takes(folder, output):
            yield Content(
                f"{below}{folder}/{output}", sha256, opaque=not output.endswith(_DOCUMENTS)
                and not folder.startswith("trials/"),
            )  # fmt: skip
