"""Figures from SYNTHETIC trials: all draw, the same bytes each time, whatever is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trial_factory import FAILED, make_results

from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES, draw, style
from schedlab.tables.build import build_tables
from schedlab.tables.schemas import JOBS_SCHEMA, SAMPLES_SCHEMA, TRIALS_SCHEMA

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("results")
    build_tables(make_results(root), root / "tables")
    return root / "tables"


def write_tables(folder: Path, **changed) -> Path:
    """Tables without rows, but for those given."""
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


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_the_same_bytes_and_names_the_invalid_trial(tables, tmp_path, name):
    draw(name, tables, tmp_path / "one.svg")
    draw(name, tables, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    found = texts(tmp_path / "one.svg")
    assert "slurm-n2: 1 of 3 trials invalid" in found
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


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_text_without_a_font_of_this_machine_and_colours_are_sentinels(
    tables, tmp_path, name
):
    draw(name, tables, tmp_path / "figure.svg")
    content = (tmp_path / "figure.svg").read_text()
    assert "DejaVu" not in content
    assert "font-family: sans-serif" in content
    # Black and white would not survive the change to a dark page.
    for colour in ("#000000", "#ffffff", "fill: black", "fill: white"):
        assert colour not in content
    assert style.INK in content


@pytest.mark.parametrize("name", FIGURES)
def test_empty_tables_give_a_labelled_empty_figure(tmp_path, name):
    draw(name, write_tables(tmp_path / "tables"), tmp_path / "figure.svg")
    assert "no trial in the tables" in texts(tmp_path / "figure.svg")


@pytest.mark.parametrize("name", FIGURES)
def test_cells_without_a_valid_trial_say_so(tables, tmp_path, name):
    trials = pq.read_table(tables / "trials.parquet").to_pylist()
    failed = next(row for row in trials if row["trial"] == FAILED)
    folder = write_tables(
        tmp_path / "tables", trials=pa.Table.from_pylist([failed], schema=TRIALS_SCHEMA)
    )
    draw(name, folder, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "no valid trial" in found
    assert "1 of 1 trials invalid" in found or name == "timeline"


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


def test_names_are_known_without_matplotlib():
    code = "import sys, schedlab.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_figure_has_a_module_and_words():
    for name, figure in FIGURES.items():
        assert (Path(style.__file__).parent / f"{name}.py").exists()
        assert all(len(text) > 3 for text in figure)
