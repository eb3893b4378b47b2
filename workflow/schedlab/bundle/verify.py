"""Checks a bundle against its manifest, and unpacks it."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from schedlab import __version__
from schedlab.bundle.archive_format import (
    CHUNK,
    DESCRIPTION,
    MANIFEST,
    SCHEMA,
    ArchiveLimits,
)
from schedlab.bundle.reader import BundleReader, Member, archive_digest, damaged, hostile
from schedlab.errors import SchedlabError
from schedlab.outside.json_text import parse_json, read_bytes
from schedlab.outside.names import LONGEST, name_problem
from schedlab.outside.tree import below
from schedlab.results.digests import file_digest
from schedlab.results.form_checks import release_number, shown

_SMALL = 1 << 20
"""Largest size of the description in bytes."""
_LARGEST_MANIFEST = 1 << 29
"""Largest size of the manifest in bytes."""
_LONGEST_ROW = 1 << 12
"""Largest size of a row of the manifest in bytes."""
_SHOWN = 1000
"""Largest number of files in one message."""
_RESERVE = 256 << 20
"""Bytes that unpacking leaves free on the disk."""


_DESCRIPTION_TYPES: dict[str, type] = {
    "release": str,
    "name": str,
    "created": str,
    "lineage": str,
    "commit": str,
    "patched": bool,
    "included": dict,
    "versions": dict,
}
"""Type of each value of the description."""


@dataclass(frozen=True)
class Verified:
    """A bundle that agrees with its manifest.

    Attributes
    ----------
    digest : str
        SHA-256 of the archive; for an unpacked bundle, SHA-256 of the manifest.
    description : dict
        Content of ``bundle.json``.
    members : int
        Number of files, without the manifest.
    size : int
        Size of these files together, in bytes.
    digests : dict of str to str
        SHA-256 of each of these files, by path below the bundle's root.
    """

    digest: str
    description: dict[str, Any]
    members: int
    size: int
    digests: dict[str, str] = field(repr=False)


def describe(path: Path, content: bytes) -> dict[str, Any]:
    """Read ``bundle.json``, and refuse a format that this release does not know.

    Parameters
    ----------
    path : pathlib.Path
        The bundle, for messages.
    content : bytes
        Content of ``bundle.json``.

    Raises
    ------
    SchedlabError
        The description cannot be read, or its format is unknown. If a newer release wrote it,
        the message names that release.
    """
    try:
        description = parse_json(content)
        schema, release = str(description["schema"]), str(description["release"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"its {DESCRIPTION} cannot be read: {error}") from error
    if schema == SCHEMA:
        for key, kind in _DESCRIPTION_TYPES.items():
            if key in description and not isinstance(description[key], kind):
                raise damaged(
                    path, f"its {DESCRIPTION} cannot be read: {key} is not a {kind.__name__}"
                )
        return dict(description)
    family, _, number = SCHEMA.rpartition("/")
    if (release_number(schema, f"{family}/") or 0) > int(number):
        release = shown(release)[1:-1]
        raise SchedlabError(
            f"{path}: has the newer format {schema}: schedlab {release} wrote it, but this is"
            f" schedlab {__version__}, which knows {SCHEMA}",
            remedy=f"read it with schedlab {release} or later, for example with the source that"
            " the bundle contains (`tar --zstd -xf BUNDLE source`)",
        )
    raise SchedlabError(
        f"{path}: has the unknown format {shown(schema)}, expected {SCHEMA!r}",
        remedy="read it with the release of schedlab that wrote it, or pack the results again",
    )


def verify(path: Path, limits: ArchiveLimits | None = None) -> Verified:
    """Check an archive, or the folder of an unpacked one. Nothing is written.

    Parameters
    ----------
    path : pathlib.Path
        The archive or folder.
    limits : ArchiveLimits, optional
        Limits of an archive.

    Raises
    ------
    SchedlabError
        Files were changed, removed or added (the message names them), or the archive is refused.
    """
    if path.is_dir():
        return _verify_folder(path)
    return _read(path, limits, lambda member: _hash(member, None))


def unpack(
    path: Path,
    folder: Path,
    limits: ArchiveLimits | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Verified:
    """Check an archive while it is unpacked into `folder`, which must be temporary.

    Every file is created below `folder`, and no member is a link, so nothing outside can be
    written.

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    folder : pathlib.Path
        Empty folder to unpack into.
    limits : ArchiveLimits, optional
        Limits of the archive.
    wanted : callable, optional
        Tells by a file's name whether it is written. All are checked. The default is all.

    Raises
    ------
    SchedlabError
        As :func:`verify`, or the disk is full. The caller must then discard `folder`.
    """
    root = folder.resolve()

    def write(member: Member) -> str:
        if wanted is not None and not wanted(member.name):
            return _hash(member, None)
        if shutil.disk_usage(root).free < member.size + _RESERVE:
            raise SchedlabError(
                f"{path}: the disk has not enough free space to unpack {member.name}",
                remedy="set TMPDIR to a folder on a larger disk",
            )
        target = root / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        return _hash(member, target)

    return _read(path, limits, write)


def _hash(member: Member, target: Path | None) -> str:
    sha256 = hashlib.sha256()
    handle = target.open("xb") if target else None
    try:
        while chunk := member.content.read(CHUNK):
            sha256.update(chunk)
            if handle:
                handle.write(chunk)
    finally:
        if handle:
            handle.close()
    return sha256.hexdigest()


def _read(path: Path, limits: ArchiveLimits | None, take: Callable[[Member], str]) -> Verified:
    """Pass every member to `take`, which returns its SHA-256, and compare with the manifest."""
    digest = archive_digest(path)
    found: dict[str, tuple[str, int]] = {}
    description: dict[str, Any] | None = None
    listed: dict[str, tuple[str, int]] | None = None
    for member in BundleReader(path, limits).members():
        if description is None:
            if member.name != DESCRIPTION or member.size > _SMALL:
                raise hostile(
                    path, f"it does not begin with {DESCRIPTION}: it is not a bundle of schedlab"
                )
            content = member.content.read()
            description = describe(path, content)
            member.content = io.BytesIO(content)
        if listed is not None:
            raise hostile(path, f"{member.name} comes after the manifest")
        if member.name == MANIFEST:
            if member.size > _LARGEST_MANIFEST:
                raise hostile(path, f"its {MANIFEST} has {member.size} bytes")
            member.content = io.BytesIO(member.content.read())
            listed = _listed(path, member.content)
            member.content.seek(0)
            take(member)
        else:
            found[member.name] = (take(member), member.size)
    if description is None:
        raise hostile(path, "it is empty")
    if listed is None:
        raise damaged(path, f"it has no {MANIFEST}")
    _compare(path, listed, found)
    return _verified(digest, description, found)


def _verified(
    digest: str, description: dict[str, Any], found: dict[str, tuple[str, int]]
) -> Verified:
    size = sum(size for _, size in found.values())
    digests = {name: sha256 for name, (sha256, _) in found.items()}
    return Verified(digest, description, len(found), size, digests)


def _listed(path: Path, lines: IO[bytes]) -> dict[str, tuple[str, int]]:
    rows: dict[str, tuple[str, int]] = {}
    try:
        while line := lines.readline(_LONGEST_ROW):
            if not line.endswith(b"\n"):
                raise ValueError("a line is too long or does not end")
            row = parse_json(line)
            name, sha256, size = row["path"], row["sha256"], row["size"]
            if problem := name_problem(name):
                raise ValueError(f"the name {ascii(name)} {problem}")
            if name in rows:
                raise ValueError(f"{name!r} occurs twice")
            if not isinstance(sha256, str) or not isinstance(size, int):
                raise ValueError(f"{name!r} has no digest or no size")
            rows[name] = (sha256, size)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"its {MANIFEST} cannot be read: {error}") from error
    return rows


def _compare(
    path: Path, listed: dict[str, tuple[str, int]], found: dict[str, tuple[str, int]]
) -> None:
    problems = [
        f"{name}: {_fault(listed.get(name), found.get(name))}"
        for name in sorted(listed.keys() | found.keys())
        if listed.get(name) != found.get(name)
    ]
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"... and {len(problems) - _SHOWN} more")
        raise damaged(
            path, f"{len(problems)} files are not as {MANIFEST} says:\n" + "\n".join(shown)
        )


def _fault(listed: tuple[str, int] | None, found: tuple[str, int] | None) -> str:
    if found is None:
        return "missing"
    if listed is None:
        return "added"
    if listed[1] != found[1]:
        return f"changed ({found[1]} bytes instead of {listed[1]})"
    return "changed (another SHA-256)"


def _verify_folder(folder: Path) -> Verified:
    """Check the folder of an unpacked bundle."""
    manifest, description = folder / MANIFEST, folder / DESCRIPTION
    for path in (manifest, description):
        if not path.is_file() or path.is_symlink():
            raise SchedlabError(
                f"{folder}: is not an unpacked bundle: it has no {path.name}",
                remedy="name a bundle, or the folder into which a whole bundle was unpacked",
            )
    try:
        known = describe(folder, read_bytes(description, _SMALL))
    except ValueError as error:
        raise hostile(folder, f"{DESCRIPTION}: {error}") from error
    with manifest.open("rb") as handle:
        listed = _listed(folder, handle)
    found: dict[str, tuple[str, int]] = {}
    for entry in below(folder):
        path = Path(entry)
        name = path.relative_to(folder).as_posix()
        if problem := name_problem(name):
            raise hostile(folder, f"{ascii(name)[:LONGEST]} {problem}")
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise hostile(folder, f"{name} is neither a file nor a folder")
        if path.is_file() and name != MANIFEST:
            found[name] = (file_digest(path), path.stat().st_size)
    _compare(folder, listed, found)
    return _verified(file_digest(manifest), known, found)
