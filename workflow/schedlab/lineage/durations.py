"""Durations that stages took before, read from the records of the results."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from schedlab.outside.json_text import read_json
from schedlab.outside.tree import below
from schedlab.results.records import was_stopped


class Estimate(NamedTuple):
    """Expected duration of a job.

    Parameters
    ----------
    seconds : float or None
        Expected duration in s; None if no similar job was recorded.
    basis : str
        What the estimate is based on.
    """

    seconds: float | None
    basis: str


UNKNOWN = Estimate(None, "no similar job was recorded")
STAGES = {"base_disk": "base", "cluster_decision": "decision"}
"""Name of the stage in records, for rules that have another name."""


def duration(seconds: float) -> str:
    """Write a duration, given in s, roughly: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Durations:
    """Durations recorded in a results folder.

    Parameters
    ----------
    results : pathlib.Path
        The results folder. Records of every version are read.
    """

    def __init__(self, results: Path) -> None:
        self._own: dict[str, float] = {}
        self._alike: dict[tuple[str, ...], list[float]] = defaultdict(list)
        found = (Path(entry) for entry in below(results) if entry.name.endswith("record.json"))
        for path in sorted({*found, *results.glob("*.json")}):
            try:
                record = read_json(path)
                stage, seconds = str(record["stage"]), float(record["duration"])
                if was_stopped(record):
                    continue
            except (OSError, ValueError, KeyError, TypeError):
                continue
            self._own[path.as_posix()] = seconds
            for key in _keys(stage, str(record.get("id", ""))):
                self._alike[key].append(seconds)

    def of(self, stage: str, identifier: str, outputs: list[str]) -> Estimate:
        """Estimate the duration of a job.

        The estimate is the duration of the job's last run if that was recorded, else the median
        of similar jobs. For a trial, similar are first the trials of the same cluster and
        workload, then those of the same workload, then all.

        Parameters
        ----------
        stage : str
            Name of the stage.
        identifier : str
            Id of the job, as in the record.
        outputs : list of str
            Files that the job makes.
        """
        for output in outputs:
            if output in self._own:
                return Estimate(self._own[output], "its last run")
        for key in _keys(stage, identifier):
            if found := self._alike.get(key):
                basis = f"median of {len(found)} similar jobs ({' '.join(key)})"
                return Estimate(statistics.median(found), basis)
        return UNKNOWN


def _keys(stage: str, identifier: str) -> list[tuple[str, ...]]:
    """Return the groups of similar jobs that a job belongs to, the smallest group first."""
    keys: list[tuple[str, ...]] = [(stage,)]
    if stage == "trial" and identifier.count(".") == 2:
        cluster, workload, _ = identifier.split(".")
        keys = [(stage, cluster, workload), (stage, workload), (stage,)]
    elif stage in {"provision", "configure"}:
        keys = [(stage, identifier.partition("-")[0]), (stage,)]
    return keys
