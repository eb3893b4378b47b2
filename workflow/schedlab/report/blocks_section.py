"""Blocks of trials: which run of the workflow they are of, under which load from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from schedlab.formatting import span
from schedlab.report.sentences import Piece, Sentence


def blocks(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Blocks in the order in which they began, those of each origin together.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.

    Returns
    -------
    list of dict
        `number` (from 1), `source`, `block`, `began`, `boot`, `trials`, `valid`, `bridges`, and as
        text `load` (load averages), `others` and `stalled` (per cent).
    """
    known = trials.assign(
        campaign=trials["campaign"].fillna(""), block=trials["block"].fillna("")
    ).groupby(["source", "campaign", "block"], sort=True, observed=True)
    return [
        {
            "number": number,
            "source": str(source),
            "block": str(block),
            "began": str(campaign).replace("T", " ").replace("+00:00", " UTC") or "not recorded",
            "boot": str(group["boot"].iloc[0] or "not recorded"),
            "trials": len(group),
            "valid": int(group["valid"].astype(bool).sum()),
            "bridges": int(group["bridge"].fillna(value=False).astype(bool).sum()),
            "load": span(pd.concat([group["load_start"], group["load_end"]])),
            "others": span(100 * group["others"]),
            "stalled": span(100 * group["stalled"]),
        }
        for number, ((source, campaign, block), group) in enumerate(known, 1)
    ]


def of_cells(trials: pd.DataFrame, found: Sequence[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Numbers of the blocks of each workload and cluster's valid trials; none of a single block."""
    if len(found) < 2:
        return {}
    numbers = {(one["source"], one["block"]): one["number"] for one in found}
    cells: dict[tuple[str, str], set[int]] = {}
    for row in trials[trials["valid"].astype(bool)].to_dict("records"):
        block = "" if pd.isna(row["block"]) else str(row["block"])
        cell = cells.setdefault((str(row["workload"]), str(row["cluster"])), set())
        cell.add(numbers[str(row["source"]), block])
    return {cell: ", ".join(map(str, sorted(of))) for cell, of in cells.items()}


def sentences(found: Sequence[dict[str, Any]]) -> list[Sentence]:
    """Sentence for the first screen; none where all trials are of one block."""
    own = [one for one in found if not one["source"]]
    if len(own) < 2:
        return []
    pieces = [
        Piece("The trials are of "),
        Piece(f"{len(own)} blocks", "blocks"),
        Piece(
            " (runs of the workflow). Cells are compared only by trials of blocks in which both"
            " ran; other differences may be differences of the host's load."
        ),
    ]
    return [Sentence("unknown", pieces)]
