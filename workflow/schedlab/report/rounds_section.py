"""Cells that the stop rule ended early, and those whose interval never became narrow enough."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from schedlab.config.variants import Rounds
from schedlab.formatting import number
from schedlab.metrics.quantities import QUANTITIES
from schedlab.metrics.stopping import CANNOT, NARROW, StopRule, standing
from schedlab.report.sentences import Piece, Sentence
from schedlab.results.imports import Origin

EARLY, REACHED, NOT_REACHED, UNDECIDED = "ended early", "reached", "not reached", "trials missing"
"""Outcomes: narrow enough before the most trials; with them; not even with them; or some are
missing or invalid, so that neither is known."""


def cells(
    trials: pd.DataFrame, sources: Sequence[Origin], stopped: Collection[str]
) -> list[dict[str, Any]]:
    """Cells of experiments with a stop rule, in order of workload and cluster.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    sources : sequence of Origin
        Whose trials are in it.
    stopped : collection of str
        Ids of the trials that did not run because of the rule.

    Returns
    -------
    list of dict
        `workload`, `cluster`, `anchor`, `quantity` (title), `ran` and `most` (trials), `width`
        and `until` (text), and `outcome`.
    """
    rows = [
        _row(origin.label(cluster.id), workload.name, workload.quantity, trials, rounds, stopped)
        for origin in sources
        if (rounds := origin.experiment.rounds)
        for workload in origin.experiment.workloads
        if workload.steps == 1  # a search ends by its ladder
        for cluster in origin.experiment.clusters()
    ]
    rows.sort(key=lambda row: (row["workload"], row["cluster"]))
    return rows


def _row(
    cluster: str,
    workload: str,
    quantity: str,
    trials: pd.DataFrame,
    rounds: Rounds,
    stopped: Collection[str],
) -> dict[str, Any]:
    own = trials[(trials["cluster"] == cluster) & (trials["workload"] == workload)]
    rule = StopRule(rounds.min, rounds.max, rounds.width)
    found = standing(own.to_dict("records"), quantity, rule)
    early = any(identifier.startswith(f"{cluster}.{workload}.") for identifier in stopped)
    outcome = UNDECIDED
    if found.decision == NARROW:
        outcome = EARLY if early else REACHED
    elif found.decision == CANNOT or len(own) >= rule.max:
        outcome = NOT_REACHED
    return {
        "workload": workload,
        "cluster": cluster,
        "anchor": f"rounds-{cluster}.{workload}",
        "quantity": QUANTITIES[found.quantity].title,
        "ran": len(own),
        "most": rule.max,
        "width": "none" if found.half_width is None else f"{number(100 * found.half_width)} %",
        "until": rounds.until,
        "outcome": outcome,
    }


def sentences(rows: Sequence[dict[str, Any]]) -> list[Sentence]:
    """Sentences for the first screen: how many cells ended early, and which never got there."""
    early = [row for row in rows if row["outcome"] == EARLY]
    open_ = [row for row in rows if row["outcome"] == NOT_REACHED]
    found = []
    if early:
        text = f"The stop rule ended {len(early)} of {len(rows)} cells early: "
        end = (
            "; each interval of their main quantity is narrow enough. Such intervals cover the"
            " truth somewhat less often than they say."
        )
        found.append(Sentence("estimate", [Piece(text), *_named(early), Piece(end)]))
    if open_:
        text = f"After the most trials the interval is still too wide in {len(open_)} cells: "
        found.append(Sentence("missing", [Piece(text), *_named(open_), Piece(".")]))
    return found


def _named(rows: Sequence[dict[str, Any]]) -> list[Piece]:
    pieces: list[Piece] = []
    for place, row in enumerate(rows):
        pieces.append(Piece(", " if place else ""))
        pieces.append(Piece(f"{row['workload']} on {row['cluster']}", str(row["anchor"])))
        pieces.append(Piece(f" ({row['ran']} of {row['most']} trials)"))
    return pieces
