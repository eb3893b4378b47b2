"""Levels of a background: one workload each, of the same jobs, and one figure for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from config_factory import HOST, ROOT, load, refusal
from jsonschema import Draft202012Validator
from test_figures import texts
from trial_factory import make_results

from schedlab.config import Experiment
from schedlab.config.load import read_experiment, write_experiment
from schedlab.config.schema import SCHEMA_PATH
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.figures import draw
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.tables.background import background_columns
from schedlab.tables.build import build_tables
from schedlab.workloads import Job, Machine, Trace
from schedlab.workloads.background import Background
from schedlab.workloads.burst import Burst
from schedlab.workloads.duration import earliest_end
from schedlab.workloads.gang import Gang

EIGHT = {"vcpus": 8, "memory": "1 GiB"}


def crowded(**keys: Any) -> dict[str, Any]:
    """One workload with levels, on nodes of eight processors."""
    background = {"filled": ["0 %", "50 %", "80 %"], "pending": [0, 20], "settle": 1.0, **keys}
    workload = {"name": "crowded", "kind": "poisson", "jobs": 6, "background": background}
    return {
        "nodes": [1],
        "node": EIGHT,
        "placement": {"pinning": "none", "oversubscribe": True},
        "workloads": [{"name": "first", "kind": "burst", "jobs": 3}, workload],
    }


def names(experiment: Experiment) -> list[str]:
    return [workload.name for workload in experiment.workloads]


def test_lists_in_a_background_become_a_workload_for_each_level(tmp_path: Path) -> None:
    experiment = load(tmp_path, **crowded())
    assert names(experiment) == [
        "first",
        "crowded-filled0-pending0",
        "crowded-filled0-pending20",
        "crowded-filled50-pending0",
        "crowded-filled50-pending20",
        "crowded-filled80-pending0",
        "crowded-filled80-pending20",
    ]
    last = experiment.workload("crowded-filled80-pending20").background
    assert last == Background(filled="80 %", pending=20, settle=1.0, level_of="crowded")


def test_one_list_alone_is_in_the_names_and_a_new_level_changes_no_other(tmp_path: Path) -> None:
    one = load(tmp_path, **crowded(pending=3, filled=["12.5 %"]))
    assert names(one)[1:] == ["crowded-filled12-5"]
    two = load(tmp_path, **crowded(pending=3, filled=["50 %", "12.5 %"]))
    name = "crowded-filled12-5"
    assert one.workload(name) == two.workload(name)
    assert one.trace_seed(name, 2) == two.trace_seed(name, 2)


def test_all_levels_have_the_same_measured_jobs(tmp_path: Path) -> None:
    experiment = load(tmp_path, **crowded())
    found = []
    for name in names(experiment)[1:]:
        trace = experiment.trace(name, 1, 1, cpus=8)
        lead = trace.scale["background"]["lead_s"]
        found.append([round(job.arrival - lead, 5) for job in trace.measured])
    assert all(arrivals == found[0] for arrivals in found)


def test_the_emptiest_level_has_no_background_and_waiting_jobs_need_one_processor() -> None:
    two = Machine(2, 4)
    empty = Burst(name="b", jobs=2, background=Background(filled="0 %")).generate(two, 1)
    assert [job.arrival for job in empty.jobs] == [0.0, 0.0] and empty.jobs == empty.measured
    assert empty.scale["background"] == {"filled": 0.0, "cores": 0, "pending": 0, "lead_s": 0.0}
    waiting = Burst(name="b", jobs=2, background=Background(filled="0 %", pending=2))
    filler, *others = [job for job in waiting.generate(two, 1).jobs if job.background]
    assert (filler.nodes, filler.cpus) == (1, 1)
    # They want all that the first one leaves, and more.
    assert {(job.nodes, job.cpus, job.priority) for job in others} == {(2, 4, -1)}
    assert waiting.generate(two, 1).scale["background"]["filled"] == 1 / 8


def test_a_job_that_wants_the_processor_that_is_taken_is_refused() -> None:
    whole = Gang(name="g", background=Background(filled="0 %", pending=2))
    with pytest.raises(SchedlabError, match="can never start") as caught:
        whole.generate(Machine(2, 4), 1)
    assert "background.pending to 0" in str(caught.value.remedy)
    assert Gang(name="g", background=Background(filled="0 %")).generate(Machine(2, 4), 1)


def test_one_taken_processor_does_not_make_the_least_time_of_other_nodes_longer() -> None:
    machine = Machine(4, 4)
    background = Background(filled="0 %", pending=1)
    # Two ranks of two processors run side by side on a node of four that nothing takes.
    jobs = [Job(number, 0.0, 1, 2, 4.0) for number in range(30)]
    trace = Trace("w", "burst", 1, machine, tuple(background.before(jobs, machine)))
    trace.scale["background"] = background.facts(machine)
    # 60 processors for 4 s, on the 15 that are left.
    assert earliest_end(trace).seconds - background.lead == pytest.approx(16.0)


@pytest.mark.parametrize("name", scheduler_names())
def test_every_scheduler_can_be_given_the_emptiest_levels(name: str) -> None:
    for pending in (0, 2):
        background = Background(filled="0 %", pending=pending)
        trace = Burst(name="b", jobs=2, background=background).generate(Machine(2, 4), 1)
        assert get_scheduler(name).submissions(trace)


def test_a_background_without_levels_is_written_as_before(tmp_path: Path) -> None:
    """Its traces depend on what is written, and would all be made again."""
    experiment = load(tmp_path, **crowded(filled="50 %", pending=3))
    assert experiment.workload_spec("crowded")["background"] == {
        "filled": "50 %", "pending": 3, "rate": 50.0, "settle": 1.0
    }  # fmt: skip


def test_what_the_run_writes_is_read_again(tmp_path: Path) -> None:
    experiment = load(tmp_path, **crowded())
    write_experiment(experiment, tmp_path / "kept.yaml")
    assert read_experiment(tmp_path / "kept.yaml").workloads == experiment.workloads
    # Such a copy may also be run.
    assert load_experiment(tmp_path / "kept.yaml", HOST, ROOT).workloads == experiment.workloads


@pytest.mark.parametrize("name", ["crowded", "crowded-filled80", "other-filled50"])
def test_a_level_is_not_written_by_hand(tmp_path: Path, name: str) -> None:
    background = {"filled": "50 %", "pending": 3, "level_of": "crowded"}
    keys = crowded() | {"workloads": [{"name": name, "kind": "burst", "background": background}]}
    (line,) = refusal(tmp_path, **keys)
    assert "workloads[0].background.level_of = 'crowded': unknown key" in line
    assert "lists in filled or pending" in line


def test_the_schema_takes_levels() -> None:
    validator = Draft202012Validator(json.loads(SCHEMA_PATH.read_text()))
    written = crowded()
    assert not list(validator.iter_errors(written))
    written["workloads"][1]["background"]["filled"] = []
    assert list(validator.iter_errors(written))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"filled": ["50 %", "150 %"]},
            "workloads[1].background.filled[1] = '150 %': not between 0 and 100 %",
        ),
        ({"pending": [0, -3]}, "workloads[1].background.pending[1] = -3: less than 0"),
        (
            {"filled": ["50 %", "50.0 %"]},
            "workloads[1].background.filled[1] = '50.0 %': written twice. Remedy: remove one",
        ),
        (
            {"filled": ["50 %", "51 %"]},
            "workloads[1].background.filled[1] = '51 %': takes as many processors as 50 % on nodes"
            " of 8: 4 of a node",
        ),
        ({"pending": list(range(60))}, "levels, more than 100. Remedy: write fewer values"),
        ({"settle": -1.0}, "workloads[1].background.settle = -1.0: less than 0"),
    ],
)
def test_a_fault_of_a_level_is_told_once_at_its_place(
    tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    (line,) = refusal(tmp_path, **crowded(**keys))
    assert told in line


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Crowded", "workloads[1].name = 'Crowded': does not have the form"),
        ("c" * 45, "longer than 40 characters. Remedy: write a shorter text"),
        ("c" * 30, "it is longer than 40 characters. Remedy: use at most 21 characters"),
    ],
)
def test_a_name_is_told_as_it_is_written(tmp_path: Path, name: str, told: str) -> None:
    content = crowded()
    content["workloads"][1]["name"] = name
    (line,) = refusal(tmp_path, **content)
    assert told in line


def test_a_workload_with_the_name_of_a_level_is_refused(tmp_path: Path) -> None:
    content = crowded()
    content["workloads"].append({"name": "crowded-filled50-pending0", "kind": "burst"})
    (line,) = refusal(tmp_path, **content)
    assert "workloads[2].name = 'crowded-filled50-pending0': duplicate name" in line
    assert "already that of workloads[1]" in line


def test_trials_tell_the_levels_of_their_background(tmp_path: Path) -> None:
    experiment = load(tmp_path, **crowded())
    found = {
        name: tuple(background_columns(experiment.trace(name, 1, 1, cpus=8)).values())
        for name in names(experiment)
    }
    assert found["crowded-filled80-pending20"] == (0.75, 20, "crowded")
    assert found["crowded-filled0-pending0"] == (0.0, 0, "crowded")
    assert found["first"] == (None, None, None)


LEVELS = {"burst": (0.0, 0), "poisson": (0.125, 20), "gang": (0.5, 0)}
"""Workloads of the synthetic sweep that stand for levels of one, with what they take."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the synthetic sweep, of which three workloads are levels of one."""
    root = tmp_path_factory.mktemp("levels")
    build_tables(make_results(root), root / "tables")
    path = root / "tables/trials.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        if row["workload"] in LEVELS:
            row["background_filled"], row["background_pending"] = LEVELS[row["workload"]]
            row["background_level_of"] = "crowded"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return root / "tables"


def test_the_figure_has_a_place_for_each_level(tables: Path, tmp_path: Path) -> None:
    draw("background", tables, tmp_path / "one.svg")
    draw("background", tables, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    found = texts(tmp_path / "one.svg").split(" | ")
    for panel in ("crowded on 1 node", "crowded on 2 nodes"):
        assert panel in found
    # In order of what is taken, and then of what waits.
    places = [text for text in found if text.endswith("%")]
    assert places == ["0 %", "12.5 %", "50 %"] * 2
    # Of the three levels together.
    assert "slurm-n2: 1 of 9 trials invalid" in found
    assert "swf" not in found
