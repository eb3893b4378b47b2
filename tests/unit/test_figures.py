"""Figures from SYNTHETIC trials: all are drawn, with the same bytes, even if data are missing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trial_factory import FAILED, make_experiment, make_results

from schedlab.errors import SchedlabError
from schedlab.figures import (
    FIGURES,
    LEVELS,
    SEARCHES,
    TASK_SETS,
    distribution,
    draw,
    lateness,
    nodes,
    scale,
    style,
    timeline,
    wait,
)
from schedlab.tables.build import Tables, build_tables, count_samples, load_tables
from schedlab.tables.schemas import JOBS_SCHEMA, SAMPLES_SCHEMA, TRIALS_SCHEMA

SVG = "{http://www.w3.org/2000/svg}"
OF_TRIALS = tuple(name for name in FIGURES if name not in (LEVELS, SEARCHES, TASK_SETS))
"""Figures of trials that repeat one another, as all here do; `test_saturation` draws searches,
`test_background_levels` levels, `test_task_sets` constant-time tasks."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("results")
    build_tables(make_results(root), root / "tables")
    return root / "tables"


def write_tables(folder: Path, **changed) -> Path:
    """Tables that only have the given rows."""
    folder.mkdir(parents=True)
    for name, schema in (
        ("jobs", JOBS_SCHEMA),
        ("samples", SAMPLES_SCHEMA),
        ("trials", TRIALS_SCHEMA),
    ):
        pq.write_table(changed.get(name, schema.empty_table()), folder / f"{name}.parquet")
    return folder


def texts(path: Path) -> str:
    """All text of an SVG file, which must parse and have a size."""
    tree = ElementTree.fromstring(path.read_bytes())
    assert tree.tag == f"{SVG}svg"
    width, height = (float(part) for part in tree.attrib["viewBox"].split()[2:])
    # In the report a figure is 640 px wide.
    assert width == pytest.approx(432)
    assert height * 640 / width < 2500
    return " | ".join("".join(node.itertext()) for node in tree.iter(f"{SVG}text"))


@pytest.mark.parametrize("name", OF_TRIALS)
def test_every_figure_draws_the_same_bytes_and_names_the_invalid_trial(tables, tmp_path, name):
    draw(name, tables, tmp_path / "one.svg")
    draw(name, tables, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    found = texts(tmp_path / "one.svg")
    if name == "scale":  # of the workload with the most jobs, none of whose trials is invalid
        assert "compute nodes, n" in found
        return
    # Where panels are narrow, a note has several lines.
    assert "slurm-n2: 1 of 3 trials invalid" in found.replace(" | ", " ")
    for workload in ("burst", "gang", "poisson", "swf"):
        assert workload in found


def test_bytes_do_not_depend_on_the_process_or_on_the_user_s_matplotlib(tables, tmp_path):
    draw("wait", tables, tmp_path / "here.svg")
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\n")
    code = (
        "from pathlib import Path; from schedlab.figures import draw;"
        f"draw('wait', Path({str(tables)!r}), Path('there.svg'))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "there.svg").read_bytes() == (tmp_path / "here.svg").read_bytes()


@pytest.mark.parametrize("name", OF_TRIALS)
def test_text_is_text_without_a_font_of_this_machine_and_colours_are_sentinels(
    tables, tmp_path, name
):
    draw(name, tables, tmp_path / "figure.svg")
    content = (tmp_path / "figure.svg").read_text()
    assert "DejaVu" not in content
    assert "font-family: sans-serif" in content
    # Black and white do not change with the colours of a dark page.
    for colour in ("#000000", "#ffffff", "fill: black", "fill: white"):
        assert colour not in content
    assert style.INK in content


@pytest.mark.parametrize("name", OF_TRIALS)
def test_empty_tables_give_a_labelled_empty_figure(tmp_path, name):
    draw(name, write_tables(tmp_path / "tables"), tmp_path / "figure.svg")
    assert "no trial in the tables" in texts(tmp_path / "figure.svg")


@pytest.mark.parametrize("name", OF_TRIALS)
def test_cells_without_a_valid_trial_say_so(tables, tmp_path, name):
    trials = pq.read_table(tables / "trials.parquet").to_pylist()
    failed = next(row for row in trials if row["trial"] == FAILED)
    folder = write_tables(
        tmp_path / "tables", trials=pa.Table.from_pylist([failed], schema=TRIALS_SCHEMA)
    )
    draw(name, folder, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "no valid trial" in found
    assert "1 of 1 trials invalid" in found.replace(" | ", " ") or name == "timeline"


@pytest.mark.parametrize("name", FIGURES)
def test_trials_without_jobs_and_samples_draw(tables, tmp_path, name):
    folder = write_tables(tmp_path / "tables", trials=pq.read_table(tables / "trials.parquet"))
    draw(name, folder, tmp_path / "figure.svg")
    texts(tmp_path / "figure.svg")


def test_n_too_small_has_no_interval_and_says_its_n(tables, tmp_path):
    draw("throughput", tables, tmp_path / "figure.svg")
    assert "n=2" in texts(tmp_path / "figure.svg")


def test_launch_latency_states_its_resolution(tables, tmp_path):
    draw("launch", tables, tmp_path / "figure.svg")
    assert "(1 ms)" in texts(tmp_path / "figure.svg")


def test_unknown_name_is_refused(tmp_path):
    with pytest.raises(SchedlabError, match="no figure 'moon'") as error:
        draw("moon", tmp_path, tmp_path / "moon.svg")
    assert "throughput" in str(error.value.remedy)


@pytest.fixture(scope="module")
def of_many(tmp_path_factory) -> Tables:
    """Twelve variants with the longest names, on two clusters each."""
    root = tmp_path_factory.mktemp("many")
    experiment = make_experiment(
        schedulers=[
            {"name": f"slurm-backfill-interval-30-s-{n:03d}", "scheduler": "slurm"}
            for n in range(12)
        ],
        repetitions=1,
        workloads=[{"name": "burst-of-many-jobs", "kind": "burst", "jobs": 3, "runtime": 0}],
    )
    build_tables(make_results(root, experiment), root / "tables")
    return load_tables(root / "tables")


@pytest.mark.parametrize("name", OF_TRIALS)
def test_a_long_legend_takes_no_height_from_the_panels(of_many: Tables, name: str) -> None:
    with style.applied():
        figure = import_module(f"schedlab.figures.{name}").draw(of_many)
        style.fit(figure)
        figure.draw_without_rendering()
    heights = [axis.get_window_extent().height / figure.dpi for axis in figure.axes]
    # 48 cells share the height of the time line.
    least = {"timeline": 0.28, "scale": 1.2, "daemons": 1.0, "nodes": 1.0}.get(name, 1.3)
    assert min(heights) >= least
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.y0 >= max(axis.get_tightbbox().y1 for axis in figure.axes)
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


def test_growth_within_a_power_of_ten_has_numbers_on_its_axes(of_many: Tables) -> None:
    with style.applied():
        figure = scale.draw(of_many)
        style.fit(figure)
        figure.draw_without_rendering()
    for axis in figure.axes:
        low, high = axis.get_ylim()
        assert high > 1.1 * low
        assert sum(low <= tick <= high for tick in axis.get_yticks()) >= 2, axis.get_ylabel()


def test_a_time_line_does_not_grow_with_the_number_of_jobs() -> None:
    """Bars of 20,000 jobs are as few as those of 4,000, and cover the same times (SYNTHETIC)."""
    counts = []
    for jobs in (4_000, 20_000):
        y = np.arange(jobs, dtype=float)
        start = 1000 * y / jobs
        end = start + 50
        start[7] = np.nan
        found, until, rows = timeline._thinned(start, end, y, 1050.0)
        counts.append(len(found))
        assert len(np.unique(rows)) == 400 and np.all(until > found)
        assert (found.min(), until.max()) == (0.0, end.max())
    assert counts == [400, 400]
    # Two bars of one row that are apart stay apart.
    start, row = np.tile([0.0, 500.0], 1000), np.repeat(np.arange(1000.0), 2)
    found, until, _ = timeline._thinned(start, start + 1, row, 1000.0)
    assert len(found) == 800 and set(until - found) == {1.0}


def test_load_of_machines_is_summed_over_each_and_averaged_over_the_others(tables: Path) -> None:
    """The made-up machines have 0.25 GiB in use and 0.03 MB/s beside the loopback network."""
    loaded = load_tables(tables, jobs=(), metrics=nodes.METRICS)
    with style.applied():
        figure = nodes.draw(loaded)
    drawn = [axis for axis in figure.axes if axis.lines]
    assert len(drawn) == len(figure.axes) and len(drawn) % 3 == 0
    for number, expected in ((1, 0.25), (2, 0.03)):
        lines = [line.get_ydata() for axis in drawn[number::3] for line in axis.lines]
        assert lines and np.concatenate(lines) == pytest.approx(expected)
    busy = np.concatenate([line.get_ydata() for axis in drawn[::3] for line in axis.lines])
    assert busy.min() >= 0.2 and busy.max() <= 0.6


def test_a_figure_is_given_what_it_draws_alone(tables: Path) -> None:
    everything = load_tables(tables)
    found = load_tables(tables, jobs=wait.JOBS, metrics=("node_cpu_seconds_total",))
    assert list(found.jobs.columns) == list(wait.JOBS)
    pd.testing.assert_frame_equal(found.jobs, everything.jobs[list(wait.JOBS)])
    assert set(found.samples["metric"].astype(str)) == {"node_cpu_seconds_total"}
    expected = (everything.samples["metric"] == "node_cpu_seconds_total").sum()
    assert len(found.samples) == expected < len(everything.samples) == count_samples(tables)
    nothing = load_tables(tables, jobs=(), metrics=()).samples
    assert nothing.empty and list(nothing.columns) == list(everything.samples.columns)


def test_twelve_series_look_different() -> None:
    assert len({(style.look(n).colour, style.look(n).marker) for n in range(12)}) == 12
    assert len({(style.look(n).colour, str(style.look(n).line)) for n in range(12)}) == 12


def test_names_are_known_without_matplotlib():
    code = "import sys, schedlab.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_figure_has_a_module_and_words():
    for name, figure in FIGURES.items():
        assert (Path(style.__file__).parent / f"{name}.py").exists()
        assert all(len(text) > 3 for text in figure)


def made_up_cells(repetitions: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials of two schedulers on two node counts, with estimates unlike those of seaborn."""
    cells = [(name, nodes) for name in ("kubernetes", "slurm") for nodes in (2, 16)]
    trials = pd.DataFrame(
        [
            {
                "scheduler": name,
                "cluster": f"{name}-n{nodes}",
                "workload": "burst",
                "nodes": nodes,
                "repetition": repetition,
                "valid": True,
                "x": float(place + 1),
            }
            for place, (name, nodes) in enumerate(cells)
            for repetition in range(repetitions)
        ]
    )
    summary = pd.DataFrame(
        [
            {
                "scheduler": name,
                "nodes": nodes,
                "n": repetitions,
                "estimate": 10.0 + place,
                "low": 5.0 + place,
                "high": 20.0 + place,
            }
            for place, (name, nodes) in enumerate(cells)
        ]
    )
    return trials, summary


def test_dots_draw_the_estimates_and_intervals_of_the_tables_side_by_side() -> None:
    trials, summary = made_up_cells(3)
    with style.applied():
        _, (axis,) = style.panels(1)
        style.dots(axis, trials, summary, "x")
    marks, estimates, interval, low, high = axis.collections
    assert [tuple(row)[1] for row in estimates.get_offsets()] == list(summary["estimate"])
    assert [tuple(row)[1] for row in low.get_offsets()] == list(summary["low"])
    assert [tuple(row)[1] for row in high.get_offsets()] == list(summary["high"])
    ends = [sorted(y for _, y in path.vertices) for path in interval.get_paths()]
    assert sorted(ends) == summary[["low", "high"]].to_numpy().tolist()
    # Equal values lie beside each other; a scheduler's trials lie left of its estimate, and all of
    # a scheduler left of the next.
    at = [round(float(x), 6) for x, _ in marks.get_offsets()]
    assert len(set(at)) == 12
    centres = [float(x) for x, _ in estimates.get_offsets()]
    on_two_nodes = [*at[3:6], centres[0], *at[9:12], centres[2]]
    assert on_two_nodes == sorted(on_two_nodes)
    assert axis.get_ylim()[0] == 0


def test_a_cell_without_a_value_says_so_beside_those_with_one() -> None:
    trials, summary = made_up_cells(2)
    summary.loc[0, ["n", "estimate", "low", "high"]] = [0, None, None, None]
    summary.loc[1, ["low", "high"]] = None
    with style.applied():
        _, (axis,) = style.panels(1)
        style.dots(axis, trials[trials["cluster"] != "kubernetes-n2"], summary, "x")
    assert [text.get_text() for text in axis.texts] == ["n=0", "n=2"]


def test_hundreds_of_marks_share_one_path(tmp_path: Path) -> None:
    counts = []
    for repetitions in (3, 200):
        with style.applied():
            figure, (axis,) = style.panels(1)
            style.dots(axis, *made_up_cells(repetitions), "x")
            style.save(figure, tmp_path / "figure.svg", "figure")
        content = (tmp_path / "figure.svg").read_text()
        counts.append(content.count("<path"))
        assert content.count("<use") > 4 * repetitions
    assert counts[0] == counts[1]


def test_a_distribution_counts_the_jobs_without_a_value(tables: Path) -> None:
    loaded = load_tables(tables)
    jobs = loaded.jobs.copy()
    jobs.loc[jobs.index[::2], "started"] = pd.NA
    with style.applied():
        figure = distribution.ecdf(loaded._replace(jobs=jobs), "submit", "started", "wait")
    known = jobs["started"].notna().groupby(jobs["trial"].astype(str)).mean()
    drawn = sorted(line.get_ydata()[-1] for axis in figure.axes for line in axis.lines)
    valid = set(style.valid(loaded.trials)["trial"].astype(str))
    assert drawn == pytest.approx(sorted(part for trial, part in known.items() if trial in valid))


def test_a_wait_is_drawn_from_when_the_jobs_before_had_ended(tables: Path) -> None:
    """As the table has it: here each job starts as soon as it may."""
    loaded = load_tables(tables, jobs=wait.JOBS)
    jobs = loaded.jobs.assign(released=loaded.jobs["started"])
    with style.applied():
        figure = wait.draw(loaded._replace(jobs=jobs))
    drawn = [line.get_xdata() for axis in figure.axes for line in axis.lines]
    assert drawn and all(x[np.isfinite(x)].max(initial=0) == 0 for x in map(np.asarray, drawn))
    assert all("released" in one.JOBS for one in (wait, lateness, timeline))
