"""Bridge trials: which finished trials run again, so that new cells can be compared with them.

Cells are compared within a block, the trials of one run of the workflow on one boot of the host
(`schedlab.metrics.comparable`). A cell that is added later has no block in common with those that
have finished. With `bridge: auto` these run again beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from schedlab.config import Experiment, TrialKey
from schedlab.design import scheduler_of
from schedlab.errors import SchedlabError
from schedlab.lineage.snakemake_metadata import stored_metadata
from schedlab.paths import trial_record
from schedlab.printing import some
from schedlab.results.records import load_record, was_stopped

_Block = tuple[Any, Any]


def bridges(experiment: Experiment, results: Path) -> frozenset[TrialKey]:
    """Trials that run again: those of a block in which a cell that goes on has no trial.

    A cell goes on if a trial of it has no record yet. Its partners are the cells of the other
    variants with the same workload and machine, since nothing else is compared. Of a campaign that
    was interrupted nothing runs again: all of its cells share its first block.

    Parameters
    ----------
    experiment : Experiment
        The experiment. Without `bridge: auto` there are none.
    results : pathlib.Path
        The results folder.
    """
    if experiment.bridge != "auto":
        return frozenset()
    found: dict[tuple[str, str], dict[str, dict[TrialKey, _Block | None]]] = defaultdict(dict)
    clusters = {cluster.id: cluster for cluster in experiment.clusters()}
    for key in experiment.trials():
        cluster = clusters[key.cluster]
        # Steps of searches are not compared, and the steps after them stand on them.
        repeated = experiment.workload(key.workload).steps == 1
        if repeated and scheduler_of(cluster).payload:
            record = _record(results, key)
            if record is None or not was_stopped(record):
                cells = found[key.workload, experiment.machine_name(cluster)]
                cells.setdefault(cluster.variant, {})[key] = _block(record) if record else None
    again: set[TrialKey] = set()
    for cells in found.values():
        for variant, trials in cells.items():
            if None in trials.values():
                met = set(trials.values())
                again |= {
                    key
                    for other, theirs in cells.items()
                    for key, block in theirs.items()
                    if other != variant and block is not None and block not in met
                }
    return frozenset(again)


def bridge_of(results: Path, key: TrialKey) -> str:
    """Run of the workflow in which a finished trial ran again as a bridge; else empty."""
    path = results / trial_record(key.cluster, key.workload, key.repetition)
    # Most trials are none, and reading thousands of records as JSON takes seconds.
    if not path.is_file() or b'"bridge"' not in path.read_bytes():
        return ""
    record = _record(results, key)
    return str(record["conditions"].get("bridge") or "") if record else ""


def require_known(again: Collection[TrialKey], results: Path) -> None:
    """Refuse bridge trials that Snakemake would not run.

    What makes a finished trial run again is that its rule has another parameter, and Snakemake
    compares that with its metadata of the trial. It has none of a run that was killed, in
    results that were moved or copied since (:mod:`schedlab.lineage.state`).

    Raises
    ------
    SchedlabError
        When Snakemake has no metadata of a trial that is to run again.
    """
    if not again:
        return
    known = {stored.output for stored in stored_metadata(results)}
    needed = {results / trial_record(key.cluster, key.workload, key.repetition) for key in again}
    if records := sorted(map(str, needed - known)):
        raise SchedlabError(
            f"bridge: auto: {len(records)} finished trials are to run again beside cells that were"
            f" added, but Snakemake knows nothing of them, as {results} was moved or copied, and"
            " would not run them",
            remedy="remove their records, and they run like trials that are missing; or write"
            f" bridge: none. The records: {some(records, 100)}",
        )


def _record(results: Path, key: TrialKey) -> dict[str, Any] | None:
    try:
        return load_record(results / trial_record(key.cluster, key.workload, key.repetition))
    except (SchedlabError, OSError):
        return None


def _block(record: dict[str, Any]) -> _Block:
    conditions = record["conditions"]
    return conditions.get("campaign"), conditions.get("host", {}).get("boot")
