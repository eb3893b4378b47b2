"""Exponents of growth: what is recovered, what is refused, and what bends."""

from __future__ import annotations

import numpy as np
import pytest

from schedlab.metrics.growth import FEW_SIZES, growth

SIZES = np.repeat([16.0, 128.0, 1024.0], 4)


def noisy(exponent: float, seed: int, spread: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 3.0 * SIZES**exponent * np.exp(rng.normal(0, spread, SIZES.size))


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 1.0, 2.0])
def test_intervals_of_the_exponent_cover_it(exponent: float) -> None:
    found = [growth(SIZES, noisy(exponent, seed)) for seed in range(400)]
    covered = sum(f.exponent.low <= exponent <= f.exponent.high for f in found)  # type: ignore[operator]
    assert 0.92 * 400 <= covered <= 0.98 * 400
    # The test of the fit is false as rarely as it says.
    assert sum(f.bends for f in found) <= 0.08 * 400


def test_a_law_gives_its_values_and_text() -> None:
    law = growth(SIZES, 2.0 * SIZES)
    np.testing.assert_allclose(law.at([1.0, 10.0]), [2.0, 20.0])
    assert law.text("n") == "n^1.00 [1.00, 1.00]"


def test_a_curve_that_is_no_power_law_bends() -> None:
    values = (50.0 + 0.001 * SIZES**2) * (1 + 0.01 * np.tile([-1, 1, -2, 2], 3))
    law = growth(SIZES, values)
    assert law.bends
    assert law.text("q").endswith(", bends")


def test_two_sizes_have_no_exponent() -> None:
    law = growth([1.0, 1.0, 2.0, 2.0], [1.0, 1.1, 2.0, 2.1])
    assert (law.exponent.estimate, law.exponent.note) == (None, FEW_SIZES)
    assert law.text("n") == ""
    with pytest.raises(ValueError, match="fewer than 3 sizes"):
        law.at([1.0])


def test_missing_and_zero_values_are_left_out() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0]
    law = growth(sizes, [1.0, 2.0, np.nan, 0.0, 16.0])
    assert law.exponent.n == 3
    assert law.exponent.estimate == pytest.approx(1.0)
