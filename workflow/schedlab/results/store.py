"""The records of a results folder, each read once. Missing or damaged ones do not raise errors.

The folder may come from an unpacked bundle, which has the same layout without the large files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.names import inside
from schedlab.paths import CRATE, IMPORTED, figure_record, trial_record
from schedlab.results.imports import label
from schedlab.results.records import file_digest, load_record


def below(origin: str) -> str:
    """Return the folder of an origin below the results folder, with a slash at its end.

    It is empty for the results folder itself.
    """
    return f"{IMPORTED}/{origin}/" if origin else ""


def origin_of(path: str) -> str:
    """Return the name of the import whose record is at a path; empty if it is not imported."""
    parts = path.split("/")
    return parts[1] if parts[0] == IMPORTED and len(parts) > 2 else ""


def _numbers_last(name: str) -> list[tuple[bool, int, str]]:
    """Key that sorts names by the numbers in them, and else by their letters."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def record_of_trial(trial: str) -> str:
    """Return the path of a trial's record below the results folder.

    Parameters
    ----------
    trial : str
        Id of the trial, ``cluster.workload.repetition``; the name of the import precedes that of
        an imported trial (``lab-b:alpha-n1.burst.1``).
    """
    origin, _, own = trial.rpartition(":")
    return below(origin) + trial_record(*own.split("."))


class Store:
    """The records below a results folder, by path relative to it.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    listed : mapping of str to str, optional
        SHA-256 of the files of a bundle, by path relative to the results folder. There are no
        others then, and none of these is hashed again.
    """

    def __init__(self, results: Path, listed: Mapping[str, str] | None = None) -> None:
        self.results = results
        self._listed = listed
        self._read: dict[str, dict[str, Any] | SchedlabError] = {}

    def record(self, path: str) -> dict[str, Any] | None:
        """Return a record, or None if it is missing, damaged or of an unknown version."""
        found = self._load(path)
        return None if isinstance(found, SchedlabError) else found

    def problem(self, path: str) -> str:
        """Return why a record cannot be read; empty if it can be read."""
        found = self._load(path)
        return found.message if isinstance(found, SchedlabError) else ""

    def checked(self, path: str) -> dict[str, Any]:
        """Return a record.

        Raises
        ------
        SchedlabError
            It is missing, damaged or of another release; the error has the remedy.
        """
        found = self._load(path)
        if isinstance(found, SchedlabError):
            raise found
        return found

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a record's file, or None if there is no such file."""
        try:
            file = inside(self.results, path)
        except SchedlabError:
            return None
        return self.file_digest(file)

    def file_digest(self, file: Path) -> str | None:
        """Return the SHA-256 of a file, or None if there is no such file."""
        if self._listed is None:
            return file_digest(file) if file.is_file() else None
        inner = file.is_relative_to(self.results)
        return self._listed.get(file.relative_to(self.results).as_posix()) if inner else None

    def figures(self) -> list[str]:
        """Return the names of the figures that have a record."""
        found = self.results.glob(figure_record("*"))
        return sorted(path.name.removesuffix(".record.json") for path in found)

    def trials(self) -> dict[str, str]:
        """Return the paths of the trials' records, by id of the trial."""
        found = [
            path.relative_to(self.results)
            for pattern in ("*.*.*", "*:*.*.*")
            for path in sorted(self.results.glob(record_of_trial(pattern)))
        ]
        named = {
            label(origin_of(path.as_posix()), ".".join(path.parts[-4:-1])): path.as_posix()
            for path in found
        }
        # Repetition 10 comes after 2, and 16 nodes after 2.
        return dict(sorted(named.items(), key=lambda item: _numbers_last(item[0])))

    def trials_beside(self, named: Iterable[str]) -> list[str]:
        """Return the ids of the results' own trials that an experiment does not name, sorted.

        Parameters
        ----------
        named : iterable of str
            Ids of the experiment's trials.
        """
        return sorted({name for name in self.trials() if ":" not in name} - {*named})

    @cached_property
    def shared(self) -> bool:
        """Whether this is a bundle, which does not contain the large files."""
        return self._listed is not None or any(
            (folder / CRATE).is_file() for folder in (self.results, self.results.parent)
        )

    def _load(self, path: str) -> dict[str, Any] | SchedlabError:
        if path not in self._read:
            try:
                self._read[path] = load_record(inside(self.results, path))
            except SchedlabError as error:
                self._read[path] = error
        return self._read[path]
