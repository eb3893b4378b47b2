"""The trace that a trial runs: that of its workload or, in a search, its jobs at another rate."""

from __future__ import annotations

import shutil
from pathlib import Path

from schedlab.config import TrialKey
from schedlab.paths import decision_record
from schedlab.results.records import load_record
from schedlab.stages.context import Context
from schedlab.workloads import read_trace


def decision_parent(context: Context, key: TrialKey) -> dict[str, Path]:
    """Return the decision from which a trial of a search has its rate, as a parent of its record.

    Other trials do not name their decision: what they measure does not depend on why they run.
    """
    if context.experiment.workload(key.workload).steps == 1:
        return {}
    path = decision_record(key.cluster, key.workload, key.repetition)
    return {"decision": context.results / path}


def write_paced(context: Context, key: TrialKey, trace: Path, output: Path) -> None:
    """Write the trace of a trial.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    key : TrialKey
        The trial.
    trace : pathlib.Path
        Trace of its workload.
    output : pathlib.Path
        File to write.
    """
    parents = decision_parent(context, key)
    if not parents:
        shutil.copyfile(trace, output)
        return
    decided = load_record(parents["decision"])["decision"]
    read_trace(trace).at_rate(float(decided["rate"]), int(decided["search"])).write(output)
