"""How true virtual nodes are: errors, intervals, verdicts, and what the report says of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trial_factory import make_experiment, make_trial

from schedlab.config import Experiment
from schedlab.figures import draw
from schedlab.metrics.certificates import UNDECIDED, Certificate, Error, Fidelity
from schedlab.metrics.comparable import UNFINISHED
from schedlab.metrics.fidelity import NO_VALUE, NO_WORK, OF_TRIALS, ORDER, compared_cells, fidelity
from schedlab.metrics.statistics import TOO_SMALL, Interval
from schedlab.report.render import render_report
from schedlab.report.virtual_section import of_cells, section, sentences
from schedlab.tables.build import build_tables, load_tables

SERIES = "slurm-virtual"


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
    assert (found.compared("burst"), found.beyond("burst")) == ((2,), (4, 16))
    worst = found.found[0].worst
    assert found.about("burst", 2) == f"compared with real nodes, {worst} there"
    assert found.about("burst", 16) == f"extrapolated from 2 nodes, {worst} there"
    assert {(one.workload, one.nodes) for one in found.found} == {("burst", 2), ("poisson", 2)}
    assert set(found.found[0].errors) == {*OF_TRIALS, ORDER}


def told_of(virtual: str, compared: dict[str, dict[int, str]]) -> Certificate:
    """Certificate of a series whose cells at 2, 4, 8 and 16 nodes have these verdicts."""
    errors = {
        verdict: {"makespan": Error(Interval(0.1, 0.05, 0.2, 4, "t"), verdict)}
        for verdicts in compared.values()
        for verdict in verdicts.values()
    }
    found = tuple(
        Fidelity(virtual, workload, nodes, 0.05, errors[verdict])
        for workload, verdicts in compared.items()
        for nodes, verdict in verdicts.items()
    )
    cells = tuple((workload, nodes) for workload in compared for nodes in (2, 4, 8, 16))
    return Certificate(virtual, cells, found)


def test_what_holds_is_told_by_workload_with_the_worst_verdict() -> None:
    off, within = "off by more than 5 %", "within 5 %"
    found = told_of(SERIES, {"burst": {2: within, 8: off}, "poisson": {2: within}, "gang": {}})
    assert found.about("burst", 2) == f"compared with real nodes, {within} there"
    assert found.about("burst", 4) == f"between compared sizes, 2 and 8 nodes, {off} there"
    assert found.about("burst", 16) == f"extrapolated from 2 to 8 nodes, {off} there"
    assert found.about("poisson", 8) == f"extrapolated from 2 nodes, {within} there"
    assert found.about("gang", 2) == "not compared with real ones in this workload"
    text = sentences([found])[0].text
    assert "Of their errors against real nodes (burst at 2, 8 nodes; poisson at 2 nodes)" in text
    assert (
        "What is shown (burst at 16 nodes; poisson at 4, 8, 16 nodes) is extrapolated from there."
        in text
    )
    assert "What is shown (burst at 4 nodes) lies between compared sizes." in text
    assert "What is shown of gang was not compared with real nodes." in text
    undecided = told_of(SERIES, {"burst": {2: within, 4: UNDECIDED}})
    assert undecided.about("burst", 16) == f"extrapolated from 2 to 4 nodes, {UNDECIDED} there"


def test_another_workload_says_nothing_of_one(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    real = trials["carriers"].isna()
    found = certificate(trials[~(real & (trials["workload"] == "poisson"))], jobs)
    told = of_cells(trials, [found])
    assert "compared with real nodes" in told["burst", "slurm-virtual-n2"]
    alone = "virtual nodes, not compared with real ones in this workload"
    assert {told["poisson", f"slurm-virtual-n{nodes}"] for nodes in (2, 4, 16)} == {alone}


def test_trials_too_few_for_an_interval_compare_nothing(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    one_each = trials[trials["repetition"] == 1]
    found = certificate(one_each, jobs)
    assert found.found[0].errors["makespan"].size.estimate is not None
    assert found.compared("burst") == ()
    assert compared_cells(one_each, jobs) == set()
    assert f"no error has an interval ({TOO_SMALL})" in sentences([found])[0].text


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
    assert found.compared("burst") == ()
    assert found.about("burst", 2) == "not compared with real ones in this workload"
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
        found = certificate(bounded, jobs)
        for cell in found.found:
            told = {(error.size.estimate, error.verdict) for error in cell.errors.values()}
            assert told == {(None, UNFINISHED)}
            assert not cell.parts
        assert found.compared("burst") == found.compared("poisson") == ()


@pytest.mark.parametrize("fate", ["unfinished", "lost", "not_submitted", "rejected"])
@pytest.mark.parametrize("side", ["real", "virtual", "both"])
def test_jobs_that_came_to_no_end_leave_no_error_of_anything(
    trials: pd.DataFrame, jobs: pd.DataFrame, fate: str, side: str
) -> None:
    """Two jobs of 40 that ran on both sides agree, and tell nothing of the other 38."""
    virtual = trials["carriers"].notna()
    cut = {"real": ~virtual, "virtual": virtual, "both": virtual | True}[side]
    one = trials.assign(**{fate: np.where(cut & (trials["repetition"] == 1), 38, trials[fate])})
    for found in certificate(one, jobs).found:
        assert {error.verdict for error in found.errors.values()} == {UNFINISHED}
        assert not found.known


def test_trials_in_which_almost_nothing_ran_are_not_compared(tmp_path: Path) -> None:
    experiment = make_experiment(
        nodes=[2, 16],
        repetitions=3,
        virtual={"carriers": 2, "real": [2]},
        workloads=[{"name": "burst", "kind": "burst", "jobs": 40, "runtime": 0.5}],
    )
    folders = [
        make_trial(
            tmp_path, key, experiment, order=order, unfinished=38 * key.cluster.endswith("n2")
        )
        for order, key in enumerate(experiment.trials())
    ]
    build_tables(folders, tmp_path / "tables")
    tables = load_tables(tmp_path / "tables")
    found = certificate(tables.trials, tables.jobs)
    assert (found.compared("burst"), found.beyond("burst")) == ((), ())
    assert "how true they are is open" in sentences([found])[0].text


def test_a_job_that_started_on_one_side_alone_leaves_no_error_of_the_order(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    of_one = (jobs["trial"].str.startswith("slurm-n2.burst")) & (jobs["job"] == 3)
    missing = jobs.assign(started=jobs["started"].mask(of_one))
    burst, poisson = certificate(trials, missing).found
    assert (burst.errors[ORDER].size.estimate, burst.errors[ORDER].verdict) == (None, UNFINISHED)
    assert burst.errors["makespan"].size.estimate is not None
    assert poisson.errors[ORDER].size.estimate is not None


def test_too_few_jobs_are_not_told_as_too_few_trials(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """A trial of fewer than 10 jobs has no 90th percentile, and one job has no order."""
    small = trials.assign(wait_p90_s=np.nan, jobs=1, completed=1)
    found = certificate(small, jobs[jobs["job"] == 0])
    for one in found.found:
        assert {name for name, error in one.errors.items() if error.verdict == NO_VALUE} == {
            "wait_p90", ORDER,
        }  # fmt: skip
        assert one.errors["makespan"].size.known
    told = sentences([found])[0].text
    assert (
        "4 are not comparable: too few jobs, or withheld" in told and "too few trials" not in told
    )


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
    virtual_results: tuple[Path, Experiment], tmp_path: Path
) -> None:
    root, experiment = virtual_results
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
    there = begin + "real ones ran too, at 2 nodes, but no error has an interval "
    assert told(trials.assign(block=np.where(virtual, "a", "b"))) == (
        there + "(not comparable: other block)."
    )
    assert told(trials.assign(valid=virtual)) == f"{there}({TOO_SMALL})."


def test_searches_on_virtual_nodes_are_told_as_not_compared(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """A report of searches alone did not say that its nodes are virtual."""
    of_poisson = trials["workload"] == "poisson"
    steps = trials.assign(search=np.where(of_poisson, 1.0, np.nan))
    found = certificate(steps, jobs)
    assert {one.workload for one in found.found} == {"burst"}
    told = sentences([found])[0].text
    assert "What is shown of poisson was not compared with real nodes." in told
    alone = certificate(steps[of_poisson], jobs)
    assert sentences([alone])[0].text == (
        "The nodes of slurm-virtual are virtual, and how true they are is open: searches for a rate"
        " are not compared with those on real ones."
    )


def test_the_sentence_counts_errors_that_are_not_known(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    moved = trials["carriers"].notna() & (trials["workload"] == "poisson")
    found = certificate(trials.assign(block=np.where(moved, "a", trials["block"])), jobs)
    assert "6 are not comparable: other block" in sentences([found])[0].text
