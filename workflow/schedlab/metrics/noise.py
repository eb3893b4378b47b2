"""The noise floor: how much two equal series differ (an A/A comparison).

One variant runs a second time under another label, made by the same rules, in the same random
order, on the same traces. A difference between the two is not a difference of schedulers. So no
difference between others is claimed that is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from schedlab.metrics.cells import by_cell
from schedlab.metrics.comparable import Comparison, FloorKey, compare_groups
from schedlab.metrics.quantities import values_of

UNBOUNDED = 1e6
"""Floor if the means' signs differ, so that no relative difference exists: nothing is claimed."""


class AgainRow(NamedTuple):
    """A workload and node count of both series.

    Parameters
    ----------
    workload : str
        Its name.
    nodes : int
        Compute nodes.
    found : mapping of str to Comparison
        By quantity; judged as a table of its own, without a noise floor.
    floors : mapping of str to float
        Relative difference by quantity, 0.02 for 2 %; without those that have no estimate.
    """

    workload: str
    nodes: int
    found: Mapping[str, Comparison]
    floors: Mapping[str, float]


def compare_again(
    trials: pd.DataFrame, first: str, second: str, quantities: Sequence[str]
) -> list[AgainRow]:
    """Compare two series that are equal by construction.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    first, second : str
        Their names in column `scheduler`.
    quantities : sequence of str
        Keys of `schedlab.metrics.quantities.QUANTITIES`.
    """
    sides = [trials[trials["scheduler"] == name] for name in (first, second)]
    groups = [
        {
            (str(workload), int(str(nodes))): group
            for (workload, nodes), group in by_cell(side, ("workload", "nodes"))
        }
        for side in sides
    ]
    keys = sorted(groups[0].keys() & groups[1].keys())
    pairs = [(groups[0][key], groups[1][key]) for key in keys]
    return [
        AgainRow(*key, found, _floors(found, *pair))
        for key, pair, found in zip(keys, pairs, compare_groups(pairs, quantities), strict=True)
    ]


def noise_floor(rows: Sequence[AgainRow]) -> dict[FloorKey, float]:
    """Floors as `schedlab.metrics.comparable.compare_groups` takes them."""
    return {
        (quantity, row.workload, row.nodes): floor
        for row in rows
        for quantity, floor in row.floors.items()
    }


def _floors(found: Mapping[str, Comparison], a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
    floors = {}
    for quantity, comparison in found.items():
        estimate = comparison.effect.estimate
        if estimate is None:
            continue
        if comparison.kind == "ratio":
            floors[quantity] = max(estimate, 1 / estimate) - 1
        else:
            means = [
                float(pd.Series(values_of(side[side["valid"].astype(bool)], quantity)).mean())
                for side in (a, b)
            ]
            low, high = sorted(map(abs, means))
            one_sign = low > 0 and means[0] * means[1] > 0
            floors[quantity] = high / low - 1 if one_sign else UNBOUNDED
    return floors
