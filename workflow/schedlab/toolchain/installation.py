"""Packs what a channel has or a user gives so that a guest has it where it was made for.

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
from typing import TYPE_CHECKING

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.plain import plain
from schedlab.results.records import digest, file_digest
from schedlab.schedulers.installation import Installation, lock_file, locked
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.channel import install, out_of_reach

if TYPE_CHECKING:
    from rattler import RepoDataRecord

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
        Digest of what settings give.
    archive : pathlib.Path
        The archive in the cache.
    sha256 : str
        Its digest.
    packages : tuple of rattler.RepoDataRecord
        Packages of a channel that it was made from.
    """

    name: str
    given: str
    archive: Path
    sha256: str
    packages: tuple[RepoDataRecord, ...] = ()


def given_digest(installation: Installation, settings: Mapping[str, str]) -> str:
    """Digest of what settings give.

    An archive's is as it is written, a folder's is of its contents, a channel's that of its lock
    file.
    """
    if not settings.get("prefix"):
        return file_digest(lock_file(installation, settings))
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
        With `prefix`, and `sha256` of an archive; or with `channel` and `lock`.
    cache : Cache, optional
        Default: the user's cache.

    Raises
    ------
    SchedlabError
        When it cannot be read, has another digest, or lacks what it must have.
    """
    cache = cache or Cache.default()
    given = given_digest(installation, settings)
    lock = None if settings.get("prefix") else locked(installation, settings)

    def build(target: Path) -> None:
        archive = target / ARCHIVE
        with cache.scratch(f"{KIND}-{given[:12]}") as scratch:
            if lock:
                prefix = scratch / "prefix"
                install(lock, prefix, installation.place, scratch / "packages")
                _pack(installation, prefix, archive, Path(installation.place))
                return
            path = expanded(settings["prefix"], "prefix")
            prefix = path
            if not path.is_dir():
                _unpack(path, given, scratch)
                prefix = _root(installation, scratch, path)
            _pack(installation, prefix, archive, _place(installation, prefix))

    archive = cache.get_or_build(KIND, _inputs(installation, given), build) / ARCHIVE
    packages = lock.records if lock else ()
    return Packed(installation.name, given, archive, file_digest(archive), packages)


def unreachable(
    scheduler: str,
    installation: Installation,
    settings: Mapping[str, str],
    *,
    cache: Cache | None = None,
) -> str | None:
    """Why pinned packages cannot be had now, and what remedies it; None where they can.

    The channel is asked only where the cache does not have what was made from them.

    Parameters
    ----------
    scheduler : str
        Name of the scheduler whose settings these are.
    installation : Installation
        What is installed.
    settings : mapping of str to str
        Merged settings; they name a lock file that is there, or a prefix.
    cache : Cache, optional
        Default: the user's cache.

    Raises
    ------
    SchedlabError
        When the lock file does not pin everything.
    """
    if settings.get("prefix"):
        return None
    inputs = _inputs(installation, given_digest(installation, settings))
    if (cache or Cache.default()).location(KIND, inputs).is_dir():
        return None
    url = locked(installation, settings).records[0].url
    if (why := out_of_reach(url)) is None:
        return None
    return (
        f"the channel {settings['channel']} cannot be reached, {url}: {why}; remedy: run again"
        " where it can be reached, once, as the cache then has the packages; or set"
        f" settings.{scheduler}.prefix to an installation (docs/{scheduler}.md)"
    )


def _inputs(installation: Installation, given: str) -> dict[str, str]:
    return {"name": installation.name, "given": given}


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


def _unpack(path: Path, sha256: str, folder: Path) -> None:
    """Unpack an archive; members that would leave the folder are refused by the library."""
    if not path.is_file() or file_digest(path) != sha256:
        raise SchedlabError(
            f"{path} is not the archive with the digest {sha256[:12]}...",
            stage=STAGE,
            remedy="correct settings prefix and sha256: `sha256sum` prints the digest",
        )
    try:
        with _opened(path) as tar:
            tar.extractall(folder, filter="tar")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SchedlabError(
            f"{path} cannot be unpacked: {plain(error)}",
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


def _pack(installation: Installation, prefix: Path, archive: Path, place: Path) -> None:
    """Write an archive: all files, owned by root, and a link to the program."""
    linked = Path("usr/local/bin") / Path(installation.program).name

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        # Others than the owner must read it: a folder of a user may be closed to them.
        member.mode = 0o755 if member.mode & 0o100 else 0o644
        # The same contents give the same archive, whenever they were installed.
        member.mtime = 0
        return member

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in _names(prefix):
            inside = (place / name).as_posix().lstrip("/")
            tar.add(prefix / name, inside, recursive=False, filter=owned)
        link = tarfile.TarInfo(linked.as_posix())
        link.type, link.linkname = tarfile.SYMTYPE, str(place / installation.program)
        if f"/{linked}" != link.linkname:
            tar.addfile(owned(link))
