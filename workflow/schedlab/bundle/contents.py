"""Which files of a results folder go into a bundle: those that records name, and nothing else.

So a key in a folder of secrets, a log or a console cannot get in by lying in the wrong place.
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
    cluster_record,
    figure_file,
    figure_record,
    image_record,
    trace_record,
    trial_folder,
)
from schedlab.results.imports import origins
from schedlab.results.records import load_record
from schedlab.schedulers import image_programs
from schedlab.tables.build import load_left_out

_NEVER = ("console/", "console.log", "prometheus/prometheus.log", "secrets/")
"""Of records' outputs: what is for a diagnosis on the spot. Records keep their digests."""
_DOCUMENTS = (".json", ".txt")
"""Of images' and clusters' outputs: what is small and can be read. The others are disks, memory."""
SHOWN = 20
"""Names in one message."""


@dataclass(frozen=True)
class Choice:
    """What else goes into a bundle, beside what always does.

    Parameters
    ----------
    blocks : bool
        Prometheus' blocks of the trials.
    images : bool
        Disks of the images.
    snapshots : bool
        Memory and disks of the clusters, with the keys and paths that are in them.
    """

    blocks: bool = False
    images: bool = False
    snapshots: bool = False

    def takes(self, folder: str, name: str) -> bool:
        """Tell whether an output, named as in the record of its stage's folder, goes in."""
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
    """A file that goes in.

    Attributes
    ----------
    name : str
        Path below the results folder.
    sha256 : str or None
        What a record says of it, where one does.
    opaque : bool
        A disk or a saved memory: chosen as it is, and not searched.
    """

    name: str
    sha256: str | None = None
    opaque: bool = False


def stage_records(experiment: Experiment) -> Iterator[str]:
    """Names of all records of an experiment, without the trials'."""
    yield ACCELERATOR
    yield TOOLCHAIN
    for image in design.images(experiment):
        for stage in ("base", "image", *(["programs"] * bool(image_programs(image)))):
            yield image_record(image, stage)
    for machines in design.machines(experiment):
        yield cluster_record(machines, "provisioned")
    for cluster in experiment.clusters():
        yield cluster_record(cluster.id, "configured")


def trace_records(experiment: Experiment) -> Iterator[str]:
    """Names of the records of all traces of an experiment."""
    for workload in experiment.workloads:
        for machine in experiment.machine_names():
            for repetition in range(1, experiment.repetitions.trials + 1):
                yield trace_record(workload.name, machine, repetition)


def trial_folders(experiment: Experiment) -> list[str]:
    """Folders of all trials of an experiment, below the results folder, in order of name."""
    return sorted(
        trial_folder(key.cluster, key.workload, key.repetition) for key in experiment.trials()
    )


def load_packed_experiment(results: Path) -> Experiment:
    """Experiment of a results folder, as the report left it there.

    Raises
    ------
    SchedlabError
        When the report was not made yet.
    """
    path = results / EXPERIMENTS
    if not path.is_file():
        raise SchedlabError(
            f"{path} is missing: these results have no report yet", remedy="run `make report` first"
        )
    return read_experiment(path)


def require_complete(results: Path, experiment: Experiment) -> None:
    """Check that every record, table and figure is there.

    Raises
    ------
    SchedlabError
        Names what is missing, and how it is made.
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
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise SchedlabError(
            f"{results}: {len(missing)} files are missing that a bundle must have: "
            + ", ".join(missing[:SHOWN])
            + more,
            remedy="run `make report` to the end with the configuration of these results",
        )


def contents(results: Path, experiment: Experiment, choice: Choice) -> Iterator[Content]:
    """Yield every file of a results folder that goes in, one stage's folder after another.

    Only one record at a time is held in memory.
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
    # What the tables leave out is no part of what the report shows.
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
        Where the experiment's results lie in it: empty, or a path with a slash at its end.
    experiment : Experiment
        Names stages and trials.
    choice : Choice
        What goes in.
    """
    for name in (*stage_records(experiment), *trace_records(experiment)):
        yield from _stage(results, below, name, choice)
    for folder in trial_folders(experiment):
        yield from _stage(results, below, f"{folder}/{RECORD}", choice)


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
