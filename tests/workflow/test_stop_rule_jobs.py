"""Cells that end early by the stop rule, as Snakemake runs them. Stages are simulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import MiniWorkflow, copied, fresh

from schedlab.design import load_experiment

pytestmark = pytest.mark.workflow

MIN, MAX = 3, 5
QUIET, LATER, LOUD = [10.0], [10.0, 20.0, 15.0, *[14.0] * 2], [10.0, 20.0]
VALUES = {
    "slurm-n1.burst": QUIET, "slurm-n1.swf": LOUD, "slurm-n2.burst": LOUD, "slurm-n2.swf": QUIET,
}  # fmt: skip
"""What the trials of each cell measure, one after another and from the start again."""


def with_rule(workflow: MiniWorkflow, values: dict[str, list[float]], until: str = "5 %") -> None:
    rule = f"repetitions: {{min: {MIN}, max: {MAX}, until: {until}}}"
    workflow.edit(workflow.config, "repetitions: 2", rule)
    workflow.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(values)


def trials(commands: list[str], command: str = "trial") -> list[str]:
    """Ids of the trials that some commands were about, in their order."""
    found = []
    for line in commands:
        if line.split()[0] == command:
            options = dict(word.split("=") for word in line.split()[1:])
            found.append(".".join(options[f"--{n}"] for n in ("cluster", "workload", "repetition")))
    return found


def stopped(workflow: MiniWorkflow) -> set[str]:
    """Ids of the trials whose records say that they did not run."""
    found = set()
    for path in (workflow.root / "results" / "trials").rglob("record.json"):
        record = json.loads(path.read_text())
        if "not_run" in record:
            assert record["not_run"] == "stopped"
            assert record["parents"].keys() == {"decision"}
            found.add(record["id"])
    return found


def all_of(cell: str, first: int = MIN + 1) -> set[str]:
    return {f"{cell}.{repetition}" for repetition in range(first, MAX + 1)}


@pytest.fixture(scope="module")
def _campaign(tmp_path_factory: pytest.TempPathFactory) -> tuple[MiniWorkflow, list[str]]:
    workflow = fresh(tmp_path_factory.mktemp("rounds"))
    with_rule(workflow, VALUES)
    return workflow, workflow.run()


@pytest.fixture
def campaign(_campaign: tuple[MiniWorkflow, list[str]], tmp_path: Path) -> MiniWorkflow:
    return copied(_campaign[0], tmp_path / "checkout")


def test_quiet_cells_stop_and_loud_ones_go_on(
    _campaign: tuple[MiniWorkflow, list[str]],
) -> None:
    workflow, _ = _campaign
    assert stopped(workflow) == all_of("slurm-n1.burst") | all_of("slurm-n2.swf")


def test_every_round_goes_over_all_cells_in_the_planned_order(
    _campaign: tuple[MiniWorkflow, list[str]],
) -> None:
    workflow, commands = _campaign
    planned = [key.id for key in load_experiment(workflow.root / workflow.config).trials()]
    assert trials(commands) == planned
    rounds = [int(identifier.rpartition(".")[2]) for identifier in planned]
    assert rounds[MIN * len(VALUES) :] == sorted(rounds[MIN * len(VALUES) :])
    assert set(rounds[: MIN * len(VALUES)]) == set(range(1, MIN + 1))
    decided = trials(commands, "decision")
    assert decided == [identifier for identifier in planned if int(identifier[-1]) > MIN]


def test_a_rerun_runs_nothing(campaign: MiniWorkflow) -> None:
    assert campaign.run() == []


@pytest.mark.long
def test_a_trial_that_runs_again_leaves_the_others_that_ran(campaign: MiniWorkflow) -> None:
    (campaign.root / "results/trials/slurm-n1/swf/2/record.json").unlink()
    commands = campaign.run()
    assert trials(commands) == ["slurm-n1.swf.2"]
    assert trials(commands, "decision") == [], "no trial of the cell waits for one"
    assert campaign.run() == []


@pytest.mark.long
def test_a_decision_that_turns_out_otherwise_runs_what_was_stopped(campaign: MiniWorkflow) -> None:
    campaign.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(
        VALUES | {"slurm-n1.burst": LATER}
    )
    (campaign.root / "results/trials/slurm-n1/burst/2/record.json").unlink()
    commands = campaign.run()
    assert set(trials(commands)) == {"slurm-n1.burst.2", *all_of("slurm-n1.burst")}
    assert stopped(campaign) == all_of("slurm-n2.swf")
    assert campaign.run() == []


@pytest.mark.long
def test_another_width_decides_again_and_runs_only_what_was_stopped(
    campaign: MiniWorkflow,
) -> None:
    campaign.edit(campaign.config, "until: 5 %", "until: 90 %")
    commands = campaign.run()
    before = all_of("slurm-n1.burst") | all_of("slurm-n2.swf")
    assert set(trials(commands)) == before, "a trial that ran is a fact"
    assert stopped(campaign) == before
    assert set(trials(commands, "decision")) == before
    assert campaign.run() == []


@pytest.mark.long
def test_a_changed_cluster_runs_again_what_ran_and_decides_on_the_rest(
    campaign: MiniWorkflow,
) -> None:
    campaign.edit(campaign.config, append="settings: {slurm: {MaxJobCount: 20000}}\n")
    values = VALUES | {"slurm-n2.swf": LOUD}
    campaign.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(values)
    assert len(trials(campaign.run())) == MAX * len(VALUES)
    assert stopped(campaign) == all_of("slurm-n1.burst")
    assert campaign.run() == []


@pytest.mark.long
def test_more_trials_at_most_run_only_the_new_rounds(campaign: MiniWorkflow) -> None:
    campaign.edit(campaign.config, f"max: {MAX}", f"max: {MAX + 1}")
    assert set(trials(campaign.run())) == {f"{cell}.{MAX + 1}" for cell in VALUES}
    assert campaign.run() == []


@pytest.mark.long
def test_a_plain_number_runs_what_was_stopped_and_nothing_else(campaign: MiniWorkflow) -> None:
    rule = f"repetitions: {{min: {MIN}, max: {MAX}, until: 5 %}}"
    campaign.edit(campaign.config, rule, f"repetitions: {MAX}")
    assert set(trials(campaign.run())) == all_of("slurm-n1.burst") | all_of("slurm-n2.swf")
    assert stopped(campaign) == set()
    assert campaign.run() == []


@pytest.mark.long
def test_a_rule_for_a_campaign_that_ran_without_one_runs_nothing_again(
    mini: MiniWorkflow,
) -> None:
    mini.edit(mini.config, "nodes: [1, 2]", "nodes: [1]")
    mini.edit(mini.config, "repetitions: 2", f"repetitions: {MAX - 1}")
    values = {"slurm-n1.burst": QUIET, "slurm-n1.swf": LOUD}
    mini.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(values)
    assert len(trials(mini.run())) == (MAX - 1) * len(values)
    rule = f"repetitions: {{min: {MIN}, max: {MAX}, until: 5 %}}"
    mini.edit(mini.config, f"repetitions: {MAX - 1}", rule)
    assert set(trials(mini.run())) == {f"{cell}.{MAX}" for cell in values}
    assert stopped(mini) == {f"slurm-n1.burst.{MAX}"}
    assert mini.run() == []


def test_an_interrupted_campaign_goes_on_where_it_was(mini: MiniWorkflow) -> None:
    with_rule(mini, VALUES)
    mini.environment["SCHEDLAB_SIMULATED_FAILURES"] = "slurm-n1.swf.4"
    mini.run(check=False)
    del mini.environment["SCHEDLAB_SIMULATED_FAILURES"]
    assert set(trials(mini.run())) == all_of("slurm-n1.swf")
    assert mini.run() == []
