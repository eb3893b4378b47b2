"""Clusters with a lifted limit, which are configured only where a search needs them.

Stages are simulated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MiniWorkflow, copied, fresh

pytestmark = pytest.mark.workflow

CLUSTER, LIFTED = "slow-n1", "slow-cycle-lifted-n1"
HEAD = """name: lifted
seed: 1
repetitions: 1
nodes: [1]
placement: {oversubscribe: true}
schedulers:
  - name: slow
    scheduler: slurm
    settings:
      SchedulerParameters: >-
        defer,sched_interval=3,batch_sched_delay=3,sched_min_interval=100000,bf_interval=-1,default_queue_depth=500,partition_job_depth=500
workloads:
"""
SEARCH = (
    "  - {name: NAME, kind: saturate, workload: {kind: regular, jobs: 30, runtime: 0},"
    " rate: {low: 0.8, high: 1}, precision: 20 %, confirm: true}\n"
)
SEARCHES = ("one", "two")
TEMPLATE = "workflow/infrastructure/ansible/roles/slurm/templates/slurm.conf.j2"
KNEES = {f"{cluster}.{name}": [0.85] for cluster in (CLUSTER, LIFTED) for name in SEARCHES}


def made(target: Path, *unlifted: str) -> MiniWorkflow:
    """A campaign of two searches, of which some are not made with the limit lifted."""
    workflow = fresh(target)
    workflow.config = "config/tests/lifted.yaml"
    text = HEAD + "".join(SEARCH.replace("NAME", name) for name in SEARCHES)
    (target / workflow.config).write_text(text)
    workflow.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(KNEES)
    unlift(workflow, *unlifted)
    return workflow


def unlift(workflow: MiniWorkflow, *names: str) -> None:
    cells = " ".join(f"{LIFTED}.{name}" for name in names)
    workflow.environment["SCHEDLAB_SIMULATED_NOT_LIFTED"] = cells


def configured(workflow: MiniWorkflow, cluster: str = LIFTED) -> dict[str, Any]:
    path = workflow.root / f"results/clusters/{cluster}/configured/record.json"
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def ran(workflow: MiniWorkflow, cluster: str = LIFTED) -> set[str]:
    """Workloads of the trials that ran on a cluster."""
    paths = (workflow.root / "results/trials" / cluster).glob("*/*/record.json")
    records = [json.loads(path.read_text()) for path in paths]
    return {record["trial"]["workload"] for record in records if "not_run" not in record}


def words(commands: list[str]) -> list[str]:
    return [line.partition(" ")[0] for line in commands]


@pytest.fixture(scope="module")
def _unneeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[MiniWorkflow, list[str]]:
    workflow = made(tmp_path_factory.mktemp("unneeded"), *SEARCHES)
    return workflow, workflow.run()


@pytest.fixture(scope="module")
def _needed(tmp_path_factory: pytest.TempPathFactory) -> tuple[MiniWorkflow, list[str]]:
    """One of the two searches needs the cluster."""
    workflow = made(tmp_path_factory.mktemp("needed"), "two")
    return workflow, workflow.run()


@pytest.fixture
def unneeded(_unneeded: tuple[MiniWorkflow, list[str]], tmp_path: Path) -> MiniWorkflow:
    return copied(_unneeded[0], tmp_path / "checkout")


@pytest.fixture
def needed(_needed: tuple[MiniWorkflow, list[str]], tmp_path: Path) -> MiniWorkflow:
    return copied(_needed[0], tmp_path / "checkout")


def test_a_cluster_that_no_search_needs_is_not_configured(
    _unneeded: tuple[MiniWorkflow, list[str]],
) -> None:
    workflow, commands = _unneeded
    record = configured(workflow)
    why = "another limiter was named"
    assert record["not_run"] == f"one: {why}; two: {why}"
    assert record["outputs"] == {} and record["parents"].keys() == {"decision"}
    assert record["parents"]["decision"]["path"] == f"decisions/{LIFTED}/configured.record.json"
    assert ran(workflow) == set() and ran(workflow, CLUSTER) == set(SEARCHES)
    assert "report" in words(commands)


def test_a_cluster_is_configured_when_the_searches_before_it_have_ended(
    _needed: tuple[MiniWorkflow, list[str]],
) -> None:
    workflow, commands = _needed
    assert "not_run" not in configured(workflow) and ran(workflow) == {"one"}
    place = commands.index(f"configure --cluster={LIFTED}")
    trials = [n for n, line in enumerate(commands) if line.startswith("trial")]
    own = {n for n in trials if LIFTED in commands[n]}
    # Those that were decided against may be told before.
    assert not any("--workload=one" in commands[n] for n in own if n < place)
    assert all(n < place for n in set(trials) - own)


def test_a_rerun_runs_nothing(unneeded: MiniWorkflow) -> None:
    assert unneeded.run() == []


def test_a_rerun_beside_a_cluster_that_is_there_runs_nothing(needed: MiniWorkflow) -> None:
    assert needed.run() == []


@pytest.mark.long
def test_a_need_that_comes_later_configures_the_cluster(unneeded: MiniWorkflow) -> None:
    unlift(unneeded)
    unneeded.edit(unneeded.config, "precision: 20 %", "precision: 19 %")
    commands = unneeded.run()
    assert f"configure --cluster={LIFTED}" in commands
    assert "not_run" not in configured(unneeded) and ran(unneeded) == set(SEARCHES)
    assert unneeded.run() == []


def test_a_decision_that_turns_out_the_same_builds_nothing_again(
    needed: MiniWorkflow,
) -> None:
    """The search that was not made is decided again; that the cluster is needed, is a fact."""
    before = configured(needed)
    (needed.root / f"results/trials/{CLUSTER}/two/1/record.json").unlink()
    commands = needed.run()
    assert any(f"--cluster={LIFTED}" in line and "two" in line for line in commands)
    assert "configure" not in words(commands)
    assert configured(needed) == before
    assert needed.run() == []


@pytest.mark.long
def test_a_changed_role_configures_again_what_is_needed(needed: MiniWorkflow) -> None:
    needed.edit(
        "workflow/infrastructure/ansible/roles/slurm/templates/slurm.conf.j2", append="# x\n"
    )
    commands = needed.run()
    assert f"configure --cluster={LIFTED}" in commands and "not_run" not in configured(needed)
    assert ran(needed) == {"one"}
    assert needed.run() == []


@pytest.mark.long
def test_a_changed_role_builds_nothing_that_is_not_needed(unneeded: MiniWorkflow) -> None:
    unneeded.edit(TEMPLATE, append="# edited\n")
    assert f"configure --cluster={CLUSTER}" in unneeded.run()
    assert configured(unneeded)["not_run"] and ran(unneeded) == set()
    assert unneeded.run() == []


@pytest.mark.long
def test_clusters_that_were_there_before_this_was_decided_stay(needed: MiniWorkflow) -> None:
    """Results of earlier releases have no decision on a cluster."""
    before = configured(needed)
    (needed.root / f"results/decisions/{LIFTED}/configured.record.json").unlink()
    needed.run()
    assert configured(needed)["created"] >= before["created"]
    assert "not_run" not in configured(needed)


def test_to_configure_all_clusters_runs_no_trial(tmp_path: Path) -> None:
    workflow = made(tmp_path)
    commands = workflow.run("--", "all_configured")
    assert f"configure --cluster={CLUSTER}" in commands
    assert not {"trial", "decision"} & set(words(commands))
    assert not any(LIFTED in line for line in commands)
