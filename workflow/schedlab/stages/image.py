"""Disks that machines start from: base disk, accelerator probe, images."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.images.base import build_base, package_files, role_packages
from schedlab.images.cloud import fetch_cloud_image
from schedlab.images.files import make_files_disk
from schedlab.images.packer import run_packer
from schedlab.images.probe import probe_accelerator
from schedlab.paths import ACCELERATOR, CHECKOUT, INFRASTRUCTURE, RECORD, image_record
from schedlab.results.records import (
    RecordWriter,
    digests,
    file_digest,
    load_record,
    verify_outputs,
)
from schedlab.sources import image_sources, sources
from schedlab.stages.context import Context
from schedlab.stages.programs import guest_programs
from schedlab.testbed.supervisor import INSIDE, SCRATCH, interruptible, scratch_folder
from schedlab.toolchain import Cache, Toolchain
from schedlab.toolchain.guest_binaries import GuestBinaries


def _place(entry: Path, folder: Path) -> list[Path]:
    """Put a cache entry's files into a stage's folder, replacing what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    cache = Cache.default()
    placed = []
    for path in sorted(entry.iterdir()):
        cache.place(path, folder / path.name)
        placed.append(folder / path.name)
    return placed


def build_base_disk(context: Context, image: str) -> None:
    """Build an image's base disk, or take it from the cache."""
    spec = context.experiment.image_spec(image)
    lists = package_files(image)
    code = [CHECKOUT / name for name in sources(CHECKOUT, "base")]
    record = RecordWriter(
        "base", f"{image}/base", CHECKOUT, context.results, inputs=[*code, *lists]
    )
    packages = role_packages(lists)
    inputs = {"spec": spec, "packages": packages, "code": digests(code, CHECKOUT)}
    facts: dict[str, Any] = {}

    def build(target: Path) -> None:
        with interruptible(), scratch_folder(context.results, f"base-{image}") as scratch:
            if spec["kind"] == "cloud":
                facts.update(fetch_cloud_image(spec, target))
            else:
                facts.update(
                    build_base(
                        spec, packages, target, scratch=scratch / "work", log=Path("/dev/stderr")
                    )
                )

    folder = context.base(image)
    entry = Cache.default().get_or_build("base-disk", inputs, build)
    outputs = _place(entry, folder)
    listing = folder / "packages.txt"
    record.write(
        folder / RECORD,
        outputs=outputs,
        settings=spec,
        realised={
            "packages": listing.read_text().split() if listing.exists() else [],
            "disk_sha256": file_digest(folder / "disk.qcow2"),
        },
        tools=facts.pop("tools", {}),
    )


def probe(context: Context) -> None:
    """Probe the accelerator and say it aloud when it is emulation."""
    base = context.base(context.experiment.images()[0])
    verify_outputs(base / RECORD)
    record = RecordWriter(
        "accelerator",
        "host",
        CHECKOUT,
        context.results,
        parents={"base": base / RECORD},
        inputs=[CHECKOUT / name for name in sources(CHECKOUT, "accelerator")],
    )
    finding = probe_accelerator(
        base / "vmlinuz", base / "initrd.img", context.experiment.accelerator
    )
    record.write(context.results / ACCELERATOR, accelerator=finding)
    if finding["accelerator"] == "tcg":
        print(
            "NOTICE: no hardware virtualisation here; clusters are EMULATED in software (TCG).\n"
            f"  reason: {finding['reason']}\n"
            "  Compare clusters of this run with one another; absolute figures are not hardware's.",
            flush=True,
        )
    else:
        print(f"accelerator: {finding['accelerator']} ({finding['reason']})", flush=True)


def build_image(context: Context, image: str) -> None:
    """Build an image on its base disk with Packer, or take it from the cache."""
    base, folder = context.base(image), context.image(image)
    verify_outputs(base / RECORD)
    base_record = load_record(base / RECORD)
    programs = guest_programs(image)
    code = [CHECKOUT / name for name in image_sources(CHECKOUT, image, programs=bool(programs))]
    parents = {
        "base": base / RECORD,
        "accelerator": context.results / ACCELERATOR,
        "toolchain": context.toolchain,
    }
    if programs:
        parents["programs"] = context.results / image_record(image, "programs")
    record = RecordWriter(
        "image",
        f"{image}/image",
        CHECKOUT,
        context.results,
        parents=parents,
        inputs=code,
    )
    toolchain = Toolchain.load(context.toolchain)
    accelerator = context.accelerator["accelerator"]
    inputs = {
        "base": base_record["outputs"]["disk.qcow2"],
        "code": digests(code, CHECKOUT),
        "accelerator": accelerator,
        "packer": toolchain.versions("packer"),
        "programs": {name: sha for group in programs for name, sha in group.sha256.items()},
    }

    def build(target: Path) -> None:
        with image_scratch(context, image) as scratch:
            run_packer(
                image,
                base / "disk.qcow2",
                target,
                packer=toolchain.path("packer"),
                environment=toolchain.environment(),
                accelerator=accelerator,
                scratch=scratch,
                files=files_disk(image, programs, scratch) if programs else None,
            )

    outputs = _place(Cache.default().get_or_build("image", inputs, build), folder)
    disk = folder / "disk.qcow2"
    check_backing(disk, base / "disk.qcow2")
    record.write(
        folder / RECORD,
        outputs=outputs,
        realised={
            "packages": (folder / "packages.txt").read_text().split(),
            "disk_sha256": file_digest(disk),
        },
        tools=toolchain.versions("packer", "packer-plugin-qemu"),
    )


def files_disk(image: str, programs: list[GuestBinaries], scratch: Path) -> Path:
    """Make the disk from which the role of the image's name takes what it installs."""
    return make_files_disk(
        [group.path(name) for group in programs for name in group.programs],
        [path for group in programs for path in group.files.values()],
        INFRASTRUCTURE / "ansible" / "roles" / image / "files" / "etc",
        scratch,
    )


@contextmanager
def image_scratch(context: Context, image: str) -> Iterator[Path]:
    """Scratch folder of this job: the one it was given inside namespaces, else a new one."""
    with interruptible():
        if os.environ.get(INSIDE):
            # A new network namespace has its loopback down; Packer talks to the guest over it.
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield Path(os.environ[SCRATCH])
        else:
            with scratch_folder(context.results, f"image-{image}") as scratch:
                yield scratch


def check_backing(disk: Path, base: Path) -> None:
    """Check that an image's overlay finds its base disk by the path stored in it.

    Raises
    ------
    SchedlabError
        When it does not.
    """
    done = subprocess.run(
        ["qemu-img", "info", "--backing-chain", "--force-share", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or str(base.name) not in done.stdout:
        raise SchedlabError(
            f"{disk} does not find its base disk: {done.stderr.strip()}",
            stage="image",
            remedy=f"remove {disk.parent} and run snakemake again",
        )
