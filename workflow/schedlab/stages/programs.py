"""Programs of an image that no distribution's package has. They are built on the host."""

from __future__ import annotations

from schedlab.paths import CHECKOUT, image_record
from schedlab.results.records import RecordWriter
from schedlab.schedulers import check_programs, image_programs
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.toolchain.guest_binaries import GuestBinaries, prepare_guest_binaries


def guest_programs(image: str) -> dict[str, GuestBinaries]:
    """Programs of an image by group, built into the cache or taken from it.

    Raises
    ------
    SchedlabError
        When a build fails, or the groups' versions do not fit together.
    """
    found = {group.name: prepare_guest_binaries(group) for group in image_programs(image)}
    if found:
        check_programs(image, {name: group.version for name, group in found.items()})
    return found


def build_programs(context: Context, image: str) -> None:
    """Build an image's programs and write their record."""
    record = RecordWriter(
        "programs",
        f"{image}/programs",
        CHECKOUT,
        context.results,
        inputs=stage_files("programs", image=image),
    )
    found = guest_programs(image)
    record.write(
        context.results / image_record(image, "programs"),
        realised={"sha256": {n: s for group in found.values() for n, s in group.sha256.items()}},
        tools={name: group.version for name, group in found.items()},
    )
