"""Variants of schedulers: their series in tables, comparisons and the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from config_factory import BURST, SLOW, load
from trial_factory import make_experiment, make_results

from schedlab import design
from schedlab.config import Experiment
from schedlab.metrics.cells import cells
from schedlab.metrics.noise import compare_again, noise_floor
from schedlab.report.comparison import COMPARED, again, differences, parity, spread
from schedlab.report.render import _again, render_report
from schedlab.tables.build import build_tables, load_tables


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Experiment]:
    """Two variants of Slurm and the first of them again, on two clusters each (SYNTHETIC)."""
    root = tmp_path_factory.mktemp("variants")
    experiment = make_experiment(
        schedulers=["slurm", SLOW],
        aa=True,
        nodes=[1],
        repetitions={"trials": 4, "clusters": 2},
        workloads=[BURST],
    )
    build_tables(make_results(root, experiment), root / "tables")
    return root, experiment


@pytest.fixture
def trials(results: tuple[Path, Experiment]) -> pd.DataFrame:
    return load_tables(results[0] / "tables").trials


def test_tables_have_variants_as_series(trials: pd.DataFrame) -> None:
    assert set(trials["scheduler"]) == {"slurm", "slow", "slurm-again"}
    assert set(trials["adapter"]) == {"slurm"}
    assert set(trials["cluster"]) == {"slurm-n1", "slow-n1", "slurm-again-n1"}
    assert set(trials["snapshot"]) == {1, 2}
    assert trials["trial"].str.contains("-c2.").sum() == len(trials) // 2
    assert trials.groupby("repetition")["trace"].nunique().max() == 1


def test_cells_pool_equal_clusters_and_say_how_many(trials: pd.DataFrame) -> None:
    table = cells(trials, "makespan")
    assert list(table["trials"]) == [8, 8, 8]
    assert set(table["method"]) == {"t over trials"}
    assert table["note"].str.contains("only two snapshots").all()


def test_the_variance_is_split_where_there_are_several_clusters(trials: pd.DataFrame) -> None:
    apart = trials.copy()
    apart.loc[apart["snapshot"] == 2, "makespan_s"] *= 3
    rows = spread(apart)["rows"]
    assert [row["cluster"] for row in rows] == ["slow-n1", "slurm-again-n1", "slurm-n1"]
    assert all(float(row["values"][0].removesuffix(" %")) > 90 for row in rows)
    assert spread(trials[trials["snapshot"] == 1])["rows"] == []


def test_the_pair_gives_the_floor_and_is_compared_apart(trials: pd.DataFrame) -> None:
    noisy = trials.copy()
    noisy.loc[noisy["scheduler"] == "slurm-again", "makespan_s"] *= 1.1
    noisy.loc[noisy["scheduler"] == "slow", "makespan_s"] *= 1.05
    found = again(noisy, ("slurm", "slurm-again"))
    assert found["floors"]["makespan", "burst", 1] == pytest.approx(0.1)
    value = found["rows"][0]["values"][COMPARED.index("makespan")]
    assert value["floor"] == "10.0 %" and value["verdict"]
    rows = differences(noisy, {False: found["floors"]}, {"slurm-again"})["rows"]
    assert [(row["first"], row["second"]) for row in rows] == [("slow", "slurm")]
    verdict = rows[0]["values"][COMPARED.index("makespan")]["verdict"]
    assert verdict not in {"larger", "smaller"}


def test_each_kind_of_nodes_has_a_noise_floor_of_its_own(tmp_path: Path) -> None:
    """The second series on real nodes was compared as if it were another scheduler."""
    experiment = make_experiment(
        schedulers=["slurm", SLOW],
        aa=True,
        nodes=[2, 4],
        repetitions=4,
        virtual={"carriers": 1, "real": [2]},
        workloads=[BURST],
    )
    build_tables(make_results(tmp_path, experiment), tmp_path / "tables")
    noisy = load_tables(tmp_path / "tables").trials
    noisy.loc[noisy["scheduler"] == "slurm-again", "makespan_s"] *= 1.1
    noisy.loc[noisy["scheduler"] == "slurm-again-virtual", "makespan_s"] *= 1.3
    pairs = _again(experiment)
    assert pairs == {
        False: ("slurm", "slurm-again"),
        True: ("slurm-virtual", "slurm-again-virtual"),
    }
    floors = {virtual: again(noisy, pair)["floors"] for virtual, pair in pairs.items()}
    rows = differences(noisy, floors, {second for _, second in pairs.values()})["rows"]
    place = COMPARED.index("makespan")
    assert [
        (row["nodes"], row["first"], row["second"], row["values"][place]["floor"]) for row in rows
    ] == [
        (2, "slow", "slurm", "10.0 %"),
        (2, "slow-virtual", "slurm-virtual", "30.0 %"),
        (4, "slow-virtual", "slurm-virtual", "30.0 %"),
    ]
    (tmp_path / "figures").mkdir()
    page = tmp_path / "report.html"
    render_report(tmp_path / "tables", tmp_path / "figures", tmp_path, experiment, page)
    text = " ".join(page.read_text().split())
    assert "slurm ran a second time as slurm-again, and slurm-virtual ran" in text
    assert {f'id="noise-{name}-1"' in text for name in ("slurm", "slurm-virtual")} == {True}


def test_a_floor_exists_on_the_raw_scale_where_means_have_one_sign(trials: pd.DataFrame) -> None:
    rows = trials.assign(launch_median_s=1.0)
    rows.loc[rows["scheduler"] == "slurm-again", "launch_median_s"] = 0.8
    floors = noise_floor(compare_again(rows, "slurm", "slurm-again", ["launch_median"]))
    assert floors["launch_median", "burst", 1] == pytest.approx(0.25)
    rows.loc[rows["scheduler"] == "slurm-again", "launch_median_s"] = -0.8
    floors = noise_floor(compare_again(rows, "slurm", "slurm-again", ["launch_median"]))
    assert floors["launch_median", "burst", 1] > 1000


def test_the_manifest_shows_the_keys_that_differ(
    results: tuple[Path, Experiment], trials: pd.DataFrame
) -> None:
    experiment = results[1]
    declared = {c.variant: design.variant_facts(experiment, c) for c in experiment.clusters()}
    table = parity(trials, declared)
    rows = {row["name"]: row["values"] for row in table["rows"]}
    assert table["schedulers"] == ["slow", "slurm", "slurm-again"]
    assert rows["slurm: MinJobAge"] == [["5000"], ["31536000"], ["31536000"]]
    assert not [name for name in rows if name.startswith(("image.", "node.", "placement."))]


def test_the_manifest_shows_how_virtual_nodes_are_played(tmp_path: Path) -> None:
    own = {"delays": {"start": [5.0, 7.0, 9.0]}, "carrier": {"memory": "1 GiB", "vcpus": 1}}
    late = {"name": "late", "scheduler": "kubernetes", "virtual": own}
    other = late | {"name": "other", "virtual": own | {"delays": {"start": [5.0, 8.0, 9.0]}}}
    real = {"name": "real", "scheduler": "kubernetes", "virtual": None}
    experiment = load(
        tmp_path,
        schedulers=["kubernetes", late, other, real],
        nodes=[2],
        head={"memory": "2 GiB"},
        virtual={"carriers": 1},
    )
    facts = {c.variant: design.variant_facts(experiment, c) for c in experiment.clusters()}

    def apart(one: str, two: str) -> dict[str, tuple[str, str]]:
        return {
            key: (facts[one][key], facts[two][key])
            for key in facts[one]
            if facts[one][key] != facts[two][key]
        }

    assert apart("kubernetes-virtual", "late-virtual") == {
        "virtual.carrier.vcpus": ("2", "1"),
        "virtual.carrier.memory": ("2 GiB", "1 GiB"),
        "virtual.delays.start": ("none", "5, 7, 9"),
    }
    assert apart("late-virtual", "other-virtual") == {
        "virtual.delays.start": ("5, 7, 9", "5, 8, 9")
    }
    assert facts["real"]["virtual.carriers"] == facts["real"]["virtual.carrier.memory"] == "none"


def test_the_report_shows_variants(results: tuple[Path, Experiment], tmp_path: Path) -> None:
    root, experiment = results
    render_report(root / "tables", root / "figures", root, experiment, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for words in ("slow (slurm)", "Noise floor", "slurm against itself", "Clusters and trials",
                  "Cluster slow-n1-c2", "slurm: MinJobAge"):  # fmt: skip
        assert words in text, words


def test_records_of_before_variants_are_read(tmp_path: Path) -> None:
    folders = make_results(tmp_path, make_experiment(nodes=[1], repetitions=1, workloads=[BURST]))
    path = folders[0] / "record.json"
    record = json.loads(path.read_text())
    del record["trial"]["variant"], record["trial"]["number"]
    path.write_text(json.dumps(record))
    build_tables(folders, tmp_path / "tables")
    row = load_tables(tmp_path / "tables").trials.iloc[0]
    assert (row["scheduler"], row["adapter"], row["cluster"]) == ("slurm", "slurm", "slurm-n1")
    assert row["snapshot"] == 1
