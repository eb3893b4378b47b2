"""Schedulers side by side in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trial_factory import make_experiment, make_results

from schedlab.report.comparison import COMPARED, differences, parity
from schedlab.report.method import DISTRIBUTIONS, rules
from schedlab.report.render import render_report
from schedlab.report.results_section import trial_rows
from schedlab.schedulers.base import PARITY
from schedlab.tables.build import build_tables, load_tables


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Six repetitions of two workloads on one node; the burst's all have one trace."""
    root = tmp_path_factory.mktemp("synthetic")
    workloads = [workload.model_dump() for workload in make_experiment().workloads[:2]]
    experiment = make_experiment(repetitions=6, nodes=[1], workloads=workloads)
    build_tables(make_results(root, experiment), root / "tables")
    return load_tables(root / "tables").trials


def with_second(
    trials: pd.DataFrame, factor: float, name: str = "volcano", **columns: object
) -> pd.DataFrame:
    """The same trials once more under another name, times multiplied (SYNTHETIC)."""
    other = trials.copy()
    other["scheduler"] = name
    other["cluster"] = other["cluster"].str.replace("slurm", name)
    # Noise of its own, 1 %.
    noise = np.exp(0.01 * np.random.default_rng(2).normal(size=len(other)))
    other["makespan_s"] = other["makespan_s"] * factor * noise
    manifest = dict.fromkeys(PARITY, "as slurm") | {"gang": "another way"}
    other["parity"] = json.dumps(manifest)
    return pd.concat([trials, other.assign(**columns)], ignore_index=True)


def test_one_scheduler_is_compared_with_nothing(trials: pd.DataFrame) -> None:
    assert differences(trials)["rows"] == []
    assert parity(trials)["schedulers"] == ["slurm"]


MAKESPAN = COMPARED.index("makespan")


def test_a_clear_difference_is_told_and_none_is_invented(trials: pd.DataFrame) -> None:
    doubled = {row["workload"]: row for row in differences(with_second(trials, 2.0))["rows"]}
    assert [(r["first"], r["second"]) for r in doubled.values()] == [("slurm", "volcano")] * 2
    for workload, count in (("burst", "n=6"), ("poisson", "pairs=6")):
        value = doubled[workload]["values"][MAKESPAN]
        assert (value["verdict"], value["n"]) == ("smaller", count), workload
        assert float(value["effect"]) == pytest.approx(0.5, abs=0.02)
    same = differences(with_second(trials, 1.0))["rows"]
    told = {value["verdict"] for row in same for value in row["values"]}
    assert told <= {"equal", "the same within 5 %", "no difference shown"}


def test_few_trials_are_refused(trials: pd.DataFrame) -> None:
    few = trials[trials["repetition"] <= 3]
    rows = differences(with_second(few, 2.0))["rows"]
    assert {row["values"][MAKESPAN]["verdict"] for row in rows} == {"n too small"}
    assert all(row["values"][MAKESPAN]["interval"] for row in rows)


def test_trials_of_another_machine_are_shown_not_compared(trials: pd.DataFrame) -> None:
    both = with_second(trials, 2.0, "lab-b:slurm", source="lab-b", host="another")
    rows = differences(with_second(both, 1.0))["rows"]
    other = [row for row in rows if "lab-b:slurm" in (row["first"], row["second"])]
    assert len(rows) == 6 and len(other) == 4
    verdicts = {value["verdict"] for row in other for value in row["values"]}
    assert verdicts == {"not comparable: other host"}
    assert all(not value["effect"] for row in other for value in row["values"])


def test_a_noise_floor_is_kept(trials: pd.DataFrame) -> None:
    floor = {("makespan", workload, 1): 2.0 for workload in ("burst", "poisson")}
    rows = differences(with_second(trials, 2.0), {False: floor})["rows"]
    assert {row["values"][MAKESPAN]["verdict"] for row in rows} == {"no difference shown"}


def test_the_rule_on_comparisons_is_told_as_it_was_kept(trials: pd.DataFrame) -> None:
    def told(*verdicts: str) -> tuple[str, str]:
        row = rules(trials, verdicts, pooled=False, absent=False)[2]
        return row["status"], row["where"]

    assert told()[0] == "does not apply"
    assert told("larger", "no difference shown")[0] == "satisfied"
    status, where = told("larger", "n too small")
    assert status == "partly" and "1 of 2 have too few valid trials" in where


def test_the_other_rules_are_told_as_the_data_keep_them(trials: pd.DataFrame) -> None:
    def told(rows: pd.DataFrame) -> dict[int, tuple[str, str]]:
        found = rules(rows, [], pooled=False, absent=False, drawn=DISTRIBUTIONS)
        return {row["number"]: (row["status"], row["where"]) for row in found}

    kept = told(trials)
    assert {number for number, (status, _) in kept.items() if status == "satisfied"} == {
        2, 5, 6, 7, 9, 10,
    }  # fmt: skip
    assert kept[3][0] == kept[4][0] == "does not apply"
    assert "only one was sampled" in kept[1][1]
    zero = trials.copy()
    zero.loc[0, "makespan_s"] = 0.0
    assert told(zero)[2][0] == "partly" and "makespan" in told(zero)[2][1]
    assert told(trials.assign(wait_p99_s=1.0))[5][0] == "not yet"
    assert told(trials.assign(order=pd.NA))[6][0] == "partly"
    half = len(trials) // 2
    twice = trials.assign(order=trials["order"] % half)
    assert told(twice)[6][0] == "partly"
    runs = np.where(trials["order"] < half, "2026-01-01", "2026-01-02")
    assert told(twice.assign(campaign=runs))[6][0] == "satisfied"
    grouped = trials.sort_values(["cluster", "workload"]).assign(order=range(len(trials)))
    assert "not interleaved" in told(grouped)[6][1]
    assert told(trials.assign(clock_uncertainty_s=float("nan")))[7][0] == "partly"
    assert told(trials.assign(ideal_makespan_s=float("nan")))[8][0] == "not yet"
    assert told(trials.assign(valid=False))[9][0] == "does not apply"


def test_no_status_is_a_constant(trials: pd.DataFrame) -> None:
    """Every rule changes with the data of the report."""

    def told(rows: pd.DataFrame, number: int, **seen: object) -> str:
        known: dict[str, object] = {"pooled": False, "absent": False, "drawn": DISTRIBUTIONS}
        verdicts = seen.pop("verdicts", [])
        return str(rules(rows, verdicts, **known | seen)[number - 1]["status"])  # type: ignore[arg-type]

    two = trials.assign(snapshot=1 + trials["repetition"] % 2)
    assert told(two, 1) == "satisfied"
    assert told(trials, 1) == told(two[two["repetition"] <= 4], 1) == "partly"
    assert told(trials[trials["repetition"] <= 2], 1) == "not yet"
    claims = {"verdicts": ["larger"]}
    assert told(trials, 4, **claims) == "not yet"
    assert told(trials, 4, **claims, again=["no difference shown"]) == "satisfied"
    for more in ({"again": ["larger"]}, {"again": ["n too small"]},
                 {"again": ["equal"], "uncovered": 1}):  # fmt: skip
        assert told(trials, 4, **claims, **more) == "partly", more
    assert told(trials, 7, clockless=1) == "partly"
    assert told(trials, 9, drawn=DISTRIBUTIONS[:2]) == "partly"
    assert told(trials, 9, drawn=()) == "not yet"
    assert told(trials, 10, pooled=True) == "partly"
    assert told(trials.assign(valid=False, reasons=None), 10) == "partly"
    nothing = rules(trials.iloc[:0], [], pooled=False, absent=True)
    assert {rule["status"] for rule in nothing} == {"does not apply"}


def test_parity_shows_what_differs(trials: pd.DataFrame) -> None:
    table = parity(with_second(trials, 1.0))
    assert table["schedulers"] == ["slurm", "volcano"]
    assert [row["name"] for row in table["rows"]] == list(PARITY)
    gang = table["rows"][0]
    assert gang["name"] == "gang" and not gang["same"]
    assert gang["values"][1] == ["another way"]


def test_the_report_has_the_manifest_with_one_text_where_all_are_the_same(tmp_path: Path) -> None:
    experiment = make_experiment(
        schedulers=[{"name": name, "scheduler": "slurm"} for name in ("slurm", "other")],
        workloads=[{"name": "burst", "kind": "burst", "jobs": 3, "runtime": 0}],
        nodes=[1],
        repetitions=1,
    )
    build_tables(make_results(tmp_path, experiment), tmp_path / "tables")
    output = tmp_path / "report.html"
    render_report(tmp_path / "tables", tmp_path / "figures", tmp_path, experiment, output)
    text = output.read_text()
    assert "Parity manifest" in text
    for name in PARITY:
        assert name in text
    assert text.count('<td data-label="all" colspan="2">') == len(PARITY)


def test_trials_of_several_runs_are_in_the_order_of_the_runs(trials: pd.DataFrame) -> None:
    half = len(trials) // 2
    runs = ["2026-01-02"] * half + ["2026-01-01"] * half
    rows = trial_rows(trials.assign(order=[*range(half)] * 2, campaign=runs))
    names = list(trials["trial"].astype(str))
    assert [row["trial"] for row in rows] == names[half:] + names[:half]


def test_the_parity_manifest_shows_guests_whose_clocks_differ(trials: pd.DataFrame) -> None:
    def cluster(name: str, *sources: str) -> dict[str, Any]:
        nodes = zip(("head", "compute1"), sources, strict=True)
        return {
            "scheduler": name,
            "guests": [{"name": node, "clocksource": source} for node, source in nodes],
        }

    two = with_second(trials, 1.0)
    first, second = parity(two)["schedulers"]
    equal = [cluster(first, "tsc", "tsc"), cluster(second, "tsc", "tsc")]
    unlike = [cluster(first, "tsc", "tsc"), cluster(second, "tsc", "hpet")]
    (row,) = (r for r in parity(two, None, equal)["rows"] if r["name"].endswith("clock sources"))
    assert row["same"] and row["values"] == [["tsc"], ["tsc"]]
    (row,) = (r for r in parity(two, None, unlike)["rows"] if r["name"].endswith("clock sources"))
    assert not row["same"] and row["values"] == [["tsc"], ["hpet (compute1), tsc (head)"]]
