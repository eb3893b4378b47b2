"""Programs in an image that no distribution packages, as an adapter describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ProgramGroup:
    """Programs of one Go module, which are built and used together.

    Attributes
    ----------
    name : str
        Name of the group. The environment variable ``SCHEDLAB_GUEST_BINARIES_<NAME>`` names a
        folder with programs that a user made elsewhere.
    folder : pathlib.Path
        Has ``go.mod`` and ``go.sum``, which pin the module, and ``release.json`` with the
        version, the commit and the date of the release.
    programs : dict of str to str
        Name of each program -> the last part of its import path.
    probe : str
        Program that is run with ``--version`` to find the version of the whole group.
    version_pattern : str
        Regular expression of the probe's output; the first group is the version without the
        ``v``.
    flags : str
        Template of the linker's flags; ``$version``, ``$major``, ``$minor``, ``$commit`` and
        ``$date`` come from ``release.json``.
    minutes : float
        Build time on 2 cores with nothing in Go's caches, min, for the progress message.
    files : dict of str to str
        Folder in the result -> pattern of the module's files that are copied into the folder.
    """

    name: str
    folder: Path
    programs: Mapping[str, str]
    probe: str
    version_pattern: str
    flags: str
    minutes: float
    files: Mapping[str, str] = field(default_factory=dict)
