"""Programs that an image carries and no distribution packages, as an adapter describes them."""

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
        Of the group; users give programs made elsewhere by ``SCHEDLAB_GUEST_BINARIES_<NAME>``.
    folder : pathlib.Path
        Has ``go.mod`` and ``go.sum``, which pin the module, and ``release.json`` with the
        version, the commit and the date of the release.
    programs : dict of str to str
        Name of each program, and the last part of its import path.
    probe : str
        The program that is asked with ``--version`` for the version of them all.
    version_pattern : str
        Regular expression of its answer; the first group is the version without the ``v``.
    flags : str
        Template of what the linker sets: ``$version``, ``$major``, ``$minor``, ``$commit`` and
        ``$date`` come from ``release.json``.
    minutes : float
        Build time on 2 cores with nothing in Go's caches, min, for the progress message.
    files : dict of str to str
        Folder in the result, and the pattern of the module's files that are copied into it.
    """

    name: str
    folder: Path
    programs: Mapping[str, str]
    probe: str
    version_pattern: str
    flags: str
    minutes: float
    files: Mapping[str, str] = field(default_factory=dict)
