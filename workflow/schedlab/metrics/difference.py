"""Differences of two groups of trials: effects with intervals, and verdicts of a whole table.

The effect is the ratio of geometric means for quantities on the scale ``log`` and the difference of
arithmetic means for those on the scale ``raw``. A table of comparisons is judged as one: its false
verdicts of any kind, not those of each comparison, happen in at most 5 % of tables.

- *larger*, *smaller*: the t-test on the scale (paired, or with a variance for each side [1]_)
  rejects "the difference is at most the noise floor" after Holm's correction [2]_ over the table,
  and the permutation test of `schedlab.metrics.permutation` agrees. The t-test is powerful, but
  assumes nearly normal noise, which few trials cannot show; the permutation test assumes nothing
  about the noise.
- *the same within x %*: for the other comparisons, two one-sided tests [3]_ against both ends of
  the margin, corrected for the number of these comparisons, and the permutation test at the nearer
  end. Comparisons with a difference are not tested again, so both verdicts share one error rate.
- *n too small*: with so few trials no permutation test can reach the level.
- *equal*: all values of both sides are the same up to rounding. This only describes the data.

References
----------
.. [1] B. L. Welch, "The Generalization of 'Student's' Problem when Several Different Population
   Variances are Involved", Biometrika 34, 1947.
.. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Stat. 6, 1979.
.. [3] D. J. Schuirmann, "A Comparison of the Two One-Sided Tests Procedure and the Power Approach
   for Assessing the Equivalence of Average Bioavailability", J. Pharmacokin. Biopharm. 15, 1987.
.. [4] N. Cliff, "Dominance statistics", Psychological Bulletin 114, 1993.
.. [5] M. R. Mickey, M. B. Brown, "Bounds on the Distribution Functions of the Behrens-Fisher
   Statistic", Ann. Math. Stat. 37, 1966.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from schedlab.metrics import permutation
from schedlab.metrics.statistics import (
    CONFIDENCE,
    RESOLUTION,
    TOO_SMALL,
    Floats,
    Values,
    clean,
    equal_up_to_rounding,
    half_width_of_t,
)

LARGER = "larger"
SMALLER = "smaller"
NO_DIFFERENCE = "no difference shown"
EQUAL = "equal"

ERROR_RATE = 0.05
"""Largest part of tables in which a verdict may be false."""
LEVEL = 0.04
"""Level of the tests: below the promised rate, so that a simulation of 2,000 tables can show it."""
MARGIN = 0.05
"""Relative difference below which two sides count as the same."""

Texts = npt.NDArray[np.str_]


def same_within(margin: float) -> str:
    """Verdict of equivalence, for example ``the same within 5 %``."""
    return f"the same within {100 * margin:g} %"


@dataclass(frozen=True)
class Block:
    """Quantities of one pair of cells, of one or of many tables of the same shape.

    Parameters
    ----------
    a, b : numpy.ndarray
        Of shape (tables, trials, quantities), without missing values; positive where `log`.
    paired : bool
        Trial i of `a` and of `b` ran the same trace, other trials other traces.
    log : numpy.ndarray of bool
        Which quantities are on the scale ``log`` (quantities,).
    floor : numpy.ndarray
        Relative noise floor of each quantity (quantities,): 0.02 for 2 %.
    """

    a: Floats
    b: Floats
    paired: bool
    log: npt.NDArray[np.bool_]
    floor: Floats

    def testable(self, level: float) -> bool:
        """Whether a permutation test of this number of trials can reach a level."""
        return testable(self.a.shape[1], self.b.shape[1], paired=self.paired, level=level)

    @property
    def df(self) -> int:
        """Degrees of freedom of the tests: those of the smaller side alone.

        They are safe for any difference in noise between the two sides [5]_. Welch's estimate is
        not safe in the far tails that a correction for many comparisons needs: with 5 trials on
        each side, and noise of 2, 10 and 30 %, 7 % of tables had a false verdict.
        """
        return int(min(self.a.shape[1], self.b.shape[1])) - 1

    @property
    def equal(self) -> npt.NDArray[np.bool_]:
        """Where all values of both sides are the same up to rounding (tables, quantities)."""
        both = np.concatenate([self.a, self.b], axis=1)
        found: npt.NDArray[np.bool_] = equal_up_to_rounding(both, axis=1)
        return found

    def on_scale(self, factor: float | Floats = 1.0) -> tuple[Floats, Floats]:
        """Both sides on their scales, the second times a factor before."""
        return self._scaled(self.a), self._scaled(self.b * factor)

    def _scaled(self, values: Floats) -> Floats:
        if self.log.all():
            return np.log(values)
        return np.where(self.log, np.log(np.where(self.log, values, 1.0)), values)

    @property
    def resolution(self) -> Floats:
        """Least standard error (tables, quantities), which rounding causes, on the scale."""
        largest = np.maximum(np.abs(self.a).max(axis=1), np.abs(self.b).max(axis=1))
        return np.where(self.log, RESOLUTION, np.maximum(RESOLUTION * largest, 1e-300))


class Contrast(NamedTuple):
    """Difference on the scale with standard error and degrees of freedom (tables, quantities)."""

    apart: Floats
    error: Floats
    df: Floats

    @property
    def t(self) -> Floats:
        """Student's t."""
        return self.apart / self.error


class TableOfVerdicts(NamedTuple):
    """What `judge` found, each of shape (tables, comparisons), block after block.

    Parameters
    ----------
    effect, low, high : numpy.ndarray
        Ratio a / b, or difference a - b, with its 95 % interval (not corrected for the table).
    p : numpy.ndarray
        The larger of the two tests' p-values for "no difference", corrected for the table; 1 if the
        first test already gives no verdict, NaN if n is too small.
    verdict : numpy.ndarray of str
        See the module.
    """

    effect: Floats
    low: Floats
    high: Floats
    p: Floats
    verdict: Texts


def testable(first: int, second: int, *, paired: bool, level: float = LEVEL) -> bool:
    """Whether the numbers of trials allow a verdict: at least 6 pairs, or 4 on each side."""
    return permutation.least_p(first, second, paired=paired) <= level


def contrast(block: Block, factor: float | Floats = 1.0) -> Contrast:
    """Compare a with b times a factor on the quantities' scales, paired or by Welch's test [1]_."""
    a, b = block.on_scale(factor)
    if block.paired:
        differences = a - b
        n = differences.shape[1]
        apart = differences.mean(axis=1)
        error = differences.std(axis=1, ddof=1) / np.sqrt(n)
        df = np.full(apart.shape, n - 1.0)
    else:
        first, second = a.shape[1], b.shape[1]
        apart = a.mean(axis=1) - b.mean(axis=1)
        parts = a.var(axis=1, ddof=1) / first, b.var(axis=1, ddof=1) / second
        error = np.sqrt(parts[0] + parts[1])
        # Groups without variance have no degrees of freedom of their own.
        spread = parts[0] ** 2 / (first - 1) + parts[1] ** 2 / (second - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            welch = (parts[0] + parts[1]) ** 2 / spread
        df = np.where(spread > 0, welch, min(first, second) - 1.0)
    return Contrast(apart, np.maximum(error, block.resolution), df)


def effects(block: Block) -> tuple[Floats, Floats, Floats]:
    """Ratio a / b or difference a - b, with its interval (tables, quantities)."""
    found = contrast(block)
    half = half_width_of_t(CONFIDENCE, found.df) * found.error
    rows = (found.apart, found.apart - half, found.apart + half)
    if block.log.all():
        return np.exp(rows[0]), np.exp(rows[1]), np.exp(rows[2])
    first, low, high = (np.where(block.log, np.exp(np.where(block.log, r, 0)), r) for r in rows)
    return first, low, high


def holm(p: Floats) -> Floats:
    """Holm's adjusted p-values along the last axis [2]_."""
    m = p.shape[-1]
    order = np.argsort(p, axis=-1)
    steps = np.take_along_axis(p, order, axis=-1) * (m - np.arange(m))
    rising = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    found = np.empty_like(rising)
    np.put_along_axis(found, order, rising, axis=-1)
    return found


class _Tests(NamedTuple):
    """Of a block: the t-tests, and the shifts that make its sides exchangeable under them."""

    apart: Floats
    p_difference: Floats
    p_same: Floats
    to_floor: Floats
    to_margin: Floats
    upwards: npt.NDArray[np.bool_]


def _tests(block: Block, margin: float) -> _Tests:
    """The t-tests of a block, not corrected (tables, quantities)."""
    plain = contrast(block)
    above = plain.apart > 0
    shift = 1 + block.floor
    to_floor = np.where(above, shift, 1 / shift)
    # After the shift by the floor, a difference within the floor changes its sign, so that it does
    # not count as evidence.
    beyond = contrast(block, to_floor[:, None, :]) if np.any(block.floor) else plain
    t = np.clip(np.where(above, beyond.t, -beyond.t), 0, None)
    upper, lower = contrast(block, 1 + margin), contrast(block, 1 / (1 + margin))
    upwards = -upper.t < lower.t
    nearer = np.minimum(-upper.t, lower.t)
    return _Tests(
        plain.apart,
        2 * special.stdtr(block.df, -t),
        special.stdtr(block.df, -nearer),
        to_floor,
        np.where(upwards, 1 + margin, 1 / (1 + margin)),
        upwards,
    )


def judge(
    blocks: Sequence[Block], *, margin: float = MARGIN, level: float = LEVEL
) -> TableOfVerdicts:
    """Judge all comparisons of a table, or of many tables of one shape, each table as one.

    Parameters
    ----------
    blocks : sequence of Block
        All pairs of cells of the table.
    margin : float
        Relative difference below which two sides count as the same.
    level : float
        Level of the tests, for who judges several times.
    """
    shown = [effects(block) for block in blocks]
    tested = [block for block in blocks if block.testable(level)]
    verdicts = [np.where(block.equal, EQUAL, TOO_SMALL).astype(object) for block in blocks]
    p = [np.full(verdict.shape, np.nan) for verdict in verdicts]
    if tested:
        judged, values = _judged(tested, margin, level)
        places = [place for place, block in enumerate(blocks) if block.testable(level)]
        for place, block, verdict, value in zip(places, tested, judged, values, strict=True):
            verdicts[place] = np.where(block.equal, EQUAL, verdict)
            p[place] = value
    columns = (np.concatenate([one[i] for one in shown], axis=1) for i in range(3))
    effect, low, high = columns
    found = np.concatenate(verdicts, axis=1)
    return TableOfVerdicts(effect, low, high, np.concatenate(p, axis=1), found)


def _judged(
    blocks: Sequence[Block], margin: float, level: float
) -> tuple[list[npt.NDArray[np.object_]], list[Floats]]:
    """Verdicts and corrected p-values of the blocks that can be tested."""
    tests = [_tests(block, margin) for block in blocks]
    ends = np.cumsum([block.log.size for block in blocks])[:-1]
    apart = np.concatenate([test.apart for test in tests], axis=1)
    p = holm(np.concatenate([test.p_difference for test in tests], axis=1))
    differ = p <= level
    for table in map(int, np.flatnonzero(differ.any(axis=1))):
        cells = [
            _exchange(block, table, test.to_floor[table])
            for block, test in zip(blocks, tests, strict=True)
        ]
        wanted = np.split(differ[table], ends)
        exact = np.concatenate(permutation.adjusted(cells, wanted, two_sided=True))
        p[table] = np.maximum(p[table], exact)
        differ[table] = p[table] <= level
    left = differ.shape[1] - differ.sum(axis=1, keepdims=True)
    p_same = np.concatenate([test.p_same for test in tests], axis=1) * left
    same = (p_same <= level) & ~differ
    for table in map(int, np.flatnonzero(same.any(axis=1))):
        cells = [
            _exchange(block, table, test.to_margin[table], test.upwards[table])
            for block, test in zip(blocks, tests, strict=True)
        ]
        wanted = np.split(same[table], ends)
        exact = np.concatenate(permutation.adjusted(cells, wanted, two_sided=False))
        same[table] &= exact <= level
    verdict = np.where(differ, np.where(apart > 0, LARGER, SMALLER), NO_DIFFERENCE).astype(object)
    verdict[same] = same_within(margin)
    return np.split(verdict, ends, axis=1), np.split(p, ends, axis=1)


def _exchange(
    block: Block,
    table: int,
    factor: Floats,
    upwards: npt.NDArray[np.bool_] | None = None,
) -> permutation.Exchange:
    """One table's values of a block, shifted so that its sides could be exchanged.

    With `upwards` (quantities,) the signs are chosen so that evidence for equivalence is a large
    statistic: a below the upper end of the margin, or a above the lower end.
    """
    one = replace(block, a=block.a[table : table + 1], b=block.b[table : table + 1])
    a, b = one.on_scale(factor)
    sign = 1.0 if upwards is None else np.where(upwards, -1.0, 1.0)
    return permutation.Exchange(a[0] * sign, b[0] * sign, block.paired, one.resolution[0])


def cliffs_delta(a: Values, b: Values) -> float | None:
    """Cliff's delta, (#(a > b) - #(a < b)) / (n m) [4]_, an effect size from -1 to 1.

    Values that differ by rounding alone count as equal. None where a group is empty.
    """
    first, second = clean(a), clean(b)
    if not first.size or not second.size:
        return None
    apart = first[:, None] - second[None, :]
    size = np.maximum(np.abs(first)[:, None], np.abs(second)[None, :])
    return float(np.where(np.abs(apart) <= RESOLUTION * size, 0.0, np.sign(apart)).mean())
