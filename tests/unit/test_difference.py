"""Verdicts of a table of comparisons: known values, undecidable cases, error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from schedlab.metrics import difference as df
from schedlab.metrics import permutation

NORMAL = np.random.default_rng(3).normal(size=(2, 20))


def block(
    a: object, b: object, *, paired: bool = False, log: bool = True, floor: float = 0.0
) -> df.Block:
    """One quantity of one pair of cells in one table."""
    x, y = (np.asarray(v, dtype=float).reshape(1, -1, 1) for v in (a, b))
    return df.Block(x, y, paired, np.array([log]), np.array([floor]))


def verdict(a: object, b: object, **changes: object) -> str:
    return str(df.judge([block(a, b, **changes)]).verdict[0, 0])  # type: ignore[arg-type]


def test_equality_up_to_rounding_is_equality() -> None:
    assert verdict([0.1 + 0.2] * 3, [0.3] * 3) == "equal"
    assert verdict([0.1 + 0.2] * 6, [0.3] * 6, paired=True) == "equal"
    assert verdict([0.0] * 5, [0.0] * 5, log=False) == "equal"
    # Not all values are equal, but differences by rounding are no evidence.
    mixed = [0.3, 0.3, 0.3, 0.3, 0.3, 0.31]
    assert verdict([v + 4e-17 for v in mixed], mixed, paired=True) == "equal" or verdict(
        [v * (1 + 3e-16) for v in mixed], mixed, paired=True
    ) in {"the same within 5 %", "no difference shown"}


def test_groups_without_variance() -> None:
    """Constant values differ if there are enough trials for a verdict, and not otherwise."""
    assert verdict([12.0] * 4, [10.0] * 4) == "larger"
    assert verdict([10.0] * 4, [12.0] * 4, log=False) == "smaller"
    assert verdict([12.0] * 3, [10.0] * 3) == "n too small"
    assert verdict([12.0] * 4, [10.0] * 4, floor=0.25) == "no difference shown"
    assert verdict([12.0] * 4, [10.0, 10.1, 9.9, 10.0]) == "larger"
    assert verdict([10.2] * 6, [10.0] * 6, floor=0.03, paired=True) == "the same within 5 %"


def test_fewest_trials() -> None:
    assert [n for n in range(2, 9) if df.testable(n, n, paired=True)] == [6, 7, 8]
    assert [n for n in range(2, 6) if df.testable(n, n, paired=False)] == [4, 5]
    assert permutation.least_p(4, 4, paired=False) == pytest.approx(2 / 70)
    assert permutation.least_p(5, 5, paired=True) == pytest.approx(2 / 32)


def test_t_tests_are_those_of_scipy() -> None:
    a, b = np.exp(NORMAL[0, :7]), np.exp(0.5 * NORMAL[1, :7])
    p_paired = stats.ttest_rel(np.log(a), np.log(b)).pvalue
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df._tests(block(a, b, paired=True), 0.05).p_difference.item() == pytest.approx(p_paired)
    # The test takes fewer degrees of freedom than the interval: those of one side.
    p = 2 * stats.t.sf(abs(welch.statistic), 6)
    assert df._tests(block(a, b, log=False), 0.05).p_difference.item() == pytest.approx(p)
    effect, low, high = (v.item() for v in df.effects(block(a, b, log=False)))
    expected = welch.confidence_interval(0.95)
    assert effect == pytest.approx(a.mean() - b.mean())
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_holm_by_hand() -> None:
    p = np.array([[0.01, 0.04, 0.03, 0.005]])
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1, which must not be below 0.06.
    assert df.holm(p)[0].tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_an_exact_permutation_test_by_hand() -> None:
    """Of 70 ways to choose 4 of 8, the observed one and its mirror image are the most extreme."""
    cell = permutation.Exchange(
        np.array([[5.0], [6.0], [7.0], [8.0]]),
        np.array([[1.0], [2.0], [3.0], [4.0]]),
        False,
        np.array([1e-9]),
    )
    (p,) = permutation.adjusted([cell], [np.array([True])], two_sided=True)
    assert p[0] == pytest.approx(2 / 70)
    (one_sided,) = permutation.adjusted([cell], [np.array([True])], two_sided=False)
    assert one_sided[0] == pytest.approx(1 / 70)


def test_the_permutation_test_is_corrected_for_the_table() -> None:
    """A moderate difference alone, and beside cells that show as much by chance."""
    rng = np.random.default_rng(5)
    strong = permutation.Exchange(
        rng.normal(1.8, 1, (6, 1)), rng.normal(0, 1, (6, 1)), False, np.array([1e-9])
    )
    others = [
        permutation.Exchange(
            rng.normal(size=(6, 1)), rng.normal(size=(6, 1)), False, 1e-9 * np.ones(1)
        )
        for _ in range(20)
    ]
    wanted = [np.array([True])]
    alone = permutation.adjusted([strong], wanted, two_sided=True)[0][0]
    none = [np.array([False])] * 20
    among = permutation.adjusted([strong, *others], [*wanted, *none], two_sided=True)[0][0]
    assert alone < among < 1


def test_more_comparisons_make_a_claim_harder() -> None:
    a, b = np.exp(0.03 * NORMAL[0, :8]) * 1.1, np.exp(0.03 * NORMAL[1, :8])
    alone = df.judge([block(a, b)])
    rng = np.random.default_rng(1)
    more = [block(np.exp(rng.normal(size=8)), np.exp(rng.normal(size=8))) for _ in range(200)]
    among = df.judge([block(a, b), *more])
    assert alone.verdict[0, 0] == "larger" and among.verdict[0, 0] == "no difference shown"
    assert alone.p[0, 0] < 0.05 < among.p[0, 0]


def test_the_verdict_has_the_sign_of_the_effect_and_both_scales_agree() -> None:
    a, b = [20.0, 21.0, 22.0, 21.0, 20.5], [10.0, 11.0, 10.5, 10.2, 10.8]
    for log in (True, False):
        assert verdict(a, b, log=log) == "larger"
        assert verdict(b, a, log=log) == "smaller"
    assert verdict([1.0, 9.0, 5.0, 4.0], [2.0, 8.0, 4.0, 5.0]) == "no difference shown"


def test_pairs_see_what_groups_cannot() -> None:
    traces = np.array([1.0, 2.0, 4.0, 8.0, 3.0, 6.0, 5.0])
    a = traces * np.array([1.2, 1.21, 1.19, 1.2, 1.22, 1.18, 1.2])
    assert verdict(a, traces, paired=True) == "larger"
    assert verdict(a, traces) == "no difference shown"


def test_nothing_is_claimed_within_the_noise_floor() -> None:
    rng = np.random.default_rng(2)
    a, b = (np.exp(0.005 * rng.normal(size=8)) for _ in range(2))
    assert verdict(1.04 * a, b) == "larger"
    assert verdict(1.04 * a, b, floor=0.04) == "the same within 5 %"
    assert verdict(1.2 * a, b, floor=0.04) == "larger"
    assert verdict(b, 1.2 * a, floor=0.04, log=False) == "smaller"


def test_equivalence_needs_both_bounds() -> None:
    rng = np.random.default_rng(2)
    a, b = (np.exp(0.01 * rng.normal(size=10)) for _ in range(2))
    for log in (True, False):
        assert verdict(a, b, log=log) == "the same within 5 %"
    wide = np.exp(0.3 * rng.normal(size=(2, 10)))
    assert verdict(*wide) == "no difference shown"
    found = df.judge([block(a, b)], margin=0.001).verdict[0, 0]
    assert found == "no difference shown"


@pytest.mark.parametrize("n", [3, 5, 6])
def test_two_modes_of_the_noise_are_no_difference(n: int) -> None:
    """A few trials may all be in one mode, which a t-test alone would call a difference."""
    rng = np.random.default_rng(7)
    tables = []
    for _ in range(8):
        slow = rng.random((2, 300, n, 1)) < 0.5
        a, b = np.where(slow, 1.5, 1.0) * np.exp(0.002 * rng.normal(size=slow.shape))
        tables.append(df.Block(a, b, False, np.array([True]), np.zeros(1)))
    found = df.judge(tables).verdict
    claimed = ((found == "larger") | (found == "smaller")).any(axis=1).mean()
    p = np.concatenate([df._tests(t, 0.05).p_difference for t in tables], axis=1)
    by_t_alone = (df.holm(p) <= 0.05).any(axis=1).mean()
    # Three standard errors of 300 tables above the nominal rate.
    assert claimed <= 0.088
    assert n > 3 or by_t_alone > 0.1


@pytest.mark.parametrize("n", [4, 5])
def test_sides_with_very_different_noise(n: int) -> None:
    """Welch's degrees of freedom gave 7 % of such tables a false verdict."""
    z = np.random.default_rng(6).normal(size=(3, 4, 600, n, 6))
    slurm, volcano, flux = np.exp(np.array([0.02, 0.1, 0.3]).reshape(3, 1, 1, 1, 1) * z)
    pairs = ((slurm, volcano), (slurm, flux), (volcano, flux))
    log, floor = np.ones(6, bool), np.zeros(6)
    tables = [
        df.Block(x, y, False, log, floor) for a, b in pairs for x, y in zip(a, b, strict=True)
    ]
    found = df.judge(tables).verdict
    assert ((found == "larger") | (found == "smaller")).any(axis=1).mean() <= 0.05


def test_cliffs_delta_by_hand() -> None:
    assert df.cliffs_delta([3, 4], [1, 2]) == 1.0
    assert df.cliffs_delta([1, 3], [2, 2]) == 0.0
    assert df.cliffs_delta([0.1 + 0.2], [0.3]) == 0.0
    assert df.cliffs_delta([], [1]) is None
