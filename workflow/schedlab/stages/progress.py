"""Progress over the whole campaign, with the time left."""

from __future__ import annotations

import json
import statistics

from schedlab.stages.context import Context


def report_progress(context: Context, trial: str, reasons: list[str]) -> None:
    """Print how many trials are finished and how long the rest will take.

    The estimate is the median duration of this campaign's finished trials times those left.
    """
    keys = context.experiment.trials()
    durations = []
    for key in keys:
        record = context.trial(key.cluster, key.workload, key.repetition) / "record.json"
        if record.exists():
            durations.append(json.loads(record.read_text())["duration"])
    left = len(keys) - len(durations)
    verdict = "invalid: " + "; ".join(r.splitlines()[0] for r in reasons) if reasons else "valid"
    seconds = round(left * statistics.median(durations)) if durations else 0
    print(
        f"{trial}: {verdict}. {len(durations)} of {len(keys)} trials finished, "
        f"about {seconds // 60} min {seconds % 60:02d} s left",
        flush=True,
    )
