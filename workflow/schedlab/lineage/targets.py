"""Targets from which a chain can start: a trial, a figure, or a cell of the report's main table.

A cell is written ``<cluster>.<workload>/<quantity>``, for example ``alpha-n1.burst/makespan``:
cluster and workload of the row, and quantity of the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from schedlab.errors import SchedlabError
from schedlab.metrics.cells import by_cell, summary_interval
from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES
from schedlab.paths import TABLES, TABLES_RECORD, figure_record
from schedlab.printing import brief
from schedlab.results.store import Store
from schedlab.tables.build import load_trials


@dataclass(frozen=True)
class Target:
    """Start of a chain.

    Attributes
    ----------
    kind : {"trial", "figure", "cell"}
        Kind of the target.
    name : str
        Name that the user gave.
    start : str
        Path of the first record below the results folder.
    only : tuple of str or None
        Names of the parents of that record that belong to the target; None for all.
    facts : dict
        For a cell: `estimate`, `unit`, `n`, and `trials` (each with `id`, `lineage` and `valid`);
        else empty.
    """

    kind: str
    name: str
    start: str
    only: tuple[str, ...] | None
    facts: dict[str, Any]


def resolve(store: Store, text: str) -> Target:
    """Find the target of a name in a results folder.

    Parameters
    ----------
    store : Store
        Records of the results folder.
    text : str
        Name that the user gave.

    Raises
    ------
    SchedlabError
        Nothing in the results has this name. The remedy lists the names that exist.
    """
    trials = store.trials()
    if text in trials:
        return Target("trial", text, trials[text], None, {})
    if text in store.figures():
        return Target("figure", text, figure_record(text), None, {})
    row, slash, quantity = text.partition("/")
    if slash and (store.results / TABLES / "trials.parquet").is_file():
        cells = _cells(load_trials(store.results / TABLES))
        if row in cells and quantity in MAIN_QUANTITIES:
            return _cell(text, quantity, cells[row])
    raise SchedlabError(
        f"nothing in {store.results} is called {brief(text)!r}",
        remedy=f"use one of\n{_known(store)}",
    )


def _cells(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {".".join(key): group for key, group in by_cell(trials, ("cluster", "workload"))}


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
    """Return the names that exist, one line for each kind."""
    lines: dict[str, list[str]] = {"trials": list(store.trials()), "figures": store.figures()}
    if (store.results / TABLES / "trials.parquet").is_file():
        lines["rows"] = list(_cells(load_trials(store.results / TABLES)))
        lines["quantities (row/quantity is a cell)"] = list(MAIN_QUANTITIES)
    return "\n".join(f"    {kind}: {', '.join(there) or 'none'}" for kind, there in lines.items())
