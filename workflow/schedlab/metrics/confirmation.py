"""Whether lifting a cell's limiter does what was predicted.

Two cells of one scheduler, workload and node count, of which the second has the first one's limiter
at a higher value: from the first alone follows what rate the second should sustain.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pandas as pd

from schedlab.metrics.limiter import of_cell
from schedlab.metrics.searches import Knee, knees, searched

WITHIN = 0.20
"""Largest relative distance from the prediction that counts as confirmed."""


class Confirmation(NamedTuple):
    """Prediction from one cell, and what came out in another.

    Attributes
    ----------
    workload, cluster, other : str
        The cell whose limiter was named, and the one in which it is lifted.
    setting : str
        Native setting that lifts it.
    predicted : float
        Rate that the other should sustain, 1/s.
    why : str
        What bounds the prediction.
    found : float or None
        Rate that it sustains, 1/s; None where the search has no knee.
    """

    workload: str
    cluster: str
    other: str
    setting: str
    predicted: float
    why: str
    found: float | None

    @property
    def confirmed(self) -> bool | None:
        """Whether the outcome is within `WITHIN` of the prediction; None without an outcome."""
        return None if self.found is None else abs(self.found / self.predicted - 1) <= WITHIN


def confirmations(trials: pd.DataFrame) -> list[Confirmation]:
    """Every pair of cells in which the second lifts the limiter of the first."""
    own = searched(trials)
    found = knees(trials)
    rows = {
        (knee.workload, knee.cluster): own[
            (own["workload"] == knee.workload) & (own["cluster"] == knee.cluster)
        ]
        for knee in found
    }
    pairs = []
    for first in found:
        cell = rows[first.workload, first.cluster]
        named = of_cell(cell)
        if named is None or not named.lift or first.estimate is None:
            continue
        for second in found:
            other = rows[second.workload, second.cluster]
            same = (
                second.workload == first.workload
                and second.nodes == first.nodes
                and set(other["adapter"]) == set(cell["adapter"])
            )
            old, lifted = _limit(cell, named.lift), _limit(other, named.lift)
            if same and old and lifted and lifted > old:
                pairs.append(_confirmation(first, second, cell, named.lift, lifted / old))
    return pairs


def _confirmation(
    first: Knee, second: Knee, cell: pd.DataFrame, setting: str, ratio: float
) -> Confirmation:
    """Predict the second knee: by the ratio of the limits, or by the bound that comes before."""
    assert first.estimate is not None
    bounds = [(first.estimate * ratio, f"{setting} is {ratio:g} times as large")]
    used = pd.to_numeric(cell["utilisation_steady"]).max()
    if pd.notna(used) and used > 0:
        bounds.append((first.estimate / float(used), "then the machine is full"))
    if first.ceiling is not None:
        bounds.append((first.ceiling, "then the submitter limits"))
    predicted, why = min(bounds)
    return Confirmation(
        first.workload, first.cluster, second.cluster, setting, predicted, why, second.estimate
    )


def _limit(trials: pd.DataFrame, setting: str) -> float | None:
    """Value of a limit in the trials of a cell; None where it is not among them."""
    for text in trials["limits"].dropna():
        limits: list[dict[str, Any]] = json.loads(text)
        for one in limits:
            if one["setting"] == setting:
                return float(one["per_second"])
    return None
