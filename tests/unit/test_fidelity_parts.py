"""Where errors of virtual nodes arise: which part of a job's time can be a cause, and is named."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from schedlab.metrics.certificates import Certificate
from schedlab.metrics.fidelity import OF_TRIALS, ORDER, fidelity
from schedlab.metrics.fidelity_parts import OF_A_JOB, RUN, TOGETHER, cause, largest
from schedlab.metrics.quantities import PARTS
from schedlab.metrics.statistics import Interval
from schedlab.report.virtual_section import section, sentences

SERIES = "slurm-virtual"
LONGER = {"launch_mean_s": 0.5, "wait_mean_s": 0.5, "turnaround_mean_s": 0.3,
          "wait_median_s": 0.5, "wait_p90_s": 0.5}  # fmt: skip


def certificate(trials: pd.DataFrame, jobs: pd.DataFrame) -> Certificate:
    (found,) = fidelity(trials, jobs, {SERIES: 0.05})
    return found


def planted(trials: pd.DataFrame) -> pd.DataFrame:
    """Virtual nodes as real ones, but 0.5 s more in each job's launch and 0.2 s less in its run."""
    virtual = trials["carriers"].notna()
    real = trials[trials["cluster"] == "slurm-n2"].set_index(["workload", "repetition"])
    keys = pd.MultiIndex.from_frame(trials.loc[virtual, ["workload", "repetition"]])
    slow = trials.copy()
    alike = ("makespan_s", "throughput_jobs_per_s", "utilisation")
    for column in (*LONGER, *alike, *(f"{name}_mean_s" for name in PARTS if name != "launch")):
        base = real[column].reindex(keys).to_numpy()
        slow.loc[virtual, column] = base + LONGER.get(column, 0.0)
    return slow


def test_the_part_in_which_errors_arise_is_named(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    # The jobs of both kinds start in one order.
    first = {str(n): rows for n, rows in jobs.groupby("trial", observed=True)}
    same = [
        first[name.replace("slurm-virtual", "slurm")].assign(trial=name)
        if name.startswith("slurm-virtual-n2.")
        else rows
        for name, rows in first.items()
    ]
    found = certificate(planted(trials), pd.concat(same))
    for one in found.found:
        assert list(one.parts) == list(OF_A_JOB)
        assert one.parts["launch"].estimate == pytest.approx(0.5)
        assert one.parts[RUN].estimate == pytest.approx(-0.2)
        assert one.parts["scheduling"].estimate == pytest.approx(0.0, abs=1e-9)
        for name in ("wait_median", "wait_p90"):
            error = one.errors[name]
            assert error.seconds == pytest.approx(0.5, rel=0.1)
            assert cause(one.parts, name, error.seconds) == "launch"
        for name in ("utilisation", ORDER):
            assert one.errors[name].seconds is None
    told = sentences([found])[0].text
    assert ", where a job spends 0.500 s more in launch on virtual nodes." in told, told
    rows = section([found])["rows"]
    assert [[part["largest"] for part in row["parts"]] for row in rows] == [
        [name == "launch" for name in OF_A_JOB]
    ] * 2


def test_a_larger_rate_is_a_shorter_time(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    fast = planted(trials)
    virtual = fast["carriers"].notna()
    fast.loc[virtual, "throughput_jobs_per_s"] *= 1.25
    fast.loc[virtual, "makespan_s"] *= 1.25
    for one in certificate(fast, jobs).found:
        rows = trials[(trials["cluster"] == "slurm-n2") & (trials["workload"] == one.workload)]
        took = (rows["completed"] / rows["throughput_jobs_per_s"]).mean()
        assert one.errors["throughput"].seconds == pytest.approx(-0.2 * took, rel=0.02)
        assert one.errors["makespan"].seconds == pytest.approx(
            0.25 * rows["makespan_s"].mean(), rel=0.02
        )


PARTS_APART = {
    "launch": Interval(0.9, -0.1, 1.9, 4, "t"),
    "scheduling": Interval(-0.2, -0.3, -0.1, 4, "t"),
    RUN: Interval(0.6, 0.5, 0.7, 4, "t"),
    "completion": Interval(5.0, None, None, 2, "none"),
}


@pytest.mark.parametrize(
    ("quantity", "seconds", "wanted"),
    [
        ("makespan", 1.0, RUN),
        ("throughput", 1.0, RUN),
        # Of the other sign, and of less than a third.
        ("makespan", -0.5, "scheduling"),
        ("makespan", -0.7, None),
        ("makespan", 2.0, None),
        # The run is no part of a wait.
        ("wait_median", 1.0, None),
        ("wait_p90", -0.3, "scheduling"),
        # No times.
        ("utilisation", None, None),
        (ORDER, None, None),
    ],
)
def test_what_cannot_be_a_cause_is_not_named(
    quantity: str, seconds: float | None, wanted: str | None
) -> None:
    assert quantity in (*OF_TRIALS, ORDER)
    assert cause(PARTS_APART, quantity, seconds) == wanted


def test_the_largest_part_is_one_that_shows_a_difference() -> None:
    assert largest(PARTS_APART) == RUN
    assert largest({"launch": PARTS_APART["launch"]}) is None


def test_run_and_completion_are_one_part_where_ends_are_of_other_records(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """The delay of the completion is then before the end on one side and after it on the other."""
    slow = planted(trials)
    virtual = jobs["trial"].str.startswith("slurm-virtual")
    record = jobs["finished_source"].astype(object).mask(virtual, "log: the node's report (1 us)")
    found = certificate(slow, jobs.assign(finished_source=record))
    for one in found.found:
        assert list(one.parts) == [*OF_A_JOB[:-2], TOGETHER]
        assert one.parts[TOGETHER].estimate == pytest.approx(-0.2)
    told = section([found])
    assert told["part_columns"][-1] == TOGETHER.capitalize()
    sizes = [[part["size"] for part in row["parts"]] for row in told["rows"]]
    assert all(row[-3:-1] == ["", ""] and row[-1] == "-0.200 s" for row in sizes)
    plain = certificate(slow, jobs).found[0]
    assert TOGETHER not in plain.parts


def test_verdicts_are_counted_in_grammar(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    found = certificate(trials, jobs)
    one = found.found[0]
    words = ["within 5 %", "within 5 %", "undecided", "n too small", "n too small", "n too small"]
    errors = {
        name: replace(error, verdict=verdict)
        for (name, error), verdict in zip(one.errors.items(), words, strict=True)
    }

    def told(changed: dict[str, object]) -> str:
        return sentences([replace(found, found=(replace(one, errors=errors | changed),))])[0].text

    assert "2 are within 5 %, 1 is undecided, 3 rest on too few trials; " in told({})
    undecided = {ORDER: replace(errors[ORDER], verdict="undecided")}
    off = {"wait_p90": replace(errors["wait_p90"], verdict="off by more than 5 %")}
    text = told(undecided | off)
    assert "1 is off by more than 5 %, 2 are undecided" in text


def test_a_part_with_lower_bounds_has_no_difference(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    bounded = trials.assign(at_least=[["turnaround_mean_s"]] * len(trials))
    parts = certificate(bounded, jobs).found[0].parts
    assert parts[RUN].estimate is None
    assert parts["launch"].estimate is not None
