"""Where a difference between schedulers arises: in which part of the time that a job waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.comparable import NOT_COMPARABLE, Comparison, FloorKey, compare_groups
from schedlab.metrics.difference import LARGER, SMALLER
from schedlab.metrics.noise import compare_again, noise_floor
from schedlab.metrics.quantities import PARTS, QUANTITIES
from schedlab.report.comparison import COMPARED, all_virtual, told
from schedlab.report.sentences import Piece, Sentence

OF_TIME = ("makespan", "wait_median", "launch_median")
"""Compared quantities whose differences are taken apart: processor time has no such parts."""


def arising(
    trials: pd.DataFrame,
    differences: Mapping[str, Any],
    again: Mapping[bool, tuple[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Compare the parts of a job's time in every row that was compared.

    The parts of all rows are a table of their own, judged as one by the same rules: a part that
    differs can be shown where the whole, which has the noise of all parts, shows nothing. Rows in
    which neither the whole nor a part differs are left out. The part in which a difference arises
    is the largest claimed one.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    differences : mapping
        What `schedlab.report.comparison.differences` returned.
    again : mapping, optional
        Names of the two series of the variant that ran a second time, of virtual (True) and of real
        nodes (False): their parts give the floors.

    Returns
    -------
    list of dict
        `workload`, `nodes`, `first`, `second`, `anchor`, `total` (text, s), `part` (name, or empty
        where no part is claimed), `share` (its part of the total, s, or None) and `values`: for
        each part what `schedlab.report.comparison.told` returns. Effects are the first's mean
        minus the second's.
    """
    rows = [row for row in differences["rows"] if _compared(row)]
    floors: dict[bool, Mapping[FloorKey, float]] = {
        virtual: noise_floor(compare_again(trials, *pair, PARTS))
        for virtual, pair in (again or {}).items()
    }
    pairs = [
        (_group(trials, row, str(row["first"])), _group(trials, row, str(row["second"])))
        for row in rows
    ]
    own = [floors.get(all_virtual(first), {}) for first, _ in pairs]
    found = compare_groups(pairs, PARTS, noise_floor=own)
    told_of = [_row(row, values) for row, values in zip(rows, found, strict=True)]
    return [one for row, one in zip(rows, told_of, strict=True) if one["part"] or _claims(row)]


def sentences(rows: Collection[Mapping[str, Any]]) -> list[Sentence]:
    """One sentence for each pair of series and part: whose jobs spend more time in it, where."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        slower, faster = str(row["first"]), str(row["second"])
        if row["share"] is not None and row["share"] < 0:
            slower, faster = faster, slower
        groups.setdefault((slower, faster, str(row["part"])), []).append(row)
    return [_sentence(*key, group) for key, group in groups.items()]


def _sentence(slower: str, faster: str, part: str, rows: Sequence[Mapping[str, Any]]) -> Sentence:
    places: list[Piece] = []
    for row in rows:
        text = f"{row['workload']} with {row['nodes']} node{'' if row['nodes'] == 1 else 's'}"
        places += [Piece(", " if places else ""), Piece(text, str(row["anchor"]))]
    if not part:
        start = (
            f"{slower} against {faster}: no single part of a job's time shows the difference on "
        )
        return Sentence("unknown", [Piece(start), *places, Piece(".")])
    shares = sorted(abs(row["share"]) for row in rows)
    size = " to ".join(dict.fromkeys(number(share) for share in (shares[0], shares[-1])))
    start = f"{slower}'s jobs spend more time in {part} than {faster}'s: {size} s a job on "
    return Sentence("ahead", [Piece(start), *places, Piece(".")])


def _compared(row: Mapping[str, Any]) -> bool:
    return any(not str(value["verdict"]).startswith(NOT_COMPARABLE) for value in row["values"])


def _claims(row: Mapping[str, Any]) -> bool:
    return any(
        name in OF_TIME and value["verdict"] in (LARGER, SMALLER)
        for name, value in zip(COMPARED, row["values"], strict=True)
    )


def _group(trials: pd.DataFrame, row: Mapping[str, Any], scheduler: str) -> pd.DataFrame:
    here = (trials["workload"] == row["workload"]) & (trials["nodes"] == row["nodes"])
    group: pd.DataFrame = trials[here & (trials["scheduler"] == scheduler)]
    return group


def _row(row: Mapping[str, Any], values: Mapping[str, Comparison]) -> dict[str, Any]:
    claimed = {name: v for name, v in values.items() if v.verdict in (LARGER, SMALLER)}
    part = max(claimed, key=lambda name: abs(claimed[name].effect.estimate or 0), default="")
    known = [v.effect.estimate for v in values.values() if v.effect.estimate is not None]
    return {
        **{key: row[key] for key in ("workload", "nodes", "first", "second")},
        "anchor": str(row["anchor"]).replace("difference", "parts"),
        "total": f"{'+' if sum(known) > 0 else ''}{number(sum(known))}" if known else "",
        "part": part,
        "share": values[part].effect.estimate if part else None,
        "values": [told(name, values[name]) for name in PARTS],
    }


TITLES = tuple(QUANTITIES[name].title for name in PARTS)
"""Headings of the parts, in their order."""
