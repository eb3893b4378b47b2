"""Trials and clusters that are not made, because the decision on them says that none is needed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedlab import design
from schedlab.config import TrialKey
from schedlab.errors import SchedlabError
from schedlab.paths import CHECKOUT, RECORD, cluster_decision_record, decision_record
from schedlab.results.records import RecordWriter, forbids, is_stopped, load_record
from schedlab.sources import stage_files
from schedlab.stages.context import Context

STOPPED = "stopped"
"""Why a trial did not run."""


def stop_if_decided(context: Context, key: TrialKey) -> bool:
    """Write the record of a trial that is not to run; tell whether it is so.

    Nothing is started. The record names the decision as its only parent, so that it ends with it;
    or its cluster, if that was not needed by the searches that the experiment plans.
    A trial that runs does not name it: what it measures does not depend on why it ran.
    """
    experiment = context.experiment
    path = context.results / decision_record(key.cluster, key.workload, key.repetition)
    cluster = context.configured(key.cluster) / RECORD
    if experiment.decided(key.workload, key.repetition) and forbids(path):
        parents, why = {"decision": path}, _why(load_record(path)["decision"])
    elif is_stopped(cluster):
        parents, why = {"configured": cluster}, f"its cluster is not: {_reason(cluster)}"
    else:
        return False
    folder = context.trial(key.cluster, key.workload, key.repetition)
    record = RecordWriter(
        "trial",
        key.id,
        CHECKOUT,
        context.results,
        parents=parents,
        inputs=stage_files("trial", scheduler=experiment.cluster(key.cluster).scheduler),
    )
    # What the trial left when it ran before is not of this record.
    shutil.rmtree(folder, ignore_errors=True)
    record.write(
        folder / RECORD,
        trial=experiment.trial_facts(key),
        conditions={},
        verdict={"valid": False, "reasons": [f"not run: {STOPPED}"]},
        not_run=STOPPED,
    )
    print(f"{key.id}: not run: {why}", flush=True)
    return True


def leave_out_if_decided(context: Context, cluster: str) -> bool:
    """Write the record of a cluster that is not to be configured; tell whether it is so.

    Nothing is started. As in the record of a trial, the decision is the only parent.
    """
    experiment = context.experiment
    path = context.results / cluster_decision_record(cluster)
    if cluster not in experiment.lifted_clusters() or not forbids(path):
        return False
    folder = context.configured(cluster)
    record = RecordWriter(
        "configure",
        f"{cluster}/configured",
        CHECKOUT,
        context.results,
        parents={"decision": path},
        inputs=stage_files("configure", scheduler=experiment.cluster(cluster).scheduler),
    )
    # The snapshot of before is not of this record.
    shutil.rmtree(folder, ignore_errors=True)
    why = str(load_record(path)["decision"].get("why") or STOPPED)
    record.write(folder / RECORD, settings=design.cluster_spec(experiment, cluster), not_run=why)
    print(f"{cluster}: not configured: {why}", flush=True)
    return True


def require_configured(context: Context, cluster: str) -> None:
    """Refuse a cluster that was not configured, because no search needed it.

    Raises
    ------
    SchedlabError
        It names the reason, and the cluster without the limit lifted.
    """
    path = context.configured(cluster) / RECORD
    if is_stopped(path):
        raise SchedlabError(
            f"the cluster {cluster} is not configured: {_reason(path)}",
            remedy=f"use {context.experiment.lifted_from(cluster)}, whose limit it lifts",
        )


def _reason(cluster: Path) -> str:
    return str(load_record(cluster)["not_run"])


def _why(decision: Mapping[str, Any]) -> str:
    """Why a decision says that a trial does not run, in words."""
    if "limiter" in decision or decision.get("why"):
        return str(decision.get("why") or "another limiter was named than the one that is lifted")
    return "its search has ended" if "search" in decision else "its cell has trials enough"
