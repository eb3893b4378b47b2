"""Which finished trials run again beside cells that were added (records are made up)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from record_factory import write_record
from trial_factory import make_experiment

from schedlab.bridges import bridge_of, bridges, require_known
from schedlab.config import Experiment, TrialKey
from schedlab.errors import SchedlabError
from schedlab.lineage.snakemake_metadata import write_metadata
from schedlab.paths import trial_record

WORKLOADS = [{"name": "burst", "kind": "burst", "jobs": 3, "runtime": 0}]


def experiment(*schedulers: str, **changes: object) -> Experiment:
    content = {"schedulers": list(schedulers), "nodes": [1, 2], "workloads": WORKLOADS}
    return make_experiment(**(content | {"bridge": "auto"} | changes))


def ran(results: Path, block: str, *trials: str, **more: str) -> None:
    """Records of trials; a block is the beginning of a run, and the boot `same` or another."""
    for trial in trials:
        began, _, boot = block.partition("/")
        conditions = {"campaign": began, "host": {"boot": boot or "same"}} | more
        finished(results, trial, conditions)


def finished(results: Path, trial: str, conditions: dict[str, Any], **more: str) -> None:
    """The record of a trial."""
    cluster, workload, repetition = trial.split(".")
    facts = {"cluster": cluster, "workload": workload, "scheduler": "any"}
    numbers = dict.fromkeys(("order", "nodes", "cpus_per_node"), 1)
    write_record(
        results / trial_record(cluster, workload, repetition), results, "trial", trial,
        trial=facts | numbers | {"repetition": int(repetition)}, conditions=conditions,
        verdict={"valid": True, "reasons": []}, **more,
    )  # fmt: skip


def all_of(*clusters: str) -> list[str]:
    return [f"{cluster}.burst.{n}" for cluster in clusters for n in (1, 2, 3)]


def found(results: Path, planned: Experiment) -> list[str]:
    return sorted(key.id for key in bridges(planned, results))


def test_what_is_compared_with_a_new_cell_runs_again(tmp_path: Path) -> None:
    ran(tmp_path, "monday", *all_of("slurm-n1", "slurm-n2"))
    both = experiment("slurm", "kubernetes")
    assert found(tmp_path, both) == all_of("slurm-n1", "slurm-n2")
    assert found(tmp_path, experiment("slurm", "kubernetes", bridge="none")) == []
    # Only what the other one lacks, and only of the same machine.
    ran(tmp_path, "tuesday", *all_of("kubernetes-n2"))
    assert found(tmp_path, both) == all_of("slurm-n1")


def test_nothing_runs_again_without_a_new_cell(tmp_path: Path) -> None:
    assert found(tmp_path, experiment("slurm", "kubernetes")) == []
    ran(tmp_path, "monday", *all_of("slurm-n1", "slurm-n2"))
    ran(tmp_path, "tuesday", *all_of("kubernetes-n1", "kubernetes-n2"))
    assert found(tmp_path, experiment("slurm", "kubernetes")) == []
    # Other node counts and workloads are not compared.
    assert found(tmp_path, experiment("slurm", nodes=[1, 2, 3])) == []


def test_an_interrupted_campaign_goes_on_without_any(tmp_path: Path) -> None:
    both = experiment("slurm", "kubernetes", nodes=[1])
    ran(tmp_path, "monday", *all_of("slurm-n1"), "kubernetes-n1.burst.2")
    assert found(tmp_path, both) == []


def test_interrupted_bridges_go_on(tmp_path: Path) -> None:
    ran(tmp_path, "monday", *all_of("slurm-n1"))
    ran(tmp_path, "tuesday", "slurm-n1.burst.2", "kubernetes-n1.burst.1")
    planned = experiment("slurm", "kubernetes", nodes=[1])
    assert found(tmp_path, planned) == ["slurm-n1.burst.1", "slurm-n1.burst.3"]


@pytest.mark.parametrize("block", ["monday/another", "tuesday"])
def test_another_boot_and_another_run_are_other_blocks(tmp_path: Path, block: str) -> None:
    ran(tmp_path, "monday", *all_of("slurm-n1"))
    ran(tmp_path, block, "kubernetes-n1.burst.1")
    planned = experiment("slurm", "kubernetes", nodes=[1])
    assert found(tmp_path, planned) == all_of("slurm-n1")


def test_what_runs_no_payload_is_compared_with_nothing(tmp_path: Path) -> None:
    ran(tmp_path, "monday", *all_of("slurm-n1"))
    assert found(tmp_path, experiment("slurm", "nullscheduler", nodes=[1])) == []


def test_no_step_of_a_search_runs_again(tmp_path: Path) -> None:
    """What searches find is not compared by pairs of trials."""
    inner, rate = {"kind": "poisson"}, {"low": 1.0, "high": 9.0}
    search = {"name": "burst", "kind": "saturate", "workload": inner, "rate": rate}
    ran(tmp_path, "monday", *all_of("slurm-n1"))
    planned = experiment("slurm", "kubernetes", nodes=[1], workloads=[search])
    assert found(tmp_path, planned) == []


def test_a_trial_that_was_stopped_is_finished(tmp_path: Path) -> None:
    ran(tmp_path, "monday", *all_of("slurm-n1"), *all_of("kubernetes-n1")[:2])
    finished(tmp_path, "kubernetes-n1.burst.3", {}, not_run="stopped")
    ran(tmp_path, "tuesday", "slurm-n1.burst.3")
    assert found(tmp_path, experiment("slurm", "kubernetes", nodes=[1])) == []


def test_a_bridge_stays_one(tmp_path: Path) -> None:
    ran(tmp_path, "tuesday", "slurm-n1.burst.1", bridge="tuesday")
    ran(tmp_path, "tuesday", "slurm-n1.burst.2")
    told = [bridge_of(tmp_path, TrialKey("slurm-n1", "burst", n)) for n in (1, 2, 3)]
    assert told == ["tuesday", "", ""]


@pytest.mark.parametrize("host", [["x"], {"boot": ["x"]}, "x", None])
def test_a_damaged_record_is_none(host: Any, tmp_path: Path) -> None:
    """It used to end the workflow in a traceback, or to make a block of its own."""
    finished(tmp_path, "slurm-n1.burst.1", {"campaign": "monday", "host": host, "bridge": "b"})
    assert found(tmp_path, experiment("slurm", "kubernetes", nodes=[1])) == []
    assert bridge_of(tmp_path, TrialKey("slurm-n1", "burst", 1)) == ""


def test_bridges_of_results_that_snakemake_does_not_know_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    ran(results, "monday", *all_of("slurm-n1"))
    again = bridges(experiment("slurm", "kubernetes", nodes=[1]), results)
    assert len(again) == 3
    with pytest.raises(SchedlabError, match="3 finished trials are to run again") as caught:
        require_known(again, results)
    assert "results/trials/slurm-n1/burst/1/record.json" in str(caught.value.remedy)
    for key in again:
        write_metadata(results / trial_record(key.cluster, key.workload, key.repetition), {})
    require_known(again, results)
    require_known([], Path("absent"))
