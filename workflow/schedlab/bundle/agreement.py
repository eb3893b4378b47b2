"""What records and files of results must say of one another to be shared.

`schedlab bundle`, `schedlab verify` and `schedlab import` check here and nowhere else, so that what
one of them takes, the others take too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.bundle.contents import (
    Choice,
    load_packed_experiment,
    recorded,
    trial_folders,
)
from schedlab.config import Cluster, Experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.lineage.chain import MADE_AGAIN
from schedlab.lineage.check import LinkMismatch, check_record
from schedlab.outside.foreign import foreign
from schedlab.paths import (
    EXPERIMENTS,
    IMPORTED,
    RECORD,
    REPORT,
    REPORT_RECORD,
    TABLE_FILES,
    TABLES,
    TABLES_RECORD,
    figure_record,
)
from schedlab.results.contradictions import record_contradiction
from schedlab.results.form_checks import shown
from schedlab.results.imports import import_remedy
from schedlab.results.parentage import described_at, misplaced
from schedlab.results.records import load_record, was_stopped
from schedlab.results.store import Store

STALE = (
    "ask its author to bring the results up to date and to pack them again: `make bundle` does both"
)
"""Remedy for records of others that were not made from one another."""
INCOMPLETE = "ask its author for a bundle that `make bundle` wrote"
"""Remedy for a bundle of others that lacks files."""
_READINGS = "driver/submissions.jsonl"
"""Output of a trial with readings of the clock in ns."""
_EMPTY = hashlib.sha256(b"").hexdigest()
"""Digest of these of a trial that failed before its first submission."""


class Remedies(NamedTuple):
    """What a user can do about results that are not sound.

    Parameters
    ----------
    damaged : str
        A file is not what its record says, or a record contradicts another or itself.
    stale : str
        A record was not made from the records that are there.
    missing : str
        A file is missing that a record or the experiment names.
    own : bool
        Whether the results are the user's, who can import again what is imported in them.
    """

    damaged: str
    stale: str
    missing: str
    own: bool = False


def require_agreement(
    results: Path,
    experiment: Experiment,
    listed: Mapping[str, str],
    place: str,
    remedies: Remedies,
) -> list[str]:
    """Check that the records of an experiment's stages and trials agree with the files.

    Parameters
    ----------
    results : pathlib.Path
        The results folder; its JSON files suffice.
    experiment : Experiment
        The experiment of these results.
    listed : mapping of str to str
        SHA-256 of the files that are in the bundle, by path below the results folder. Nothing is
        hashed again.
    place : str
        What stands before such a path in messages.
    remedies : Remedies
        What the user can do.

    Returns
    -------
    list of str
        The files of the experiment, without those that it imported.

    Raises
    ------
    SchedlabError
        They do not; the message names the file, the key and the value. Or a file is missing.
    """

    def require_listed(entry: str) -> None:
        if entry not in listed:
            raise SchedlabError(
                f"{place}{entry} is not in the bundle, although a record or the experiment names"
                " it",
                remedy=remedies.missing,
            )

    named = {f"{folder}/{RECORD}" for folder in trial_folders(experiment)}
    for other in sorted(listed.keys() - named):
        if _is_of_a_trial(other):
            raise SchedlabError(
                f"{place}{EXPERIMENTS} is of another experiment than the records: {other} is not a"
                f" trial of {experiment.name}, and nothing else is packed",
                remedy=remedies.damaged,
            )
    for folder in trial_folders(experiment):
        # Checked before any record is read: the experiment may name many trials that do not exist.
        require_listed(f"{folder}/{RECORD}")
    found, records = [EXPERIMENTS], []
    for entry in recorded(results, "", experiment, Choice()):
        require_listed(entry.name)
        found.append(entry.name)
        # Only what a record names has a digest here.
        records += [entry.name] * (entry.sha256 is None)
    for name in (TABLES_RECORD, REPORT_RECORD, REPORT):
        require_listed(name)
    require_own_tables(results, listed, place, remedies.damaged)
    # What a bundle has of figures depends on the release that drew them.
    figures = (figure_record(name) for name in FIGURES)
    analysis = [TABLES_RECORD, *(name for name in figures if name in listed), REPORT_RECORD]
    _require_records(results, experiment, records, analysis, listed, place, remedies)
    _require_imports(results, listed, place, remedies)
    _require_all_in_tables(results, listed, place, remedies)
    return found


def _require_imports(
    results: Path, listed: Mapping[str, str], place: str, remedies: Remedies
) -> None:
    """Check the records of each import as those of the results themselves; it has no analysis."""
    start = f"{IMPORTED}/"
    names = {name.split("/")[1] for name in listed if name.startswith(start)}
    for name in sorted(names):
        below = f"{start}{name}/"
        inner = {key.removeprefix(below): listed[key] for key in listed if key.startswith(below)}
        folder = results / IMPORTED / name
        again = import_remedy(name)
        with foreign(folder, again if remedies.own else remedies.damaged):
            experiment = load_packed_experiment(folder)
            records = [
                entry.name
                for entry in recorded(folder, "", experiment, Choice())
                if entry.sha256 is None
            ]
            _require_records(
                folder,
                experiment,
                records,
                (),
                inner,
                f"{place}{below}",
                Remedies(again, again, again) if remedies.own else remedies,
            )


def _require_all_in_tables(
    results: Path, listed: Mapping[str, str], place: str, remedies: Remedies
) -> None:
    """Check that the tables, and so the report, have every trial that is shared."""
    parents = load_record(results / TABLES_RECORD)["parents"].values()
    tabled = {parent["path"] for parent in parents}
    for name in sorted(listed):
        own = name.split("/", 2)[-1] if name.startswith(f"{IMPORTED}/") else name
        if _is_of_a_trial(own) and name not in tabled:
            raise SchedlabError(
                f"{place}{TABLES_RECORD}: parents lacks {name}: the tables and the report were made"
                " without this trial",
                remedy=remedies.stale,
            )


def _is_of_a_trial(path: str) -> bool:
    """Whether a path below a results folder is that of a trial's record."""
    return path.endswith(f"/{RECORD}") and (described_at(path) or ("",))[0] == "trial"


def require_own_tables(results: Path, listed: Mapping[str, str], place: str, remedy: str) -> None:
    """Check that tables, which are read as they are, are those that their record describes.

    Parameters
    ----------
    results, listed, place
        As of `require_agreement`.
    remedy : str
        What the user can do.

    Raises
    ------
    SchedlabError
        A table is not the one that the stage of the tables wrote.
    """
    for name in TABLE_FILES:
        found = listed.get(f"{TABLES}/{name}")
        if found is None:
            continue
        stated = load_record(results / TABLES_RECORD)["outputs"].get(name)
        if stated != found:
            raise SchedlabError(
                f"{place}{TABLES_RECORD}: outputs.{name} is {shown(stated)}, but the SHA-256 of"
                f" {TABLES}/{name} is {shown(found)}",
                remedy=remedy,
            )


def _require_records(
    results: Path,
    experiment: Experiment,
    records: Sequence[str],
    analysis: Sequence[str],
    listed: Mapping[str, str],
    place: str,
    remedies: Remedies,
) -> None:
    """Check each record with the files, with its parents, and for what cannot be true.

    Trials may be newer than the `analysis`: it is made again by those who get them.
    """
    measured: dict[str, str] = {}
    clusters = {cluster.id: cluster for cluster in experiment.clusters()}
    for name in (*records, *analysis):
        # Of each record anew, so that no other one stays in memory.
        store = Store(results, listed)
        for wrong in check_record(store, name):
            if wrong.kind == "parent" and (name in analysis or _may_differ(store, wrong)):
                continue
            raise SchedlabError(
                f"{place}{name}: {_stated(store, wrong)} {wrong.message}",
                remedy=remedies.stale if wrong.kind == "parent" else remedies.damaged,
            )
        record = store.checked(name)
        if problem := misplaced(name, record) or record_contradiction(record):
            raise SchedlabError(f"{place}{name} is damaged: {problem}", remedy=remedies.damaged)
        if record["stage"] == "trial" and (
            problem := _of_another_experiment(record, clusters[record["trial"]["cluster"]])
        ):
            raise SchedlabError(f"{place}{name}: {problem}", remedy=remedies.stale)
        if record["stage"] == "trial" and not was_stopped(record):
            with foreign(f"{place}{name}", remedies.damaged):
                _require_trial((results / name).parent, record, remedies.damaged)
        found = record["outputs"].get(_READINGS, _EMPTY)
        if found != _EMPTY and measured.setdefault(found, name) != name:
            raise SchedlabError(
                f"{place}{name}: outputs.{_READINGS} is {shown(found)}, as that of"
                f" {measured[found]}: two trials never read the clock at the same instants",
                remedy=remedies.damaged,
            )


def _require_trial(folder: Path, record: Mapping[str, Any], remedy: str) -> None:
    # Imported here because the import of the libraries of workloads is slow.
    from schedlab.schedulers import get_scheduler, scheduler_names
    from schedlab.tables.crosscheck import require_possible
    from schedlab.tables.job_rows import job_rows
    from schedlab.tables.soundness import DRIVER, json_of, own_trace, require_sound

    trace, driver = own_trace(folder, remedy), json_of(folder / DRIVER)
    require_sound(folder, record, driver, trace, remedy)
    name = record["trial"]["scheduler"]
    # Only its author may have the adapter of a further scheduler.
    if name in scheduler_names():
        scheduler = get_scheduler(name)
        rows = job_rows(folder, scheduler, record, driver, trace)
        require_possible(folder, scheduler, record, driver, rows, remedy)


def _of_another_experiment(record: Mapping[str, Any], cluster: Cluster) -> str | None:
    """Return how a trial ran on another cluster than the experiment has, or None."""
    wanted = {
        "scheduler": cluster.scheduler,
        "variant": cluster.variant,
        "nodes": cluster.nodes,
        "cpus_per_node": cluster.node.vcpus,
    }
    for key, value in wanted.items():
        # Records of before there were variants have none.
        if (found := record["trial"].get(key, value)) != value:
            return f"trial.{key} is {shown(found)}, but {EXPERIMENTS} has {shown(value)}"
    return None


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
