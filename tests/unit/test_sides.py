"""Virtual against real nodes over clusters made anew: what intervals cover, and what notes say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trial_factory import make_experiment, make_results

from schedlab.metrics.fidelity import ORDER, fidelity
from schedlab.metrics.levels import ONE_SNAPSHOT, TWO_SNAPSHOTS
from schedlab.metrics.sides import between
from schedlab.report.virtual_section import section, sentences
from schedlab.tables.build import build_tables, load_tables

TRIALS = 4
SERIES = "slurm-virtual"


def rows(clusters: int) -> pd.DataFrame:
    """So many clusters with `TRIALS` trials each, all of the same traces."""
    return pd.DataFrame(
        {
            "snapshot": np.repeat(np.arange(1, clusters + 1), TRIALS),
            "trace": np.tile([f"trace{n}" for n in range(TRIALS)], clusters),
        }
    )


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("of_cluster", "missing"), [(0.02, 0), (0.03, 0), (0.02, 2), (0.0, 0)])
def test_intervals_over_three_clusters_cover_the_error(
    of_cluster: float, missing: int, paired: bool
) -> None:
    """Clusters differ by 2 or 3 %, trials of one by 1 or 2 %, traces by 5 %."""
    rng = np.random.default_rng(11)
    side = rows(3)
    covered, draws = 0, 1000
    of_trial = 0.01 if of_cluster == 0.03 else 0.02
    for _ in range(draws):
        traces = np.tile(rng.normal(0, 0.05, TRIALS), 3) if paired else 0.0
        x, y = (
            traces
            + np.repeat(rng.normal(0, of_cluster, 3), TRIALS)
            + rng.normal(0, of_trial, len(side))
            for _ in range(2)
        )
        x, y = 1.05 * np.exp(x), np.exp(y)
        x[rng.choice(x.size, missing, replace=False)] = np.nan
        found = between(side, side, x, y, paired=paired, log=True)
        assert (found.n, found.method) == (3, "Welch's t over clusters on logarithms")
        covered += found.low <= 1.05 <= found.high  # type: ignore[operator]
    assert covered >= 0.93 * draws


@pytest.mark.parametrize(
    ("clusters", "note"), [((1, 1), ONE_SNAPSHOT), ((3, 2), TWO_SNAPSHOTS), ((1, 3), ONE_SNAPSHOT)]
)
def test_intervals_of_fewer_clusters_hold_for_them_alone(
    clusters: tuple[int, int], note: str
) -> None:
    a, b = map(rows, clusters)
    x, y = (np.linspace(1.0, 1.1, len(side)) for side in (a, b))
    found = between(a, b, x, y, paired=False, log=True)
    assert found.n == min(len(a), len(b))
    assert note in found.note
    assert "over clusters" not in found.method


def test_a_difference_over_clusters_is_that_of_their_means() -> None:
    a = b = rows(3)
    found = between(a, b, np.repeat([1.0, 2.0, 3.0], TRIALS), np.zeros(12), paired=True, log=False)
    assert found.estimate == pytest.approx(2.0)
    assert found.low is not None
    assert found.low < 1.0, "12 trials would have a narrower interval"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slurm on 2 real and 2 virtual nodes, 3 clusters of each (SYNTHETIC)."""
    root = tmp_path_factory.mktemp("clusters")
    experiment = make_experiment(
        nodes=[2],
        repetitions={"trials": 3, "clusters": 3},
        virtual={"carriers": 2, "real": [2]},
        workloads=[
            {"name": "burst", "kind": "burst", "jobs": 6, "runtime": 0.5},
            {"name": "poisson", "kind": "poisson", "jobs": 6, "rate": 4.0, "runtime": 0.5},
        ],
    )
    build_tables(make_results(root, experiment), root / "tables")
    return root / "tables"


def test_errors_orders_and_parts_are_over_clusters(results: Path) -> None:
    tables = load_tables(results)
    found = fidelity(tables.trials, tables.jobs, {SERIES: 0.05})
    (certificate,) = found
    for one in certificate.found:
        assert one.errors["makespan"].size.n == 3
        assert one.errors["makespan"].size.method.startswith("Welch's t over clusters")
        assert one.errors[ORDER].size.n == 3
        assert one.parts["launch"].n == 3
        assert not one.sampled
    assert "these snapshots" not in sentences(found)[0].text


def test_few_clusters_are_told_in_table_and_sentence(results: Path) -> None:
    tables = load_tables(results)
    for most, note in ((1, ONE_SNAPSHOT), (2, TWO_SNAPSHOTS)):
        trials = tables.trials[tables.trials["snapshot"] <= most]
        found = fidelity(trials, tables.jobs, {SERIES: 0.05})
        assert {one.errors["makespan"].size.n for one in found[0].found} == {3 * most}
        assert {note in one.errors[ORDER].size.note for one in found[0].found} == {True}
        assert f"The errors hold for these snapshots: {note}." in sentences(found)[0].text
        assert {row["sampled"] for row in section(found)["rows"]} == {note}
