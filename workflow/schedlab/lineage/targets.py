"""What a chain can start from: a trial, a figure, a cell of the report's main table.

A cell is written ``<cluster>.<workload>/<quantity>``, for example ``slurm-n1.burst/makespan``: the
ids that the report shows in the row and the quantity of the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from schedlab.errors import SchedlabError
from schedlab.metrics.cells import summary_interval
from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES
from schedlab.paths import TABLES_RECORD, figure_record
from schedlab.results.store import Store
from schedlab.tables.build import load_trials


@dataclass(frozen=True)
class Target:
    """Where a chain starts.

    Attributes
    ----------
    kind : {"trial", "figure", "cell"}
        What was asked for.
    name : str
        As it was asked for.
    start : str
        The first record, below the results.
    only : tuple of str or None
        Parents of that record that belong to the target; None for all.
    facts : dict
        Of a cell: `estimate`, `unit`, `n`, `trials` (each `id`, `lineage`, `valid`).
    """

    kind: str
    name: str
    start: str
    only: tuple[str, ...] | None
    facts: dict[str, Any]


def resolve(store: Store, text: str) -> Target:
    """Find out what a name means in a results folder.

    Raises
    ------
    SchedlabError
        When it means nothing there; the remedy lists what there is.
    """
    trials = store.trials()
    if text in trials:
        return Target("trial", text, trials[text], None, {})
    if text in store.figures():
        return Target("figure", text, figure_record(text), None, {})
    row, slash, quantity = text.partition("/")
    if slash and (store.results / "tables" / "trials.parquet").is_file():
        cells = _cells(load_trials(store.results / "tables"))
        if row in cells and quantity in MAIN_QUANTITIES:
            return _cell(text, quantity, cells[row])
    raise SchedlabError(
        f"nothing in {store.results} is called {text!r}", remedy=f"use one of\n{_known(store)}"
    )


def _cells(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    rows = trials["cluster"].astype(str) + "." + trials["workload"].astype(str)
    return {str(name): group for name, group in trials.groupby(rows, sort=True)}


def _cell(name: str, quantity: str, rows: pd.DataFrame) -> Target:
    interval = summary_interval(rows, quantity)
    trials = [
        {"id": str(row["trial"]), "lineage": str(row["lineage"]), "valid": bool(row["valid"])}
        for row in rows.to_dict("records")
    ]
    unit = QUANTITIES[quantity].unit
    facts = {"estimate": interval.estimate, "unit": unit, "n": interval.n, "trials": trials}
    return Target("cell", name, TABLES_RECORD, tuple(rows["trial"].astype(str)), facts)


def _known(store: Store) -> str:
    """What there is, one kind a line."""
    lines: dict[str, list[str]] = {"trials": list(store.trials()), "figures": store.figures()}
    if (store.results / "tables" / "trials.parquet").is_file():
        lines["rows"] = list(_cells(load_trials(store.results / "tables")))
        lines["quantities (row/quantity is a cell)"] = list(MAIN_QUANTITIES)
    return "\n".join(f"    {kind}: {', '.join(there) or 'none'}" for kind, there in lines.items())
