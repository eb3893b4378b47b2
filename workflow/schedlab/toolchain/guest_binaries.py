"""Programs for guests, built on this machine from pinned Go modules.

A scheduler's package describes them (`schedlab.schedulers.programs`). A folder with such programs
made elsewhere can be given instead, for example for the group of the name ``example``::

    SCHEDLAB_GUEST_BINARIES_EXAMPLE=/opt/example

Such a folder has the same contents as a build: the programs, the group's other files (``*.yaml`` in
the folders that it names), and ``SHA256SUMS`` as ``sha256sum`` writes it, with a line per file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Template
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.plain import plain
from schedlab.results.records import file_digest
from schedlab.schedulers.programs import ProgramGroup
from schedlab.toolchain.build import GoBuilder, GoModule
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import Requirement, parse_version, probe_version

KIND = "guest-binaries"
"""Sort of cache entry."""

SUMS = "SHA256SUMS"
"""File with the digests, in the format of ``sha256sum``."""


@dataclass(frozen=True)
class GuestBinaries:
    """Programs and files to copy into guests.

    Attributes
    ----------
    folder : pathlib.Path
        Where all of them are. It belongs to the cache or the user and must not be changed.
    version : str
        As the programs print it, without the leading ``v``.
    sha256 : dict of str to str
        Digest of every file, by its path relative to `folder`.
    programs : tuple of str
        Names of the executables, which lie in `folder` itself.
    files : dict of str to pathlib.Path
        Everything else, by its path relative to `folder`.
    """

    folder: Path
    version: str
    sha256: dict[str, str]
    programs: tuple[str, ...]
    files: dict[str, Path]

    def path(self, program: str) -> Path:
        """Path of a program.

        Raises
        ------
        SchedlabError
            When there is no such program.
        """
        if program not in self.programs:
            raise SchedlabError(
                f"there is no program {program!r} for guests in {self.folder}",
                stage="toolchain",
                remedy=f"use one of {', '.join(self.programs)}",
            )
        return self.folder / program


def prepare_guest_binaries(group: ProgramGroup, *, cache: Cache | None = None) -> GuestBinaries:
    """Return the programs of a group: the user's own, or programs built once into the cache.

    Parameters
    ----------
    group : ProgramGroup
        Which programs.
    cache : Cache, optional
        Where builds go; default: the user's cache.

    Raises
    ------
    SchedlabError
        When a build fails, or the user's folder is incomplete or damaged.
    """
    given = os.environ.get(variable(group))
    if given:
        return _given(group, expanded(given, variable(group)).absolute())
    module, flags, inputs = _pinned(group)
    cache = cache or Cache.default()
    with GoBuilder(cache) as builder:
        folder = cache.get_or_build(
            KIND, inputs, lambda to: _build(group, builder, module, flags, to)
        )
    return _describe(group, folder, module.version, read_sums(folder))


def _pinned(group: ProgramGroup) -> tuple[GoModule, str, dict[str, Any]]:
    """A group's module, its linker flags, and everything that determines what is built."""
    module = GoModule.load(group.name, group.folder)
    flags = linker_flags(group, module)
    return module, flags, module.inputs(flags) | {"files": dict(group.files)}


def variable(group: ProgramGroup) -> str:
    """Name of the environment variable with which a user gives the programs of a group."""
    return f"SCHEDLAB_GUEST_BINARIES_{group.name.upper()}"


def linker_flags(group: ProgramGroup, module: GoModule) -> str:
    """Linker flags with the facts that a group's programs report about their release.

    The facts come from a file and not from the build, so that the same build gives the same bytes.

    Raises
    ------
    SchedlabError
        When ``release.json`` is incomplete, or has another version than ``go.mod``.
    """
    path = module.folder / "release.json"
    try:
        release: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        facts = {name: release[name] for name in ("version", "commit", "date")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchedlabError(
            f"{path} must have version, commit and date of the release ({plain(error)})",
            stage="toolchain",
            remedy="restore it from version control",
        ) from error
    if facts["version"] != module.version:
        raise SchedlabError(
            f"{path} has version {facts['version']}, but go.mod beside it has {module.version}",
            stage="toolchain",
            remedy="write the version, the commit and the date of the release into release.json",
        )
    version = parse_version(module.version)
    return Template(group.flags).substitute(facts, major=version.major, minor=version.minor)


def read_sums(folder: Path) -> dict[str, str]:
    """Read the digests of a folder's files.

    Raises
    ------
    SchedlabError
        When the file cannot be read, or a line is not in the format of ``sha256sum``.
    """
    path = folder / SUMS
    remedy = f"in {folder}, run: find * -type f ! -name {SUMS} | xargs sha256sum > {SUMS}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SchedlabError(
            f"{path} cannot be read: {plain(error)}", stage="toolchain", remedy=remedy
        ) from error
    sums = {}
    for line in filter(None, lines):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        name = PurePosixPath(match[2]) if match else PurePosixPath("..")
        if match is None or name.is_absolute() or ".." in name.parts:
            raise SchedlabError(
                f"{path} has a line other than a digest and a file below the folder: {line!r}",
                stage="toolchain",
                remedy=remedy,
            )
        sums[str(name)] = match[1].lower()
    return sums


def _build(
    group: ProgramGroup, builder: GoBuilder, module: GoModule, flags: str, target: Path
) -> None:
    """Fill a folder: programs, files and digests; then ask a program for its version."""
    builder.compile(module, target, flags, group.minutes)
    for program, built in group.programs.items():
        (target / built).rename(target / program)
    for folder, pattern in group.files.items():
        found = sorted(builder.source(module).glob(pattern))
        if not found:
            raise SchedlabError(
                f"{module.path} {module.version} has no file {pattern}",
                stage="toolchain",
                remedy=f"correct the pattern in {group.folder}: the module was reordered",
            )
        (target / folder).mkdir(parents=True)
        for path in found:
            shutil.copyfile(path, target / folder / path.name)
    version = _tell_version(group, target)
    # The linker reports no error about a variable that a new version no longer has.
    if version != module.version:
        raise SchedlabError(
            f"{group.probe} was built from {module.version} but reports version {version}",
            stage="toolchain",
            remedy=f"correct the linker flags in {group.folder}",
        )
    names = sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file())
    lines = [f"{file_digest(target / name)}  {name}\n" for name in names]
    (target / SUMS).write_text("".join(lines), encoding="utf-8")


def _given(group: ProgramGroup, folder: Path) -> GuestBinaries:
    """Check the folder that the user gives, and describe it."""
    sums = read_sums(folder)
    remedy = f"put it there, or unset {variable(group)} to have it built"
    folders = group.files
    lacking = [name for name in group.programs if not (folder / name).is_file()]
    lacking += [f"{name}/*.yaml" for name in folders if not list(folder.glob(f"{name}/*.yaml"))]
    if lacking:
        raise SchedlabError(
            f"{folder} lacks {', '.join(lacking)}", stage="toolchain", remedy=remedy
        )
    used = [*group.programs]
    used += [f"{name}/{path.name}" for name in folders for path in folder.glob(f"{name}/*.yaml")]
    for name in sorted({*used, *sums}):
        path = folder / name
        if name not in sums:
            problem = f"{folder / SUMS} has no digest of {name}"
        elif not path.is_file():
            problem = f"{path} is missing, but {SUMS} beside it has its digest"
        elif file_digest(path) != sums[name]:
            problem = f"{path} does not have the digest that is in {SUMS} beside it"
        elif name in group.programs and not os.access(path, os.X_OK):
            problem = f"{path} is not executable"
        else:
            continue
        raise SchedlabError(
            problem,
            stage="toolchain",
            remedy=f"copy the folder again, or unset {variable(group)} to have it built",
        )
    return _describe(group, folder, _tell_version(group, folder), sums)


def _describe(
    group: ProgramGroup, folder: Path, version: str, sums: Mapping[str, str]
) -> GuestBinaries:
    programs = tuple(group.programs)
    names = sorted(
        name
        for name in sums
        if any(PurePosixPath(name).is_relative_to(below) for below in group.files)
    )
    return GuestBinaries(
        folder=folder,
        version=version,
        sha256={name: sums[name] for name in (*programs, *names)},
        programs=programs,
        files={name: folder / name for name in names},
    )


def _tell_version(group: ProgramGroup, folder: Path) -> str:
    """Ask a program for its version.

    Raises
    ------
    SchedlabError
        When it does not run on this machine, whose architecture the guests have too.
    """
    asked = Requirement(group.probe, "", "", pattern=group.version_pattern)
    version = probe_version(folder / group.probe, asked)
    if version is None:
        raise SchedlabError(
            f"{folder / group.probe} does not tell its version",
            stage="toolchain",
            remedy=f"use static programs for this machine's architecture, or unset "
            f"{variable(group)} to have them built",
        )
    return version
