"""How true virtual nodes are: errors, intervals, verdicts, and what the report says of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from trial_factory import make_experiment, make_results

from schedlab.config import Experiment
from schedlab.figures import draw, scale, style
from schedlab.metrics.comparable import UNFINISHED
from schedlab.metrics.fidelity import (
    NO_WORK,
    OF_TRIALS,
    ORDER,
    Certificate,
    Error,
    fidelity,
)
from schedlab.metrics.fidelity_parts import OF_A_JOB, RUN, cause
from schedlab.metrics.quantities import PARTS
from schedlab.metrics.statistics import TOO_SMALL, Interval
from schedlab.report.render import render_report
from schedlab.report.virtual_section import section, sentences
from schedlab.tables.build import Tables, build_tables, load_tables
from schedlab.tables.schemas import SAMPLES_SCHEMA

SERIES = "slurm-virtual"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Experiment]:
    """Slurm on 2 real and on 2, 4 and 16 virtual nodes (SYNTHETIC)."""
    root = tmp_path_factory.mktemp("fidelity")
    experiment = make_experiment(
        nodes=[2, 4, 16],
        repetitions=4,
        virtual={"carriers": 2, "real": [2]},
        workloads=[
            {"name": "burst", "kind": "burst", "jobs": 40, "runtime": 0.5},
            {"name": "poisson", "kind": "poisson", "jobs": 15, "rate": 4.0, "runtime": 0.5},
        ],
    )
    build_tables(make_results(root, experiment), root / "tables")
    return root, experiment


@pytest.fixture
def trials(results: tuple[Path, Experiment]) -> pd.DataFrame:
    return load_tables(results[0] / "tables").trials


@pytest.fixture
def jobs(results: tuple[Path, Experiment]) -> pd.DataFrame:
    return load_tables(results[0] / "tables").jobs


def certificate(trials: pd.DataFrame, jobs: pd.DataFrame, margin: float = 0.05) -> Certificate:
    (found,) = fidelity(trials, jobs, {SERIES: margin})
    return found


def test_tables_say_which_nodes_were_virtual(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    carriers = dict(zip(trials["cluster"], trials["carriers"], strict=True))
    assert carriers["slurm-virtual-n16"] == 2
    assert pd.isna(carriers["slurm-n2"])
    # Stamps lie on the carriers; jobs are placed on nodes.
    placed = {node for row in jobs["placement"] for node in row}
    assert "compute16" in placed
    assert not {node for node in placed if node.startswith("carrier")}
    assert trials["valid"].all(), list(trials["reasons"])


def test_sizes_without_real_nodes_are_extrapolated(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    found = certificate(trials, jobs)
    assert (found.compared, found.extrapolated) == ((2,), (4, 16))
    assert found.about(2) == "compared with real nodes"
    assert found.about(16) == "extrapolated from 2 nodes"
    assert {(one.workload, one.nodes) for one in found.found} == {("burst", 2), ("poisson", 2)}
    assert set(found.found[0].errors) == {*OF_TRIALS, ORDER}


def test_an_error_is_the_ratio_to_real_nodes(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    slow = trials.copy()
    of_virtual = slow["carriers"].notna()
    real = slow[slow["cluster"] == "slurm-n2"].set_index(["workload", "repetition"])
    keys = pd.MultiIndex.from_frame(slow.loc[of_virtual, ["workload", "repetition"]])
    slow.loc[of_virtual, "makespan_s"] = 1.2 * real["makespan_s"].reindex(keys).to_numpy()
    one = certificate(slow, jobs).found[0]
    error = one.errors["makespan"]
    assert error.size.estimate == pytest.approx(0.2)
    assert error.verdict == "off by more than 5 %"
    assert certificate(slow, jobs, 0.25).found[0].errors["makespan"].verdict == "within 25 %"


def test_trials_of_another_block_are_not_compared(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    other = trials.assign(block=np.where(trials["carriers"].notna(), "a", "b"))
    found = certificate(other, jobs)
    assert found.compared == ()
    assert found.about(2) == "not compared with real ones"
    assert found.found[0].errors["makespan"].verdict == "not comparable: other block"


def test_jobs_that_do_nothing_have_no_error_of_utilisation(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    idle = trials.assign(ideal_makespan_s=0.0)
    for one in certificate(idle, jobs).found:
        error = one.errors["utilisation"]
        assert (error.size.estimate, error.verdict) == (None, NO_WORK)
        assert one.errors["makespan"].size.estimate is not None
    assert certificate(trials, jobs).found[0].errors["utilisation"].size.estimate is not None


def test_the_largest_error_is_beyond_what_real_trials_have(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """Jobs of one size that wait together start in any order, on real nodes as well."""
    found = certificate(trials, jobs)
    one = found.found[0]

    def told(between: float | None) -> str:
        errors = {
            name: Error(Interval(0.02, 0.01, 0.03, 4, "t"), "within 5 %") for name in OF_TRIALS
        }
        order = Error(Interval(0.48, 0.47, 0.49, 4, "t"), "within 5 %", between)
        changed = replace(one, errors=errors | {ORDER: order})
        return sentences([replace(found, found=(changed,))])[0].text

    begin = "the largest beyond what real trials differ by is"
    assert f"{begin} +2 % (makespan, burst, 2 nodes)" in told(0.47)
    assert f"{begin} 48 % (order of starts, 10 % between real trials, burst, 2 nodes)" in told(0.1)
    assert "the largest is 48 % (order of starts, burst, 2 nodes)" in told(None)


def test_lower_bounds_have_no_error(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    """Trials that both came to their limit have about its makespan, whatever the true ones are."""
    both = trials.assign(makespan_s=600.0, at_least=[["makespan_s"]] * len(trials))
    one = trials.assign(
        makespan_s=600.0,
        at_least=[["makespan_s"] if n else [] for n in trials["carriers"].notna()],
    )
    for bounded in (both, one):
        errors = certificate(bounded, jobs).found[0].errors
        assert (errors["makespan"].size.estimate, errors["makespan"].verdict) == (None, UNFINISHED)
        assert errors["throughput"].size.estimate is not None


def test_the_part_in_which_errors_arise_is_named(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    """Planted on virtual nodes: 0.5 s more in the launch of each job, 0.2 s less in its run."""
    virtual = trials["carriers"].notna()
    late = {"launch_mean_s": 0.5, "wait_mean_s": 0.5, "turnaround_mean_s": 0.3}
    real = trials[trials["cluster"] == "slurm-n2"].set_index(["workload", "repetition"])
    keys = pd.MultiIndex.from_frame(trials.loc[virtual, ["workload", "repetition"]])
    slow = trials.copy()
    for column in (*late, *(f"{name}_mean_s" for name in PARTS if name != "launch")):
        base = real[column].reindex(keys).to_numpy()
        slow.loc[virtual, column] = base + late.get(column, 0.0)
    found = certificate(slow, jobs)
    for one in found.found:
        assert list(one.parts) == list(OF_A_JOB)
        assert one.parts["launch"].estimate == pytest.approx(0.5)
        assert one.parts[RUN].estimate == pytest.approx(-0.2)
        assert one.parts["scheduling"].estimate == pytest.approx(0.0, abs=1e-9)
        assert cause(one.parts) == "launch"
    assert re.search(
        r"where its jobs spend 0\.500? s more on virtual nodes in launch, the part",
        sentences([found])[0].text,
    ), sentences([found])[0].text
    rows = section([found])["rows"]
    assert [[part["cause"] for part in row["parts"]] for row in rows] == [
        [name == "launch" for name in OF_A_JOB]
    ] * 2


def test_no_part_is_named_where_none_shows_a_difference() -> None:
    parts = {
        "launch": Interval(0.9, -0.1, 1.9, 4, "t"),
        "scheduling": Interval(-0.2, -0.3, -0.1, 4, "t"),
        RUN: Interval(5.0, None, None, 2, "none"),
    }
    assert cause(parts) == "scheduling"
    assert cause({"launch": parts["launch"]}) is None


def test_a_part_with_lower_bounds_has_no_difference(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    bounded = trials.assign(at_least=[["turnaround_mean_s"]] * len(trials))
    parts = certificate(bounded, jobs).found[0].parts
    assert parts[RUN].estimate is None
    assert parts["launch"].estimate is not None


def marks(axis: Axes) -> dict[float, bool]:
    """Size of each mark of a panel of `scale`, and whether it is filled."""
    return {
        float(np.asarray(line.get_xdata())[0]): line.get_markerfacecolor() != "none"
        for line in axis.lines
        if len(np.asarray(line.get_xdata())) == 1
    }


def panels(
    trials: pd.DataFrame, jobs: pd.DataFrame, samples: pd.DataFrame | None = None
) -> dict[str, Axes]:
    """Panels of `scale` against node counts, by the quantity and its unit."""
    if samples is None:
        samples = SAMPLES_SCHEMA.empty_table().to_pandas()
    with style.applied():
        figure = scale.draw(Tables(jobs, samples, trials))
    words = {axis.get_ylabel(): axis for axis in figure.axes if axis.get_ylabel()}
    return {
        "throughput": words["throughput\n(jobs/s)"],
        "scheduling": words["scheduling\nlatency (s)"],
        "cpu": words["control plane's\nCPU time (s)"],
        "memory": words["control plane's\nmemory (MiB)"],
    }


def test_growth_of_memory_is_of_what_the_trials_samples_have(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """The daemons' peaks since their start, 24 MB, are alike in all trials."""
    rows = [
        {
            "trial": trial,
            "metric": scale.MEMORY,
            "instance": instance,
            "labels": json.dumps({"process": process}),
            "t_ns": second * 10**9,
            "value": mib * nodes * 2.0**20,
        }
        for trial, nodes in zip(trials["trial"], trials["nodes"], strict=True)
        for instance, process, second, mib in (
            ("head", "slurmctld", 0, 5),
            ("head", "munged", 0, 1),
            # The largest of a daemon at another time than the other's.
            ("head", "slurmctld", 1, 3),
            ("head", "munged", 1, 2),
            # Of no daemon of the control plane.
            ("head", "other", 0, 900),
            ("carrier1", "slurmctld", 0, 900),
        )
    ]
    axis = panels(trials, jobs, pd.DataFrame(rows))["memory"]
    drawn = {
        float(line.get_xdata()[0]): float(line.get_ydata()[0])
        for line in axis.lines
        if len(line.get_xdata()) == 1
    }
    assert drawn == pytest.approx({2: 12.0, 4: 24.0, 16: 96.0})
    assert any("slurm-virtual: n^1.00" in text.get_text() for text in axis.texts)
    assert marks(panels(trials, jobs)["cpu"])
    assert not marks(panels(trials, jobs)["memory"]), "unknown without samples"


def test_growth_leaves_out_lower_bounds_and_counts_them(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    names = [["scheduling_median_s"] if nodes == 16 else [] for nodes in trials["nodes"]]
    drawn = panels(trials.assign(at_least=names), jobs)
    assert set(marks(drawn["throughput"])) == {2, 4, 16}
    assert set(marks(drawn["scheduling"])) == {2, 4}
    told = [text.get_text() for text in drawn["scheduling"].texts]
    assert any("slurm-virtual: 4 left out" in text for text in told), told


def test_marks_of_growth_are_filled_where_the_same_workload_was_compared(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    virtual = trials["carriers"].notna()
    of_burst = trials["workload"] == "burst"
    assert marks(panels(trials[virtual | (trials["nodes"] == 2)], jobs)["throughput"])[2]
    alone = trials[virtual | ~of_burst]
    assert marks(panels(alone, jobs)["throughput"]) == {2: False, 4: False, 16: False}
    # What is of another block is not compared; the series of real nodes has its own mark.
    elsewhere = trials.assign(block=np.where(virtual, "a", "b"))
    drawn = panels(elsewhere, jobs)["throughput"]
    points = [line for line in drawn.lines if list(line.get_xdata()) == [2]]
    faces = [line.get_markerfacecolor() for line in points]
    assert sorted(face == "none" for face in faces) == [False, True]


def test_few_trials_have_an_error_without_interval(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    error = certificate(trials[trials["repetition"] < 3], jobs).found[0].errors["makespan"]
    assert error.size.estimate is not None
    assert (error.size.known, error.verdict) == (False, TOO_SMALL)


def test_verdicts_within_the_margin_are_rarely_false(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """Virtual nodes that are off by exactly the margin count as true in at most 5 % of tables."""
    rng = np.random.default_rng(5)
    rows = trials[(trials["workload"] == "burst") & (trials["nodes"] == 2)]
    factor = np.where(rows["carriers"].notna(), 1.05, 1.0)
    within = 0
    for _ in range(300):
        noise = np.exp(rng.normal(0, 0.01, len(rows)))
        drawn = rows.assign(makespan_s=10.0 * factor * noise)
        error = certificate(drawn, jobs.head(0)).found[0].errors["makespan"]
        within += error.verdict.startswith("within")
    assert within <= 0.05 * 300


def test_the_order_between_real_trials_of_one_trace_is_known(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    burst, poisson = certificate(trials, jobs).found
    assert burst.errors[ORDER].between_real is not None
    # Each repetition has a trace of its own.
    assert poisson.errors[ORDER].between_real is None


def test_the_report_says_how_true_virtual_nodes_are(
    results: tuple[Path, Experiment], tmp_path: Path
) -> None:
    root, experiment = results
    (root / "figures").mkdir(exist_ok=True)
    draw("scale", root / "tables", root / "figures/scale.svg")
    render_report(root / "tables", root / "figures", root, experiment, tmp_path / "report.html")
    text = re.sub(r"\s+", " ", (tmp_path / "report.html").read_text())
    assert "The nodes of slurm-virtual are virtual. Of their errors against real nodes" in text
    assert "What is shown at 4, 16 nodes is extrapolated from there." in text
    assert "virtual nodes, extrapolated from 2 nodes" in text
    carried = "16 virtual nodes of 2 processors and 768 MiB, carried by 2 of the machines"
    assert text.count(carried) >= 2, "at the cluster, and in the text for a paper"
    assert 'id="fidelity-slurm-virtual.burst.2"' in text
    # Kinds of nodes are no schedulers that one compares.
    assert 'id="difference-1"' not in text
    svg = (root / "figures/scale.svg").read_text()
    assert "slurm-virtual: n^" in svg


def test_sentences_name_what_is_off(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    far = trials.assign(
        throughput_jobs_per_s=trials["throughput_jobs_per_s"]
        * np.where(trials["carriers"].notna(), 0.5, 1.0)
    )
    found = certificate(far, jobs)
    (sentence,) = sentences([found])
    assert sentence.kind == "alarm"
    assert "2 are off by more than 5 %" in sentence.text or "are off by more" in sentence.text
    assert any(value["off"] for row in section([found])["rows"] for value in row["values"])


def test_the_sentence_says_why_no_error_is_known(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    def told(rows: pd.DataFrame) -> str:
        return sentences([certificate(rows, jobs)])[0].text

    virtual = trials["carriers"].notna()
    begin = "The nodes of slurm-virtual are virtual, and how true they are is open: "
    none = begin + "no real ones ran the same workload at the same size."
    assert told(trials[virtual]) == none
    there = begin + "real ones ran too, at 2 nodes, but no error is known "
    assert told(trials.assign(block=np.where(virtual, "a", "b"))) == (
        there + "(not comparable: other block)."
    )
    assert told(trials.assign(valid=virtual)) == f"{there}({TOO_SMALL})."


def test_the_sentence_counts_errors_that_are_not_known(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    moved = trials["carriers"].notna() & (trials["workload"] == "poisson")
    found = certificate(trials.assign(block=np.where(moved, "a", trials["block"])), jobs)
    assert "6 are not comparable: other block" in sentences([found])[0].text
