"""Images: a base disk with everything that a scheduler needs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from schedlab import design, processes
from schedlab.errors import SchedlabError
from schedlab.images.bill import BILL, bill_of_materials
from schedlab.images.files import make_files_disk
from schedlab.images.licences import read_licences
from schedlab.images.packer import run_packer
from schedlab.images.parts import role_parts
from schedlab.paths import ACCELERATOR, CHECKOUT, LOGS, RECORD, ROLES, image_record
from schedlab.results.records import (
    RecordWriter,
    digests,
    file_digest,
    load_record,
    verify_outputs,
)
from schedlab.schedulers import image_roles
from schedlab.sources import stage_files
from schedlab.sources.ansible import stated_files
from schedlab.stages.context import Context
from schedlab.stages.programs import guest_installation, guest_programs
from schedlab.testbed.supervisor import INSIDE, SCRATCH, interruptible, scratch_folder
from schedlab.toolchain import Cache, Toolchain
from schedlab.toolchain.guest_binaries import GuestBinaries
from schedlab.toolchain.installation import Packed


def build_image(context: Context, image: str) -> None:
    """Build an image on its base disk with Packer, or take it from the cache."""
    base, folder = context.base(image), context.image(image)
    verify_outputs(base / RECORD)
    base_record = load_record(base / RECORD)
    programs, roles = guest_programs(image), image_roles(image)
    given = guest_installation(context, image)
    code = stage_files("image", image=image)
    parents = {
        "base": base / RECORD,
        "accelerator": context.results / ACCELERATOR,
        "toolchain": context.toolchain,
    }
    if programs or given:
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
    variables = design.image_variables(context.experiment, image)
    family = design.image_family(context.experiment, image)
    inputs = {
        "variables": variables,
        "base": base_record["outputs"]["disk.qcow2"],
        "code": digests(code, CHECKOUT),
        "accelerator": accelerator,
        "packer": toolchain.versions("packer"),
        "programs": {
            name: sha for group in programs.values() for name, sha in group.sha256.items()
        },
        **({"installation": given.sha256} if given else {}),
    }

    def build(target: Path) -> None:
        with image_scratch(context, image) as scratch:
            run_packer(
                roles,
                base / "disk.qcow2",
                target,
                variables=variables,
                cloud=base_record["settings"]["kind"] == "cloud",
                secrets=role_parts(stated_files(roles, family)).secrets,
                packer=toolchain.path("packer"),
                environment=toolchain.environment(),
                accelerator=accelerator,
                scratch=scratch,
                console=context.results / LOGS / "images" / f"{image}-console.log",
                files=files_disk(roles, programs, given, scratch) if programs or given else None,
            )

    cache = Cache.default()
    outputs = cache.place_all(cache.get_or_build("image", inputs, build), folder)
    disk = folder / "disk.qcow2"
    check_backing(disk, base / "disk.qcow2")
    bill = folder / BILL
    bill.write_text(
        bill_of_materials(
            image,
            base_record["settings"],
            file_digest(disk),
            (folder / "packages.txt").read_text(),
            read_licences(base),
            [group.path(name) for group in programs.values() for name in group.programs],
            given,
        )
    )
    record.write(
        folder / RECORD,
        outputs=[*outputs, bill],
        realised={
            "packages": (folder / "packages.txt").read_text().split(),
            "disk_sha256": file_digest(disk),
        },
        tools=toolchain.versions("packer", "packer-plugin-qemu"),
    )


def files_disk(
    roles: Sequence[str],
    programs: Mapping[str, GuestBinaries],
    given: Packed | None,
    scratch: Path,
) -> Path:
    """Make the disk with programs and the roles' ``files/disk``, which role common installs."""
    return make_files_disk(
        [group.path(name) for group in programs.values() for name in group.programs],
        {name: group.files.values() for name, group in programs.items()},
        [path for role in roles if (path := ROLES / role / "files/disk").is_dir()],
        [given.archive] if given else [],
        scratch,
    )


@contextmanager
def image_scratch(context: Context, image: str) -> Iterator[Path]:
    """Scratch folder of this job: the given folder inside namespaces, otherwise a new one."""
    with interruptible():
        if os.environ.get(INSIDE):
            # Packer reaches the guest over the loopback, which is down in a new namespace.
            processes.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
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
    done = processes.run(
        ["qemu-img", "info", "--backing-chain", "--force-share", str(disk)],
        capture_output=True,
        text=True,
    )
    if done.returncode or str(base.name) not in done.stdout:
        raise SchedlabError(
            f"{disk} does not find its base disk: {done.stderr.strip()}",
            stage="image",
        )
