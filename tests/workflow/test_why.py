"""`schedlab why` names the jobs that Snakemake then runs, and why. Stages are simulated."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, MiniWorkflow, fresh

from schedlab.figures import FIGURES
from schedlab.sources import stage_files

pytestmark = pytest.mark.workflow

ROLES = "workflow/infrastructure/ansible/roles"
BURST = "name: burst, kind: burst, jobs: 3"


@pytest.fixture(scope="module")
def _built_once(tmp_path_factory: pytest.TempPathFactory) -> MiniWorkflow:
    """One cluster, one workload, two repetitions: every stage, in fewer jobs."""
    workflow = fresh(tmp_path_factory.mktemp("built"))
    workflow.one_cell()
    workflow.edit(workflow.config, "repetitions: 1", "repetitions: 2")
    workflow.environment["SCHEDLAB_SIMULATED_SOURCES"] = json.dumps(listed_sources())
    workflow.run()
    return workflow


def listed_sources() -> dict[str, list[str]]:
    """Sources that the stages' records name, by command."""
    about = {
        **{stage: {} for stage in ("toolchain", "accelerator", "provision", "tables", "report")},
        **{stage: {"image": "slurm"} for stage in ("base", "image")},
        **{stage: {"scheduler": "slurm"} for stage in ("configure", "trial")},
        "trace": {"kind": "burst"},
    }
    found = {stage: stage_files(stage, **options) for stage, options in about.items()}
    found["trace-workload"] = found.pop("trace")
    found |= {f"figure {name}": stage_files("figure", figure=name) for name in FIGURES}
    return {
        command: [path.relative_to(ROOT).as_posix() for path in paths]
        for command, paths in found.items()
    }


def ran(commands: list[str]) -> set[tuple[str, str]]:
    """Stage and id of each command that the stages were called with."""
    jobs = set()
    for line in commands:
        stage, *words = line.split()
        options = dict(word.removeprefix("--").split("=", 1) for word in words)
        options.pop("output", None)
        if stage == "trace-workload":
            name = "{workload}-n{nodes}-r{repetition}".format(**options)
            jobs.add(("trace", name))
        elif stage == "trial":
            jobs.add((stage, "{cluster}.{workload}.{repetition}".format(**options)))
        else:
            jobs.add((stage, ".".join(options.values())))
    return jobs


def agree(workflow: MiniWorkflow) -> dict[str, list[dict]]:
    """Ask, run, compare; return the causes that were named, by stage."""
    explained = workflow.why()
    foretold = {(job["stage"], job["id"]) for job in explained["jobs"]}
    commands = workflow.run()
    assert foretold == ran(commands)
    assert len(commands) == len(explained["jobs"])
    causes: dict[str, list[dict]] = {}
    for job in explained["jobs"]:
        assert job["causes"], job
        causes.setdefault(job["stage"], []).extend(job["causes"])
    return causes


class Edit(NamedTuple):
    """A change, the stage that it makes stale first, and how that is explained."""

    make: Callable[[MiniWorkflow], None]
    stage: str
    kind: str
    name: str
    detail: str = ""


def append(path: str, text: str = "# edited\n") -> Callable[[MiniWorkflow], None]:
    return lambda workflow: workflow.edit(path, append=text)


def configure(old: str, new: str) -> Callable[[MiniWorkflow], None]:
    return lambda workflow: workflow.edit(workflow.config, old, new)


EDITS = {
    "a node count added": Edit(
        configure("nodes: [1]", "nodes: [1, 3]"), "provision", "missing",
        "results/clusters/slurm-n3/provisioned/record.json",
    ),
    "a role edited": Edit(
        append(f"{ROLES}/slurm/tasks/configure.yml"), "configure", "file",
        f"{ROLES}/slurm/tasks/configure.yml", "changed",
    ),
    "the part of a role in the image edited": Edit(
        append(f"{ROLES}/slurm/tasks/install.yml"), "image", "file",
        f"{ROLES}/slurm/tasks/install.yml", "changed",
    ),
    "a plotting function edited": Edit(
        append("workflow/schedlab/figures/wait.py"), "figure", "file",
        "workflow/schedlab/figures/wait.py", "changed",
    ),
    "a workload's parameter": Edit(
        configure(BURST, BURST.replace("3", "4")), "trace", "key", "workloads.burst.jobs", "3 to 4"
    ),
    "a repetition added": Edit(
        configure("repetitions: 2", "repetitions: 3"), "trial", "missing",
        "results/trials/slurm-n1/burst/3/record.json",
    ),
    "a repetition removed": Edit(
        configure("repetitions: 2", "repetitions: 1"), "tables", "inputs",
        "results/trials/slurm-n1/burst/2/record.json", "no longer",
    ),
    "the Terraform module edited": Edit(
        append("workflow/infrastructure/terraform/modules/cluster/network.tf"), "provision",
        "file", "workflow/infrastructure/terraform/modules/cluster/network.tf", "changed",
    ),
    "a scheduler's setting": Edit(
        append("config/tests/dag.yaml", "settings: {slurm: {MaxJobCount: 20000}}\n"),
        "configure", "key",
        "slurm_settings.MaxJobCount", "20000",
    ),
    "the payload edited": Edit(
        append("workflow/infrastructure/guest/schedlab_payload.c", "/* edited */\n"), "image",
        "file", "workflow/infrastructure/guest/schedlab_payload.c", "changed",
    ),
    "the Packer template edited": Edit(
        append("workflow/infrastructure/packer/scheduler.pkr.hcl"), "image", "file",
        "workflow/infrastructure/packer/scheduler.pkr.hcl", "changed",
    ),
    "another seed": Edit(configure("seed: 1", "seed: 2"), "trace", "key", "seed", "1 to 2"),
    "a template of the report edited": Edit(
        append("workflow/report/method.html.j2", "\n"), "report", "file",
        "workflow/report/method.html.j2", "changed",
    ),
    "a pinned tool of another version": Edit(
        append("envs/toolchain/packer/go.mod", "// edited\n"), "toolchain", "file",
        "envs/toolchain/packer/go.mod", "changed",
    ),
    "what a trial runs on edited": Edit(
        append("workflow/schedlab/testbed/clock.py"), "trial", "file",
        "workflow/schedlab/testbed/clock.py", "changed",
    ),
    "a source removed": Edit(
        lambda workflow: [
            workflow.edit(f"{ROLES}/slurm/tasks/install.yml", "src: cgroup.conf.j2", "src: x"),
            (workflow.root / f"{ROLES}/slurm/templates/cgroup.conf.j2").unlink(),
        ],
        "image", "file", f"{ROLES}/slurm/templates/cgroup.conf.j2", "no longer",
    ),
    "a source added": Edit(
        lambda workflow: [
            (workflow.root / "workflow/schedlab/testbed/added.py").write_text("ADDED = 1\n"),
            workflow.edit(
                "workflow/schedlab/testbed/nodes.py", append="import schedlab.testbed.added\n"
            ),
        ],
        "provision", "file", "workflow/schedlab/testbed/added.py", "is a source now",
    ),
    "a result removed": Edit(
        lambda workflow: (workflow.root / "results/figures/wait.svg").unlink(), "figure",
        "missing", "results/figures/wait.svg",
    ),
}  # fmt: skip


SHORT = ("a node count added", "a role edited", "a workload's parameter", "a source added")
"""One edit of each kind of cause; `make test-all` tries the others as well."""


@pytest.mark.parametrize(
    "name",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in EDITS],
)
def test_why_and_snakemake_agree(built: MiniWorkflow, name: str) -> None:
    edit = EDITS[name]
    edit.make(built)
    causes = agree(built)
    assert any(
        cause["kind"] == edit.kind and cause["name"] == edit.name and edit.detail in cause["detail"]
        for cause in causes[edit.stage]
    ), causes[edit.stage]


def test_two_edits_are_both_named_though_one_would_do(built: MiniWorkflow) -> None:
    """Snakemake finds only one reason to run a job, but users want to see all reasons."""
    built.edit(f"{ROLES}/slurm/tasks/configure.yml", append="# edited\n")
    built.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    causes = agree(built)
    named = {(cause["kind"], cause["name"]) for cause in causes["figure"]}
    assert named == {("file", "workflow/schedlab/figures/wait.py"), ("after", "tables")}


def test_nothing_is_stale_after_a_run_or_a_touch(built: MiniWorkflow) -> None:
    later = time.time() + 100
    for path in built.root.rglob("workflow/**/*"):
        os.utime(path, (later, later))
    assert agree(built) == {}
    text = built.module("schedlab", "why", "--experiments", built.config).stdout
    assert text == "Nothing is stale: nothing would run.\n"


def test_before_the_first_run_everything_runs_and_nothing_is_known(mini: MiniWorkflow) -> None:
    explained = mini.why()
    assert {cause["kind"] for job in explained["jobs"] for cause in job["causes"]} == {
        "missing", "after",
    }  # fmt: skip
    assert explained["unknown_durations"] == len(explained["jobs"]) and not explained["seconds"]
    assert not (mini.root / "results" / "commands.log").exists()


def cloned(built: MiniWorkflow, target: Path) -> MiniWorkflow:
    """A fresh checkout with copies of the results: all sources newer, no folder of Snakemake's."""
    shutil.copytree(built.root / "results", target / "results", copy_function=shutil.copyfile)
    time.sleep(0.05)
    return fresh(target, built.root, shutil.copyfile)


def test_a_fresh_clone_over_existing_results_runs_nothing(
    built: MiniWorkflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = cloned(built, tmp_path_factory.mktemp("clone"))
    assert not (clone.root / ".snakemake").exists()
    assert agree(clone) == {}
    clone.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    assert set(agree(clone)) == {"figure", "report"}


def test_a_clone_of_results_that_others_changed_believes_only_what_fits(
    built: MiniWorkflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tables = built.root / "results" / "tables" / "record.json"
    tables.write_text(tables.read_text() + "\n")
    clone = cloned(built, tmp_path_factory.mktemp("clone"))
    explained = clone.why()
    assert explained["unknown_outputs"] == ["results/tables/record.json"]
    assert {job["stage"] for job in explained["jobs"]} == {"figure", "report", "tables"}
    assert set(agree(clone)) == {"figure", "report", "tables"}


def test_results_without_any_knowledge_are_named(
    built: MiniWorkflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Snakemake then only compares times; all inputs are results, and none is newer."""
    (built.root / "results" / ".snakemake.json").unlink()
    clone = cloned(built, tmp_path_factory.mktemp("clone"))
    clone.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    explained = clone.why()
    assert "results/tables/record.json" in explained["unknown_outputs"]
    assert "results/figures/wait.svg" in explained["unknown_outputs"]
    text = clone.module("schedlab", "why", "--experiments", clone.config).stdout
    assert "does not see changes" in text and "--forcerun" in text
    assert {job["stage"] for job in explained["jobs"]} == set(agree(clone))
    clone.run("--forcerun", "figure")
    assert "results/figures/wait.svg" not in clone.why()["unknown_outputs"]


def test_what_a_user_made_snakemake_forget_stays_forgotten(built: MiniWorkflow) -> None:
    built.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    outputs = ["results/figures/wait.svg", "results/figures/wait.record.json"]
    built.snakemake("--cleanup-metadata", *outputs)
    explained = built.why()
    assert set(outputs) <= set(explained["unknown_outputs"])


def test_durations_come_from_the_records(built: MiniWorkflow) -> None:
    for path, seconds in {
        "results/figures/wait.record.json": 3.0,
        "results/trials/slurm-n1/burst/1/record.json": 100.0,
        "results/trials/slurm-n1/burst/2/record.json": 300.0,
    }.items():
        record = json.loads((built.root / path).read_text())
        (built.root / path).write_text(json.dumps(record | {"duration": seconds}))
    built.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    built.edit(built.config, "repetitions: 2", "repetitions: 3")
    jobs = {(job["stage"], job["id"]): job for job in built.why()["jobs"]}
    assert jobs["figure", "wait"]["seconds"] == 3.0
    assert jobs["figure", "wait"]["basis"] == "its last run"
    new = jobs["trial", "slurm-n1.burst.3"]
    assert new["seconds"] == 200.0 and "median of 2" in new["basis"]


def test_targets_limit_what_is_asked(built: MiniWorkflow) -> None:
    built.edit("workflow/schedlab/figures/wait.py", append="# edited\n")
    assert [job["id"] for job in built.why("results/figures/wait.svg")["jobs"]] == ["wait"]
    assert built.why("all_trials")["jobs"] == []


def test_a_wrong_configuration_is_named(mini: MiniWorkflow) -> None:
    mini.edit(mini.config, "nodes: [1, 2]", "nodess: [1, 2]")
    done = mini.module("schedlab", "why", "--experiments", mini.config, check=False)
    assert done.returncode != 0
    assert "nodess" in done.stderr and "Traceback" not in done.stderr
