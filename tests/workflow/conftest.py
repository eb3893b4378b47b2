"""A copy of the checkout in which Snakemake runs for real and the stages are simulated."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIMULATED = Path(__file__).parent / "simulated"
STAGES = ("workflow", "config", "envs", "profiles", "resources", "CITATION.cff", "Snakefile")


@dataclass
class MiniWorkflow:
    """A checkout whose `schedlab` command is the simulated backend."""

    root: Path
    config: str = "config/tests/dag.yaml"
    environment: dict[str, str] = field(default_factory=dict)

    def module(
        self, module: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python module on the copy."""
        environment = os.environ | {
            "PATH": f"{SIMULATED}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            # Rules' lists of sources must be those of the copy, and so must the package.
            "PYTHONPATH": str(self.root / "workflow"),
            **self.environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the copy."""
        configuration = ("--config", f"experiments={self.config}")
        return self.module("snakemake", *configuration, *arguments, check=check)

    def why(self, *arguments: str) -> dict[str, Any]:
        """What the real `schedlab why` says of the copy."""
        done = self.module("schedlab", "why", "--experiments", self.config, "--json", *arguments)
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    def run(self, *arguments: str, check: bool = True) -> list[str]:
        """Run to the end; return the commands that the stages were called with."""
        log = self.root / "results" / "commands.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("")
        self.snakemake(*arguments, check=check)
        return log.read_text().splitlines()

    def planned(self) -> list[str]:
        """Messages of the jobs that a dry run would start."""
        text = self.snakemake("--dry-run").stdout
        return re.findall(r"^Job \d+: (.*)$", text, re.MULTILINE)

    def edit(self, path: str, old: str = "", new: str = "", append: str = "") -> None:
        """Change a file of the copy."""
        target = self.root / path
        text = target.read_text()
        assert old in text, f"{path} does not contain {old!r}"
        target.write_text((text.replace(old, new) if old else text) + append)


def fresh(
    target: Path, checkout: Path = ROOT, copy: Callable[..., object] = shutil.copy2
) -> MiniWorkflow:
    """Copy the checkout; `copy` decides whether files keep their times."""
    for name in STAGES:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(
                source, target / name,
                ignore=shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*"),
                copy_function=copy,
            )  # fmt: skip
        else:
            copy(source, target / name)
    return MiniWorkflow(target)


def copied(workflow: MiniWorkflow, target: Path) -> MiniWorkflow:
    """Copy a workflow with its results."""
    shutil.copytree(workflow.root, target, symlinks=True)
    return MiniWorkflow(target, workflow.config, dict(workflow.environment))


@pytest.fixture
def mini(tmp_path: Path) -> MiniWorkflow:
    """A fresh copy of the checkout, nothing built."""
    return fresh(tmp_path)


@pytest.fixture(scope="session")
def _built_once(tmp_path_factory: pytest.TempPathFactory) -> MiniWorkflow:
    workflow = fresh(tmp_path_factory.mktemp("built"))
    workflow.run()
    return workflow


@pytest.fixture
def built(_built_once: MiniWorkflow, tmp_path: Path) -> MiniWorkflow:
    """A copy in which everything is built and current."""
    target = tmp_path / "checkout"
    return copied(_built_once, target)
