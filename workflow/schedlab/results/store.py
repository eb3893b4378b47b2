"""Records of a results folder, read once each; a missing or damaged one is a finding, not an end.

The folder may be that of an unpacked bundle: same layout, without the large files.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.names import inside
from schedlab.paths import IMPORTED, figure_record, trial_record
from schedlab.results.imports import label
from schedlab.results.records import file_digest, load_record


def below(origin: str) -> str:
    """Where the records of an origin begin, below the results: empty for the results' own."""
    return f"{IMPORTED}/{origin}/" if origin else ""


def origin_of(path: str) -> str:
    """Name of the origin whose record is at a path; empty for the results' own."""
    parts = path.split("/")
    return parts[1] if parts[0] == IMPORTED and len(parts) > 2 else ""


def record_of_trial(trial: str) -> str:
    """Path below the results of the record of a trial (cluster.workload.repetition).

    One that was imported has the name of its origin in front (``lab-b:alpha-n1.burst.1``).
    """
    origin, _, own = trial.rpartition(":")
    return below(origin) + trial_record(*own.split("."))


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
        try:
            file = inside(self.results, path)
        except SchedlabError:
            return None
        return file_digest(file) if file.is_file() else None

    def figures(self) -> list[str]:
        """Names of the figures that have a record."""
        found = self.results.glob(figure_record("*"))
        return sorted(path.name.removesuffix(".record.json") for path in found)

    def trials(self) -> dict[str, str]:
        """Paths of the trials' records, by trial."""
        found = [
            path.relative_to(self.results)
            for pattern in ("*.*.*", "*:*.*.*")
            for path in sorted(self.results.glob(record_of_trial(pattern)))
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
                self._read[path] = load_record(inside(self.results, path))
            except SchedlabError as error:
                self._read[path] = error
        return self._read[path]
