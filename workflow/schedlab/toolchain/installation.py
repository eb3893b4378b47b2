"""Packs the installation that a user gives so that a guest has it where it was made for.

The result is a plain tar archive whose names start at the guest's root: unpacking it there is all
that an image needs.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.results.records import digest, file_digest
from schedlab.schedulers.installation import Installation
from schedlab.toolchain.cache import Cache

KIND = "installation"
"""Sort of cache entry."""
ARCHIVE = "installation.tar"
STAGE = "programs"
RELOCATOR = "bin/conda-unpack"
"""In an environment that conda-pack packed: it must be told where it is, and can be anywhere."""


@dataclass(frozen=True)
class Packed:
    """An installation that is ready for an image.

    Attributes
    ----------
    name : str
        Of the software.
    given : str
        Digest of what the user gave.
    archive : pathlib.Path
        The archive in the cache.
    sha256 : str
        Its digest.
    """

    name: str
    given: str
    archive: Path
    sha256: str


def given_digest(settings: Mapping[str, str]) -> str:
    """Digest of what settings give: an archive's as it is written, a folder's of its contents."""
    if settings.get("sha256"):
        return settings["sha256"]
    folder = expanded(settings["prefix"], "prefix")
    return digest({name: _identity(folder / name) for name in _names(folder)})


def prepare_installation(
    installation: Installation, settings: Mapping[str, str], *, cache: Cache | None = None
) -> Packed:
    """Pack what settings give into the cache, or take it from there.

    Parameters
    ----------
    installation : Installation
        What it must have.
    settings : mapping of str to str
        With `prefix`, and `sha256` of an archive.
    cache : Cache, optional
        Default: the user's cache.

    Raises
    ------
    SchedlabError
        When it cannot be read, has another digest, or lacks what it must have.
    """
    path, given = expanded(settings["prefix"], "prefix"), given_digest(settings)
    cache = cache or Cache.default()

    def build(target: Path) -> None:
        if path.is_dir():
            _pack(installation, path, target / ARCHIVE)
            return
        if not path.is_file() or file_digest(path) != given:
            raise SchedlabError(
                f"{path} is not the archive with the digest {given[:12]}...",
                stage=STAGE,
                remedy="correct settings prefix and sha256: `sha256sum` prints the digest",
            )
        with cache.scratch(f"{KIND}-{given[:12]}") as scratch:
            _unpack(path, scratch)
            _pack(installation, _root(installation, scratch, path), target / ARCHIVE)

    inputs = {"name": installation.name, "given": given}
    archive = cache.get_or_build(KIND, inputs, build) / ARCHIVE
    return Packed(installation.name, given, archive, file_digest(archive))


def _names(folder: Path) -> list[str]:
    """Everything below a folder that is kept: no caches of Python, which its use makes."""
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found += [Path(here, name).relative_to(folder).as_posix() for name in [*files, *links]]
    return sorted(found)


def _identity(path: Path) -> list[str]:
    if path.is_symlink():
        return ["link", str(path.readlink())]
    return [oct(stat.S_IMODE(path.stat().st_mode) & 0o111), file_digest(path)]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    if path.suffix != ".zst":
        with tarfile.open(path, "r|*") as tar:
            yield tar
        return
    # Python's own library reads this form from 3.14 on. Most commands are spared the import.
    import zstandard

    try:
        with (
            zstandard.open(path, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            yield tar
    except zstandard.ZstdError as error:
        raise tarfile.ReadError(str(error)) from error


def _unpack(path: Path, folder: Path) -> None:
    """Unpack an archive; members that would leave the folder are refused by the library."""
    try:
        with _opened(path) as tar:
            tar.extractall(folder, filter="tar")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SchedlabError(
            f"{path} cannot be unpacked: {error}",
            stage=STAGE,
            remedy="make the archive again with tar, and correct sha256",
        ) from error


def _root(installation: Installation, folder: Path, path: Path) -> Path:
    """Prefix within an unpacked archive: the uppermost folder that has the program."""
    pattern = f"**/{installation.program}"
    found = sorted(folder.glob(pattern), key=lambda program: (len(program.parts), program))
    if not found:
        raise SchedlabError(
            f"{path} has no {installation.program}",
            stage=STAGE,
            remedy=f"make the archive of the folder that {installation.name} was installed into",
        )
    return found[0].parents[len(Path(installation.program).parts) - 1]


def _place(installation: Installation, prefix: Path) -> Path:
    """Folder in guests: the one that it was made for, as its libraries and scripts name it.

    Raises
    ------
    SchedlabError
        When it tells a folder that no guest can have.
    """
    if (prefix / RELOCATOR).is_file():
        return Path(installation.place)
    for path in sorted(prefix.glob(installation.told)):
        if told := re.search(installation.pattern, path.read_text(errors="replace")):
            place = Path(told[1])
            if place.is_absolute() and place != Path("/") and ".." not in place.parts:
                return place
            raise SchedlabError(
                f"{path} tells {told[1]!r} as the folder that it was made for",
                stage=STAGE,
                remedy=f"install {installation.name} into a folder of its own",
            )
    return Path(installation.place)


def _pack(installation: Installation, prefix: Path, archive: Path) -> None:
    """Write an archive: all files, owned by root, and a link to the program."""
    place = _place(installation, prefix)
    linked = Path("usr/local/bin") / Path(installation.program).name

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        # Others than the owner must read it: a folder of a user may be closed to them.
        member.mode = 0o755 if member.mode & 0o100 else 0o644
        return member

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in _names(prefix):
            inside = (place / name).as_posix().lstrip("/")
            tar.add(prefix / name, inside, recursive=False, filter=owned)
        link = tarfile.TarInfo(linked.as_posix())
        link.type, link.linkname = tarfile.SYMTYPE, str(place / installation.program)
        if f"/{linked}" != link.linkname:
            tar.addfile(owned(link))
