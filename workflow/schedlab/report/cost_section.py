"""The submitter's ceiling beside the schedulers' rates, and daemons' costs by two counters."""

from __future__ import annotations

from typing import Any

import pandas as pd

from schedlab.formatting import number, seconds
from schedlab.metrics.ceiling import WANTED, ceilings
from schedlab.metrics.costs import agreement


def ceiling_rows(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """The submitter's ceilings as text; `of`: the import, and the size of the head."""
    return [
        {
            "workload": bound.workload,
            "nodes": bound.nodes,
            "of": ", ".join(filter(None, (bound.source, bound.head))),
            "rate": number(bound.rate.estimate),
            "interval": f"[{number(bound.rate.low)}, {number(bound.rate.high)}]"
            if bound.rate.known
            else "",
            "n": bound.rate.n,
            "fastest": bound.fastest or "none",
            "fastest_rate": number(bound.fastest_rate),
            "ratio": number(bound.ratio),
            "enough": bound.ratio is None or bound.ratio >= WANTED,
            "wanted": number(WANTED),
        }
        for bound in ceilings(trials)
    ]


def agreement_rows(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Processor time of daemons by unit and by process, with their relative difference."""
    return [
        {
            "scheduler": row["scheduler"],
            "process": row["process"],
            "group": row["group"],
            "trials": row["trials"],
            "unit": seconds(row["unit_s"]),
            "by_process": seconds(row["process_s"]),
            "relative": "" if row["relative"] is None else f"{100 * row['relative']:+.1f} %",
        }
        for row in agreement(trials)
    ]
