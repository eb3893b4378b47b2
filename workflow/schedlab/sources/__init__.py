"""Which files of this checkout each stage depends on.

Snakemake does not follow Python imports. Every rule therefore names its stage's sources as input;
small files are compared by checksum, so that only a real change makes a stage stale, and a change
to one stage's code never re-runs another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from schedlab.schedulers import package_folder
from schedlab.toolchain.build import HOST_TOOLS

PACKAGE = "workflow/schedlab"
INFRASTRUCTURE = "workflow/infrastructure"

TESTBED = (
    f"{PACKAGE}/images/qcow2.py",
    f"{PACKAGE}/testbed/embedded.py",
    f"{PACKAGE}/testbed/snapshot.py",
    f"{PACKAGE}/testbed/ssh.py",
    f"{PACKAGE}/stages/guests.py",
)

# Of a role, beside files/. The last two are of the role common, for the install parts of others.
IMAGE_PART = frozenset(
    {
        "tasks/install.yml",
        "vars/packages.yml",
        "vars/image.yml",
        "tasks/packages.yml",
        "tasks/files.yml",
    }
)

STAGES: dict[str, tuple[str, ...]] = {
    # Not those of programs for guests: they are the sources of the images that carry them.
    "toolchain": tuple(f"envs/toolchain/{tool}/go.*" for tool in HOST_TOOLS),
    "base": (f"{PACKAGE}/images/base*.py", f"{PACKAGE}/images/cloud.py"),
    "accelerator": (f"{PACKAGE}/images/probe.py",),
    "image": (
        f"{PACKAGE}/images/packer.py",
        f"{PACKAGE}/images/payload.py",
        f"{INFRASTRUCTURE}/packer/scheduler.pkr.hcl",
        f"{INFRASTRUCTURE}/packer/scripts/generalise.sh",
        f"{INFRASTRUCTURE}/guest/*.py",
        f"{INFRASTRUCTURE}/guest/schedlab_payload.c",
    ),
    # What an image needs besides that takes programs and container images from a disk of files.
    "image-files": (
        f"{PACKAGE}/images/files.py",
        f"{PACKAGE}/images/oci.py",
        f"{INFRASTRUCTURE}/guest/schedlab_pause.c",
    ),
    "provision": (
        *TESTBED,
        f"{PACKAGE}/stages/provision.py",
        f"{PACKAGE}/stages/terraform.py",
        f"{PACKAGE}/testbed/placement.py",
        f"{PACKAGE}/testbed/readback.py",
        f"{INFRASTRUCTURE}/terraform/**/*",
    ),
    "configure": (
        *TESTBED,
        f"{PACKAGE}/stages/configure.py",
        f"{PACKAGE}/stages/health.py",
        f"{INFRASTRUCTURE}/ansible/inventory/*",
        f"{INFRASTRUCTURE}/ansible/ansible.cfg",
    ),
    "trace": (f"{PACKAGE}/workloads/*.py",),
    "trial": (
        *TESTBED,
        f"{PACKAGE}/stages/trial.py",
        f"{PACKAGE}/stages/collect.py",
        f"{PACKAGE}/stages/health.py",
        f"{PACKAGE}/testbed/clock.py",
        f"{PACKAGE}/testbed/host_load.py",
        f"{PACKAGE}/testbed/prometheus.py",
        f"{PACKAGE}/results/series.py",
    ),
    "tables": (
        f"{PACKAGE}/tables/*.py",
        f"{PACKAGE}/metrics/*.py",
        f"{PACKAGE}/schedulers/**/*.py",
        f"{PACKAGE}/results/imports.py",
    ),
    "figure": (
        f"{PACKAGE}/figures/{{figure}}.py",
        f"{PACKAGE}/figures/__init__.py",
        f"{PACKAGE}/figures/style.py",
        f"{PACKAGE}/tables/build.py",
        f"{PACKAGE}/tables/schemas.py",
        f"{PACKAGE}/metrics/*.py",
    ),
    "report": (
        f"{PACKAGE}/report/*.py",
        f"{PACKAGE}/lineage/chain.py",
        f"{PACKAGE}/results/store.py",
        f"{PACKAGE}/privacy/identity.py",
        f"{PACKAGE}/results/imports.py",
        "workflow/report/**/*",
        # Captions, and the colours that the report makes follow the reader's light or dark mode.
        f"{PACKAGE}/figures/__init__.py",
        f"{PACKAGE}/figures/style.py",
        f"{PACKAGE}/tables/build.py",
        f"{PACKAGE}/tables/schemas.py",
        f"{PACKAGE}/metrics/*.py",
    ),
    "bundle": (f"{PACKAGE}/bundle/*.py",),
}
"""Glob patterns by stage, relative to the checkout; ``{name}`` is filled in by the caller."""


def sources(root: Path, stage: str, **fields: str) -> list[str]:
    """List a stage's source files, sorted, relative to `root`.

    Raises
    ------
    FileNotFoundError
        When a pattern matches nothing: a file was moved and this table was not.
    """
    found: set[str] = set()
    for pattern in STAGES[stage]:
        matches = {
            path.relative_to(root).as_posix()
            for path in root.glob(pattern.format(**fields))
            if path.is_file()
            and "__pycache__" not in path.parts
            and not any(part.startswith(".terraform") for part in path.parts)
        }
        if not matches:
            raise FileNotFoundError(f"stage {stage}: no file matches {pattern.format(**fields)}")
        found |= matches
    return sorted(found)


def program_sources(root: Path, folders: Iterable[Path]) -> list[str]:
    """Files that pin and describe programs for guests: those in the folders of their groups."""
    found = (path for folder in folders for path in folder.iterdir() if path.is_file())
    return sorted(path.relative_to(root).as_posix() for path in found)


def image_sources(root: Path, roles: Iterable[str], *, programs: bool) -> list[str]:
    """Files of an image: Packer template, guest programs, roles.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    roles : iterable of str
        Roles whose install part goes into the image.
    programs : bool
        True where it carries programs that were built for it.
    """
    return [
        *sources(root, "image"),
        *(sources(root, "image-files") if programs else []),
        *role_sources(root, "image.yml", roles, image=True),
    ]


def configure_sources(root: Path, roles: Iterable[str]) -> list[str]:
    """Files of a cluster's configuration: playbook, roles, inventory."""
    return sources(root, "configure") + role_sources(root, "setup.yml", roles, image=False)


def trial_sources(root: Path, modules: Iterable[str]) -> list[str]:
    """Files of a cluster's trials, its adapter's modules among them."""
    adapter = (
        path.relative_to(root).as_posix()
        for module in modules
        for path in package_folder(module).glob("*.py")
    )
    return sources(root, "trial") + sorted(adapter)


def role_sources(root: Path, playbook: str, roles: Iterable[str], *, image: bool) -> list[str]:
    """List the files of a playbook and of its roles that one stage depends on.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    playbook : str
        File name of the playbook.
    roles : iterable of str
        The roles it applies.
    image : bool
        True for the part that goes into the image (:data:`IMAGE_PART`, ``files/``); False for all
        the rest, which works on provisioned machines. So an edit to a template starts from the
        provisioned snapshot.
    """
    ansible = root / INFRASTRUCTURE / "ansible"
    found = [ansible / "playbooks" / playbook]
    for role in roles:
        folder = ansible / "roles" / role
        for path in folder.rglob("*"):
            inner = path.relative_to(folder)
            of_image = inner.parts[0] == "files" or inner.as_posix() in IMAGE_PART
            kept = path.suffix != ".md" and "__pycache__" not in path.parts
            if path.is_file() and kept and of_image == image:
                found.append(path)
    return sorted(path.relative_to(root).as_posix() for path in found)
