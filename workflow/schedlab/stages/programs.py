"""Programs of an image that no distribution's package has: built on the host, or given."""

from __future__ import annotations

from schedlab import design
from schedlab.paths import CHECKOUT, image_record
from schedlab.results.records import RecordWriter
from schedlab.schedulers import check_programs, image_installation, image_programs
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.toolchain.guest_binaries import GuestBinaries, prepare_guest_binaries
from schedlab.toolchain.installation import Packed, prepare_installation


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


def guest_installation(context: Context, image: str) -> Packed | None:
    """Installation that the experiment's settings give for an image, packed; None without one.

    Raises
    ------
    SchedlabError
        When it is not what the settings say, or lacks what it must have.
    """
    installation = image_installation(image)
    if installation is None:
        return None
    settings = design.installation_settings(context.experiment, image)
    return prepare_installation(installation, settings)


def build_programs(context: Context, image: str) -> None:
    """Build or pack an image's programs and write their record."""
    record = RecordWriter(
        "programs",
        f"{image}/programs",
        CHECKOUT,
        context.results,
        inputs=stage_files("programs", image=image),
    )
    found, given = guest_programs(image), guest_installation(context, image)
    digests = {name: sha for group in found.values() for name, sha in group.sha256.items()}
    if given:
        digests |= {given.archive.name: given.sha256, f"{given.name} as given": given.given}
        digests |= {one.file_name: one.sha256.hex() for one in given.packages if one.sha256}
    record.write(
        context.results / image_record(image, "programs"),
        realised={"sha256": digests},
        tools={name: group.version for name, group in found.items()},
    )
