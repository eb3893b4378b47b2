"""Comparisons of groups of trials: which may be compared, which trials form pairs, all verdicts.

Only what is alike is compared: equal traces, the same accelerator, a host of the same description,
and trials of the blocks (runs of the workflow) in which both groups ran, as many of each.
Trials form pairs where the repetitions ran traces of their own: then the two that ran the same
trace belong together. Where all trials of both groups ran one and the same trace, the number of a
repetition means nothing (trials run in one random order), and all trials count.

A value can be a lower bound, because jobs had not ended (`schedlab.metrics.bounds`). A verdict
stands where the true values could only strengthen it: the side said to be larger may have bounds,
the other one may not. Nothing else is claimed of values with bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from schedlab.metrics.cells import named
from schedlab.metrics.difference import (
    EQUAL,
    LARGER,
    LEVEL,
    MARGIN,
    SMALLER,
    Block,
    cliffs_delta,
    judge,
)
from schedlab.metrics.quantities import COMPARED, values_of
from schedlab.metrics.statistics import (
    MINIMUM,
    NOT_POSITIVE,
    TOO_SMALL,
    Floats,
    Interval,
    equal_up_to_rounding,
    few,
)

NOT_COMPARABLE = "not comparable"
UNFINISHED = f"{NOT_COMPARABLE}: jobs that had not ended"
LOWER_BOUND = "jobs of the larger side had not ended: the true difference is this or larger"
COMPUTED = f"{NOT_COMPARABLE}: computed from the trace, not measured"

FloorKey = tuple[str, str, int]
"""Quantity, workload, nodes."""


@dataclass(frozen=True)
class Comparison:
    """Two groups of trials compared in one quantity.

    Parameters
    ----------
    effect : Interval
        Estimate of a / b or a - b, see `kind`; its n is the number of pairs, or the size of the
        smaller group. Its 95 % interval is not corrected for the number of comparisons.
    kind : {"ratio", "difference"}
        What the effect is.
    cliffs_delta : float or None
        Effect size from -1 to 1: P(a > b) - P(a < b).
    p : float or None
        P-value for "no difference", corrected for the table; None without a test. A difference is
        claimed if it is at most `schedlab.metrics.difference.LEVEL`.
    verdict : str
        ``larger`` or ``smaller`` (a than b), ``no difference shown``, ``the same within x %``,
        ``equal``, ``n too small``, or ``not comparable: ...``.
    paired : bool
        Whether trials were compared pair by pair.
    """

    effect: Interval
    kind: Literal["ratio", "difference"]
    cliffs_delta: float | None
    p: float | None
    verdict: str
    paired: bool


def why_not(a: pd.DataFrame, b: pd.DataFrame, *, across_blocks: bool = False) -> str:
    """Reason why two groups of valid trials cannot be compared; empty where they can."""
    for column, name in (("accelerator", "accelerator"), ("host", "host")):
        found = set(a[column]) | set(b[column])
        if any(pd.isna(value) for value in found):
            return f"{name} not recorded"
        if len(found) > 1:
            return f"other {name}"
    if a["trace"].isna().any() or b["trace"].isna().any():
        return "trace not recorded"
    if not set(a["trace"]) & set(b["trace"]):
        return "other traces"
    if across_blocks:
        return ""
    if a["block"].isna().any() or b["block"].isna().any():
        return "block not recorded"
    return "" if set(a["block"]) & set(b["block"]) else "other block"


def matched(
    a: pd.DataFrame, b: pd.DataFrame, *, across_blocks: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Select the trials of two comparable groups that are compared.

    Trials of a block in which the other group did not run are left out. Of several blocks, both
    groups keep the same number of trials of each (pairs: as many with the first in one block and
    the second in another as the other way round): then what differs between blocks meets both
    means alike.

    Returns
    -------
    tuple
        Rows of the first, rows of the second, and whether they form pairs. Trials without a
        partner are left out where there are pairs.
    """
    if not across_blocks:
        shared = set(a["block"]) & set(b["block"])
        a, b = a[a["block"].isin(shared)], b[b["block"].isin(shared)]
    if len(set(a["trace"]) | set(b["trace"])) == 1:
        return (a, b, False) if across_blocks else (*_evenly(a, b), False)
    keys = ["repetition", "trace"]
    first, second = (
        side.assign(_place=np.arange(len(side)), _again=side.groupby(keys).cumcount())
        for side in (a, b)
    )
    columns = [*keys, "_again", "_place", "block"]
    pairs = first[columns].merge(
        second[columns], on=[*keys, "_again"], suffixes=("_a", "_b"), validate="one_to_one"
    )
    if not across_blocks:
        pairs = _balanced(pairs)
    return a.iloc[pairs["_place_a"].to_numpy()], b.iloc[pairs["_place_b"].to_numpy()], True


def _evenly(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides with as many trials of each block; one block alone needs no such thing."""
    if a["block"].nunique() < 2:
        return a, b
    counts: pd.Series = a["block"].value_counts().combine(b["block"].value_counts(), min)
    first, second = (
        side[side.groupby("block").cumcount() < side["block"].map(counts)] for side in (a, b)
    )
    return first, second


def _balanced(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs of which as many lie in two blocks one way round as the other."""
    ways = list(zip(pairs["block_a"], pairs["block_b"], strict=True))
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for way in ways:
        seen[way] = seen.get(way, 0) + 1
        kept.append(way[0] == way[1] or seen[way] <= ways.count((way[1], way[0])))
    return pairs[np.array(kept, dtype=bool)]


def compare_groups(
    pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    quantities: Sequence[str],
    *,
    noise_floor: Mapping[FloorKey, float] | Sequence[Mapping[FloorKey, float]] | None = None,
    margin: float = MARGIN,
    across_blocks: bool = False,
    level: float = LEVEL,
) -> list[dict[str, Comparison]]:
    """Compare pairs of groups of trials in some quantities: one table, judged as one.

    Parameters
    ----------
    pairs : sequence of pair of pandas.DataFrame
        Rows of the trials table, those of each group all of one cell. Invalid ones are left out.
    quantities : sequence of str
        Keys of `schedlab.metrics.quantities.COMPARED`.
    noise_floor : mapping, or sequence of mapping, optional
        (quantity, workload, nodes) -> relative difference that two equal clusters showed (0.02 for
        2 %): no smaller difference is claimed. What is missing is 0. A sequence has one mapping for
        each pair of groups.
    margin : float
        Relative difference below which two sides count as the same.
    across_blocks : bool
        Compare trials of different blocks too, for results that cannot have one in common.
    level : float
        Level of the tests, for who compares the same cells several times.

    Returns
    -------
    list of dict
        For each pair the comparison of each quantity.
    """
    if noise_floor is None or isinstance(noise_floor, Mapping):
        noise_floor = [noise_floor or {}] * len(pairs)
    found: list[dict[str, Comparison]] = []
    waiting: dict[tuple[Any, ...], list[tuple[str, Floats, Floats, float]]] = {}
    bounded: dict[tuple[int, str], tuple[bool, bool]] = {}
    for place, ((first, second), floors) in enumerate(zip(pairs, noise_floor, strict=True)):
        a, b = (side[side["valid"].astype(bool)] for side in (first, second))
        both = len(a) and len(b)
        reason = why_not(a, b, across_blocks=across_blocks) if both else ""
        paired = False
        if both and not reason:
            a, b, paired = matched(a, b, across_blocks=across_blocks)
        found.append({})
        for name in quantities:
            x, y = known(values_of(a, name), values_of(b, name), paired=paired)
            comparison = _untested(name, x, y, paired=paired, reason=reason)
            found[place][name] = comparison
            bounded[place, name] = has_bounds(a, name), has_bounds(b, name)
            if not comparison.verdict:
                key = (name, str(a["workload"].iloc[0]), int(a["nodes"].iloc[0]))
                # Quantities with values in the same trials are permuted together.
                group = (place, paired, x.size, y.size, *_missing(a, b, name))
                waiting.setdefault(group, []).append((name, x, y, floors.get(key, 0.0)))
    _test(found, waiting, margin, level)
    for (place, name), sides in bounded.items():
        found[place][name] = _with_bounds(found[place][name], *sides)
    return found


def has_bounds(trials: pd.DataFrame, name: str) -> bool:
    """Whether a value of a quantity is a lower bound in any of some trials."""
    return bool(named(trials, "at_least", COMPARED[name].column).any())


def _with_bounds(comparison: Comparison, first: bool, second: bool) -> Comparison:
    """Claim of a comparison only what the true values behind lower bounds would strengthen."""
    if not (first or second) or comparison.verdict == TOO_SMALL:
        return comparison
    if comparison.verdict.startswith(NOT_COMPARABLE):
        return comparison
    if comparison.verdict == (LARGER if first else SMALLER) and not (first and second):
        notes = [note for note in (comparison.effect.note, LOWER_BOUND) if note]
        return replace(comparison, effect=replace(comparison.effect, note="; ".join(notes)))
    return replace(comparison, verdict=UNFINISHED, p=None)


def known(x: Floats, y: Floats, *, paired: bool) -> tuple[Floats, Floats]:
    """Values of both sides without the missing ones; of pairs both."""
    if paired:
        both = ~np.isnan(x) & ~np.isnan(y)
        return x[both], y[both]
    return x[~np.isnan(x)], y[~np.isnan(y)]


def _missing(a: pd.DataFrame, b: pd.DataFrame, name: str) -> tuple[bytes, bytes]:
    """Which values of a quantity are missing."""
    return np.isnan(values_of(a, name)).tobytes(), np.isnan(values_of(b, name)).tobytes()


def _untested(name: str, x: Floats, y: Floats, *, paired: bool, reason: str) -> Comparison:
    """Comparison without a test; the verdict is missing if it needs a test."""
    quantity = COMPARED[name]
    kind: Literal["ratio", "difference"] = "ratio" if quantity.scale == "log" else "difference"
    n = int(min(x.size, y.size))

    def without(verdict: str, estimate: float | None = None, note: str = "") -> Comparison:
        bare = Interval(estimate, None, None, n, "none", note or verdict)
        delta = None if reason else cliffs_delta(x, y)
        return Comparison(bare, kind, delta, None, verdict, paired)

    if reason:
        return without(f"{NOT_COMPARABLE}: {reason}")
    if not n:
        return without(TOO_SMALL)
    if quantity.scale == "log" and (np.any(x <= 0) or np.any(y <= 0)):
        return without(f"{NOT_COMPARABLE}: {NOT_POSITIVE}")
    if quantity.scale == "log":
        estimate = float(np.exp(np.log(x).mean() - np.log(y).mean()))
    else:
        estimate = float(x.mean() - y.mean())
    if n < MINIMUM:
        return without(TOO_SMALL, estimate)
    if not quantity.measured:
        apart = np.stack([x, y]) if paired else np.concatenate([x, y])
        return without(EQUAL if np.all(equal_up_to_rounding(apart, axis=0)) else COMPUTED, estimate)
    return without("", estimate)


def _test(
    found: list[dict[str, Comparison]],
    waiting: Mapping[tuple[Any, ...], list[tuple[str, Floats, Floats, float]]],
    margin: float,
    level: float,
) -> None:
    """Judge everything that waits for a verdict as one table."""
    blocks = [
        Block(
            np.stack([x for _, x, _, _ in columns], axis=-1)[None],
            np.stack([y for _, _, y, _ in columns], axis=-1)[None],
            bool(group[1]),
            np.array([COMPARED[name].scale == "log" for name, *_ in columns]),
            np.array([floor for *_, floor in columns]),
        )
        for group, columns in waiting.items()
    ]
    if not blocks:
        return
    table = judge(blocks, margin=margin, level=level)
    names = [(group[0], name) for group, columns in waiting.items() for name, *_ in columns]
    for column, (place, name) in enumerate(names):
        before = found[place][name]
        n, log = before.effect.n, before.kind == "ratio"
        verdict = str(table.verdict[0, column])
        p = float(table.p[0, column])
        interval = Interval(
            float(table.effect[0, column]),
            float(table.low[0, column]),
            float(table.high[0, column]),
            n,
            ("paired t" if before.paired else "Welch's t") + (" on logarithms" if log else ""),
            few(n),
        )
        found[place][name] = replace(
            before, effect=interval, verdict=verdict, p=None if np.isnan(p) else p
        )
