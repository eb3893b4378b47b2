"""What differs between the outcomes of two results, by cell and quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from schedlab.diff.side import Side
from schedlab.metrics.cells import (
    CELL,
    MAIN_QUANTITIES,
    QUANTITIES,
    require_one_make,
    summary_difference,
    summary_interval,
)
from schedlab.metrics.difference import LARGER, SMALLER, Comparison
from schedlab.metrics.statistics import CONFIDENCE, TOO_SMALL, Interval

SAME = "the same trials"


@dataclass(frozen=True)
class Outcome:
    """A quantity of a cell.

    Attributes
    ----------
    quantity : str
        Key of `schedlab.metrics.cells.QUANTITIES`.
    a, b : Interval
        The two estimates.
    difference : Interval or None
        Of b minus a; None for the same trials.
    cliffs_delta : float or None
        Effect size from -1 to 1: P(b > a) - P(b < a).
    verdict : str
        ``larger`` or ``smaller`` (b than a), ``no difference shown``, ``n too small``, or ``the
        same trials``.
    """

    quantity: str
    a: Interval
    b: Interval
    difference: Interval | None
    cliffs_delta: float | None
    verdict: str

    @property
    def differs(self) -> bool:
        """Whether a difference is shown."""
        return self.verdict in {LARGER, SMALLER}


@dataclass(frozen=True)
class Cell:
    """A workload on a cluster in both results.

    Attributes
    ----------
    scheduler, cluster, workload : str
        Which cell.
    nodes : int
        Compute nodes.
    trials, valid : tuple of int
        Number of all trials, and of those that passed their gate, in A and in B.
    shared : int
        Trials that are in both: the same lineage.
    outcomes : tuple of Outcome
        Of the quantities of the report's main table.
    """

    scheduler: str
    cluster: str
    workload: str
    nodes: int
    trials: tuple[int, int]
    valid: tuple[int, int]
    shared: int
    outcomes: tuple[Outcome, ...]

    @property
    def invalid(self) -> tuple[int, int]:
        """Number of trials that did not pass their gate, in A and in B."""
        return self.trials[0] - self.valid[0], self.trials[1] - self.valid[1]

    @property
    def differs(self) -> bool:
        """Whether a difference is shown, or other numbers of trials failed."""
        return self.invalid[0] != self.invalid[1] or any(o.differs for o in self.outcomes)


@dataclass(frozen=True)
class Outcomes:
    """All cells.

    Attributes
    ----------
    cells : list of Cell
        Those of both.
    only_a, only_b : list of str
        Names of those of one.
    """

    cells: list[Cell]
    only_a: list[str]
    only_b: list[str]

    @property
    def differs(self) -> bool:
        """Whether any cell differs or is in one result only."""
        return bool(self.only_a or self.only_b) or any(cell.differs for cell in self.cells)

    @property
    def compared(self) -> int:
        """Number of quantities compared with an interval of their difference."""
        return sum(
            outcome.difference is not None and outcome.difference.known
            for cell in self.cells
            for outcome in cell.outcomes
        )

    @property
    def expected_by_chance(self) -> float:
        """Differences to expect among so many comparisons where there is none at all."""
        return self.compared * (1 - CONFIDENCE)

    def count(self, verdict: str) -> int:
        """Number of quantities with a verdict."""
        return sum(o.verdict == verdict for cell in self.cells for o in cell.outcomes)


def compare_outcomes(a: Side, b: Side) -> Outcomes:
    """Compare the estimates of every cell that both results have.

    Raises
    ------
    SchedlabError
        When a trials table is missing or of another version, or a cell's trials ran on differently
        made clusters.
    """
    first, second = _groups(a), _groups(b)
    cells = [_cell(key, first[key], second[key]) for key in first if key in second]
    return Outcomes(
        sorted(cells, key=lambda cell: (cell.workload, cell.scheduler, cell.nodes)),
        [cell_name(*key) for key in sorted(first.keys() - second.keys())],
        [cell_name(*key) for key in sorted(second.keys() - first.keys())],
    )


def cell_name(scheduler: str, cluster: str, workload: str, nodes: int) -> str:
    """Name of a cell, for example ``burst on alpha-n1``."""
    expected = f"{scheduler}-n{nodes}"
    return f"{workload} on {cluster}" + ("" if cluster == expected else f" ({expected})")


Key = tuple[str, str, str, int]


def _groups(side: Side) -> dict[Key, pd.DataFrame]:
    groups: dict[Key, pd.DataFrame] = {}
    for key, group in side.trials.groupby(CELL, sort=True, observed=True):
        scheduler, cluster, workload, nodes = map(str, key if isinstance(key, tuple) else (key,))
        name = (scheduler, cluster, workload, int(nodes))
        require_one_make(group, f"{side.label}: {cell_name(*name)}")
        groups[name] = group
    return groups


def _cell(key: Key, a: pd.DataFrame, b: pd.DataFrame) -> Cell:
    left, right = set(a["lineage"]), set(b["lineage"])
    same = left == right
    return Cell(
        *key,
        trials=(len(a), len(b)),
        valid=(_valid(a), _valid(b)),
        shared=len(left & right),
        outcomes=tuple(_outcome(name, a, b, same=same) for name in MAIN_QUANTITIES),
    )


def _valid(trials: pd.DataFrame) -> int:
    return int(trials["valid"].astype(bool).sum())


def _outcome(quantity: str, a: pd.DataFrame, b: pd.DataFrame, *, same: bool) -> Outcome:
    estimates = summary_interval(a, quantity), summary_interval(b, quantity)
    if same:
        return Outcome(quantity, *estimates, None, None, SAME)
    found: Comparison = summary_difference(b, a, quantity)
    return Outcome(quantity, *estimates, found.difference, found.cliffs_delta, found.verdict)


def outcome_facts(outcomes: Outcomes) -> dict[str, Any]:
    """Outcomes as plain JSON."""
    return {
        "confidence": CONFIDENCE,
        "cells": [
            {
                "scheduler": cell.scheduler,
                "cluster": cell.cluster,
                "workload": cell.workload,
                "nodes": cell.nodes,
                "trials": dict(zip("ab", cell.trials, strict=True)),
                "valid": dict(zip("ab", cell.valid, strict=True)),
                "shared": cell.shared,
                "differs": cell.differs,
                "quantities": [_outcome_facts(outcome) for outcome in cell.outcomes],
            }
            for cell in outcomes.cells
        ],
        "only_a": outcomes.only_a,
        "only_b": outcomes.only_b,
        "compared": outcomes.compared,
        "expected_by_chance": round(outcomes.expected_by_chance, 2),
        "too_small": outcomes.count(TOO_SMALL),
        "differs": outcomes.differs,
    }


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    quantity = QUANTITIES[outcome.quantity]
    return {
        "quantity": outcome.quantity,
        "title": quantity.title,
        "unit": quantity.unit,
        "a": _interval_facts(outcome.a),
        "b": _interval_facts(outcome.b),
        "difference": _interval_facts(outcome.difference),
        "cliffs_delta": outcome.cliffs_delta,
        "verdict": outcome.verdict,
    }


def _interval_facts(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "method": interval.method,
        "note": interval.note,
    }
