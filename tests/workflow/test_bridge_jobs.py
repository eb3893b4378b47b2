"""Bridge trials, as Snakemake runs them. Stages are simulated."""

from __future__ import annotations

import pytest
from conftest import MiniWorkflow

pytestmark = pytest.mark.workflow

CELLS = 2 * 2 * 2  # config/tests/dag.yaml: nodes, workloads, repetitions
SLOW = "{name: slow, scheduler: slurm, settings: {MinJobAge: 5000}}"


def trials(commands: list[str]) -> dict[str, bool]:
    """Trials that some commands ran, and whether as bridges."""
    return {
        " ".join(word for word in line.split() if not word.startswith("--bridge")): "--bridge"
        in line
        for line in commands
        if line.startswith("trial ")
    }


def add_variant(workflow: MiniWorkflow, bridge: str = "auto") -> None:
    keys = f"bridge: {bridge}\nschedulers: [slurm, {SLOW}]\n"
    workflow.edit(workflow.config, "seed: 1\n", f"seed: 1\n{keys}")


def test_old_cells_run_again_beside_new_ones_once(built: MiniWorkflow) -> None:
    add_variant(built)
    ran = trials(built.run())
    assert len(ran) == 2 * CELLS
    assert all(bridge == ("slurm-n" in trial) for trial, bridge in ran.items())
    order = ["slow" in trial for trial in ran]
    assert sum(a != b for a, b in zip(order, order[1:], strict=False)) > 3, "they interleave"
    assert built.run() == []
    built.edit(built.config, "bridge: auto\n", "")
    assert trials(built.run()) == {}, "what ran stays as it is"


@pytest.mark.long
def test_nothing_runs_again_without_the_key_or_without_a_new_cell(built: MiniWorkflow) -> None:
    built.edit(built.config, "seed: 1\n", "seed: 1\nbridge: auto\n")
    assert trials(built.run()) == {}
    built.edit(built.config, "bridge: auto\n", "")
    add_variant(built, "none")
    ran = trials(built.run())
    assert len(ran) == CELLS and not any(ran.values())


@pytest.mark.long
def test_a_bridge_that_failed_runs_again_alone(built: MiniWorkflow) -> None:
    add_variant(built)
    built.environment["SCHEDLAB_SIMULATED_FAILURES"] = "slurm-n1.burst.1"
    built.run(check=False)
    del built.environment["SCHEDLAB_SIMULATED_FAILURES"]
    assert len(trials(built.run())) == 1
    assert built.run() == []
