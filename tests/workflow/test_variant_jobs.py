"""Number of jobs that Snakemake plans for one more variant. Stages are simulated."""

from __future__ import annotations

from collections import Counter

import pytest
from conftest import MiniWorkflow

pytestmark = pytest.mark.workflow

NODES, WORKLOADS, REPETITIONS = 2, 2, 2  # config/tests/dag.yaml
CELLS = NODES * WORKLOADS * REPETITIONS


def planned(workflow: MiniWorkflow) -> Counter[str]:
    """Jobs by the first word of their messages."""
    return Counter(message.split()[0] for message in workflow.planned())


def images(workflow: MiniWorkflow) -> set[str]:
    return {m.rpartition(" ")[2] for m in workflow.planned() if m.startswith("Building the image")}


def schedulers(workflow: MiniWorkflow, *entries: str) -> None:
    workflow.edit(workflow.config, "seed: 1\n", f"seed: 1\nschedulers: [{', '.join(entries)}]\n")


def test_a_variant_of_settings_costs_one_configuration_and_its_trials(built: MiniWorkflow) -> None:
    schedulers(built, "{name: slow, scheduler: slurm, settings: {MinJobAge: 5000}}", "slurm")
    jobs = planned(built)
    assert (jobs["Configuring"], jobs["Trial"]) == (NODES, CELLS)
    assert not jobs.keys() & {"Provisioning", "Probing", "Finding", "Writing"}
    assert images(built) == set()
    commands = built.run()
    assert all("--cluster=slow-n" in c for c in commands if c.startswith(("configure", "trial ")))
    assert built.run() == []


def test_a_second_run_of_a_variant_costs_the_same(built: MiniWorkflow) -> None:
    built.edit(built.config, "seed: 1\n", "seed: 1\naa: true\n")
    jobs = planned(built)
    assert (jobs["Configuring"], jobs["Trial"], jobs["Provisioning"]) == (NODES, CELLS, 0)


def test_trials_of_both_labels_interleave(mini: MiniWorkflow) -> None:
    mini.edit(mini.config, "seed: 1\n", "seed: 1\naa: true\n")
    order = ["again" in line for line in mini.run() if line.startswith("trial ")]
    assert len(order) == 2 * CELLS
    assert sum(a != b for a, b in zip(order, order[1:], strict=False)) > 3


@pytest.mark.long
def test_another_release_costs_an_image_and_machines_of_its_own(built: MiniWorkflow) -> None:
    schedulers(built, "slurm", "{name: new, scheduler: slurm, image: {suite: forky}}")
    jobs = planned(built)
    assert images(built) == {"slurm-forky"}
    assert (jobs["Provisioning"], jobs["Configuring"], jobs["Trial"]) == (NODES, NODES, CELLS)
    assert "Writing" not in jobs and "Probing" not in jobs


@pytest.mark.long
def test_other_machines_cost_no_image_and_get_their_own_traces(built: MiniWorkflow) -> None:
    schedulers(built, "slurm", "{name: big, scheduler: slurm, node: {vcpus: 4}}")
    jobs = planned(built)
    assert images(built) == set()
    assert (jobs["Provisioning"], jobs["Configuring"], jobs["Trial"]) == (NODES, NODES, CELLS)
    assert jobs["Writing"] == CELLS


def test_further_clusters_are_made_from_the_image(built: MiniWorkflow) -> None:
    built.edit(built.config, "repetitions: 2", "repetitions: {trials: 2, clusters: 3}")
    jobs = planned(built)
    assert images(built) == set()
    assert (jobs["Provisioning"], jobs["Configuring"]) == (2 * NODES, 2 * NODES)
    assert jobs["Trial"] == 2 * CELLS and "Writing" not in jobs


def test_settings_of_one_variant_configure_no_other(built: MiniWorkflow) -> None:
    slow = "{name: slow, scheduler: slurm, settings: {MinJobAge: 5000}}"
    schedulers(built, "slurm", slow)
    built.run()
    built.edit(built.config, "MinJobAge: 5000", "MinJobAge: 6000")
    found = built.why()
    assert {job["id"] for job in found["jobs"] if job["stage"] == "configure"} == {
        "slow-n1", "slow-n2",
    }  # fmt: skip
    causes = {c["name"] for j in found["jobs"] if j["stage"] == "configure" for c in j["causes"]}
    assert any("MinJobAge" in name for name in causes), causes


def virtual(workflow: MiniWorkflow) -> None:
    keys = "virtual: {carriers: 1, real: [1, 2]}"
    workflow.edit(workflow.config, "seed: 1\n", f"seed: 1\n{keys}\n")


@pytest.mark.long
def test_virtual_nodes_leave_real_cells_as_they_are_and_share_machines(built: MiniWorkflow) -> None:
    virtual(built)
    jobs = planned(built)
    assert (jobs["Provisioning"], jobs["Configuring"], jobs["Trial"]) == (1, NODES, CELLS)
    # The traces are those of the real nodes.
    assert images(built) == set() and "Writing" not in jobs
    commands = built.run()
    own = [c for c in commands if c.startswith(("configure", "trial "))]
    assert all("--cluster=slurm-virtual-n" in command for command in own)
    assert built.run() == []


@pytest.mark.long
def test_a_further_size_runs_its_cells_alone(built: MiniWorkflow) -> None:
    virtual(built)
    built.run()
    built.edit(built.config, "nodes: [1, 2]", "nodes: [1, 2, 300]")
    jobs = planned(built)
    assert (jobs["Provisioning"], jobs["Configuring"]) == (0, 1)
    assert jobs["Trial"] == WORKLOADS * REPETITIONS
    assert jobs["Writing"] == WORKLOADS * REPETITIONS
