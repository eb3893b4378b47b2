"""The figure of growth over trials on virtual nodes: what it draws, fills and leaves out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


def drawn(trials: pd.DataFrame, jobs: pd.DataFrame, samples: pd.DataFrame | None = None) -> Figure:
    if samples is None:
        samples = SAMPLES_SCHEMA.empty_table().to_pandas()
    with style.applied():
        return scale.draw(Tables(jobs, samples, trials))


def panels(
    trials: pd.DataFrame, jobs: pd.DataFrame, samples: pd.DataFrame | None = None
) -> dict[str, Axes]:
    """Panels of `scale` against node counts, by the quantity and its unit."""
    figure = drawn(trials, jobs, samples)
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
    found = {
        float(line.get_xdata()[0]): float(line.get_ydata()[0])
        for line in axis.lines
        if len(line.get_xdata()) == 1
    }
    assert found == pytest.approx({2: 12.0, 4: 24.0, 16: 96.0})
    assert any("slurm-virtual: n^1.00" in text.get_text() for text in axis.texts)
    assert marks(panels(trials, jobs)["cpu"])
    assert not marks(panels(trials, jobs)["memory"]), "unknown without samples"


def test_growth_leaves_out_lower_bounds_and_counts_them(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    names = [["scheduling_median_s"] if nodes == 16 else [] for nodes in trials["nodes"]]
    found = panels(trials.assign(at_least=names), jobs)
    assert set(marks(found["throughput"])) == {2, 4, 16}
    assert set(marks(found["scheduling"])) == {2, 4}
    told = [text.get_text() for text in found["scheduling"].texts]
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
    found = panels(elsewhere, jobs)["throughput"]
    points = [line for line in found.lines if list(line.get_xdata()) == [2]]
    faces = [line.get_markerfacecolor() for line in points]
    assert sorted(face == "none" for face in faces) == [False, True]


@pytest.mark.parametrize("fate", ["unfinished", "lost", "not_submitted", "rejected"])
def test_growth_leaves_out_trials_whose_jobs_came_to_no_end(
    trials: pd.DataFrame, jobs: pd.DataFrame, fate: str
) -> None:
    """Rate, processor time and memory are those of a part of the jobs, which the limit chose."""
    cut = trials.assign(**{fate: np.where(trials["nodes"] == 16, 38, 0)})
    found = panels(cut, jobs)
    assert set(marks(found["throughput"])) == set(marks(found["cpu"])) == {2, 4}
    told = [text.get_text() for text in found["throughput"].texts]
    assert any("slurm-virtual: 4 left out" in text for text in told), told


def test_a_value_without_logarithm_is_counted(trials: pd.DataFrame, jobs: pd.DataFrame) -> None:
    """Instants of two sources may coincide, or come in the other order."""
    late = np.where((trials["nodes"] == 16) & (trials["repetition"] == 1), -0.001, 0.2)
    found = panels(trials.assign(scheduling_median_s=late), jobs)["scheduling"]
    assert set(marks(found)) == {2, 4, 16}
    told = [text.get_text().replace("\n", " ") for text in found.texts]
    assert any("slurm-virtual: 1 left out, of 0 or less" in text for text in told), told


def queue(trials: pd.DataFrame, name: str, count: int, **columns: object) -> pd.DataFrame:
    """Trials of a burst of so many jobs on 16 nodes, with a rate of 2 jobs/s (SYNTHETIC)."""
    rows = trials[(trials["workload"] == "burst") & (trials["nodes"] == 16)]
    of = {"workload": name, "jobs": count, "throughput_jobs_per_s": 2.0}
    of |= {"area_bound_s": 0.5 * count / rows["cores"], "trial": rows["trial"] + name}
    return rows.assign(**of | columns)


def test_queues_are_of_equal_jobs_with_the_machine_to_themselves(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """Bursts of other runtimes, beside a background or with a fault were drawn as other lengths."""
    slow = {"throughput_jobs_per_s": 0.01}
    long = {"area_bound_s": 60.0 * 20 / 32} | slow
    added = [queue(trials, f"queue{count}", count) for count in (10, 20, 80)]
    added += [queue(trials, "long", 20, **long), queue(trials, "long160", 160, **long)]
    added += [queue(trials, "crowded", 20, background_filled=0.5, **slow)]
    added += [queue(trials, "broken", 20, fault="restart", **slow)]
    poisson = trials[trials["workload"] == "poisson"]
    axis = drawn(pd.concat([poisson, *added], ignore_index=True), jobs).axes[1]
    points = {
        float(line.get_xdata()[0]): float(line.get_ydata()[0])
        for line in axis.lines
        if len(line.get_xdata()) == 1
    }
    assert points == pytest.approx({10: 2.0, 20: 2.0, 80: 2.0})
    (told,) = (text.get_text().replace("\n", " ") for text in axis.texts)
    assert told.startswith("queue10, queue20, queue80 slurm-virtual: q^"), told


def test_the_workload_of_the_nodes_is_named_and_has_equally_many_jobs_everywhere(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    of_poisson = trials["workload"] == "poisson"
    # As that of a kind whose number of jobs is by the processor.
    more = trials.assign(jobs=np.where(of_poisson, 50 * trials["nodes"], trials["jobs"]))
    invalid = (trials["nodes"] == 4) & (trials["repetition"] == 1)
    found = panels(more.assign(valid=~invalid), jobs)["throughput"]
    (told,) = (text.get_text().replace("\n", " ") for text in found.texts)
    assert told.startswith("burst slurm-virtual-n4: 1 of 4 trials invalid slurm-virtual: n^"), told
    found = panels(more[of_poisson], jobs)["throughput"]
    assert found.texts[0].get_text().startswith("poisson of 100 to 800 jobs")


def test_marks_of_growth_are_over_clusters_where_there_are_several(
    trials: pd.DataFrame, jobs: pd.DataFrame
) -> None:
    """Trials of one snapshot share what is its own, so their number makes no interval narrow."""
    own = {1: 0.5, 2: 1.0, 3: 2.0}
    parts = [trials.assign(snapshot=n, throughput_jobs_per_s=size) for n, size in own.items()]
    rows = pd.concat(parts, ignore_index=True)
    (bars, *_) = panels(rows, jobs)["throughput"].collections
    ((_, low), (_, high)) = bars.get_segments()[0]
    # Three clusters: ln 2 / sqrt(3) times the 97.5 % quantile of t with 2 degrees of freedom.
    assert np.log(high / low) / 2 == pytest.approx(4.303 * np.log(2) / np.sqrt(3), rel=1e-3)
