"""Which stages an edit of each kind makes stale, written down; asked of Snakemake itself.

The table is the requirement: nothing here is computed by the code that derives the sources.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import MiniWorkflow, copied, fresh

pytestmark = pytest.mark.workflow

PACKAGE = "workflow/schedlab"
INFRASTRUCTURE = "workflow/infrastructure"
ROLES = f"{INFRASTRUCTURE}/ansible/roles"

CONFIGURATION = """\
name: stale
seed: 1
repetitions: 1
schedulers: [slurm, kubernetes]
nodes: [1]
placement: {oversubscribe: true}
workloads:
  - {name: burst, kind: burst, jobs: 3, runtime: 0}
  - {name: swf, kind: swf, file: resources/traces/sample.swf, jobs: 3}
"""

SCHEDULERS = ("slurm", "kubernetes")
FIGURES = (
    "background", "daemons", "lateness", "launch", "makespan", "nodes", "overhead", "saturation",
    "scale", "throughput", "timeline", "wait",
)  # fmt: skip
DRAWN = {*(f"figure {name}" for name in FIGURES), "report"}
ANALYSED = {"tables", *DRAWN}


def tried(*schedulers: str, workloads: tuple[str, ...] = ("burst", "swf")) -> set[str]:
    """Trials of schedulers and what comes after them."""
    return {f"trial {s} {w}" for s in schedulers for w in workloads} | ANALYSED


def configured(*schedulers: str) -> set[str]:
    """Configuration of schedulers' clusters and what comes after it."""
    return {f"configure {s}" for s in schedulers} | tried(*schedulers)


def provisioned(*schedulers: str) -> set[str]:
    """Provisioning of schedulers' clusters and what comes after it."""
    return {f"provision {s}" for s in schedulers} | configured(*schedulers)


def imaged(*schedulers: str) -> set[str]:
    """Images of schedulers and what comes after them."""
    return {f"image {s}" for s in schedulers} | provisioned(*schedulers)


BOTH = SCHEDULERS
ALL_IMAGES = {"base slurm", "base kubernetes", "accelerator"} | imaged(*BOTH)

STALE: dict[str, set[str]] = {
    # Machines: what was missing from the lists that were kept by hand comes first.
    f"{PACKAGE}/testbed/nodes.py": provisioned(*BOTH),
    f"{PACKAGE}/testbed/topology.py": provisioned(*BOTH),
    f"{PACKAGE}/testbed/session.py": provisioned(*BOTH),
    f"{PACKAGE}/schedulers/base.py": configured(*BOTH),
    f"{PACKAGE}/schedulers/slurm/records.py": tried("slurm"),
    f"{PACKAGE}/schedulers/slurm/adapter.py": configured("slurm"),
    f"{PACKAGE}/schedulers/kubernetes/adapter.py": configured("kubernetes"),
    f"{PACKAGE}/stages/configure.py": configured(*BOTH),
    f"{PACKAGE}/stages/trial.py": tried(*BOTH),
    f"{PACKAGE}/testbed/prometheus.py": tried(*BOTH),
    f"{PACKAGE}/stages/terraform.py": provisioned(*BOTH),
    f"{INFRASTRUCTURE}/terraform/main.tf": provisioned(*BOTH),
    f"{INFRASTRUCTURE}/terraform/modules/cluster/templates/domain.xslt.tftpl": provisioned(*BOTH),
    # Ansible and Packer.
    f"{ROLES}/slurm/templates/slurm.conf.j2": configured("slurm"),
    f"{ROLES}/slurm/tasks/install.yml": imaged("slurm"),
    f"{ROLES}/slurm/vars/Debian.yml": ALL_IMAGES - {"base kubernetes"},
    f"{ROLES}/common/templates/chrony.conf.j2": configured(*BOTH),
    f"{ROLES}/slurm/vars/RedHat.yml": imaged("slurm"),
    f"{ROLES}/common/vars/tuning.yml": imaged(*BOTH),
    f"{ROLES}/kubernetes/files/disk/etc/kubernetes/kubelet.yaml": imaged("kubernetes"),
    f"{INFRASTRUCTURE}/ansible/inventory/terraform.py": configured(*BOTH),
    f"{INFRASTRUCTURE}/packer/scripts/generalise.sh": imaged(*BOTH),
    f"{INFRASTRUCTURE}/packer/scheduler.pkr.hcl": imaged(*BOTH),
    f"{INFRASTRUCTURE}/guest/schedlab_driver.py": imaged(*BOTH),
    f"{INFRASTRUCTURE}/guest/schedlab_payload.c": imaged(*BOTH),
    f"{INFRASTRUCTURE}/guest/schedlab_pause.c": imaged("kubernetes"),
    f"{PACKAGE}/images/oci.py": imaged("kubernetes"),
    f"{PACKAGE}/images/base_guest.py": ALL_IMAGES,
    f"{PACKAGE}/images/probe.py": {"accelerator"} | imaged(*BOTH),
    f"{PACKAGE}/toolchain/guest_binaries.py": {"programs kubernetes"} | imaged("kubernetes"),
    f"{PACKAGE}/schedulers/kubernetes/programs/go.mod": {"programs kubernetes"}
    | imaged("kubernetes"),
    "envs/toolchain/packer/go.mod": {"toolchain"} | imaged(*BOTH),
    # Workloads: a kind is a source of its own traces alone.
    f"{PACKAGE}/workloads/burst.py": {"trace burst"} | tried(*BOTH, workloads=("burst",)),
    f"{PACKAGE}/swf/file.py": {"trace swf"} | tried(*BOTH, workloads=("swf",)),
    "resources/traces/sample.swf": {"trace swf"} | tried(*BOTH, workloads=("swf",)),
    # Analysis.
    f"{PACKAGE}/tables/trial_rows.py": ANALYSED,
    f"{PACKAGE}/figures/wait.py": {"figure wait", "report"},
    f"{PACKAGE}/figures/style.py": DRAWN,
    f"{PACKAGE}/report/method.py": {"report"},
    "workflow/report/method.html.j2": {"report"},
}
"""Edited file -> every job that then runs again, with those that follow from it."""

SHAPES_NOTHING = (
    f"{PACKAGE}/workloads/poisson.py",
    f"{PACKAGE}/errors.py",
    f"{PACKAGE}/paths.py",
    f"{PACKAGE}/config/checks.py",
    f"{PACKAGE}/cli/main.py",
    f"{PACKAGE}/stages/progress.py",
    f"{PACKAGE}/results/records.py",
    f"{PACKAGE}/lineage/why.py",
    f"{PACKAGE}/testbed/reap.py",
    f"{ROLES}/slurm/README.md",
)
"""Edited files that make nothing stale: not a kind of workload that the experiment has not, and
nothing that only tells, checks or lists."""

SAID = {
    r"Finding or building the toolchain": "toolchain",
    r"Building the base disk for (\w+)": "base {}",
    r"Probing the accelerator": "accelerator",
    r"Building programs for the image (\w+)": "programs {}",
    r"Building the image for (\w+)": "image {}",
    r"Provisioning (\w+)-n1": "provision {}",
    r"Configuring (\w+)-n1": "configure {}",
    r"Writing the trace (\w+), 1 nodes, repetition 1": "trace {}",
    r"Trial (\w+)-n1\.(\w+)\.1": "trial {} {}",
    r"Building the tables": "tables",
    r"Drawing (\w+)": "figure {}",
    r"Rendering results/report.html": "report",
}


def short(message: str) -> str:
    """A job as the table above calls it."""
    for pattern, name in SAID.items():
        if match := re.fullmatch(pattern, message):
            return name.format(*match.groups())
    raise AssertionError(f"unknown message: {message}")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> MiniWorkflow:
    """Two schedulers, each with an image of its own, two kinds of workload: all built."""
    workflow = fresh(tmp_path_factory.mktemp("two"))
    workflow.config = "config/tests/stale.yaml"
    (workflow.root / workflow.config).write_text(CONFIGURATION)
    workflow.run()
    assert workflow.planned() == []
    return workflow


@pytest.mark.parametrize("path", STALE)
def test_an_edit_runs_again_what_it_shapes_and_nothing_else(
    two: MiniWorkflow, tmp_path: Path, path: str
) -> None:
    workflow = copied(two, tmp_path / "checkout")
    edit(workflow, path)
    assert {short(message) for message in workflow.planned()} == STALE[path]


def test_what_shapes_no_result_runs_nothing_again(two: MiniWorkflow, tmp_path: Path) -> None:
    workflow = copied(two, tmp_path / "checkout")
    for path in SHAPES_NOTHING:
        edit(workflow, path)
    assert workflow.planned() == []


def edit(workflow: MiniWorkflow, path: str) -> None:
    """Change a file without a change of its meaning, as by a comment."""
    mark = {".c": "/* edited */\n", ".mod": "// edited\n", ".swf": "; edited\n"}
    workflow.edit(path, append=mark.get(Path(path).suffix, "# edited\n"))
