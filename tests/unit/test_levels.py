"""Estimates over clusters and trials, and the stop rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from schedlab.metrics.levels import ONE_SNAPSHOT, TWO_SNAPSHOTS, two_levels, variances
from schedlab.metrics.statistics import NOT_POSITIVE, t_interval
from schedlab.metrics.stopping import StopRule, decide, half_width


def test_variances_by_hand() -> None:
    # Means 1, 3, 5; within each the variance is 2. Between: 4 of the means less 2 / 2 of trials.
    groups = [np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.array([4.0, 6.0])]
    assert variances(groups) == (pytest.approx(3.0), pytest.approx(2.0))
    assert variances([np.array([1.0, 3.0])]) == (None, 2.0)
    assert variances([np.array([1.0]), np.array([2.0])]) == (None, None)


def test_variances_of_groups_of_different_sizes_are_unbiased() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(3000):
        centres = 2 * rng.normal(size=4)
        sizes = (2, 3, 5, 8)
        found.append(
            variances([c + rng.normal(size=n) for c, n in zip(centres, sizes, strict=True)])
        )
    # Estimates below 0 count as 0, which shifts the first a little.
    between, within = np.mean(found, axis=0)
    assert between == pytest.approx(4.0, rel=0.1) and within == pytest.approx(1.0, rel=0.05)


def test_the_cluster_is_the_replicate_from_three_on() -> None:
    clusters = [[1.0, 3.0], [2.0, 4.0], [6.0, 8.0]]
    found = two_levels(clusters, "raw")
    expected = t_interval([2.0, 3.0, 7.0], "raw")
    assert found.interval.low == pytest.approx(expected.low)
    assert found.interval.high == pytest.approx(expected.high)
    assert (found.interval.n, found.clusters, found.trials) == (3, 3, 6)
    assert found.share == pytest.approx(found.between / (found.between + 2.0))


def test_one_snapshot_is_called_one() -> None:
    values = [1.0, 2.0, 4.0, 3.0, 2.5]
    found = two_levels([values], "log")
    expected = t_interval(values, "log")
    assert found.interval.note == ONE_SNAPSHOT
    assert found.interval.low == pytest.approx(expected.low)
    assert (found.between, found.share) == (None, None)
    assert two_levels([values, values], "log").interval.note == TWO_SNAPSHOTS


def test_too_few_trials_and_values_without_a_logarithm() -> None:
    assert not two_levels([[1.0], [2.0]], "raw").interval.known
    assert two_levels([], "raw").interval.n == 0
    assert two_levels([[1.0, 0.0], [2.0, 3.0]], "log").interval.note == NOT_POSITIVE
    assert two_levels([[2.0, 2.0]] * 3, "log").interval.note == "all values equal"
    assert two_levels([[1.0, math.nan], [2.0, 3.0], [4.0]], "raw").trials == 4


def test_coverage_where_clusters_differ() -> None:
    """With trials as the only replicates, at most half of the intervals would cover the truth."""
    rng = np.random.default_rng(4)
    hits = pooled = 0
    for _ in range(600):
        values = np.exp(0.1 * rng.normal(size=(4, 1)) + 0.02 * rng.normal(size=(4, 5)))
        found, naive = two_levels(list(values), "log").interval, t_interval(values, "log")
        hits += found.low <= 1 <= found.high
        pooled += naive.low <= 1 <= naive.high
    assert 0.92 <= hits / 600 <= 0.98 and pooled / 600 < 0.7


RULE = StopRule(min=3, max=5, until=0.1)


def test_the_stop_rule() -> None:
    narrow, wide = [10.0, 10.1, 9.9], [1.0, 10.0, 100.0, 5.0, 20.0]
    assert decide(narrow[:2], "log", RULE) == "go on"
    assert decide(narrow, "log", RULE) == "narrow enough"
    assert [decide(wide[:n], "log", RULE) for n in (3, 4, 5)] == ["go on", "go on", "cannot"]
    # An invalid trial counts for neither bound.
    assert decide([*narrow[:2], math.nan], "log", RULE) == "go on"
    assert decide([*wide[:4], math.nan], "log", RULE) == "go on"


def test_width_without_an_estimate_is_not_narrow() -> None:
    assert half_width([0.0, 1.0, -1.0], "raw") is None
    assert decide([0.0, 1.0, 2.0], "log", RULE) == "go on"
    assert decide([3.0, 3.0, 3.0], "log", RULE) == "narrow enough"


@pytest.mark.parametrize("bounds", [(2, 5, 0.1), (5, 3, 0.1), (3, 5, 0.0)])
def test_a_rule_that_makes_no_sense(bounds: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="stop rule"):
        StopRule(*bounds)
