"""Import of a bundle's trials into local results."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from schedlab.bundle.contents import Choice, load_packed_experiment, recorded, trial_folders
from schedlab.bundle.open import OpenedResults, opened
from schedlab.config import Experiment
from schedlab.errors import SchedlabError
from schedlab.lineage.chain import MADE_AGAIN
from schedlab.lineage.check import LinkMismatch, check_record
from schedlab.outside.exchange import exchange
from schedlab.outside.names import HOSTILE, import_name, inside, require_writable
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import EXPERIMENTS, IMPORT, IMPORTED, RECORD, RESULTS
from schedlab.results.form_checks import shown
from schedlab.results.imports import SCHEMA
from schedlab.results.records import write_json
from schedlab.results.store import Store


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
        entries = _entries(source, experiment)
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


STALE = (
    "ask its author to bring the results up to date and to pack them again: `make bundle` does both"
)
"""Remedy for records that were not made from one another."""


_READINGS = "driver/submissions.jsonl"
"""Output of a trial with readings of the clock in ns."""
_EMPTY = hashlib.sha256(b"").hexdigest()
"""Digest of these of a trial that failed before its first submission."""


def _taken(target: Path) -> SchedlabError:
    remedy = "use another name (--as), or --force to replace it"
    return SchedlabError(f"{target} exists", remedy=remedy)


def _entries(source: OpenedResults, experiment: Experiment) -> list[str]:
    """Return the files to copy, as paths below the results folder.

    Raises
    ------
    SchedlabError
        A record names a file that is not a member of the bundle, or that has another digest.
    """
    assert source.verified
    names = source.verified.digests
    for folder in trial_folders(experiment):
        # Checked before any record is read: the experiment may name many trials that do not exist.
        _require_listed(source, names, f"{folder}/{RECORD}")
    found, records = [EXPERIMENTS], []
    for entry in recorded(source.results, "", experiment, Choice()):
        _require_listed(source, names, entry.name)
        found.append(entry.name)
        # Only what a record names has a digest here.
        records += [entry.name] * (entry.sha256 is None)
    _require_agreement(source, records)
    return found


def _require_agreement(source: OpenedResults, records: Iterable[str]) -> None:
    """Check that the digests that records state are those of the bundle's files.

    The manifest's digests, with which the files were compared, are used: nothing is hashed again.
    """
    assert source.verified
    start = f"{RESULTS}/"
    digests = source.verified.digests
    known = {name.removeprefix(start): digests[name] for name in digests if name.startswith(start)}
    measured: dict[str, str] = {}
    for name in records:
        # Of each record anew, so that no other one stays in memory.
        store = Store(source.results, known)
        for wrong in check_record(store, name):
            if wrong.kind == "parent" and _may_differ(store, wrong):
                continue
            raise SchedlabError(
                f"{source.label}: {start}{name}: {_stated(store, wrong)} {wrong.message}",
                remedy=STALE if wrong.kind == "parent" else HOSTILE,
            )
        found = store.checked(name)["outputs"].get(_READINGS, _EMPTY)
        if found != _EMPTY and measured.setdefault(found, name) != name:
            raise SchedlabError(
                f"{source.label}: {start}{name}: outputs.{_READINGS} is {shown(found)}, as that of"
                f" {start}{measured[found]}: two trials never read the clock at the same instants",
                remedy=HOSTILE,
            )


def _may_differ(store: Store, wrong: LinkMismatch) -> bool:
    """Tell whether a sound record may name a parent that is another one by now.

    A trial that ran keeps the decision by which it ran, also if a trial before it runs again.
    """
    return store.checked(wrong.path)["stage"] == "decision" or wrong.message == MADE_AGAIN


def _stated(store: Store, wrong: LinkMismatch) -> str:
    """Return the key and the value of a record that do not agree with the files."""
    record = store.checked(wrong.path)
    if wrong.kind == "record":
        return f"lineage is {shown(record['lineage'])}, but"
    if wrong.kind == "parent":
        key, value = next(
            (f"parents.{key}.record", parent["record"])
            for key, parent in record["parents"].items()
            if parent["path"] == wrong.name
        )
    else:
        key, value = f"{wrong.kind}s.{wrong.name}", record[f"{wrong.kind}s"][wrong.name]
    return f"{key} is {shown(value)}, but {wrong.name}"


def _require_listed(source: OpenedResults, names: Container[str], entry: str) -> None:
    if f"{RESULTS}/{entry}" not in names:
        raise SchedlabError(
            f"{source.label}: {RESULTS}/{entry} is not in the bundle, although a record or the"
            " experiment names it",
            remedy="ask its author for a bundle that `make bundle` wrote",
        )
