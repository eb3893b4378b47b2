"""Checkouts and results of any name, through make and Snakemake; stages are simulated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SIMULATED, MiniWorkflow, fresh

pytestmark = pytest.mark.workflow

NAME = "my lab #1 100%41 ü, it's (x)"


def checkout(folder: Path) -> MiniWorkflow:
    """A copy of the checkout with its Makefile, which finds everything set up."""
    folder.mkdir(parents=True)
    workflow = fresh(folder)
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/with-environment", folder / "scripts")
    (folder / "scripts/setup").write_text("#!/bin/sh\n")
    (folder / "scripts/setup").chmod(0o755)
    return workflow


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(folder), *words],
        cwd="/", capture_output=True, text=True,
        env=os.environ | variables | {
            "PATH": f"{SIMULATED}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "workflow"),
        },
    )  # fmt: skip


def test_a_checkout_and_results_of_any_name_in_a_hostile_environment(tmp_path: Path) -> None:
    """From another working folder, through a link, with the user's settings of every tool."""
    workflow = checkout(tmp_path / NAME)
    (tmp_path / "a link").symlink_to(workflow.root)
    long = tmp_path / ("t" * 100)
    long.mkdir()
    hostile = {
        "SNAKEMAKE_PROFILE": "no-such-profile",
        "PYTHONWARNINGS": "error",
        "LC_ALL": "de_DE.ISO-8859-1",
        "CDPATH": "/usr",
        "BASH_ENV": "/nonexistent",
        "BASH_FUNC_schedlab%%": "() { exit 9; }",
        "TMPDIR": str(long),
    }
    config = workflow.root / "config/tests/dag #2.yaml"
    shutil.copy(workflow.root / workflow.config, config)
    words = ("report", f"CONFIG=./config/tests/{config.name}", f"RESULTS=./results/{NAME}/")
    done = make(tmp_path / "a link", *words, **hostile)
    assert done.returncode == 0, done.stdout + done.stderr
    results = workflow.root / "results" / NAME
    assert (results / "report.html").exists()
    commands = (results / "commands.log").read_text()
    assert commands.count("trial ") == 8
    # Another way to write the same names changes nothing.
    again = make(workflow.root, "report", f"CONFIG={config}", f"RESULTS=results//{NAME}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (results / "commands.log").read_text() == commands


def test_what_no_rule_can_take_is_refused_at_the_start(tmp_path: Path) -> None:
    workflow = checkout(tmp_path / "lab")
    done = make(workflow.root, "report", f"CONFIG={workflow.config}", "RESULTS=a{b}")
    said = done.stdout + done.stderr
    assert done.returncode and "schedlab: the results folder" in said and "remedy:" in said, said
    assert "Traceback" not in said
    assert not (workflow.root / "a{b}").exists()


def test_another_working_folder_without_an_experiment_says_so(tmp_path: Path) -> None:
    workflow = checkout(tmp_path / "lab")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-s", str(workflow.root / "Snakefile")],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(workflow.root / "workflow")},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode and "config/experiments.yaml" in said and "Traceback" not in said, said


@pytest.mark.parametrize(
    "target",
    [
        "images/other/image/record.json",
        "clusters/other-n1/provisioned/record.json",
        "clusters/other-n1/configured/record.json",
        "trials/slurm-n1/other/1/record.json",
    ],
)
def test_a_target_that_the_experiment_does_not_have_is_refused(
    mini: MiniWorkflow, target: str
) -> None:
    done = mini.snakemake("--dry-run", "--", f"results/{target}", check=False)
    assert done.returncode == 1
    assert f"No rule to produce results/{target}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
