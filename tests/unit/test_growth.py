"""Exponents of growth: what is recovered, what is refused, and what bends."""

from __future__ import annotations

import re

import numpy as np
import pytest

from schedlab.metrics.growth import FEW_SIZES, growth

SIZES = np.repeat([16.0, 128.0, 1024.0], 4)
APART = range(SIZES.size)
"""Each trial is of a cluster of its own."""


def noisy(exponent: float, seed: int, spread: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 3.0 * SIZES**exponent * np.exp(rng.normal(0, spread, SIZES.size))


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 1.0, 2.0])
def test_intervals_of_the_exponent_cover_it(exponent: float) -> None:
    found = [growth(SIZES, noisy(exponent, seed), APART) for seed in range(400)]
    straight = [f.exponent for f in found if not f.bends]
    # The test of the fit is false as rarely as it says.
    assert len(straight) >= 0.92 * 400
    covered = sum(law.low <= exponent <= law.high for law in straight)  # type: ignore[operator]
    assert 0.92 * len(straight) <= covered <= 0.98 * len(straight)


def test_a_law_gives_its_values_and_text() -> None:
    law = growth(SIZES, 2.0 * SIZES, APART)
    np.testing.assert_allclose(law.at([1.0, 10.0]), [2.0, 20.0])
    assert law.text("n") == "n^1.00 [1.00, 1.00], last 1.00"


def test_a_curve_that_is_no_power_law_bends() -> None:
    values = (50.0 + 0.001 * SIZES**2) * (1 + 0.01 * np.tile([-1, 1, -2, 2], 3))
    for clusters in (APART, [1] * SIZES.size):
        law = growth(SIZES, values, clusters)
        assert law.bends
        assert re.fullmatch(r"q\^0\.\d\d, bends, last 1\.\d\d", law.text("q")), (
            "an interval would not hold"
        )
        assert (law.exponent.low, law.exponent.high) == (None, None)


def test_two_sizes_have_no_exponent() -> None:
    law = growth([1.0, 1.0, 2.0, 2.0], [1.0, 1.1, 2.0, 2.1], [1, 1, 2, 2])
    assert (law.exponent.estimate, law.exponent.note) == (None, FEW_SIZES)
    assert law.text("n") == ""
    with pytest.raises(ValueError, match="fewer than 3 sizes"):
        law.at([1.0])


def test_missing_and_zero_values_are_left_out() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0]
    law = growth(sizes, [1.0, 2.0, np.nan, 0.0, 16.0], range(5))
    assert law.exponent.n == 3
    assert law.exponent.estimate == pytest.approx(1.0)


def test_trials_of_one_snapshot_are_one_point() -> None:
    """Clusters differ by 10 %, trials of one by 1 %: intervals that count trials are too narrow."""
    rng = np.random.default_rng(3)
    clusters = np.repeat([7, 8, 9], 4)
    covered = bends = 0
    for seed in range(400):
        own = np.exp(rng.normal(0, 0.1, 3))
        found = growth(SIZES, noisy(0.5, seed, 0.01) * np.repeat(own, 4), clusters)
        assert found.exponent.n == 3
        covered += found.exponent.low <= 0.5 <= found.exponent.high  # type: ignore[operator]
        bends += found.bends
    assert 0.92 * 400 <= covered <= 0.98 * 400
    assert not bends, "a cluster that is off is no bend"


def test_what_one_cluster_has_at_all_sizes_does_not_count() -> None:
    values = noisy(0.5, 1)
    alone = growth(SIZES, values, [4] * SIZES.size)
    assert alone.exponent.n == SIZES.size
    off = growth(SIZES, 1.7 * values, [4] * SIZES.size)
    assert off.exponent.low == pytest.approx(alone.exponent.low)
    # Two clusters at each size: one point of each.
    two = growth(SIZES, values, np.tile([1, 1, 2, 2], 3))
    assert two.exponent.n == 6


WIDE = np.array([2.0, 4.0, 16.0, 128.0, 1024.0])


@pytest.mark.parametrize(
    ("start", "slope", "spread", "power"),
    [(100.0, 0.3, 0.01, 0.95), (0.2, 0.004, 0.05, 0.95), (100.0, 0.3, 0.05, 0.6)],
)
def test_a_constant_beside_a_line_bends_with_one_cluster_at_each_size(
    start: float, slope: float, spread: float, power: float
) -> None:
    """Else 100 + 0.3 n would be told as n^0.2, with an interval."""
    rng = np.random.default_rng(2)
    sizes, clusters = np.repeat(WIDE, 3), np.repeat(np.arange(5), 3)
    line = start + slope * sizes
    found = [
        growth(sizes, line * np.exp(np.repeat(rng.normal(0, spread, 5), 3)), clusters)
        for _ in range(300)
    ]
    assert sum(law.bends for law in found) >= power * 300
    local = np.log(line[-1] / line[-4]) / np.log(8.0)
    last = np.array([law.last for law in found], dtype=float)
    assert last.mean() == pytest.approx(local, abs=0.01)
    assert all(", bends, last 0." in law.text("n") for law in found if law.bends)


@pytest.mark.parametrize("replicated", [0, 1])
def test_a_power_law_with_one_cluster_at_each_size_rarely_bends(replicated: int) -> None:
    rng = np.random.default_rng(4)
    sizes = np.concatenate([WIDE, WIDE[:replicated]])
    found = [
        growth(sizes, sizes**0.7 * np.exp(rng.normal(0, 0.05, sizes.size)), range(sizes.size))
        for _ in range(1000)
    ]
    assert 0.03 * 1000 <= sum(law.bends for law in found) <= 0.07 * 1000
    assert all(law.tested for law in found)


def test_one_size_with_two_clusters_does_not_hide_a_bend() -> None:
    rng = np.random.default_rng(6)
    sizes = np.concatenate([WIDE, WIDE[:1]])
    found = [
        growth(sizes, (100 + 0.3 * sizes) * np.exp(rng.normal(0, 0.01, 6)), range(6))
        for _ in range(200)
    ]
    assert sum(law.bends for law in found) >= 0.95 * 200


def test_three_points_are_not_tested_and_say_so() -> None:
    law = growth([16, 128, 1024], [100.0, 140.0, 410.0], range(3))
    assert (law.bends, law.tested) == (False, False)
    assert re.fullmatch(r"n\^0\.\d\d \[.*\], not tested, last 0\.52", law.text("n"))
