"""A scheduler is a package and a role: an invented one is planned, and no other file names one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, MiniWorkflow

from schedlab.schedulers import scheduler_names

pytestmark = pytest.mark.workflow

MADE_UP = Path(__file__).parent / "made_up"
ROLES = "workflow/infrastructure/ansible/roles"

# Who may name a scheduler, beside its own package and role.
FOR_PEOPLE = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "config",
    "docs",
    "tests",
    "resources",
)
BUILT_ON = {"volcano": {"kubernetes"}}
"""A scheduler may name the one whose control plane it runs on."""
FIELD_REFERENCES = re.compile(r"kubernetes/perf-tests|Flux throughput test|slurm\.schedmd\.com")
NAMED = {
    "workflow/schedlab/config/model.py": "the default experiment's scheduler",
    "workflow/schemas/experiments.schema.json": "made from the model",
    ".github/workflows/kvm.yml": "an experiment of continuous integration",
    "profiles/slurm/config.yaml": "Slurm runs the workflow's jobs, and is not benchmarked",
    "envs/environment.txt": "as the profile",
    "pyproject.toml": "the profile's executor plugin",
    "uv.lock": "the profile's executor plugin",
}


@pytest.fixture
def further(mini: MiniWorkflow) -> MiniWorkflow:
    """A copy of the checkout with the made-up scheduler's package and role, and its experiment."""
    packages = mini.root / "tests/made_up"
    shutil.copytree(MADE_UP / "schedulers", packages)
    shutil.copytree(MADE_UP / "role", mini.root / ROLES / "madeup")
    mini.environment["SCHEDLAB_SCHEDULERS"] = str(packages)
    content = yaml.safe_load((mini.root / mini.config).read_text())
    content |= {"schedulers": ["madeup"], "settings": {"madeup": {"period": 5}}}
    (mini.root / mini.config).write_text(yaml.safe_dump(content))
    return mini


def test_its_whole_graph_is_planned_from_its_folder_and_its_role(further: MiniWorkflow) -> None:
    planned = further.planned()
    for number, begin in (
        (8, "Trial madeup-n"),
        (1, "Building programs for the image madeup"),
        (1, "Building the base disk for madeup"),
        (1, "Building the image for madeup"),
        (2, "Provisioning madeup-n"),
        (2, "Configuring madeup-n"),
        (1, "Building the tables"),
        (1, "Rendering"),
    ):
        assert len([name for name in planned if name.startswith(begin)]) == number, begin


ASK = """
import json
from schedlab.paths import CHECKOUT
from schedlab.sources import stage_files
asked = {
    "trial": {"scheduler": "madeup"}, "configure": {"scheduler": "madeup"},
    "image": {"image": "madeup"}, "programs": {"image": "madeup"},
}
print(json.dumps({
    stage: [path.relative_to(CHECKOUT).as_posix() for path in stage_files(stage, **of)]
    for stage, of in asked.items()
}))
"""


def test_its_files_are_sources_of_its_stages(further: MiniWorkflow) -> None:
    """Of the jobs of this scheduler, as the rules ask for them."""
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=further.root,
        env=os.environ | further.environment | {"PYTHONPATH": str(further.root / "workflow")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert "tests/made_up/madeup/adapter.py" in found["trial"]
    install = {f"{ROLES}/madeup/tasks/install.yml", f"{ROLES}/madeup/files/verify.sh"}
    assert install <= set(found["image"])
    assert f"{ROLES}/madeup/tasks/main.yml" not in found["image"]
    assert f"{ROLES}/madeup/tasks/main.yml" in found["configure"]
    assert not install & set(found["configure"])
    assert "tests/made_up/madeup/programs/go.mod" in found["programs"]


def test_its_settings_are_checked(further: MiniWorkflow) -> None:
    further.edit(further.config, "period: 5", "perod: 5")
    done = further.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "settings.madeup.perod = '5': not a setting" in done.stdout + done.stderr


def test_a_fault_of_which_it_has_no_notion_is_refused(further: MiniWorkflow) -> None:
    content = yaml.safe_load((further.root / further.config).read_text())
    content["workloads"][0]["fault"] = {"kind": "restart", "at": 0.0}
    (further.root / further.config).write_text(yaml.safe_dump(content))
    done = further.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    message = done.stdout + done.stderr
    assert "workloads[0].fault.kind = 'restart'" in message
    assert "madeup has none" in message


def test_a_package_without_an_adapter_is_refused(further: MiniWorkflow) -> None:
    (further.root / "tests/made_up/madeup/__init__.py").write_text("")
    done = further.snakemake("--dry-run", check=False)
    message = done.stdout + done.stderr
    assert "registers no adapter named 'madeup'" in message
    assert "Traceback" not in message


def naming(name: str) -> Iterator[str]:
    """Lines of tracked files that name a scheduler and may not, as `file: line`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    own = {name, *(other for other, below in BUILT_ON.items() if name in below)}
    allowed = [
        *(f"workflow/schedlab/schedulers/{other}/" for other in own),
        *(f"{ROLES}/{other}/" for other in own),
    ]
    for file in listed:
        if file.split("/")[0] in FOR_PEOPLE or file in NAMED or file.startswith(tuple(allowed)):
            continue
        path = ROOT / file
        if file.endswith("README.md") or not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if name in FIELD_REFERENCES.sub("", line).lower():
                yield f"{file}: {line.strip()}"


@pytest.mark.parametrize("name", scheduler_names())
def test_nothing_but_its_package_and_its_role_names_a_scheduler(name: str) -> None:
    assert list(naming(name)) == []
