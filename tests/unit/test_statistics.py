"""Estimates over trials: notes for small n, agreement with known values, coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from schedlab.errors import SchedlabError
from schedlab.metrics import statistics as st
from schedlab.metrics.cells import cells, summary_interval
from schedlab.metrics.quantities import QUANTITIES


@pytest.mark.parametrize("scale", ["log", "raw"])
def test_no_interval_for_fewer_than_three(scale: st.Scale) -> None:
    for values in ([], [1.0], [1.0, 2.0]):
        interval = st.t_interval(values, scale)
        assert not interval.known and interval.n == len(values)
        assert interval.note == "n too small"
    assert st.t_interval([1.0, 2.0], "raw").text() == "1.5 (n=2, n too small)"
    assert st.t_interval([], scale).text() == "none (n=0)"


def test_students_own_example() -> None:
    # Additional hours of sleep (Student 1908, hyoscine L): mean 2.33, s 2.0022, n = 10.
    values = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = st.t_interval(values, "raw")
    # On the raw scale the nominal part is 96.5 %.
    half = stats.t.ppf(0.9825, 9) * 2.0022 / math.sqrt(10)
    assert found.estimate == pytest.approx(2.33)
    assert found.high - found.estimate == pytest.approx(half, rel=1e-4)
    assert found.estimate - found.low == pytest.approx(half, rel=1e-4)
    assert found.note == ""


def test_the_logarithmic_scale_by_hand() -> None:
    # Logarithms 0, 1, 2: mean 1, standard error 1 / sqrt(3), t(0.975, 2) = 4.3027.
    found = st.t_interval([1.0, math.e, math.e**2], "log")
    half = 4.3027 / math.sqrt(3)
    assert found.estimate == pytest.approx(math.e)
    assert found.low == pytest.approx(math.exp(1 - half), rel=1e-4)
    assert found.high == pytest.approx(math.exp(1 + half), rel=1e-4)


def test_a_rate_and_its_time_are_summarised_alike() -> None:
    rates = [60.0, 30.0, 45.0, 50.0, 20.0]
    rate = st.t_interval(rates, "log")
    time = st.t_interval([1 / r for r in rates], "log")
    assert rate.estimate == pytest.approx(1 / time.estimate)
    assert rate.low == pytest.approx(1 / time.high)


def test_intervals_of_three_and_four_say_what_they_assume() -> None:
    notes = [st.t_interval(np.arange(1.0, n + 1), "log").note for n in (3, 4, 5)]
    assert notes == [st.ONE_MODE, st.ONE_MODE, ""]


def test_what_is_not_positive_has_no_geometric_mean() -> None:
    found = st.t_interval([1.0, 0.0, 2.0], "log")
    assert (found.estimate, found.known, found.note) == (None, False, st.NOT_POSITIVE)
    assert st.t_interval([1.0, 0.0, -1.0], "raw").estimate == 0.0


def test_a_number_of_jobs_has_no_negative_bound() -> None:
    free = st.t_interval([0, 0, 3], "raw")
    assert free.low is not None and free.low < 0
    cut = st.t_interval([0, 0, 3], "raw", least=0)
    assert (cut.estimate, cut.low, cut.high) == (1, 0, free.high)


def test_an_interval_does_not_pass_a_limit() -> None:
    found = st.t_interval([0.5, 0.9, 0.99], "log", limit=1.0)
    assert found.high == 1.0 and found.low < 0.5


def test_missing_values_lower_n() -> None:
    assert st.t_interval([1.0, float("nan"), 3.0, 2.0], "raw").n == 3


def test_equal_values_have_a_degenerate_interval_that_says_so() -> None:
    for values in ([2.0, 2.0, 2.0], [0.3, 0.1 + 0.2, 0.3]):
        interval = st.t_interval(values, "log")
        assert (interval.low, interval.high, interval.note) == (*[values[0]] * 2, st.ALL_EQUAL)


@pytest.mark.parametrize("n", [3, 5, 20])
@pytest.mark.parametrize(("scale", "cv"), [("log", 0.5), ("raw", 0.2), ("raw", 0.5)])
def test_coverage(n: int, scale: st.Scale, cv: float) -> None:
    """An earlier bootstrap covered only 68 % at n = 3."""
    sigma = math.sqrt(math.log1p(cv**2))
    values = np.exp(sigma * np.random.default_rng(1).normal(size=(20_000, n)))
    truth = 1.0 if scale == "log" else math.exp(sigma**2 / 2)
    _, low, high = st.t_bounds(values, scale)
    assert 0.93 <= float(((low <= truth) & (high >= truth)).mean()) <= 0.98


def test_percentiles_only_where_n_supports_them() -> None:
    assert st.percentile(np.arange(99.0), 0.99) is None
    assert st.percentile(np.arange(100.0), 0.99) == pytest.approx(98.01)
    assert st.percentile([4.0], 0.5) == 4.0
    assert st.percentile([], 0.5) is None


def trials(**changes: object) -> pd.DataFrame:
    rows = {
        "scheduler": "slurm", "cluster": "slurm-n1", "workload": "burst", "nodes": 1,
        "parent": "a", "snapshot": "s", "valid": [True, True, True, False],
        "throughput_jobs_per_s": [2.0, 4.0, 1.0, 99.0], "makespan_s": [1.0, 2.0, 4.0, 99.0],
        "launch_median_s": [0.2, -0.1, 0.2, 9.0], "utilisation": [0.5, 0.9, 0.99, 1.0],
        "jobs": 5, "completed": 5, "at_least": [[]] * 4, "withheld": [[]] * 4, "search": None,
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def test_cells_leave_invalid_trials_out_and_count_them() -> None:
    row = cells(trials(), "throughput").iloc[0]
    assert (row["trials"], row["valid"], row["n"]) == (4, 3, 3)
    assert row["estimate"] == pytest.approx(2.0)  # (2 x 4 x 1)^(1/3)
    assert summary_interval(trials(), "makespan").estimate == pytest.approx(2.0)
    assert summary_interval(trials(), "launch_median").estimate == pytest.approx(0.1)
    assert summary_interval(trials(), "utilisation").high == 1.0


def test_different_lineages_are_not_pooled() -> None:
    with pytest.raises(SchedlabError, match="not pooled"):
        cells(trials(parent=["a", "b", "a", "a"]), "makespan")


def test_every_quantity_is_a_column_of_the_table_and_none_is_a_mean_of_ratios() -> None:
    from schedlab.tables.schemas import TRIALS_SCHEMA

    for quantity in QUANTITIES.values():
        assert quantity.column in TRIALS_SCHEMA.names
        assert quantity.unit != "1" or not quantity.column.endswith("_mean")
