"""Reuther's model of constant-time task sets and ESP's efficiency, from SYNTHETIC trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from record_factory import make_records
from test_figures import texts, write_tables
from trial_factory import make_experiment, make_results

from schedlab.figures import TASK_SETS, draw, style
from schedlab.figures import overhead as figure
from schedlab.metrics.task_sets import task_sets
from schedlab.report.esp_section import esp_rows, esp_scales, esp_section
from schedlab.report.overhead_section import overhead_rows
from schedlab.report.render import render_report
from schedlab.results.imports import Origin
from schedlab.tables.build import Tables, build_tables, load_tables
from schedlab.tables.schemas import TRIALS_SCHEMA
from schedlab.tables.trial_rows import to_pandas

CORES = 4
WORK = 240.0
LATENCY, EXPONENT = 2.5, 1.3
"""Planted t_s (s) and a."""
SMALLEST = (4, 8, 48)


def rows_of(
    n: int, overheads: list[float], work: float = WORK, **changed: Any
) -> list[dict[str, Any]]:
    """Trials of `n` tasks on each processor with these dT, s."""
    jobs = n * CORES
    return [
        {
            "scheduler": "slurm",
            "cluster": "slurm-n2",
            "nodes": 2,
            "workload": f"constant{n}",
            "repetition": number,
            "trial": f"slurm-n2.constant{n}.{number}",
            "kind": "constant",
            "cores": CORES,
            "jobs": jobs,
            "completed": jobs,
            "valid": True,
            "snapshot": 1,
            "parent": "p",
            "search": None,
            "payload": True,
            "area_bound_s": work,
            "makespan_s": work + overhead,
            "at_least": [],
            "withheld": [],
        }
        | changed
        for number, overhead in enumerate(overheads, 1)
    ]


def frame(*groups: list[dict[str, Any]]) -> pd.DataFrame:
    """Trials table of these rows, as it is read."""
    rows = [row for group in groups for row in group]
    return to_pandas(pa.Table.from_pylist(rows, schema=TRIALS_SCHEMA))


def planted(seed: int = 1, spread: float = 0.03, **changed: Any) -> list[list[dict[str, Any]]]:
    """Three trials of each n, with dT of the planted law and some noise."""
    rng = np.random.default_rng(seed)
    return [
        rows_of(n, list(LATENCY * n**EXPONENT * np.exp(rng.normal(0, spread, 3))), **changed)
        for n in SMALLEST
    ]


def test_a_planted_law_is_recovered_from_trials() -> None:
    covered = straight = 0
    for seed in range(60):
        (found,) = task_sets(frame(*planted(seed)))
        latency, exponent = found.model.latency, found.model.exponent
        assert latency.estimate == pytest.approx(LATENCY, rel=0.2)
        assert exponent.estimate == pytest.approx(EXPONENT, abs=0.06)
        assert latency.n == exponent.n == 9
        straight += not found.bends
        covered += exponent.known and exponent.low <= EXPONENT <= exponent.high  # type: ignore[operator]
    assert straight >= 0.85 * 60
    assert covered >= 0.88 * straight


def test_the_ideal_is_that_of_the_trial_and_n_that_of_a_processor() -> None:
    (found,) = task_sets(frame(*planted(spread=0.0)))
    assert (found.cluster, found.nodes, found.work) == ("slurm-n2", 2, WORK)
    assert sorted(set(found.tasks)) == list(SMALLEST)
    np.testing.assert_allclose(found.overhead, LATENCY * found.tasks**EXPONENT)
    (row,) = overhead_rows([found])
    assert row["latency"]["estimate"] == "2.50" and row["exponent"]["estimate"] == "1.30"
    assert [(point["n"], point["trials"]) for point in row["points"]] == [
        ("4", 3), ("8", 3), ("48", 3)
    ]  # fmt: skip
    # 1 / (1 + 2.5 x 4^1.3 / 240) and of 48.
    assert row["utilisation"] == ["94.1 % at n = 4", "38.5 % at n = 48"]
    assert not row["bends"] and row["left_out"] == ""


def test_other_processor_times_clusters_and_kinds_are_not_of_the_set() -> None:
    others = [
        rows_of(4, [9.0], work=120.0),
        rows_of(4, [9.0], cluster="slurm-n4", nodes=4),
        rows_of(4, [9.0], kind="burst"),
        rows_of(4, [9.0], background_filled=0.5, background_pending=0),
        rows_of(4, [9.0], fault="node"),
    ]
    found = task_sets(frame(*planted(), *others))
    assert [(one.cluster, one.work, one.tasks.size) for one in found] == [
        ("slurm-n2", 120.0, 1), ("slurm-n2", 240.0, 9), ("slurm-n4", 240.0, 1)
    ]  # fmt: skip
    # Runtimes are written with few digits: 7 tasks of 34.29 s are 240.03 s.
    (one,) = task_sets(frame(*planted(), rows_of(7, [31.0], work=240.03)))
    assert one.tasks.size == 10


def test_trials_that_did_not_do_all_the_work_do_not_count() -> None:
    bad = [
        rows_of(4, [-200.0], completed=3),
        rows_of(4, [1e3, 1e3], valid=False),
        rows_of(8, [0.0], makespan_s=None, withheld=["makespan_s"]),
    ]
    (found,) = task_sets(frame(*planted(), *bad))
    assert found.tasks.size == 9
    assert found.left_out == (
        "2 invalid, 1 with jobs that did not complete, 1 whose makespan is withheld"
    )
    assert found.model.latency.estimate == pytest.approx(LATENCY, rel=0.2)


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([rows_of(4, [1.0, 2.0, 3.0]), rows_of(8, [3.0, 4.0, 5.0])], "too few: 2 different n"),
        ([rows_of(n, [-0.1 if n == 8 else 5.0]) for n in SMALLEST], "not above 0 in 1 of 3"),
        ([rows_of(n, [5.0], parent=f"p{n}") for n in SMALLEST], "differently made clusters"),
        ([rows_of(n, [5.0], valid=False) for n in SMALLEST], "no trial counts"),
    ],
)
def test_why_there_is_no_model_is_said(groups: list[list[dict[str, Any]]], why: str) -> None:
    (found,) = task_sets(frame(*groups))
    assert why in found.why and found.model.latency.note == found.why
    assert found.model.latency.estimate is None and found.model.exponent.estimate is None
    (row,) = overhead_rows([found])
    assert (row["latency"], row["utilisation"], row["why"]) == (None, [], found.why)


def test_a_law_that_bends_is_said() -> None:
    groups = [rows_of(n, [v * n**2 + 50 for v in (0.99, 1.0, 1.01)]) for n in (1, 4, 16, 64)]
    (found,) = task_sets(frame(*groups))
    assert found.bends
    assert found.model.exponent.estimate is not None and not found.model.exponent.known
    assert not found.model.latency.known


def test_equal_clusters_are_points_of_their_own() -> None:
    """Many trials of one snapshot tell nothing of what another one would do."""
    groups = [
        rows_of(n, [factor * n] * 20, snapshot=number)
        for n in (1, 4, 16)
        for number, factor in enumerate((0.9, 1.1), 1)
    ]
    few = [rows_of(n, [f * n], snapshot=k) for n in (1, 4, 16) for k, f in ((1, 0.9), (2, 1.1))]
    (many,), (one_each,) = task_sets(frame(*groups)), task_sets(frame(*few))
    assert many.model.exponent.low == pytest.approx(one_each.model.exponent.low)
    assert many.tasks.size == 120


def test_three_trials_are_not_tested_and_that_is_said() -> None:
    trials = frame(*(rows_of(n, [LATENCY * n**EXPONENT]) for n in SMALLEST))
    (found,) = task_sets(trials)
    assert found.bends is None
    (row,) = overhead_rows([found])
    assert row["bends"] is None and row["exponent"]["estimate"] == "1.30"
    assert figure._told(found)[0].endswith(", not tested")


def test_the_figure_has_every_trial_and_the_model() -> None:
    trials = frame(*planted(spread=0.0), *planted(scheduler="flux", cluster="flux-n2"))
    with style.applied():
        drawn = figure.draw(Tables(pd.DataFrame(), pd.DataFrame(), trials))
        style.fit(drawn)
    (axis,) = drawn.axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    marks = [line for line in axis.lines if line.get_marker() != "None"]
    models = [line for line in axis.lines if line.get_marker() == "None"]
    assert [len(line.get_xdata()) for line in marks] == [9, 9] and len(models) == 2
    np.testing.assert_allclose(models[1].get_xdata(), [4, 48])
    ends = LATENCY * np.array([4.0, 48.0]) ** EXPONENT
    np.testing.assert_allclose(models[1].get_ydata(), ends)
    told = " ".join(text.get_text() for text in axis.texts)
    assert "slurm: 2.50 s n^1.30" in told


def test_the_figure_is_the_same_twice_and_says_what_it_lacks(tmp_path: Path) -> None:
    rows = [row for group in (*planted(), rows_of(4, [1.0], valid=False)) for row in group]
    made = pa.Table.from_pylist(rows, schema=TRIALS_SCHEMA)
    folder = write_tables(tmp_path / "tables", trials=made)
    for name in ("one", "two"):
        draw(TASK_SETS, folder, tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    found = texts(tmp_path / "one.svg")
    assert "2 nodes, n t = 240 s" in found and "slurm, left out: 1 invalid" in found
    few = write_tables(tmp_path / "few", trials=made.slice(0, 6))
    draw(TASK_SETS, few, tmp_path / "few.svg")
    assert "no model: too few" in texts(tmp_path / "few.svg").replace(" | ", " ")


# ESP

SCALE = {
    "ideal_s": 20.0,
    "ideal_of_table_s": 11.0,
    "rounded_up": {"B": 1, "A": 1},
    "submission": "in seeded random order",
}


def esp_trials(makespans: list[float], **changed: Any) -> list[dict[str, Any]]:
    known: dict[str, Any] = {"kind": "esp", "workload": "esp", "jobs": 230, "completed": 230}
    rows = rows_of(1, [0.0] * len(makespans), **known)
    return [
        row | {"makespan_s": makespan, "trial": f"slurm-n2.esp.{number}"} | changed
        for number, (row, makespan) in enumerate(zip(rows, makespans, strict=True), 1)
    ]


SCALES = {f"slurm-n2.esp.{number}": SCALE for number in range(1, 9)}


def test_efficiency_is_the_ideal_over_the_time() -> None:
    (row,) = esp_rows(frame(esp_trials([32.0, 40.0, 50.0])), SCALES)
    # 20 over the geometric mean of the times, which is 40; t(2) has 4.303 at 95 %.
    half = 4.3027 * np.std(np.log([32.0, 40.0, 50.0]), ddof=1) / np.sqrt(3)
    assert float(row["efficiency"]) == 50
    low, high = 50 * np.exp(-half), 50 * np.exp(half)
    assert row["interval"] == f"[{low:.1f}, {high:.1f}]"
    assert (row["n"], row["ideal"], row["ideal_of_table"]) == (3, "20 s", "11 s")
    assert row["rounded"] == ["A to 1", "B to 1"] and row["left_out"] == ""
    assert row["overtaken"] == ""
    (row,) = esp_rows(frame(esp_trials([32.0, 40.0], wide_overtaken=2.5)), SCALES)
    assert row["overtaken"] == "2.50"
    scales = {trial: SCALE | {"asked": {"A": 0.125, "B": 0.25}} for trial in SCALES}
    (row,) = esp_rows(frame(esp_trials([32.0])), scales)
    assert row["rounded"] == ["A 0.125 to 1", "B 0.250 to 1"]


def test_an_efficiency_is_at_most_one() -> None:
    (row,) = esp_rows(frame(esp_trials([20.5, 21.0, 22.0])), SCALES)
    assert row["interval"].endswith(", 100]")


def test_no_efficiency_of_trials_that_cannot_tell_it() -> None:
    bad = [
        *esp_trials([21.0], valid=False),
        *esp_trials([22.0], completed=100),
        *esp_trials([0.0], makespan_s=None, withheld=["makespan_s"]),
    ]
    (row,) = esp_rows(frame(bad), SCALES)
    assert (row["efficiency"], row["interval"], row["n"]) == ("", "", 0)
    assert row["left_out"].startswith("1 invalid, 1 with jobs that did not complete, 1 whose")
    (row,) = esp_rows(frame(esp_trials([40.0, 40.0]), bad), SCALES)
    assert (float(row["efficiency"]), row["interval"], row["n"]) == (50, "", 2)
    assert "n too small" in row["note"]
    assert esp_rows(frame(esp_trials([40.0], background_filled=0.5)), SCALES) == []
    assert esp_section(frame(esp_trials([40.0])), {}) == {"rows": [], "rules": []}


def test_a_report_shows_both_from_records(tmp_path: Path) -> None:
    experiment = make_experiment(
        nodes=[1],
        workloads=[
            *(
                {"name": f"constant{n}", "kind": "constant", "tasks": n, "runtime": 4.0 / n}
                for n in (1, 2, 4)
            ),
            {"name": "esp", "kind": "esp", "time_scale": 0.001},
        ],
    )
    make_records(tmp_path, experiment)
    build_tables(make_results(tmp_path, experiment), tmp_path / "tables")
    trials = load_tables(tmp_path / "tables", jobs=(), metrics=()).trials
    scales = esp_scales([Origin("", tmp_path, experiment)])
    trace = json.loads((tmp_path / "trials/slurm-n1/esp/1/trace.json").read_text())
    assert scales["slurm-n1.esp.1"]["ideal_s"] == trace["scale"]["ideal_s"]
    assert set(scales) == {f"slurm-n1.esp.{n}" for n in (1, 2, 3)}
    (found,) = task_sets(trials)
    assert sorted(set(found.tasks)) == [1, 2, 4] and found.work == pytest.approx(4.0)
    render_report(tmp_path / "tables", tmp_path, tmp_path, experiment, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    sections = {name: text.partition(f'<section id="{name}">')[2] for name in ("overhead", "esp")}
    assert "slurm-n1" in sections["overhead"].partition("</section>")[0]
    (row,) = esp_rows(trials, scales)
    assert f"<b>{row['efficiency']}</b>" in sections["esp"].partition("</section>")[0]
    assert f'id="figure-{TASK_SETS}"' in text
    (tmp_path / "trials/slurm-n1/esp/1/trace.json").write_text('{"scale": {"ideal_s": "1"}}')
    assert "slurm-n1.esp.1" not in esp_scales([Origin("", tmp_path, experiment)])
