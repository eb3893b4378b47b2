"""The figure of growth over trials on virtual nodes: what it draws, fills and leaves out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from schedlab.figures import scale, style
from schedlab.tables.build import Tables
from schedlab.tables.schemas import SAMPLES_SCHEMA


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


@pytest.mark.parametrize("fate", ["unfinished", "lost", "not_submitted", "rejected"])
def test_growth_leaves_out_trials_whose_jobs_came_to_no_end(
    trials: pd.DataFrame, jobs: pd.DataFrame, fate: str
) -> None:
    """Rate, processor time and memory are those of a part of the jobs, which the limit chose."""
    cut = trials.assign(**{fate: np.where(trials["nodes"] == 16, 38, 0)})
    drawn = panels(cut, jobs)
    assert set(marks(drawn["throughput"])) == set(marks(drawn["cpu"])) == {2, 4}
    told = [text.get_text() for text in drawn["throughput"].texts]
    assert any("slurm-virtual: 4 left out" in text for text in told), told
