"""A copy of the checkout in which Snakemake runs for real and the stages are simulated."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schedlab.storage.marks import sign

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
        done = run_module(module, self.root, self.variables(), *arguments)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def variables(self) -> dict[str, str]:
        """Variables with which programs run on the copy."""
        return os.environ | {
            "PATH": f"{SIMULATED}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            # Rules' lists of sources must be those of the copy, and so must the package.
            "PYTHONPATH": str(self.root / "workflow"),
            **self.environment,
        }

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the copy."""
        configuration = ("--config", f"experiments={self.config}")
        return self.module("snakemake", *configuration, *arguments, check=check)

    def why(self, *arguments: str) -> dict[str, Any]:
        """What the real `schedlab why` says of the copy."""
        done = self.module("schedlab", "why", "--experiments", self.config, "--json", *arguments)
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    def one_cell(self) -> None:
        """Leave one cluster, one workload and one repetition: every stage, in fewer jobs."""
        self.edit(self.config, "nodes: [1, 2]", "nodes: [1]")
        self.edit(self.config, "repetitions: 2", "repetitions: 1")
        swf = "  - {name: swf, kind: swf, file: resources/traces/sample.swf, jobs: 3}\n"
        self.edit(self.config, swf, "\n")

    def commands(self) -> list[str]:
        """Commands that the stages were called with in the last run."""
        return (self.root / "results" / "commands.log").read_text().splitlines()

    def run(self, *arguments: str, check: bool = True) -> list[str]:
        """Run to the end; return the commands that the stages were called with."""
        log = self.root / "results" / "commands.log"
        # The mark of results: the log would be a file of others in them.
        sign(log.parent)
        log.write_text("")
        self.snakemake(*arguments, check=check)
        return self.commands()

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


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Start the process that has Snakemake imported; it ends with this one."""
    # Isolated, because it must import nothing of this checkout. No thread outlives a fork.
    return subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).parent / "imported_snakemake.py")],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def run_module(
    module: str, folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder to its end, as `python -m` does."""
    server = _server()
    assert server.stdin and server.stdout
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said) / "out", Path(said) / "err"
        request = {
            "module": module, "arguments": arguments, "folder": str(folder),
            "environment": environment, "stdout": str(out), "stderr": str(err),
        }  # fmt: skip
        try:
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
        except BaseException:
            # A test that takes too long is interrupted here.
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            _server.cache_clear()
            raise
        return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


def fresh(
    target: Path, checkout: Path = ROOT, copy: Callable[..., object] = shutil.copy2
) -> MiniWorkflow:
    """Copy the checkout; `copy` decides whether files keep their times."""
    for name in STAGES:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(
                source, target / name,
                # With the compiled modules: they fit where files keep their times.
                ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"),
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
