"""Images: a base disk with what a scheduler needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.images.files import make_files_disk
from schedlab.images.packer import run_packer
from schedlab.paths import ACCELERATOR, CHECKOUT, INFRASTRUCTURE, RECORD, image_record
from schedlab.results.records import (
    RecordWriter,
    digests,
    file_digest,
    load_record,
    verify_outputs,
)
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.stages.programs import guest_programs
from schedlab.testbed.supervisor import INSIDE, SCRATCH, interruptible, scratch_folder
from schedlab.toolchain import Cache, Toolchain
from schedlab.toolchain.guest_binaries import GuestBinaries


def build_image(context: Context, image: str) -> None:
    """Build an image on its base disk with Packer, or take it from the cache."""
    base, folder = context.base(image), context.image(image)
    verify_outputs(base / RECORD)
    base_record = load_record(base / RECORD)
    programs = guest_programs(image)
    code = stage_files("image", image=image)
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

    cache = Cache.default()
    outputs = cache.place_all(cache.get_or_build("image", inputs, build), folder)
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
