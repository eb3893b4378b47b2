"""In which part of a job's time a difference arises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trial_factory import make_experiment, make_results

from schedlab.metrics.quantities import PARTS
from schedlab.report.comparison import differences
from schedlab.report.parts import arising, sentences
from schedlab.tables.build import build_tables, load_tables


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Six repetitions of one workload on one node."""
    root = tmp_path_factory.mktemp("synthetic")
    workloads = [make_experiment().workloads[1].model_dump()]
    experiment = make_experiment(repetitions=6, nodes=[1], workloads=workloads)
    build_tables(make_results(root, experiment), root / "tables")
    return load_tables(root / "tables").trials


def with_slower(trials: pd.DataFrame, later: Mapping[str, float]) -> pd.DataFrame:
    """The same trials once more, parts of a job's time longer by some s (SYNTHETIC)."""
    other = trials.assign(scheduler="slower")
    random = np.random.default_rng(3)
    for part in PARTS:
        noise = 0.002 * random.normal(size=len(other))
        other[f"{part}_mean_s"] = other[f"{part}_mean_s"] + later.get(part, 0.0) + noise
    other["wait_median_s"] = other["wait_median_s"] + sum(later.values())
    return pd.concat([trials, other], ignore_index=True)


def rows_of(trials: pd.DataFrame) -> list[dict[str, Any]]:
    return arising(trials, differences(trials))


def test_the_mean_parts_of_the_wait_add_up(trials: pd.DataFrame) -> None:
    parts = sum(trials[f"{part}_mean_s"] for part in PARTS[:4])
    assert trials["wait_mean_s"].gt(0).all()
    np.testing.assert_allclose(parts, trials["wait_mean_s"], rtol=1e-6)


@pytest.mark.parametrize("part", PARTS[:4])
def test_the_part_that_is_longer_is_named(trials: pd.DataFrame, part: str) -> None:
    (row,) = rows_of(with_slower(trials, {part: 0.5}))
    assert row["part"] == part
    assert row["share"] == pytest.approx(0.5 if row["first"] == "slower" else -0.5, rel=0.05)
    (told,) = sentences([row])
    assert told.text.startswith(f"slower's jobs spend more time in {part} than slurm's: 0.")
    assert told.text.endswith(" s a job on poisson with 1 node.")


def test_the_largest_of_several_is_named(trials: pd.DataFrame) -> None:
    (row,) = rows_of(with_slower(trials, {"submission": 0.2, "launch": 0.6}))
    assert row["part"] == "launch"
    verdicts = dict(zip(PARTS, (value["verdict"] for value in row["values"]), strict=True))
    assert verdicts["submission"] == verdicts["launch"] != "no difference shown"
    assert verdicts["scheduling"] in ("no difference shown", "the same within 5 %")


def test_a_part_is_found_where_the_whole_shows_nothing(trials: pd.DataFrame) -> None:
    both = with_slower(trials, {"completion": 0.5})
    both["wait_median_s"] = trials["wait_median_s"].iloc[0]
    (row,) = rows_of(both)
    assert row["part"] == "completion"
    assert not any(
        value["verdict"] in ("larger", "smaller")
        for value in differences(both)["rows"][0]["values"]
    )


def test_rows_without_any_difference_are_left_out(trials: pd.DataFrame) -> None:
    assert rows_of(with_slower(trials, {})) == []
    assert sentences([]) == []


def test_a_difference_without_a_part_says_so(trials: pd.DataFrame) -> None:
    both = with_slower(trials, {})
    both.loc[both["scheduler"] == "slower", "wait_median_s"] += 1.0
    (row,) = rows_of(both)
    assert (row["part"], row["share"]) == ("", None)
    (told,) = sentences([row])
    assert "no single part" in told.text and told.kind == "unknown"


def test_the_rows_lead_to_the_page(trials: pd.DataFrame, tmp_path: Path) -> None:
    both = with_slower(trials, {"launch": 0.5})
    table = differences(both)
    (row,) = arising(both, table)
    (claimed,) = table["rows"]
    assert row["anchor"] == claimed["anchor"].replace("difference", "parts")
