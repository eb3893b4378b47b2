"""Knees of cells from the brackets of their searches, and the submitter's ceiling (SYNTHETIC)."""

from __future__ import annotations

import json
from dataclasses import astuple
from statistics import geometric_mean

import pandas as pd
import pytest
from matplotlib.figure import Figure
from search_factory import searches

from schedlab.figures import saturation as saturation_figure
from schedlab.metrics.searches import knees
from schedlab.metrics.statistics import t_interval
from schedlab.report.saturation_section import saturation
from schedlab.workloads.ladder import Bracket


def test_a_knee_above_what_could_be_judged_is_unknown() -> None:
    rows = searches((1.0, 4.0))
    rows[1] |= {"sustained": None, "why_not": ["cycles"]}
    trials = pd.DataFrame(rows).assign(limits="[]")
    (knee,) = knees(trials)
    assert (knee.estimate, knee.low, knee.judged) == (None, 0.9, False)
    assert knee.bounded.startswith("not judged: the arrivals last fewer than 5")
    found = saturation(trials, confirming=["knee"])
    assert found["rows"][0]["knee"] == knee.bounded == found["rows"][0]["limiter"]
    assert found["not_lifted"][0]["why"] == knee.bounded
    # The lowest rate too: no end is known.
    (knee,) = knees(pd.DataFrame(rows[1:]))
    assert knee.bounded.startswith("not judged") and knee.low is None


@pytest.mark.parametrize(
    ("brackets", "estimate", "low", "high", "bounded"),
    [
        # A queue that grows by a tenth of the arrivals does not count as growing.
        ([(1.0, 1.21)], 0.99, 0.9, 1.089, ""),
        # Equal brackets are no exact value.
        ([(1.0, 1.21)] * 3, 0.99, 0.9, 1.089, ""),
        ([(1.0, 1.21), (1.0, 1.21), (3.0, None)], None, 0.9, None,
         "even the highest rate is sustained in 1 of 3 searches"),
        ([(1.0, 1.21), (None, 0.5)], None, None, 1.089,
         "not even the lowest rate is sustained in 1 of 2 searches"),
        ([(3.0, None)], None, 2.7, None, "even the highest rate is sustained"),
        ([(None, 0.5), (3.0, None)], None, None, None,
         "even the highest rate is sustained in 1 of 2 searches; not even the lowest rate is"
         " sustained in 1 of 2 searches"),
    ],
)  # fmt: skip
def test_a_knee_beyond_the_ladder_in_any_search_is_no_mean_of_the_others(
    brackets: list[tuple[float | None, float | None]],
    estimate: float | None,
    low: float | None,
    high: float | None,
    bounded: str,
) -> None:
    (knee,) = knees(pd.DataFrame(searches(*brackets)))
    found = (knee.estimate, knee.low, knee.high)
    assert found == pytest.approx((estimate, low, high)) and knee.bounded == bounded


def test_a_highest_rate_of_which_no_valid_trial_tells_is_not_sustained() -> None:
    """Both trials at 8 jobs/s are invalid; of another search only the first step ran."""
    rows = searches((1.0, 8.0), (1.0, 8.0))
    rows[1] |= {"valid": False}
    trials = pd.DataFrame(rows[:3]).assign(limits="[]")
    (knee,) = knees(trials)
    words = "no valid trial tells of a rate above the lowest, which is sustained"
    assert (knee.estimate, knee.bounded) == (None, f"{words} in 2 of 2 searches")
    (row,) = saturation(trials)["rows"]
    assert (row["knee"], row["limiter"]) == (knee.bounded, words)


def test_a_step_that_tells_nothing_is_drawn_as_one() -> None:
    steps = searches((1.0, 4.0), (1.0, 4.0))
    steps[3]["sustained"] = None
    rows = pd.DataFrame(steps).assign(
        offered_rate_jobs_per_s=lambda one: one["rate"], achieved_rate_jobs_per_s=1.0
    )
    axis = Figure().add_subplot()
    saturation_figure._panel(axis, rows, knees(rows), ["a-n1"])
    drawn = {
        "unknown" if line.get_marker() == "x" else str(line.get_markerfacecolor()): line.get_xdata()
        for line in axis.lines
        if line.get_linestyle() == "None"
    }
    assert [list(x) for x in drawn.values()] == [[1.0, 1.0], [4.0], [4.0]]
    assert list(drawn)[1:] == ["none", "unknown"]


def test_the_interval_of_a_knee_covers_what_searches_differ_by() -> None:
    (knee,) = knees(pd.DataFrame(searches((1.0, 1.1), (1.2, 1.3), (1.5, 1.6))))
    assert knee.low is not None and knee.high is not None
    assert knee.low < 0.9 and knee.high > 1.44


def test_searches_on_one_cluster_are_no_replicates_of_what_clusters_differ_by() -> None:
    """Of three clusters whose searches agree, there are three knees and not nine."""
    near = ((1.0, 1.1), (1.01, 1.11), (1.02, 1.12))
    rows = [
        row
        for snapshot, factor in enumerate((1.0, 1.3, 1.6), 1)
        for row in searches(*((factor * a, factor * b) for a, b in near), snapshot=snapshot)
    ]
    (knee,) = knees(pd.DataFrame(rows))
    mean = 0.9 * geometric_mean([end for ends in near for end in ends])
    wanted = t_interval([mean * factor for factor in (1.0, 1.3, 1.6)], "log")
    assert (knee.estimate, knee.low, knee.high) == pytest.approx(astuple(wanted)[:3])
    (told,) = saturation(pd.DataFrame(rows).assign(limits="[]"))["rows"]
    assert told["how"] == "95 % interval over 3 clusters"
    (told,) = saturation(pd.DataFrame(rows[:12]).assign(limits="[]"))["rows"]
    assert told["how"] == "95 % interval for these 2 clusters alone"


@pytest.mark.parametrize("precision", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("number", [1, 3, 10])
def test_searches_that_agree_on_where_growth_counts_cover_the_capacity(
    precision: float, number: int
) -> None:
    """At c / (1 - precision / 2) a queue grows by half of the precision times the arrivals."""
    counts, half = 5.0 / (1 - precision / 2), (1 + precision) ** 0.5
    rows = searches(*[(counts / half, counts * half)] * number, precision=precision)
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.low is not None and knee.high is not None
    assert knee.low < 5.0 < knee.high and knee.estimate == pytest.approx(5.0)
    assert knee.brackets[0] == Bracket(counts / half, counts * half)


@pytest.mark.parametrize("why", ["jobs", "wait"])
def test_a_search_that_no_growing_queue_ended_tells_the_rate_as_it_was_offered(why: str) -> None:
    rows = searches((1.0, 1.21))
    rows[1]["why_not"] = [why]
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.estimate == pytest.approx(1.1) and knee.why_not == ((why,),)
    rows[1]["why_not"] = ["queue", why]
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.estimate == pytest.approx(0.99) and knee.why_not == (("queue", why),)


@pytest.mark.parametrize(
    ("ceiling", "told"),
    [
        ([(4.0, None)], "at least 3.60"),
        ([(4.0, 4.84)], "3.96"),
        ([(4.0, 4.84), (5.0, None)], "at least 4.50"),
        ([(None, 0.5)], "not measured"),
    ],
)
def test_a_submitter_that_sustains_all_rates_is_no_bound(
    ceiling: list[tuple[float | None, float | None]], told: str
) -> None:
    null = searches(*ceiling, cluster="null-n1", scheduler="null", payload=False)
    trials = pd.DataFrame([*searches((1.0, 1.1)), *null])
    high = knees(trials)[0].ceiling.high
    assert (high is not None) == (told == "3.96")
    with_limits = trials.assign(limits="[]")
    (row,) = saturation(with_limits)["rows"]
    assert row["ceiling"] == told


@pytest.mark.parametrize(
    "other",
    [
        {"source": "lab", "cluster": "lab:null-n1"},
        {"conditions": json.dumps({"declared": {"head": {"cpus": 16, "memory_mib": 1024}}})},
    ],
)
def test_the_submitter_of_an_import_or_another_head_is_no_bound(other: dict[str, str]) -> None:
    null = {"cluster": "null-n1", "scheduler": "null", "payload": False}
    trials = pd.DataFrame([*searches((1.0, 1.1)), *searches((4.0, 4.84), **(null | other))])
    (row,) = saturation(trials.assign(limits="[]"))["rows"]
    assert row["ceiling"] == "not measured"
