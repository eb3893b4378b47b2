"""A permutation test over a whole table: step-down, without any assumption on the noise.

Under the hypothesis that a scheduler makes no difference, the trials of both sides can be exchanged
(all of them where they ran one trace, the two of a pair where each repetition has a trace of its
own): trials run in one random order, so neither side has the better half of a drift. Each cell is
permuted on its own, all quantities of a trial together, which keeps their correlation. A
hypothesis' adjusted p-value is the probability that the most extreme statistic among it and all
less extreme hypotheses of the table is at least as extreme as its own [1]_. Cells are taken as
independent: two comparisons that share a scheduler depend on each other in the safe direction.

References
----------
.. [1] P. H. Westfall, S. S. Young, "Resampling-Based Multiple Testing", Wiley 1993, section 2.6.
.. [2] J. P. Romano, M. Wolf, "Exact and Approximate Stepdown Methods for Multiple Hypothesis
   Testing", J. Am. Stat. Assoc. 100, 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

ALL_OF = 4_096
"""Up to this number of permutations all are used; otherwise `DRAWN`, the first of which changes
nothing."""
DRAWN = 2_000
SEED = 20260901
CAP = 1e4
"""Statistics beyond this value count as equally extreme, because rounding dominates them."""


@dataclass(frozen=True)
class Exchange:
    """Values of one cell that could be exchanged if the hypotheses held.

    Parameters
    ----------
    a, b : numpy.ndarray
        Of shape (trials, quantities), on the scale of the test and shifted by the hypothesis.
    paired : bool
        Row i of `a` and of `b` ran the same trace, other rows another.
    resolution : numpy.ndarray
        Least standard error of each quantity (quantities,): that of rounding.
    """

    a: Floats
    b: Floats
    paired: bool
    resolution: Floats

    @property
    def df(self) -> int:
        """Degrees of freedom that make statistics of different cells comparable."""
        return len(self.a) - 1 if self.paired else len(self.a) + len(self.b) - 2


def least_p(first: int, second: int, *, paired: bool) -> float:
    """Smallest two-sided p-value that a permutation test of these numbers of trials can give."""
    if not first or not second or (paired and first != second):
        return 1.0
    return min(1.0, 2 / (2**first if paired else comb(first + second, first)))


@cache
def _signs(n: int) -> Floats:
    """Signs of n differences (n, permutations); the first column changes nothing."""
    if 2**n <= ALL_OF:
        return np.array(list(product((1.0, -1.0), repeat=n))).T.copy()
    rng = np.random.default_rng(SEED)
    drawn = rng.choice([1.0, -1.0], size=(n, DRAWN))
    drawn[:, 0] = 1.0
    return drawn


@cache
def _choices(first: int, second: int) -> Floats:
    """Which of all trials are in the first group (trials, permutations), as 0 and 1."""
    total = first + second
    if comb(total, first) <= ALL_OF:
        chosen = list(combinations(range(total), first))
    else:
        rng = np.random.default_rng(SEED)
        order = rng.permuted(np.tile(np.arange(total), (DRAWN, 1)), axis=1)
        chosen = [tuple(row) for row in order[:, :first]]
        chosen[0] = tuple(range(first))
    picked = np.zeros((len(chosen), total))
    np.put_along_axis(picked, np.array(chosen), 1.0, axis=1)
    return picked.T.copy()


def statistics(cell: Exchange) -> Floats:
    """Student's t of every permutation (quantities, permutations); the first is the observed one.

    For pairs, it is that of the mean difference; otherwise it uses the variances of each group
    (Welch). Values are between -`CAP` and `CAP`.
    """
    if cell.paired:
        differences = (cell.a - cell.b).T
        n = differences.shape[1]
        apart = differences @ _signs(n) / n
        squares = (differences**2).sum(axis=1, keepdims=True)
        error2 = np.maximum(squares - n * apart**2, 0) / ((n - 1) * n)
    else:
        first, second = len(cell.a), len(cell.b)
        together = np.concatenate([cell.a, cell.b]).T
        together = together - together.mean(axis=1, keepdims=True)
        chosen = _choices(first, second)
        sums, squares = together @ chosen, together**2 @ chosen
        rest = (together**2).sum(axis=1, keepdims=True) - squares
        # The values add up to 0 over both groups.
        apart = sums * (1 / first + 1 / second)
        error2 = np.maximum(squares - sums**2 / first, 0) / ((first - 1) * first)
        error2 += np.maximum(rest - sums**2 / second, 0) / ((second - 1) * second)
    error = np.maximum(np.sqrt(error2), cell.resolution[:, None])
    found: Floats = np.clip(apart / error, -CAP, CAP)
    return found


class _Cell:
    """Permutation distribution of the most extreme statistic among the less extreme hypotheses."""

    def __init__(self, cell: Exchange, *, two_sided: bool) -> None:
        found = statistics(cell)
        permuted = np.abs(found) if two_sided else found
        self.df = cell.df
        # Probabilities by Student's distribution make cells of different n comparable.
        self.scores = special.stdtr(cell.df, -permuted[:, 0])
        order = np.argsort(-self.scores)
        self._rising = -self.scores[order]
        self._largest = np.maximum.accumulate(permuted[order], axis=0)

    def exceeded(self, scores: Floats) -> Floats:
        """Probability, for each score, that a hypothesis of at least that score exceeds it."""
        bounds = np.minimum(CAP, -special.stdtrit(self.df, scores))
        bounds -= 1e-6 * np.abs(bounds)
        places = np.searchsorted(self._rising, -scores, side="right")
        total = self._largest.shape[1]
        return np.array(
            [
                np.count_nonzero(self._largest[place - 1] >= bound) / total if place else 0.0
                for place, bound in zip(places, bounds, strict=True)
            ]
        )


def adjusted(cells: Sequence[Exchange], wanted: Sequence[Any], *, two_sided: bool) -> list[Floats]:
    """Step-down adjusted p-values of a table's hypotheses.

    Parameters
    ----------
    cells : sequence of Exchange
        All cells of the table.
    wanted : sequence of numpy.ndarray of bool
        For each cell, of which quantities the p-value is wanted; the others only count as part of
        the table and get 1.
    two_sided : bool
        Whether small statistics are as extreme as large ones.

    Returns
    -------
    list of numpy.ndarray
        For each cell the p-values (quantities,).
    """
    table = [_Cell(cell, two_sided=two_sided) for cell in cells]
    scores = np.concatenate([cell.scores for cell in table])
    chosen = np.flatnonzero(np.concatenate(list(wanted)))
    order = chosen[np.argsort(scores[chosen], kind="stable")]
    by_none = np.prod([1 - cell.exceeded(scores[order]) for cell in table], axis=0)
    found = np.ones(scores.size)
    # A less extreme hypothesis is never more certain than a more extreme one.
    found[order] = np.maximum.accumulate(1 - by_none)
    return np.split(found, np.cumsum([cell.scores.size for cell in table])[:-1])
