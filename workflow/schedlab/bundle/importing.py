"""Import of a bundle's trials into local results."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from schedlab.bundle.contents import load_packed_experiment, trial_folders
from schedlab.bundle.open import agreed_entries, opened
from schedlab.errors import SchedlabError
from schedlab.outside.exchange import exchange
from schedlab.outside.names import import_name, inside, require_writable
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import IMPORT, IMPORTED
from schedlab.results.imports import SCHEMA
from schedlab.results.records import write_json


def import_bundle(
    path: Path,
    results: Path,
    name: str | None = None,
    *,
    force: bool = False,
    prepare: Callable[[Path], None] | None = None,
) -> tuple[Path, int]:
    """Copy the records and data of a bundle's own trials to ``results/imported/<name>``.

    Trials that the bundle itself imported are not copied. To have them too, import the bundle
    that they come from.

    Parameters
    ----------
    path : pathlib.Path
        The bundle, packed or unpacked.
    results : pathlib.Path
        Local results.
    name : str, optional
        Name of the import in tables and report. The default is the name of the bundle's
        experiment.
    force : bool
        Replace an earlier import of that name.
    prepare : callable, optional
        Called with the results folder when the bundle is known to be sound, before anything is
        written there.

    Returns
    -------
    pathlib.Path, int
        The folder of the import, and the number of trials.

    Raises
    ------
    SchedlabError
        The bundle is not sound, or the name is in use or not valid.
    """
    with opened(path) as source:
        if source.verified is None:
            raise SchedlabError(
                f"{path} is a results folder, not a bundle",
                remedy=f"pack it first: `schedlab bundle --results {path} --output FILE`",
            )
        experiment = load_packed_experiment(source.results)
        name = experiment.name if name is None else name
        if not import_name(name):
            raise SchedlabError(
                f"{name!r} is not a valid name for an import",
                remedy="use lower-case letters, digits and single hyphens: --as lab-b",
            )
        above = require_writable(results / IMPORTED, folder=True)
        target = require_writable(above / name, folder=True)
        if target.exists() and not force:
            raise _taken(target)
        if target.exists() and not (target / IMPORT).is_file():
            raise SchedlabError(
                f"{target} is no import: it has no {IMPORT}", remedy="use another name (--as)"
            )
        entries = agreed_entries(source, experiment)
        if prepare:
            prepare(results)
        above.mkdir(parents=True, exist_ok=True)
        with temporary_folder(".import-", above) as scratch:
            partial = scratch / name
            for entry in entries:
                copy = inside(partial, entry)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(inside(source.results, entry), copy, follow_symlinks=False)
            description = source.verified.description
            trials = len(trial_folders(experiment))
            write_json(
                partial / IMPORT,
                {
                    "schema": SCHEMA,
                    "bundle": source.verified.digest,
                    "trials": trials,
                    **{k: description.get(k) for k in ("release", "commit", "patched", "lineage")},
                    "experiment": experiment.name,
                    "created": description.get("created"),
                },
            )
            try:
                if force and target.exists():
                    # In one step: a kill between two would lose the earlier import.
                    exchange(partial, target)
                else:
                    partial.rename(target)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                    raise
                # Another import of this name ended while this one copied.
                raise _taken(target) from error
    return target, trials


def _taken(target: Path) -> SchedlabError:
    remedy = "use another name (--as), or --force to replace it"
    return SchedlabError(f"{target} exists", remedy=remedy)
