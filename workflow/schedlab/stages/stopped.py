"""Trials that do not run because the decision on their cell says that they are not needed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from schedlab.config import TrialKey
from schedlab.paths import CHECKOUT, RECORD, decision_record
from schedlab.results.records import RecordWriter, forbids, load_record
from schedlab.sources import stage_files
from schedlab.stages.context import Context

STOPPED = "stopped"
"""Why a trial did not run."""


def stop_if_decided(context: Context, key: TrialKey) -> bool:
    """Write the record of a trial that is not to run; tell whether it is so.

    Nothing is started. The record names the decision as its only parent, so that it ends with it.
    A trial that runs does not name it: what it measures does not depend on why it ran.
    """
    experiment = context.experiment
    path = context.results / decision_record(key.cluster, key.workload, key.repetition)
    if not experiment.decided(key.workload, key.repetition) or not forbids(path):
        return False
    folder = context.trial(key.cluster, key.workload, key.repetition)
    record = RecordWriter(
        "trial",
        key.id,
        CHECKOUT,
        context.results,
        parents={"decision": path},
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
    print(f"{key.id}: not run: {_why(load_record(path)['decision'])}", flush=True)
    return True


def _why(decision: Mapping[str, Any]) -> str:
    """Why a decision says that a trial does not run, in words."""
    if "limiter" in decision or decision.get("why"):
        return str(decision.get("why") or "another limiter was named than the one that is lifted")
    return "its search has ended" if "search" in decision else "its cell has trials enough"
