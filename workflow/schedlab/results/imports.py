"""Whose trials are shown: those of the results folder itself, and those imported from bundles.

Imported ones lie in ``imported/<name>/`` of the results, laid out as the results are. In tables,
figures and report their trials, clusters and schedulers carry the name in front
(``lab-b:alpha-n1``): what is grouped by any of them pools no trials of different origin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.config.load import read_experiment
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.json_text import read_json
from schedlab.outside.names import import_name
from schedlab.paths import EXPERIMENTS, IMPORT, IMPORTED, imported_folder, trial_folder

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


class Origins(NamedTuple):
    """Origins of a results folder.

    Parameters
    ----------
    sound : list of Origin
        The results' own first, imported ones by name.
    left_out : dict of str to str
        Imports that cannot be read, by name: why, and what to do.
    """

    sound: list[Origin]
    left_out: dict[str, str]


def origins(results: Path, experiment: Experiment) -> Origins:
    """Find the origins of a results folder; an import that cannot be read is named."""
    found = Origins([Origin("", results, experiment)], {})
    # An import that was interrupted begins with a dot.
    for folder in sorted(results.glob(f"{IMPORTED}/[!.]*")):
        if not (folder.is_dir() or folder.is_symlink()):
            continue
        try:
            found.sound.append(_imported(folder))
        except SchedlabError as error:
            found.left_out[folder.name] = reason(error, folder.name, folder)
    return found


def reason(error: SchedlabError, name: str, folder: Path) -> str:
    """Why an import is left out, in one line that is the same wherever the results lie."""
    said = " ".join(error.message.split()).replace(str(folder), imported_folder(name))
    return f"{said[:_LONGEST]}; remove {imported_folder(name)} from the results to be rid of this"


def _imported(folder: Path) -> Origin:
    remedy = f"remove {folder}, and import the bundle again (`schedlab import`)"
    if folder.is_symlink() or not import_name(folder.name):
        raise SchedlabError(f"{folder} was not made by `schedlab import`", remedy=remedy)
    path = folder / IMPORT
    try:
        told = read_json(path, _LARGEST)
    except FileNotFoundError as error:
        raise SchedlabError(f"{path} is missing", remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise SchedlabError(f"{path} is damaged: {error}", remedy=remedy) from error
    schema = told.get("schema") if isinstance(told, dict) else None
    if schema != SCHEMA:
        raise SchedlabError(f"{path} has schema {schema!r}, expected {SCHEMA!r}", remedy=remedy)
    for key, kinds in _TOLD.items():
        if not isinstance(told.get(key), kinds):
            raise SchedlabError(f"{path} is damaged: {key} is missing or odd", remedy=remedy)
    with foreign(folder, remedy):
        return Origin(folder.name, folder, read_experiment(folder / EXPERIMENTS), told)


_LARGEST = 1 << 20
_LONGEST = 500
"""Letters of a reason."""
_TOLD: dict[str, Any] = {
    "bundle": str,
    "trials": int,
    "release": (str, type(None)),
    "commit": (str, type(None)),
    "patched": (bool, type(None)),
    "lineage": (str, type(None)),
    "experiment": str,
    "created": (str, type(None)),
}
