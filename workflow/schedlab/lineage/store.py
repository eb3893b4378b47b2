"""Records of a results folder, read once each; a missing or damaged one is a finding, not an end.

The folder may be that of an unpacked bundle: same layout, without the large files.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.origins import FOLDER, label
from schedlab.records import file_digest, load_record

TABLES = "tables/record.json"
ACCELERATOR = "accelerator.json"


def below(origin: str) -> str:
    """Where the records of an origin begin, below the results: empty for the results' own."""
    return f"{FOLDER}/{origin}/" if origin else ""


def origin_of(path: str) -> str:
    """Name of the origin whose record is at a path; empty for the results' own."""
    parts = path.split("/")
    return parts[1] if parts[0] == FOLDER and len(parts) > 2 else ""


def trial_path(trial: str) -> str:
    """Path below the results of the record of a trial (cluster.workload.repetition).

    One that was imported has the name of its origin in front (``lab-b:slurm-n1.burst.1``).
    """
    origin, _, own = trial.rpartition(":")
    return f"{below(origin)}trials/{own.replace('.', '/')}/record.json"


def figure_path(figure: str) -> str:
    """Path of a figure's record below the results."""
    return f"figures/{figure}.record.json"


def cluster_path(cluster: str, state: str) -> str:
    """Path of a cluster's record below the results."""
    return f"clusters/{cluster}/{state}/record.json"


def image_path(image: str, stage: str) -> str:
    """Path below the results of the record of an image or its base disk."""
    return f"images/{image}/{stage}/record.json"


class Store:
    """The records below a results folder, by path relative to it.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._read: dict[str, dict[str, Any] | SchedlabError] = {}

    def record(self, path: str) -> dict[str, Any] | None:
        """A record; None where it is missing, damaged or of an unknown version."""
        found = self._load(path)
        return None if isinstance(found, SchedlabError) else found

    def problem(self, path: str) -> str:
        """Why a record cannot be read; empty where it can."""
        found = self._load(path)
        return found.message if isinstance(found, SchedlabError) else ""

    def digest(self, path: str) -> str | None:
        """Digest of a record's file; None where there is none."""
        file = self.results / path
        return file_digest(file) if file.is_file() else None

    def figures(self) -> list[str]:
        """Names of the figures that have a record."""
        found = self.results.glob(figure_path("*"))
        return sorted(path.name.removesuffix(".record.json") for path in found)

    def trials(self) -> dict[str, str]:
        """Paths of the trials' records, by trial."""
        found = [
            path.relative_to(self.results)
            for pattern in ("*.*.*", "*:*.*.*")
            for path in sorted(self.results.glob(trial_path(pattern)))
        ]
        return {
            label(origin_of(path.as_posix()), ".".join(path.parts[-4:-1])): path.as_posix()
            for path in found
        }

    @cached_property
    def shared(self) -> bool:
        """Whether this is an unpacked bundle, which names its large files by digest only."""
        metadata = "ro-crate-metadata.json"
        return any((folder / metadata).is_file() for folder in (self.results, self.results.parent))

    def _load(self, path: str) -> dict[str, Any] | SchedlabError:
        if path not in self._read:
            try:
                self._read[path] = load_record(self.results / path)
            except SchedlabError as error:
                self._read[path] = error
        return self._read[path]
