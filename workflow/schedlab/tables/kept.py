"""Trials as the commands that read results need them: with the files that their records describe.

A trial whose files were damaged or only partly copied still has rows: jobs without a record are
lost, and ranks without a stamp never ran. Shown, that would be a finding about the scheduler.
"""

from __future__ import annotations

from pathlib import Path

from schedlab.outside.tree import require_plain
from schedlab.paths import RECORD
from schedlab.results.imports import import_remedy, remedied
from schedlab.results.records import load_record, verify_outputs
from schedlab.tables.trial_rows import TrialRows, read_trial

_ASIDE = ("console/", "prometheus/")
"""Outputs that have no part in the rows; bundles leave most of them out, as they are large."""


def kept_trial(folder: Path, origin: str = "") -> TrialRows:
    """Read a trial whose files are those that its record describes.

    Parameters
    ----------
    folder : pathlib.Path
        The trial's.
    origin : str
        Name of the import to which the trial belongs.

    Raises
    ------
    SchedlabError
        When the record or a file is missing, was changed, or cannot be read, or something else
        than a file is in its place.
    """
    require_plain(folder, damage_remedy(folder, origin))
    with remedied(origin):
        record = load_record(folder / RECORD)
    names = [name for name in record["outputs"] if not name.startswith(_ASIDE)]
    verify_outputs(folder / RECORD, names, remedy=damage_remedy(folder, origin), record=record)
    return read_trial(folder, origin, record)


def check_block(folder: Path, origin: str = "") -> None:
    """Check that a trial's block of samples, if it is there, is the one that was recorded.

    Raises
    ------
    SchedlabError
        When a file of it is missing or was changed.
    """
    if (folder / "prometheus" / "block").is_dir():
        with remedied(origin):
            record = load_record(folder / RECORD)
        names = [name for name in record["outputs"] if name.startswith("prometheus/block/")]
        verify_outputs(folder / RECORD, names, remedy=damage_remedy(folder, origin), record=record)


def damage_remedy(folder: Path, origin: str) -> str:
    """Return what a user can do about a damaged trial, whose folder and origin are given."""
    if origin:
        return import_remedy(origin)
    if folder.is_symlink():
        # What it leads to may be a sound trial, whose record would be removed through the link.
        return (
            f"remove the link {folder} alone, and run the experiment again: it runs the trial"
            " again; or put a copy of what it leads to in its place"
        )
    return (
        f"copy {folder} again from where the trial ran; where there is no sound copy, remove"
        f" {folder / RECORD} and run the experiment again: it runs the trial again"
    )
