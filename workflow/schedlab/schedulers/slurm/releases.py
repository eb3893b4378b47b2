"""Which Slurm the releases have whose packages it comes from."""

from __future__ import annotations

import re
from typing import NamedTuple


class Release(NamedTuple):
    """A release: pattern of `DebianImage.release` or of a cloud image's file, name, its Slurm."""

    pattern: str
    name: str
    version: str


RELEASES = (
    Release(r"^bullseye$|debian-11", "Debian bullseye", "20.11"),
    Release(r"^bookworm$|debian-12", "Debian bookworm", "22.05"),
    Release(r"^trixie$|debian-13", "Debian trixie", "24.11"),
    Release(r"^(noble|ubuntu-24\.04)", "Ubuntu 24.04", "23.11"),
    Release(r"^Rocky-9", "EPEL for Rocky Linux 9", "22.05"),
)
"""Those that do not change any more. Another one, and further repositories, have any version."""


def release_of(release: str) -> Release | None:
    """Return what is known of a release's Slurm, if anything is."""
    return next((one for one in RELEASES if re.search(one.pattern, release)), None)
