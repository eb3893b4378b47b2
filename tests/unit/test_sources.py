"""Sources of each stage, derived from imports and from the files that Ansible and others name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from trial_factory import make_experiment

from schedlab.figures import FIGURES
from schedlab.paths import ANSIBLE, CHECKOUT, GUEST_PROGRAMS, INFRASTRUCTURE, PACKAGE, ROLES
from schedlab.schedulers import get_scheduler, image_programs, scheduler_names
from schedlab.sources import stage_files
from schedlab.sources.exempt import EXEMPT, STAGES, is_exempt
from schedlab.sources.imports import closure
from schedlab.sources.infrastructure import packer_files, terraform_files
from schedlab.sources.stages import (
    ENTRIES,
    FILES_DISK,
    Subject,
    content,
    files,
    modules,
    plug_ins,
    subject,
)
from schedlab.workloads import KINDS

SCHEDULERS = scheduler_names()
IMAGES = sorted({get_scheduler(name).image for name in SCHEDULERS})
SUBJECTS = [
    *(Subject(s) for s in ("toolchain", "accelerator", "provision", "tables", "report", "bundle")),
    *(Subject(s, image=name) for s in ("base", "image") for name in IMAGES),
    *(Subject("programs", image=name) for name in IMAGES if image_programs(name)),
    *(
        Subject(s, scheduler=name)
        for s in ("configure", "trial", "decision")
        for name in SCHEDULERS
    ),
    *(Subject("trace", kind=name) for name in KINDS),
    *(Subject("figure", figure=name) for name in FIGURES),
]


def full(about: Subject) -> frozenset[str]:
    """Everything that a stage imports."""
    return closure([ENTRIES[about.stage], *plug_ins(about)])


def names(*arguments: str, **options: str) -> set[str]:
    return {path.relative_to(CHECKOUT).as_posix() for path in stage_files(*arguments, **options)}


def test_every_stage_is_here() -> None:
    assert {about.stage for about in SUBJECTS} == set(ENTRIES) == STAGES


@pytest.mark.parametrize("about", SUBJECTS, ids=str)
def test_every_imported_module_counts_or_is_exempt(about: Subject) -> None:
    unused = closure(FILES_DISK) if about.stage == "image" else frozenset()
    left = full(about) - modules(about) - unused
    assert not {module for module in left if not is_exempt(about.stage, module)}


def test_every_exemption_is_needed_in_each_of_its_stages() -> None:
    for exemption in EXEMPT:
        assert exemption.reason
        assert any(
            exemption.matches(about.stage, module) for about in SUBJECTS for module in full(about)
        ), exemption


def test_the_entry_of_a_stage_is_what_the_command_line_calls() -> None:
    called = set()
    for name in ("main", "bundle"):
        for node in ast.walk(ast.parse((PACKAGE / "cli" / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom):
                called.add(node.module)
    for stage, entry in ENTRIES.items():
        assert entry in called or (stage, "schedlab.toolchain") == ("toolchain", *called & {
            "schedlab.toolchain"
        }), stage  # fmt: skip


def test_what_lists_kept_by_hand_lacked() -> None:
    testbed = {f"workflow/schedlab/testbed/{n}.py" for n in ("nodes", "topology", "session")}
    assert testbed <= names("provision")
    lacked = ("schedulers/base", "stages/health", "schedulers/slurm/records")
    assert {f"workflow/schedlab/{n}.py" for n in lacked} <= names("trial", scheduler="slurm")


def test_a_plug_in_is_a_source_of_its_own_jobs_alone() -> None:
    slurm, kubernetes = (names("trial", scheduler=name) for name in ("slurm", "kubernetes"))
    assert not [name for name in slurm if "schedulers/kubernetes" in name]
    assert not [name for name in kubernetes if "schedulers/slurm" in name]
    assert "workflow/schedlab/swf/file.py" in names("trace", kind="swf")
    burst = names("trace", kind="burst")
    assert "workflow/schedlab/workloads/burst.py" in burst
    assert not [name for name in burst if "swf" in name or "poisson" in name]
    assert not {"workflow/schedlab/workloads/burst.py"} & slurm
    assert "workflow/schedlab/figures/wait.py" in names("figure", figure="wait")
    assert "workflow/schedlab/figures/wait.py" not in names("figure", figure="launch")


def test_only_the_registers_import_by_a_name_that_is_made_at_run_time() -> None:
    """Such an import cannot be followed, so its module would not be a source of any stage."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
                and not isinstance(node.args[0], ast.Constant)
            ):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"schedulers/register.py", "workloads/__init__.py", "figures/__init__.py"}


def test_every_file_of_a_role_is_used() -> None:
    used: set[Path] = set()
    for about in SUBJECTS:
        if about.stage in {"base", "image", "configure"}:
            used |= set(files(about))
    there = {
        path
        for folder in (ROLES, ANSIBLE / "playbooks", INFRASTRUCTURE / "packer", GUEST_PROGRAMS)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts
    }
    assert there
    dead = {path.relative_to(INFRASTRUCTURE).as_posix() for path in there - used}
    assert not dead


def test_every_file_of_terraform_is_used() -> None:
    folder = INFRASTRUCTURE / "terraform"
    there = {
        path
        for path in folder.rglob("*")
        if path.is_file() and ".terraform" not in str(path) and ".tfstate" not in path.name
    }
    assert terraform_files() == there


def test_packer_names_its_scripts() -> None:
    found = {path.name for path in packer_files()}
    assert {"scheduler.pkr.hcl", "generalise.sh"} == found


def test_a_digest_follows_names_and_contents() -> None:
    one, other = (content(Subject("trial", scheduler=n)) for n in ("slurm", "kubernetes"))
    assert one != other and one.startswith("sha256:")


def test_a_job_is_about_what_its_wildcards_say() -> None:
    experiment = make_experiment()
    cluster = experiment.clusters()[0]
    workload = experiment.workloads[0]
    assert subject(experiment, "trial", {"cluster": cluster.id, "workload": workload.name}) == (
        Subject("trial", scheduler=cluster.scheduler)
    )
    assert subject(experiment, "trace", {"workload": workload.name}).kind == workload.kind
    assert subject(experiment, "provision", {"cluster": cluster.id}) == Subject("provision")
