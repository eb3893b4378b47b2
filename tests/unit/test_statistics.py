"""Statistics: rules for small n, agreement with known values, reproducibility."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schedlab.errors import SchedlabError
from schedlab.metrics import difference as df
from schedlab.metrics import statistics as st
from schedlab.metrics.cells import QUANTITIES, cells, summary_difference, summary_interval


def test_no_interval_for_fewer_than_three() -> None:
    for values in ([], [1.0], [1.0, 2.0]):
        interval = st.bootstrap_interval(values)
        assert not interval.known and interval.n == len(values)
        assert interval.note == "n too small"
    assert st.bootstrap_interval([1.0, 2.0]).text() == "1.5 (n=2, n too small)"
    assert st.bootstrap_interval([]).text() == "none (n=0)"


def test_interval_holds_the_estimate_and_is_reproducible() -> None:
    values = [3.1, 2.9, 3.4, 3.0, 3.3]
    first, second = st.bootstrap_interval(values), st.bootstrap_interval(values)
    assert first == second
    assert first.low < first.estimate < first.high
    assert min(values) <= first.low and first.high <= max(values)
    assert first.text() == f"3.14 [{first.low:.3g}, {first.high:.3g}] (n=5)"


def test_missing_values_lower_n() -> None:
    assert st.bootstrap_interval([1.0, float("nan"), 3.0, 2.0]).n == 3


def test_equal_values_have_a_degenerate_interval_that_says_so() -> None:
    interval = st.bootstrap_interval([2.0, 2.0, 2.0])
    assert (interval.low, interval.high, interval.note) == (2.0, 2.0, "all values equal")


def test_coverage_of_the_bootstrap_at_n_20() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        interval = st.bootstrap_interval(rng.normal(5.0, 1.0, 20))
        hits += interval.low <= 5.0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_rates_by_harmonic_mean() -> None:
    # 60 jobs at 60/s and 60 jobs at 30/s take 3 s: 40/s, not 45.
    assert st.harmonic_mean([60.0, 30.0]) == pytest.approx(40.0)
    assert st.rate_interval([60.0, 30.0]).estimate == pytest.approx(40.0)
    with pytest.raises(ValueError, match="positive"):
        st.rate_interval([1.0, 0.0, 2.0])


def test_ratios_by_their_sums() -> None:
    interval = st.ratio_interval([1.0, 8.0, 3.0], [2.0, 10.0, 4.0])
    assert interval.estimate == pytest.approx(12 / 16)  # the mean of ratios would be 0.683
    assert interval.low <= 0.75 <= interval.high
    assert st.ratio_interval([1.0, 2.0], [2.0, 4.0]).note == "n too small"
    assert st.ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).low == 0.5
    with pytest.raises(ValueError, match="positive"):
        st.ratio_interval([1.0], [0.0])


@pytest.mark.parametrize(("n", "ranks"), [(6, (1, 6)), (9, (2, 8)), (20, (6, 15))])
def test_median_by_ranks_agrees_with_the_published_table(n: int, ranks: tuple[int, int]) -> None:
    # Le Boudec 2010, table A.1: ranks j, k of the 95 % interval of the median.
    interval = st.median_interval(np.arange(1.0, n + 1))
    assert (interval.low, interval.high) == ranks


def test_median_needs_six() -> None:
    assert not st.median_interval(np.arange(5.0)).known


def test_percentiles_only_where_n_supports_them() -> None:
    assert st.percentile(np.arange(99.0), 0.99) is None
    assert st.percentile(np.arange(100.0), 0.99) == pytest.approx(98.01)
    assert st.percentile([4.0], 0.5) == 4.0
    assert st.percentile([], 0.5) is None


def test_effect_sizes_by_hand() -> None:
    assert df.cliffs_delta([3, 4], [1, 2]) == 1.0
    assert df.cliffs_delta([1, 3], [2, 2]) == 0.0
    # Differences 3-1, 3-2, 5-1, 5-2 = 2, 1, 4, 3.
    assert df.hodges_lehmann([3, 5], [1, 2]) == 2.5
    assert df.cliffs_delta([], [1]) is None


def test_comparison_may_show_no_difference() -> None:
    a, b = [5.0, 5.2, 5.1, 4.9], [4.0, 4.1, 3.9, 4.2]
    assert df.compare(a, b).verdict == "larger"
    assert df.compare(b, a).verdict == "smaller"
    assert df.compare(a, b, noise=2.0).verdict == "no difference shown"
    assert df.compare([1.0, 9.0, 5.0], [2.0, 8.0, 4.0]).verdict == "no difference shown"
    assert df.compare([1.0, 2.0], [5.0, 6.0]).verdict == "n too small"


def trials(**changes: object) -> pd.DataFrame:
    rows = {
        "scheduler": "slurm", "cluster": "slurm-n1", "workload": "burst", "nodes": 1,
        "parent": "a", "valid": [True, True, True, False],
        "throughput_jobs_per_s": [2.0, 2.0, 1.0, 99.0], "makespan_s": [1.0, 2.0, 3.0, 99.0],
        "utilisation": [0.5, 0.5, 0.25, 1.0],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def test_cells_leave_invalid_trials_out_and_count_them() -> None:
    row = cells(trials(), "throughput").iloc[0]
    assert (row["trials"], row["valid"], row["n"]) == (4, 3, 3)
    assert row["estimate"] == pytest.approx(1.5)  # 3 / (1/2 + 1/2 + 1)
    assert summary_interval(trials(), "makespan").estimate == 2.0
    # (0.5 x 1 + 0.5 x 2 + 0.25 x 3) / 6
    assert summary_interval(trials(), "utilisation").estimate == pytest.approx(2.25 / 6)


def test_different_lineages_are_not_pooled() -> None:
    with pytest.raises(SchedlabError, match="not pooled"):
        cells(trials(parent=["a", "b", "a", "a"]), "makespan")


def test_every_quantity_is_a_column_of_the_table() -> None:
    from schedlab.tables.schemas import TRIALS_SCHEMA

    for quantity in QUANTITIES.values():
        assert quantity.column in TRIALS_SCHEMA.names
        assert not quantity.weight or quantity.weight in TRIALS_SCHEMA.names


def test_differences_are_those_of_the_estimates_shown() -> None:
    a = trials()
    b = trials(
        throughput_jobs_per_s=[4.0, 4.0, 2.0, 1.0],
        makespan_s=[1.0, 1.0, 1.0, 1.0],
        utilisation=[0.25, 0.25, 0.25, 1.0],
    )
    for quantity in ("throughput", "makespan", "utilisation"):
        found = summary_difference(a, b, quantity).difference
        apart = summary_interval(a, quantity).estimate - summary_interval(b, quantity).estimate
        assert found.estimate == pytest.approx(apart), quantity
        assert found.n == 3 and found.low <= found.estimate <= found.high
    # By hand: harmonic means 1.5 and 3, the invalid trials left out.
    assert summary_difference(a, b, "throughput").difference.estimate == pytest.approx(-1.5)


def test_ratios_are_compared_by_whole_trials() -> None:
    # 0.5 in every trial of one group, 0.75 in every one of the other, whatever their lengths.
    first, second = ([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]), ([3.0, 6.0, 1.5], [4.0, 8.0, 2.0])
    found = df.compare_ratios(first, second)
    assert (found.difference.low, found.difference.high) == (-0.25, -0.25)
    assert (found.verdict, found.cliffs_delta) == ("smaller", -1.0)
    mixed = df.compare_ratios(([1.0, 9.0, 2.0], [2.0, 10.0, 8.0]), ([3.0, 2.0, 5.0], [4.0] * 3))
    assert mixed.verdict == "no difference shown"
    assert mixed.difference.estimate == pytest.approx(12 / 20 - 10 / 12)
    # A resampled trial keeps its own denominator, so no resample leaves the range of differences.
    assert mixed.difference.low >= 0.25 - 1.25 and mixed.difference.high <= 0.9 - 0.5
    assert df.compare_ratios(([1.0], [2.0]), second).verdict == "n too small"
    with pytest.raises(ValueError, match="positive"):
        df.compare_ratios(([1.0], [0.0]), second)
