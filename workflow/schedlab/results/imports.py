"""Whose trials are shown: those of the results folder itself, and those imported from bundles.

Imported ones lie in ``imported/<name>/`` of the results, laid out as the results are. In tables,
figures and report their trials, clusters and schedulers carry the name in front
(``lab-b:alpha-n1``): what is grouped by any of them pools no trials of different origin.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schedlab.config.load import read_experiment
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.paths import EXPERIMENTS, IMPORT, IMPORTED, trial_folder

SCHEMA = "schedlab.import/1"


@dataclass(frozen=True)
class Origin:
    """One source of trials.

    Attributes
    ----------
    name : str
        Empty for the results' own.
    results : pathlib.Path
        Folder with the records.
    experiment : Experiment
        What they are of.
    told : dict
        Content of ``origin.json``, for imported ones.
    """

    name: str
    results: Path
    experiment: Experiment
    told: dict[str, Any] = field(default_factory=dict)

    def label(self, identifier: str) -> str:
        """Id of a trial, cluster or scheduler as tables and report show it."""
        return label(self.name, identifier)

    def trial_folders(self) -> list[Path]:
        """Folders of the trials, in the order in which they ran."""
        return [
            self.results / trial_folder(key.cluster, key.workload, key.repetition)
            for key in self.experiment.trials()
        ]


def label(origin: str, identifier: str) -> str:
    """Put an origin's name in front of an id; the results' own have none."""
    return f"{origin}:{identifier}" if origin else identifier


def origins(results: Path, experiment: Experiment) -> list[Origin]:
    """Origins of a results folder: its own first, imported ones by name.

    Raises
    ------
    SchedlabError
        When an import is damaged, or of an unknown schema.
    """
    found = [Origin("", results, experiment)]
    for path in sorted(results.glob(f"{IMPORTED}/*/{IMPORT}")):
        remedy = f"remove {path.parent}, and import the bundle again (`schedlab import`)"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SchedlabError(f"{path} is damaged: {error}", remedy=remedy) from error
        if told.get("schema") != SCHEMA:
            raise SchedlabError(
                f"{path} has schema {told.get('schema')!r}, expected {SCHEMA!r}", remedy=remedy
            )
        theirs = read_experiment(path.parent / EXPERIMENTS)
        found.append(Origin(path.parent.name, path.parent, theirs, told))
    return found
