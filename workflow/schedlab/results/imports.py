"""Origins of trials: the results folder itself, and imports from bundles.

An import lies in ``imported/<name>/`` of the results folder and has the same layout. In tables,
figures and report the name of the import precedes the names of its trials, clusters and schedulers
(``lab-b:alpha-n1``). Groups by any of them therefore never contain trials of different origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from schedlab.plain import plain

SCHEMA = "schedlab.import/1"


@dataclass(frozen=True)
class Origin:
    """One origin of trials.

    Attributes
    ----------
    name : str
        Name of the import; empty for the results folder itself.
    results : pathlib.Path
        Folder with the records.
    experiment : Experiment
        The experiment of these records.
    description : dict
        Content of ``origin.json``; empty for the results folder itself.
    """

    name: str
    results: Path
    experiment: Experiment
    description: dict[str, Any] = field(default_factory=dict)

    def label(self, identifier: str) -> str:
        """Return the id of a trial, cluster or scheduler as tables and report show it."""
        return label(self.name, identifier)

    def trial_folders(self) -> list[Path]:
        """Return the folders of the trials, in the order in which they ran."""
        return [
            self.results / trial_folder(key.cluster, key.workload, key.repetition)
            for key in self.experiment.trials()
        ]


def label(origin: str, identifier: str) -> str:
    """Put the name of an origin in front of an id. The empty name changes nothing."""
    return f"{origin}:{identifier}" if origin else identifier


def import_remedy(origin: str) -> str:
    """What a user can do about a damaged trial of an import, which cannot be run again here."""
    return (
        "import the bundle again (`schedlab import --force`); if the fault stays, it is the"
        f" bundle's: remove {imported_folder(origin)} from the results, or ask its author for a"
        " sound one"
    )


@contextmanager
def remedied(origin: str) -> Iterator[None]:
    """Give errors about the content of an import `import_remedy`; "" is the results folder itself.

    Raises
    ------
    SchedlabError
        The error, with that remedy.
    """
    try:
        yield
    except SchedlabError as error:
        if origin:
            error.remedy = import_remedy(origin)
        raise


class Origins(NamedTuple):
    """Origins of a results folder.

    Parameters
    ----------
    sound : list of Origin
        The results folder itself, then its imports in order of name.
    left_out : dict of str to str
        Imports that cannot be read: the reason, and what to do, by name.
    """

    sound: list[Origin]
    left_out: dict[str, str]


def origins(results: Path, experiment: Experiment) -> Origins:
    """Find the origins of a results folder.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiment : Experiment
        Its own experiment.
    """
    found = Origins([Origin("", results, experiment)], {})
    # The folder of an import that was interrupted begins with a dot.
    for folder in sorted(results.glob(f"{IMPORTED}/[!.]*")):
        if not (folder.is_dir() or folder.is_symlink()):
            continue
        try:
            found.sound.append(_imported(folder))
        except SchedlabError as error:
            found.left_out[folder.name] = reason(error, folder.name, folder)
    return found


def reason(error: SchedlabError, name: str, folder: Path) -> str:
    """Return why an import is left out, in one line that does not depend on the results folder.

    Parameters
    ----------
    error : SchedlabError
        Error that reading the import raised.
    name : str
        Name of the import.
    folder : pathlib.Path
        Folder of the import.
    """
    said = " ".join(error.message.split()).replace(str(folder), imported_folder(name))
    return (
        f"{said[:_LONGEST]}; to end this message, remove {imported_folder(name)} from the results"
    )


def _imported(folder: Path) -> Origin:
    remedy = f"remove {folder}, and import the bundle again (`schedlab import`)"
    if folder.is_symlink() or not import_name(folder.name):
        raise SchedlabError(f"{folder} was not made by `schedlab import`", remedy=remedy)
    path = folder / IMPORT
    try:
        description = read_json(path, _LARGEST)
    except FileNotFoundError as error:
        raise SchedlabError(f"{path} is missing", remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise SchedlabError(f"{path} is damaged: {plain(error)}", remedy=remedy) from error
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        raise SchedlabError(f"{path} has schema {schema!r}, expected {SCHEMA!r}", remedy=remedy)
    for key, kinds in _DESCRIPTION_TYPES.items():
        if not isinstance(description.get(key), kinds):
            raise SchedlabError(
                f"{path} is damaged: {key} is missing or of another type", remedy=remedy
            )
    with foreign(folder, remedy):
        return Origin(folder.name, folder, read_experiment(folder / EXPERIMENTS), description)


_LARGEST = 1 << 20
"""Largest size of a description in bytes."""
_LONGEST = 500
"""Largest number of characters of a reason."""
_DESCRIPTION_TYPES: dict[str, Any] = {
    "bundle": str,
    "trials": int,
    "release": (str, type(None)),
    "commit": (str, type(None)),
    "patched": (bool, type(None)),
    "lineage": (str, type(None)),
    "experiment": str,
    "created": (str, type(None)),
}
