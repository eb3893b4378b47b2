"""Whether a cell goes on: the stop rule, applied to the trials of the cell that have run."""

from __future__ import annotations

from typing import Any

from schedlab.config.variants import Rounds
from schedlab.metrics.stopping import NARROW, StopRule, standing
from schedlab.paths import CHECKOUT, RECORD, decision_record
from schedlab.results.records import RecordWriter, load_record, verify_outputs, was_stopped
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.tables.trial_rows import read_trial

STAGE = "decision"


def write_decision(context: Context, cluster: str, workload: str, repetition: int) -> None:
    """Decide whether a trial runs, and write the record of the decision.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    cluster, workload : str
        The cell.
    repetition : int
        Of the trial that it is about. The decision reads the records of those before it.
    """
    folders = {n: context.trial(cluster, workload, n) for n in range(1, repetition)}
    record = RecordWriter(
        STAGE,
        f"{cluster}.{workload}.{repetition}",
        CHECKOUT,
        context.results,
        parents={f"{cluster}.{workload}.{n}": path / RECORD for n, path in folders.items()},
        inputs=stage_files(STAGE, scheduler=context.experiment.cluster(cluster).scheduler),
    )
    ran = [path for path in folders.values() if not was_stopped(load_record(path / RECORD))]
    for path in ran:
        verify_outputs(path / RECORD)
    found = of_rows(
        [read_trial(path).trial for path in ran],
        context.experiment.workload(workload).quantity,
        context.experiment.rounds,
    )
    record.write(context.results / decision_record(cluster, workload, repetition), decision=found)


def of_rows(rows: list[dict[str, Any]], quantity: str, rounds: Rounds | None) -> dict[str, Any]:
    """Decision on rows of the trials table, all of one cell.

    Returns
    -------
    dict
        `run` (whether the trial runs), `quantity`, `n` (trials with a value), `half_width`
        (relative; None where there is no interval) and `until`. Without a rule the trial runs.
    """
    if rounds is None:
        return {"run": True}
    rule = StopRule(rounds.min, rounds.max, rounds.width)
    found = standing(rows, quantity, rule)
    told = found._asdict() | {"run": found.decision != NARROW, "until": rule.until}
    del told["decision"]
    return told
