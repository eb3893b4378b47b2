"""Delays for virtual nodes: from records of real ones to the lines of an experiment."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import kubernetes_factory as made
import pytest
import yaml
from click.testing import CliRunner
from config_factory import load, refusal
from kubernetes_factory import at
from test_kubernetes_virtual import reported
from trial_factory import make_experiment, make_results

from schedlab import design
from schedlab.cli.main import main
from schedlab.config import write_experiment
from schedlab.errors import SchedlabError
from schedlab.results.records import lineage, load_record, write_json
from schedlab.schedulers.kubernetes import records
from schedlab.schedulers.kubernetes.latencies import latencies
from schedlab.schedulers.slurm.adapter import Slurm
from schedlab.storage.marks import sign
from schedlab.tables.delays import FEWEST, Cell, Found, differing, measured_delays


def stamp(job: int, rank: int, event: str, seconds: float) -> dict[str, Any]:
    return {"job": job, "rank": rank, "event": event, "clock_ns": at(seconds), "node": "compute1"}


def test_latencies_are_from_the_binding_to_the_stamps_and_back(tmp_path: Path) -> None:
    lines = [
        made.bound(-5.0, "health-rank-0", "compute1"),
        made.bound(0.5, "job0-rank-0", "compute1"),
        made.bound(0.6, "job0-rank-1", "compute2"),
        made.exited(3.0, "job0-rank-0", 0),
        # The report of a failure is no report of an end that was meant.
        made.exited(3.5, "job0-rank-1", 1),
        # A rank whose pod was replaced: no record says which of the two pods ran.
        made.bound(0.7, "job1-rank-0", "compute1"),
        made.bound(0.9, "job1-rank-0", "compute2"),
        made.exited(4.0, "job1-rank-0", 0),
        # The clocks of two nodes do not agree so well.
        made.bound(1.0, "job2-rank-0", "compute1"),
        made.exited(2.0, "job2-rank-0", 0),
    ]
    (tmp_path / "audit.log").write_text("\n".join(lines))
    stamps = [
        stamp(0, 0, "first", 1.75),
        stamp(0, 0, "last", 2.75),
        stamp(0, 1, "first", 2.0),
        stamp(0, 1, "last", 3.0),
        stamp(1, 0, "first", 1.0),
        stamp(1, 0, "last", 2.0),
        stamp(2, 0, "first", 0.999),
        stamp(2, 0, "last", 2.001),
    ]
    starts, completions = latencies(tmp_path, stamps)
    # A report takes 1 ms to be written, which is in neither.
    assert starts == pytest.approx([1.249, 1.399])
    assert completions == pytest.approx([0.249])
    assert latencies(tmp_path / "none", stamps) == ([], [])


def test_pods_are_held_as_long_as_on_real_nodes_but_for_the_watch(tmp_path: Path) -> None:
    """The writes of KWOK, which take their time as well, are in no delay a second time."""
    watch, write = 0.1, 0.2
    pod = "job0-0-abcde"
    lines = [made.bound(0.0, pod, "compute1"), made.exited(5.5, pod, 0, took=write)]
    (tmp_path / "audit.log").write_text("\n".join(lines))
    stamps = [stamp(0, 0, "first", 1.0), stamp(0, 0, "last", 5.0)]
    (start,), (completion,) = latencies(tmp_path, stamps)
    # What KWOK makes of them: told of the pod it waits, and writes; told of this, it does so again.
    began = watch + start + write
    ended = began + watch + 4.0 + completion + write
    log = [
        made.created(-1.0, "job0", "batch"),
        lines[0],
        reported(began, pod, "Running"),
        reported(ended, pod, "Succeeded"),
        made.ended(ended + 0.1, "job0", "batch", "Complete"),
    ]
    found = records.jobs("\n".join(log), "", records.BATCH, {"job0": 1})["job0"]
    ((first, last),) = found.ranks.values()
    assert first is not None and last is not None
    assert (first - at(1.0)) / 1e9 == pytest.approx(watch)
    assert (last - at(5.5)) / 1e9 == pytest.approx(2 * watch)


def test_a_start_is_no_shorter_than_nothing(tmp_path: Path) -> None:
    pod = "job0-0-abcde"
    lines = [made.bound(0.0, pod, "compute1"), made.exited(2.0, pod, 0, took=0.5)]
    (tmp_path / "audit.log").write_text("\n".join(lines))
    stamps = [stamp(0, 0, "first", 0.3), stamp(0, 0, "last", 1.0)]
    assert latencies(tmp_path, stamps) == ([0.0], [0.5])


def test_only_valid_trials_that_ran_are_measured(tmp_path: Path) -> None:
    folders = make_results(tmp_path)
    seen: list[Path] = []

    def measure(native: Path, stamps: Any) -> tuple[list[float], list[float]]:
        seen.append(native.parent)
        assert stamps
        return [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]

    found = measured_delays([*folders, tmp_path / "not-run"], measure)
    # One trial of the synthetic results is invalid.
    assert found.trials == len(seen) == len(folders) - 1
    assert found.delays == 3 * found.trials
    assert (found.start[0], found.start[-1], len(found.start)) == (0.1, 0.3, 11)
    assert found.start == sorted(found.start)
    assert found.completion[5] == 2.0


def ran_otherwise(folder: Path, **conditions: Any) -> None:
    """Let a trial's record tell of other conditions."""
    record = load_record(folder / "record.json")
    record["conditions"] |= conditions
    record["lineage"] = lineage(record)
    write_json(folder / "record.json", record)


def two_sizes(root: Path) -> list[Path]:
    burst = {"name": "burst", "kind": "burst", "jobs": 20, "runtime": 0}
    return make_results(root, make_experiment(nodes=[1, 2], repetitions=2, workloads=[burst]))


def by_size(native: Path, _: Any) -> tuple[list[float], list[float]]:
    """20 delays of a trial: 0.5 s on one node, 1 s on two; 9 s in the earlier run."""
    record = load_record(native.parent / "record.json")
    early = record["conditions"]["campaign"].startswith("2020")
    start = 9.0 if early else 0.5 * record["trial"]["nodes"]
    return [start] * 20, [0.1] * 20


def test_delays_are_of_one_run_of_the_workflow(tmp_path: Path) -> None:
    """Of another run, on a slower accelerator, they would be in the same distribution."""
    folders = two_sizes(tmp_path)
    earlier = {"campaign": "2020-01-01T00:00:00+00:00", "accelerator": "kvm"}
    firsts = [folder for folder in folders if folder.name == "1"]
    for folder in firsts:
        ran_otherwise(folder, **earlier)
    found = measured_delays(folders, by_size)
    assert (found.trials, found.other_blocks, found.delays) == (2, 2, 40)
    assert (found.start[0], found.start[-1]) == (0.5, 1.0)
    assert found.campaign.startswith("2026")
    # The newest run is of no use where a size has no trial in it.
    ran_otherwise(next(f for f in folders if "-n2/" in str(f) and f not in firsts), **earlier)
    found = measured_delays(folders, by_size)
    assert (found.trials, found.other_blocks, found.start[0]) == (3, 1, 9.0)
    ran_otherwise(firsts[0], campaign="2021-01-01T00:00:00+00:00")
    others = [one for one in folders if one in firsts]
    with pytest.raises(SchedlabError, match="no run of the workflow has a valid trial on real"):
        measured_delays(others, by_size)


def test_workloads_and_sizes_that_differ_are_told_apart(tmp_path: Path) -> None:
    found = measured_delays(two_sizes(tmp_path), by_size)
    assert [(cell.nodes, cell.trials, cell.start[5]) for cell in found.cells] == [
        (1, 2, 0.5), (2, 2, 1.0),
    ]  # fmt: skip
    (words,) = differing(found.cells, 0.05)
    assert words.startswith("the median delay of the start is 0.5 s with burst on 1 node,")
    assert words.endswith("and 1 s with burst on 2 nodes")
    assert differing(found.cells, 1.0) == []


def test_a_trial_whose_trace_was_made_anew_is_refused(tmp_path: Path) -> None:
    folders = two_sizes(tmp_path)
    path = tmp_path / load_record(folders[0] / "record.json")["parents"]["trace"]["path"]
    record = load_record(path)
    record["tools"] = {"new": "1"}
    record["lineage"] = lineage(record)
    write_json(path, record)
    with pytest.raises(SchedlabError, match="made anew after they ran: slurm-n") as caught:
        measured_delays(folders, by_size)
    assert "runs them again" in (caught.value.remedy or "")


def test_too_few_delays_are_no_distribution(tmp_path: Path) -> None:
    folders = make_results(tmp_path)[:2]
    with pytest.raises(SchedlabError, match=f"have 2 delays; it takes {FEWEST}"):
        measured_delays(folders, lambda _, __: ([0.1], [0.1]))


def test_the_command_refuses_what_has_no_delays_to_measure(tmp_path: Path) -> None:
    sign(tmp_path)
    write_experiment(
        make_experiment(placement={"oversubscribe": True}), tmp_path / "experiments.yaml"
    )
    paths = [f"--experiments={tmp_path / 'experiments.yaml'}", f"--results={tmp_path}"]
    done = CliRunner().invoke(main, ["calibrate", *paths, "slurm"])
    assert done.exit_code == 1
    assert "virtual nodes of slurm run the payload" in done.output
    done = CliRunner().invoke(main, ["calibrate", *paths, "other"])
    assert "no cluster of other has real nodes" in done.output
    none = make_experiment(schedulers=["nullscheduler"], placement={"oversubscribe": True})
    write_experiment(none, tmp_path / "experiments.yaml")
    done = CliRunner().invoke(main, ["calibrate", *paths, "nullscheduler"])
    assert "nullscheduler has no virtual nodes" in done.output and "payload and" not in done.output


def test_what_the_command_prints_is_a_part_of_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_experiment(
        schedulers=[{"name": "volcano", "scheduler": "volcano"}],
        head={"memory": "3 GiB"},
        placement={"oversubscribe": True},
    )
    sign(tmp_path)
    write_experiment(experiment, tmp_path / "experiments.yaml")
    asked: list[Path] = []

    def found(folders: Any, measure: Any) -> Any:
        asked.extend(folders)
        cells = [Cell("w", nodes, 9, [0.1 * nodes] * 11, [0.2] * 11) for nodes in (1, 2)]
        run = "2026-09-21T14:00:00+00:00"
        return Found([0.5, 1.0, 4.0], [0.1, 0.2, 0.3], 9, 99, tuple(cells), run, 2)

    monkeypatch.setattr("schedlab.tables.delays.measured_delays", found)
    paths = [f"--experiments={tmp_path / 'experiments.yaml'}", f"--results={tmp_path}"]
    done = CliRunner().invoke(main, ["calibrate", *paths, "volcano"])
    assert done.exit_code == 0, done.output
    assert "99 delays of 9 trials" in done.output
    assert (
        "began at 2026-09-21T14:00:00+00:00; valid trials of other runs, left out: 2" in done.output
    )
    assert "# w on 2 nodes, trials: 9" in done.output
    assert "# WARNING: the median delay of the start is 0.1 s with w on 1 node," in done.output
    assert "more than 5 % apart" in done.output
    for workload in experiment.workloads:
        assert f"# {workload.name} on 2 nodes: no valid trial" in done.output
    assert len(asked) == len(experiment.trials())
    # Nothing ran yet, so nothing runs again.
    assert "--forcerun" not in done.output
    keys = {"virtual": {"carriers": 1} | yaml.safe_load(done.output)["virtual"]}
    cluster = load(
        tmp_path, schedulers=["volcano"], head={"memory": "3 GiB"}, nodes=[2], **keys
    ).clusters()[0]
    virtual = design.variables(cluster)["kubernetes_virtual"]
    assert virtual["delays"] == {
        "start": [[0.5, 1.0], [1.0, 4.0]],
        "completion": [[0.1, 0.2], [0.2, 0.3]],
    }
    assert virtual["annotations"]["schedlab/delays"].startswith("start 0.5 to 4 s (in 2 equally")


def test_the_command_names_the_run_in_which_both_kinds_have_their_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of an earlier run on real nodes would not be compared with the new virtual ones."""
    experiment = make_experiment(
        nodes=[2],
        virtual={"carriers": 1, "real": [2]},
        placement={"oversubscribe": True},
        workloads=[{"name": "burst", "kind": "burst", "jobs": 12, "runtime": 0}],
    )
    make_results(tmp_path, experiment)
    sign(tmp_path)
    write_experiment(experiment, tmp_path / "experiments.yaml")
    monkeypatch.setattr(
        "schedlab.tables.delays.measured_delays", lambda *_: Found([0.5, 1.0], [0.1, 0.2], 3, 36)
    )
    monkeypatch.setattr(Slurm, "virtual_delays", lambda *_: ([], []))
    paths = [f"--experiments={tmp_path / 'experiments.yaml'}", f"--results={tmp_path}"]
    done = CliRunner().invoke(main, ["calibrate", *paths, "slurm"])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if "--forcerun" in line]
    words = shlex.split(line.removeprefix("#"))
    assert words[:2] == ["snakemake", "--forcerun"]
    records = [f"{tmp_path}/trials/slurm-n2/burst/{number}/record.json" for number in (1, 2, 3)]
    assert sorted(words[2 : words.index("--config")]) == records
    assert yaml.safe_load(done.output)["virtual"]["delays"]["start"] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("scheduler", "delays", "place", "what"),
    [
        ("slurm", {"start": [0.1, 0.2]}, "virtual.delays", "payload, whose delays are real"),
        ("volcano", {"start": [0.2, 0.1]}, "virtual.delays.start", "not in ascending order"),
        ("flux", {"start": [0.2, 0.1]}, "virtual.delays.start", "not in ascending order"),
        ("volcano", {"completion": [0.2]}, "virtual.delays.completion", "no distribution"),
        ("volcano", {"start": [-0.2, 0.1]}, "virtual.delays.start[0]", "0"),
    ],
)
def test_delays_are_checked(
    tmp_path: Path, scheduler: str, delays: dict[str, Any], place: str, what: str
) -> None:
    keys = {"virtual": {"carriers": 2, "delays": delays}, "schedulers": [scheduler]}
    lines = refusal(tmp_path, head={"memory": "3 GiB"}, **keys)
    assert any(place in line and what in line for line in lines), lines
