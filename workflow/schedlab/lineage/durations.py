"""How long a stage took before, from the records of the results."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from schedlab.outside.json_text import read_json


class Estimate(NamedTuple):
    """Expected duration of a job.

    Parameters
    ----------
    seconds : float or None
        s; None where nothing like it ran before.
    basis : str
        What it is from.
    """

    seconds: float | None
    basis: str


UNKNOWN = Estimate(None, "nothing like it was recorded")


class Durations:
    """Durations recorded in a results folder.

    Parameters
    ----------
    results : pathlib.Path
        The results folder; records of any version serve.
    """

    def __init__(self, results: Path) -> None:
        self._own: dict[str, float] = {}
        self._alike: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for path in sorted({*results.rglob("*record.json"), *results.glob("*.json")}):
            try:
                record = read_json(path)
                stage, seconds = str(record["stage"]), float(record["duration"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            self._own[path.as_posix()] = seconds
            for key in _keys(stage, str(record.get("id", ""))):
                self._alike[key].append(seconds)

    def of(self, stage: str, identifier: str, outputs: list[str]) -> Estimate:
        """Estimate the duration of a job.

        That of its own record; else the median of records like it: for a trial of the same
        cluster and workload, then the same workload, then any.
        """
        for output in outputs:
            if output in self._own:
                return Estimate(self._own[output], "its last run")
        for key in _keys(stage, identifier):
            if found := self._alike.get(key):
                basis = f"median of {len(found)} like it ({' '.join(key)})"
                return Estimate(statistics.median(found), basis)
        return UNKNOWN


def _keys(stage: str, identifier: str) -> list[tuple[str, ...]]:
    """What a job is like, the most particular first."""
    keys: list[tuple[str, ...]] = [(stage,)]
    if stage == "trial" and identifier.count(".") == 2:
        cluster, workload, _ = identifier.split(".")
        keys = [(stage, cluster, workload), (stage, workload), (stage,)]
    elif stage in {"provision", "configure"}:
        keys = [(stage, identifier.partition("-")[0]), (stage,)]
    return keys
