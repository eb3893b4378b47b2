"""Which files of this checkout each stage depends on.

Snakemake does not follow imports. The Python files of a stage are therefore derived from the
imports of its module, without those of :mod:`schedlab.sources.exempt`. The files that it gives to
Ansible, Packer and Terraform are derived from what these files name. A plug-in (adapter of a
scheduler, kind of workload, figure) is a source only of the stages that use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.paths import (
    ANSIBLE,
    CHECKOUT,
    CITATION,
    REPORT_TEMPLATES,
    TOOL_MODULES,
)
from schedlab.results.digests import digest, file_digest
from schedlab.sources.ansible import Playbook, stated_files
from schedlab.sources.exempt import is_exempt
from schedlab.sources.folders import all_files
from schedlab.sources.imports import closure, literal_arguments, module_file
from schedlab.sources.infrastructure import packer_files, program_files, terraform_files

ENTRIES = {
    "toolchain": "schedlab.toolchain.assembly",
    "base": "schedlab.stages.base_disk",
    "accelerator": "schedlab.stages.accelerator",
    "programs": "schedlab.stages.programs",
    "image": "schedlab.stages.image",
    "provision": "schedlab.stages.provision",
    "configure": "schedlab.stages.configure",
    "trace": "schedlab.stages.trace",
    "trial": "schedlab.stages.trial",
    "decision": "schedlab.stages.decision",
    "tables": "schedlab.stages.tables",
    "figure": "schedlab.stages.figure",
    "report": "schedlab.stages.report",
    "bundle": "schedlab.bundle.pack",
}
"""Module with the function that the command line calls, by stage."""

IMAGE, SETUP = "image.yml", "setup.yml"
"""Playbooks: what goes into an image, and what sets a cluster up."""

FILES_DISK = frozenset({"schedlab.images.files", "schedlab.images.oci"})
"""Modules that make the disk with built programs; no other image uses them."""


PREFIX = "sha256:"
"""Start of the digest of a job's sources, which distinguishes it from other parameters."""

_digest = cache(file_digest)


class Subject(NamedTuple):
    """What a job works on; only the parts on which its sources depend."""

    stage: str
    image: str = ""
    scheduler: str = ""
    kind: str = ""
    figure: str = ""


def subject(experiment: Any, stage: str, names: Mapping[str, str]) -> Subject:
    """Subject of a job.

    Parameters
    ----------
    experiment : schedlab.config.Experiment
        The configuration.
    stage : str
        The stage.
    names : mapping of str to str
        Those of the wildcards `image`, `cluster`, `workload` and `figure` that the job has.
    """
    if stage in {"base", "programs", "image"}:
        return Subject(stage, image=names["image"])
    if stage in {"configure", "trial", "decision"}:
        return Subject(stage, scheduler=experiment.cluster(names["cluster"]).scheduler)
    if stage == "trace":
        return Subject(stage, kind=experiment.workload(names["workload"]).kind)
    return Subject(stage, figure=names["figure"]) if stage == "figure" else Subject(stage)


def modules(about: Subject) -> frozenset[str]:
    """Modules that shape the results of a job."""
    own_files = about.stage == "image" and _schedulers().has_programs(about.image)
    unused = frozenset() if own_files or about.stage != "image" else FILES_DISK
    return closure(
        [ENTRIES[about.stage], *plug_ins(about)],
        lambda module: module in unused or is_exempt(about.stage, module),
    )


def plug_ins(about: Subject) -> list[str]:
    """Modules of the adapters, the kind of workload or the figure that a job uses."""
    if about.stage in {"configure", "trial", "decision"}:
        return [_module(about.scheduler)]
    if about.stage == "tables":
        # Imported trials may be of any scheduler.
        return [_module(name) for name in _schedulers().scheduler_names()]
    if about.stage == "trace":
        workloads = import_module("schedlab.workloads")
        kind = workloads.KINDS[about.kind]
        # A kind with workloads of other kinds in it may use any of them.
        used = workloads.KINDS.values() if kind in workloads.COMPOSITE else [kind]
        return [one.__module__ for one in used]
    return [f"schedlab.figures.{about.figure}"] if about.stage == "figure" else []


@cache
def files(about: Subject) -> tuple[Path, ...]:
    """Source files of a job, sorted.

    Raises
    ------
    FileNotFoundError
        When a named file does not exist.
    """
    used = modules(about)
    found = {path for path in map(module_file, used) if path is not None}
    found |= _beside_python(about, used)
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(f"stage {about.stage}: {path} is named and does not exist")
    return tuple(sorted(found))


def _beside_python(about: Subject, used: frozenset[str]) -> set[Path]:
    stage = about.stage
    if stage == "toolchain":
        return _pins(import_module("schedlab.toolchain.build").HOST_TOOLS)
    if stage == "base":
        # Only Debian's base disks are built here; cloud images are taken as they are.
        return set(stated_files(_schedulers().image_roles(about.image), "Debian"))
    if stage == "programs":
        installation = _schedulers().image_installation(about.image)
        given = {installation.source} if installation else set()
        return given | {path for folder in _programs(about.image) for path in all_files(folder)}
    if stage == "image":
        return _image_files(about.image, used)
    if stage == "provision":
        return terraform_files()
    if stage == "configure":
        settings = {ANSIBLE / "ansible.cfg", *all_files(ANSIBLE / "inventory")}
        return Playbook(SETUP, _adapter(about.scheduler).roles).files() | settings
    return {CITATION, *all_files(REPORT_TEMPLATES)} if stage == "report" else set()


def _image_files(image: str, used: frozenset[str]) -> set[Path]:
    """Packer's templates, roles' install parts, and guest programs that are compiled here."""
    compiled = {name for module in used for name in literal_arguments(module, "compile_program")}
    return (
        packer_files()
        | _image_playbook(image).files()
        | program_files(compiled)
        | {ANSIBLE / "ansible.cfg"}
    )


def _image_playbook(image: str) -> Playbook:
    return Playbook(IMAGE, _schedulers().image_roles(image))


def _pins(groups: Iterable[str]) -> set[Path]:
    return {path for group in groups for path in all_files(TOOL_MODULES / group)}


# Imported by name at run time, so that the schedulers' modules are not sources of every stage.
def _schedulers() -> Any:
    return import_module("schedlab.schedulers")


def _adapter(scheduler: str) -> Any:
    return _schedulers().get_scheduler(scheduler)


def _module(scheduler: str) -> str:
    name: str = type(_adapter(scheduler)).__module__
    return name


def _programs(image: str) -> list[Path]:
    """Folders that describe the programs of an image."""
    return [group.folder for group in _schedulers().image_programs(image)]


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their names in records: relative to the checkout if they are in it."""
    return {
        (
            path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else Path(path.name)
        ).as_posix(): path
        for path in paths
    }


@cache
def content(about: Subject) -> str:
    """Digest of the names and contents of a job's source files; a new digest makes it stale."""
    digests = {name: _digest(path) for name, path in named(files(about)).items()}
    return f"{PREFIX}{digest(digests)}"
