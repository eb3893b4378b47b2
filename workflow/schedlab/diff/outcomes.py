"""Differences between the outcomes of two results, by cell and quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from schedlab.diff.side import Side
from schedlab.metrics.cells import CELL, by_cell, require_one_make, summary_interval
from schedlab.metrics.comparable import (
    LOWER_BOUND,
    NOT_COMPARABLE,
    UNFINISHED,
    Comparison,
    compare_groups,
)
from schedlab.metrics.difference import ERROR_RATE, LARGER, LEVEL, SMALLER
from schedlab.metrics.quantities import COMPARED, KNEE, MAIN_QUANTITIES, values_of
from schedlab.metrics.searches import by_search
from schedlab.metrics.statistics import CONFIDENCE, TOO_SMALL, Interval, t_interval

SAME = "the same trials"
BELOW = f"{NOT_COMPARABLE}: a search in which not even the lowest rate was sustained"
ABOVE = f"{NOT_COMPARABLE}: a search in which even the highest rate was sustained"


@dataclass(frozen=True)
class Outcome:
    """A quantity of a cell in both results.

    Attributes
    ----------
    quantity : str
        Key of `schedlab.metrics.quantities.COMPARED`.
    a, b : Interval
        Estimates of A and of B.
    found : Comparison or None
        Comparison of B with A; None if both have the same trials.
    """

    quantity: str
    a: Interval
    b: Interval
    found: Comparison | None

    @property
    def verdict(self) -> str:
        """`Comparison.verdict` of B against A, or ``the same trials``."""
        return self.found.verdict if self.found else SAME

    @property
    def differs(self) -> bool:
        """Whether the test shows a difference."""
        return self.verdict in {LARGER, SMALLER}


@dataclass(frozen=True)
class Cell:
    """A workload on a cluster in both results.

    Attributes
    ----------
    scheduler, cluster, workload : str
        Names that identify the cell.
    nodes : int
        Number of compute nodes.
    trials, valid : tuple of int
        Number of all trials, and number of valid trials, in A and in B.
    completed, jobs : tuple of int
        Number of completed jobs, and number of all jobs, of the valid trials in A and in B.
    shared : int
        Number of trials that are in both (the same lineage).
    outcomes : tuple of Outcome
        One outcome for each quantity of the report's main table; of searches the knee alone.
    searches : tuple of int or None
        Number of searches in A and in B, whose steps the trials are; None where the trials repeat
        one another. Steps differ in their rates, so nothing else of them is compared.
    """

    scheduler: str
    cluster: str
    workload: str
    nodes: int
    trials: tuple[int, int]
    valid: tuple[int, int]
    completed: tuple[int, int]
    jobs: tuple[int, int]
    shared: int
    outcomes: tuple[Outcome, ...]
    searches: tuple[int, int] | None = None

    @property
    def invalid(self) -> tuple[int, int]:
        """Number of trials that are not valid, in A and in B."""
        return self.trials[0] - self.valid[0], self.trials[1] - self.valid[1]

    @property
    def uneven(self) -> bool:
        """Whether numbers of invalid trials differ; a search replaces a step that is invalid."""
        return self.searches is None and self.invalid[0] != self.invalid[1]

    @property
    def differs(self) -> bool:
        """Whether quantities, numbers of invalid trials, or parts of completed jobs differ."""
        others = self.uneven or not self.as_complete
        return others or any(outcome.differs for outcome in self.outcomes)

    @property
    def as_complete(self) -> bool:
        """Whether the same part of the jobs completed in both."""
        return self.completed[0] * self.jobs[1] == self.completed[1] * self.jobs[0]


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of two results.

    Attributes
    ----------
    cells : list of Cell
        Cells that are in both.
    only_a, only_b : list of str
        Names of cells that are only in A, or only in B.
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
        """Number of quantities that were tested."""
        return sum(
            outcome.found is not None and outcome.found.p is not None
            for cell in self.cells
            for outcome in cell.outcomes
        )

    @property
    def not_comparable(self) -> dict[str, int]:
        """Number of quantities that could not be compared, by reason."""
        verdicts = [o.verdict for cell in self.cells for o in cell.outcomes]
        found = [v for v in verdicts if v.startswith(NOT_COMPARABLE)]
        return {verdict: found.count(verdict) for verdict in dict.fromkeys(found)}

    def count(self, verdict: str) -> int:
        """Return the number of quantities with a verdict."""
        return sum(o.verdict == verdict for cell in self.cells for o in cell.outcomes)


def compare_outcomes(a: Side, b: Side) -> Outcomes:
    """Compare the estimates of every cell that both results have.

    Raises
    ------
    SchedlabError
        A table of trials is missing or of another version, or the trials of a cell ran on clusters
        that were made differently.
    """
    first, second = _groups(a), _groups(b)
    keys = [key for key in first if key in second]
    new = [key for key in keys if set(first[key]["lineage"]) != set(second[key]["lineage"])]
    # B comes first, so that effects are B / A and B - A. One call for all cells, because the error
    # rate holds for the whole table.
    found = dict(
        zip(
            new,
            # The two ran at different times: that is what is compared, and the text says so.
            compare_groups(
                [(_complete(second[key]), _complete(first[key])) for key in new],
                [*MAIN_QUANTITIES, KNEE],
                across_blocks=True,
            ),
            strict=True,
        )
    )
    cells = [
        (_searches if key[-1] else _cell)(key[:4], first[key], second[key], found.get(key, {}))
        for key in keys
    ]
    return Outcomes(
        sorted(cells, key=lambda cell: (cell.workload, cell.scheduler, cell.nodes)),
        [_name(key) for key in sorted(first.keys() - second.keys())],
        [_name(key) for key in sorted(second.keys() - first.keys())],
    )


def _complete(group: pd.DataFrame) -> pd.DataFrame:
    """Group with all columns that are compared: of searches the knee, of trials the others."""
    columns = [COMPARED[name].column for name in (*MAIN_QUANTITIES, KNEE)]
    return group.assign(**{name: np.nan for name in columns if name not in group})


def cell_name(scheduler: str, cluster: str, workload: str, nodes: int) -> str:
    """Return the name of a cell, for example ``burst on alpha-n1``."""
    expected = f"{scheduler}-n{nodes}"
    return f"{workload} on {cluster}" + ("" if cluster == expected else f" ({expected})")


Cluster = tuple[str, str, str, int]
Key = tuple[str, str, str, int, bool]
"""A cell, and whether its trials are steps of searches."""


def _name(key: Key) -> str:
    return cell_name(*key[:4]) + ", a search" * key[-1]


def _key(names: Sequence[Any], *, searches: bool) -> Key:
    scheduler, cluster, workload, nodes = map(str, names)
    return scheduler, cluster, workload, int(nodes), searches


def _groups(side: Side) -> dict[Key, pd.DataFrame]:
    """Trials of each cell, and searches of each cell that was searched."""
    groups = {_key(key, searches=False): group for key, group in by_cell(side.trials)}
    rows = by_search(side.trials)
    if len(rows):
        found = rows.groupby(CELL, sort=True)
        groups |= {_key(key, searches=True): group for key, group in found}
    for key, group in groups.items():
        require_one_make(group, f"{side.label}: {_name(key)}")
    return groups


def _cell(key: Cluster, a: pd.DataFrame, b: pd.DataFrame, found: dict[str, Comparison]) -> Cell:
    return Cell(
        *key,
        trials=(len(a), len(b)),
        valid=(_valid(a), _valid(b)),
        completed=(_jobs(a, "completed"), _jobs(b, "completed")),
        jobs=(_jobs(a, "jobs"), _jobs(b, "jobs")),
        shared=len(set(a["lineage"]) & set(b["lineage"])),
        outcomes=tuple(
            Outcome(name, summary_interval(a, name), summary_interval(b, name), found.get(name))
            for name in MAIN_QUANTITIES
        ),
    )


def _searches(key: Cluster, a: pd.DataFrame, b: pd.DataFrame, found: dict[str, Comparison]) -> Cell:
    comparison = found.get(KNEE)
    if comparison and (a["beyond"].any() or b["beyond"].any()):
        comparison = replace(comparison, verdict=BELOW, p=None)
    elif comparison:
        comparison = _of_knees(comparison)
    first, second = (t_interval(values_of(side, KNEE), "log") for side in (a, b))
    return Cell(
        *key,
        trials=(int(a["steps"].sum()), int(b["steps"].sum())),
        valid=(int(a["valid_steps"].sum()), int(b["valid_steps"].sum())),
        completed=(0, 0),
        jobs=(0, 0),
        shared=len(set(a["lineage"]) & set(b["lineage"])),
        outcomes=(Outcome(KNEE, first, second, comparison),),
        searches=(len(a), len(b)),
    )


def _of_knees(comparison: Comparison) -> Comparison:
    """Say of bounds that the searches' rates end there: of trials it is jobs that had not ended."""
    effect = comparison.effect
    note = effect.note.replace(
        LOWER_BOUND,
        "the larger side sustained even the highest rate: the true difference is this or larger",
    )
    verdict = ABOVE if comparison.verdict == UNFINISHED else comparison.verdict
    return replace(comparison, effect=replace(effect, note=note), verdict=verdict)


def _valid(trials: pd.DataFrame) -> int:
    return int(trials["valid"].astype(bool).sum())


def _jobs(trials: pd.DataFrame, fate: str) -> int:
    return int(trials.loc[trials["valid"].astype(bool), fate].sum())


def outcome_facts(outcomes: Outcomes) -> dict[str, Any]:
    """Return outcomes as plain data for JSON."""
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
                "completed": dict(zip("ab", cell.completed, strict=True)),
                "jobs": dict(zip("ab", cell.jobs, strict=True)),
                "shared": cell.shared,
                "searches": cell.searches and dict(zip("ab", cell.searches, strict=True)),
                "differs": cell.differs,
                "quantities": [_outcome_facts(outcome) for outcome in cell.outcomes],
            }
            for cell in outcomes.cells
        ],
        "only_a": outcomes.only_a,
        "only_b": outcomes.only_b,
        "compared": outcomes.compared,
        "error_rate": ERROR_RATE,
        "level": LEVEL,
        "not_comparable": outcomes.not_comparable,
        "too_small": outcomes.count(TOO_SMALL),
        "differs": outcomes.differs,
    }


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    quantity = COMPARED[outcome.quantity]
    return {
        "quantity": outcome.quantity,
        "title": quantity.title,
        "unit": quantity.unit,
        "a": _interval_facts(outcome.a),
        "b": _interval_facts(outcome.b),
        "effect": _effect_facts(outcome.found),
        "verdict": outcome.verdict,
    }


def _effect_facts(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "kind": found.kind,
        "paired": found.paired,
        "p": found.p,
        "cliffs_delta": found.cliffs_delta,
        **_interval_facts(found.effect),
    }


def _interval_facts(interval: Interval) -> dict[str, Any]:
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "method": interval.method,
        "note": interval.note,
    }
