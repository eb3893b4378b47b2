"""Programs that go into an image and that no distribution's package has: built on the host."""

from __future__ import annotations

from schedlab.paths import CHECKOUT, image_record
from schedlab.results.records import RecordWriter
from schedlab.schedulers import image_binaries
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.toolchain.guest_binaries import (
    GuestBinaries,
    prepare_guest_binaries,
    require_supported_pair,
)


def guest_programs(image: str) -> list[GuestBinaries]:
    """Programs of an image, built into the cache or taken from it.

    Raises
    ------
    SchedlabError
        When a build fails, or versions do not go together.
    """
    groups = {name: prepare_guest_binaries(name) for name in image_binaries(image)}
    if {"kubernetes", "volcano"} <= set(groups):
        require_supported_pair(groups["kubernetes"].version, groups["volcano"].version)
    return list(groups.values())


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
        realised={"sha256": {n: s for group in found for n, s in group.sha256.items()}},
        tools={
            name: group.version for name, group in zip(image_binaries(image), found, strict=True)
        },
    )
