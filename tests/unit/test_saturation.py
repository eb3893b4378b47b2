"""A search on a simulated cluster, from its decisions to the report (SYNTHETIC trials)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from record_factory import make_records
from search_factory import experiment
from trial_factory import make_trial

from schedlab.config.trials import TrialKey
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES, draw
from schedlab.lineage.targets import resolve
from schedlab.metrics.cells import by_cell
from schedlab.metrics.searches import knees, without_searches
from schedlab.paths import decision_record
from schedlab.report.embedded import embedded
from schedlab.report.method import EMPTY, rules
from schedlab.report.results_section import cell_trials
from schedlab.report.saturation_section import saturation
from schedlab.results.records import load_record
from schedlab.results.store import Store
from schedlab.stages.context import Context
from schedlab.stages.decision import write_decision
from schedlab.stages.figure import draw_figure
from schedlab.stages.report import write_report
from schedlab.stages.stopped import stop_if_decided
from schedlab.stages.tables import write_tables
from schedlab.tables.build import build_tables, load_tables


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a search on the simulated cluster, which runs two jobs of 0.5 s at a time."""
    root, made = tmp_path_factory.mktemp("searched"), experiment()
    make_records(root, made)
    context, folders = Context(made, root), []
    for order, key in enumerate(made.trials()):
        write_decision(context, key.cluster, key.workload, key.repetition)
        if not stop_if_decided(context, key):
            folders.append(make_trial(root, key, made, order=order))
    build_tables(folders, root / "tables")
    return root


def test_a_search_finds_the_capacity_of_a_cluster_and_ends(searched: Path) -> None:
    """A job holds its processor for 0.5 s and some 0.24 s of overhead: 2 / 0.74 = 2.7 jobs/s."""
    tables = load_tables(searched / "tables")
    (knee,) = knees(tables.trials)
    assert knee.estimate == pytest.approx(2.7, rel=0.2)
    assert knee.low is not None and knee.high is not None and knee.high <= 1.2 * knee.low
    made = experiment()
    last = TrialKey("slurm-n1", "knee", made.workload("knee").steps)
    decision = load_record(searched / decision_record("slurm-n1", "knee", last.repetition))
    assert decision["decision"]["run"] is False
    trace = json.loads((searched / "trials/slurm-n1/knee/2/trace.json").read_text())
    assert (trace["scale"]["rate"], trace["scale"]["search"]) == (8.0, 1)
    assert not len(without_searches(tables.trials))


def test_the_report_shows_the_knee_and_the_limiter(searched: Path) -> None:
    found = saturation(load_tables(searched / "tables").trials)
    (row,) = found["rows"]
    assert row["how"] == "ends of the brackets" and row["ceiling"] == "not measured"
    assert row["limiter"] and row["evidence"]
    draw("saturation", searched / "tables", searched / "saturation.svg")
    assert "knee" in (searched / "saturation.svg").read_text()


def test_steps_of_a_search_are_no_repetitions_of_a_cell(searched: Path) -> None:
    tables = load_tables(searched / "tables")
    assert not list(by_cell(tables.trials)) and not cell_trials(tables.trials)
    assert rules(tables.trials, [], pooled=False, absent=False)[0]["status"] == EMPTY
    told = [trial["cell"] for trial in embedded(tables.trials, tables.jobs)["trials"]]
    assert len(set(told)) == len(told) > 2
    assert {"slurm-n1.knee at 0.5/s", "slurm-n1.knee at 8/s"} <= set(told)
    with pytest.raises(SchedlabError, match="nothing in .* is called"):
        resolve(Store(searched), "slurm-n1.knee/makespan")


def test_a_report_of_searches_alone_is_whole(searched: Path) -> None:
    """No trial repeats another, so there is nothing to estimate or compare."""
    context = Context(experiment(), searched)
    write_tables(context)
    for name in FIGURES:
        draw_figure(searched, name)
        told = "all trials are of searches" in (searched / f"figures/{name}.svg").read_text()
        assert told == (name != "saturation"), name
    write_report(context, searched / "report.html")
    text = (searched / "report.html").read_text()
    assert 'id="saturation"' in text and 'id="figure-saturation"' in text
