"""Packs what a channel has or a user gives so that a guest has it where it was made for.

The result is a plain tar archive whose names start at the guest's root: unpacking it there is all
that an image needs.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.results.records import digest, file_digest
from schedlab.schedulers.contents import Refused, read_archive, read_folder
from schedlab.schedulers.installation import Installation, located, lock_file, locked
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.channel import install, out_of_reach

if TYPE_CHECKING:
    from rattler import RepoDataRecord

KIND = "installation"
"""Sort of cache entry."""
ARCHIVE = "installation.tar"
STAGE = "programs"


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
        return settings["sha256"].lower()
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
    if settings.get("prefix") and not settings.get("sha256"):
        # Before it is digested: reading a named pipe would wait.
        folder = expanded(settings["prefix"], "prefix")
        with _refusals(folder):
            read_folder(folder, installation.told)
    given = given_digest(installation, settings)
    lock = None if settings.get("prefix") else locked(installation, settings)

    def build(target: Path) -> None:
        archive = target / ARCHIVE
        with cache.scratch(f"{KIND}-{given[:12]}") as scratch:
            if lock:
                prefix = scratch / "prefix"
                install(lock, prefix, installation.place, scratch / "packages")
                with _refusals(lock.channel):
                    read_folder(prefix, installation.told)
                _pack(installation, prefix, archive, Path(installation.place))
                return
            prefix = expanded(settings["prefix"], "prefix")
            with _refusals(prefix):
                if settings.get("sha256"):
                    contents = read_archive(prefix, given, installation.told, scratch)
                    prefix = scratch
                else:
                    contents = read_folder(prefix, installation.told)
                root, place = located(installation, contents)
            _pack(installation, prefix / root, archive, Path(place))

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
def _refusals(path: Path | str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        remedy = "correct settings prefix"
        raise SchedlabError(f"{path} is not there any more", stage=STAGE, remedy=remedy) from error
    except Refused as error:
        raise SchedlabError(f"{path}: {error.what}", stage=STAGE, remedy=error.remedy) from error


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
