"""Schedulers side by side in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from trial_factory import make_experiment, make_results

from schedlab.report.comparison import COMPARED, differences, parity
from schedlab.report.method import rules
from schedlab.report.render import render_report
from schedlab.schedulers.base import PARITY
from schedlab.tables.build import build_tables, load_tables


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    root = tmp_path_factory.mktemp("synthetic")
    build_tables(make_results(root), root / "tables")
    return load_tables(root / "tables").trials


def with_second(trials: pd.DataFrame, factor: float) -> pd.DataFrame:
    """The same trials once more under another name, times multiplied (SYNTHETIC)."""
    other = trials.copy()
    other["scheduler"] = "volcano"
    other["cluster"] = other["cluster"].str.replace("slurm", "volcano")
    other["makespan_s"] = other["makespan_s"] * factor
    manifest = dict.fromkeys(PARITY, "as slurm") | {"gang": "another way"}
    other["parity"] = json.dumps(manifest)
    return pd.concat([trials, other], ignore_index=True)


def test_one_scheduler_is_compared_with_nothing(trials: pd.DataFrame) -> None:
    assert differences(trials)["rows"] == []
    assert parity(trials)["schedulers"] == ["slurm"]


def test_a_clear_difference_is_told_and_none_is_invented(trials: pd.DataFrame) -> None:
    makespan = COMPARED.index("makespan")
    doubled = differences(with_second(trials, 2.0))["rows"]
    row = next(r for r in doubled if (r["workload"], r["nodes"]) == ("burst", 1))
    assert (row["first"], row["second"]) == ("slurm", "volcano")
    assert row["values"][makespan]["verdict"] == "smaller"
    assert row["values"][makespan]["delta"] == "-1"
    same = differences(with_second(trials, 1.0))["rows"]
    assert {r["values"][makespan]["verdict"] for r in same} <= {
        "no difference shown",
        "n too small",
    }
    # One of three gang trials on two nodes is invalid in both.
    gang = next(r for r in same if (r["workload"], r["nodes"]) == ("gang", 2))
    assert gang["values"][makespan]["verdict"] == "n too small"
    assert gang["values"][makespan]["interval"] == ""


def test_the_rule_on_comparisons_is_told_as_it_was_kept(trials: pd.DataFrame) -> None:
    def told(*verdicts: str) -> tuple[str, str]:
        row = rules(trials, verdicts, pooled=False, absent=False)[2]
        return row["status"], row["where"]

    assert told()[0] == "does not apply"
    assert told("larger", "no difference shown")[0] == "satisfied"
    status, where = told("larger", "n too small")
    assert status == "partly" and "1 of 2 have too few valid trials" in where


def test_parity_shows_what_differs(trials: pd.DataFrame) -> None:
    table = parity(with_second(trials, 1.0))
    assert table["schedulers"] == ["slurm", "volcano"]
    assert [row["name"] for row in table["rows"]] == list(PARITY)
    gang = table["rows"][0]
    assert gang["name"] == "gang" and not gang["same"]
    assert gang["values"][1] == ["another way"]


def test_the_report_has_the_manifest(tmp_path: Path) -> None:
    build_tables(make_results(tmp_path), tmp_path / "tables")
    output = tmp_path / "report.html"
    render_report(tmp_path / "tables", tmp_path / "figures", tmp_path, make_experiment(), output)
    text = output.read_text()
    assert "Parity manifest" in text
    for name in PARITY:
        assert name in text
