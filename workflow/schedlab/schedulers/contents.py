"""What an installation that a user gives consists of, read without following a link of it.

A folder or an archive of one. An archive is a file from elsewhere: a member may name any file of
this machine. Python's own filters accept hard links to absolute paths, which a later member of the
same name then writes through (`tar`), or do not bound the size (`data`). So the members are checked
here, each before it is written.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import posixpath
import re
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Self

from schedlab.outside.names import has_control
from schedlab.results.digests import file_digest

LARGEST = 8 * 2**30
"""Most bytes that an archive's files may have, unpacked."""
MOST = 500_000
"""Most members of an archive."""
_HEADER = 2**20
"""Most bytes of a member that is not a file: names and links are read into memory."""
_TEXT = 2**20
_PATH = 4096
_LINKS = 40
"""Most links on the way to a file, as in Linux."""

FILE, FOLDER, LINK = "a file", "a folder", "a symbolic link"
_SPECIAL = (
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)
_TYPES = {tarfile.CHRTYPE: "a character device", tarfile.BLKTYPE: "a block device"}
_TYPES[tarfile.FIFOTYPE] = "a named pipe"
_SYSTEM = re.compile(
    r"((s?bin|boot|dev|etc|lib(32|64)?|proc|run|sys|tmp)|usr(?!/local(/|$)))(/.*)?|"
)
"""Folders of guests that the system has, or empties at its start."""

HOSTILE = "do not use it unless you know who made it and why; no installation needs such a member"
AGAIN = "get or make the archive again, and write its digest under sha256"


class Refused(Exception):
    """Why an installation is not used, and what remedies it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class OtherDigest(Refused):
    """An archive that has another digest than the one that was given for it."""

    def __init__(self, digest: str) -> None:
        remedy = "if this is the archive that you mean, write its digest under sha256"
        super().__init__(f"the archive has another digest, {digest}", remedy)
        self.digest = digest


class _Info(tarfile.TarInfo):
    """A header. What belongs to headers is read as a whole, so its size is bounded."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if not info.isreg() and info.size > _HEADER:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


@dataclass
class Contents:
    """Names below an installation's top folder, with what they are.

    Attributes
    ----------
    kinds : dict of str to str
        `FILE`, `FOLDER` or `LINK`, by name.
    links : dict of str to str
        Targets of symbolic links, as they are written.
    texts : dict of str to str
        Contents of the files that tell what the installation was made for.
    size : int
        Bytes of all files.
    """

    kinds: dict[str, str] = field(default_factory=lambda: {"": FOLDER})
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, kind: str, *, link: str = "", size: int = 0) -> None:
        """Add a name.

        Raises
        ------
        Refused
            When a name before it was another thing, or is passed as a folder and is none.
        """
        parents = name.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            parent = "/".join(parents[:depth])
            if self.kinds.setdefault(parent, FOLDER) != FOLDER:
                what = f"is below {shown(parent)}, which is {self.kinds[parent]}"
                raise Refused(f"its member {shown(name)} {what}", HOSTILE)
        if name in self.kinds and not kind == self.kinds[name] == FOLDER:
            remedy = "make the archive of the folder anew, each name once"
            raise Refused(f"its member {shown(name or '.')} occurs twice", remedy)
        self.kinds[name] = kind
        self.size += size
        if kind == LINK:
            self.links[name] = link
        if len(self.kinds) > MOST or self.size > LARGEST:
            raise Refused(
                f"it unpacks to more than {MOST:,} members or {LARGEST >> 30} GiB",
                "make the archive of the installation's folder alone",
            )

    def resolved(self, name: str) -> str | None:
        """Name that a name leads to by links; None for an absolute link, which guests follow.

        Raises
        ------
        Refused
            When it leaves the top folder, or its links have no end.
        """
        left, here, links = name.split("/")[::-1], "", 0
        told = f"its link {shown(name)} -> {shown(self.links.get(name, ''))} leads"
        remedy = "make the installation one folder, with all that its links name"
        while left:
            part = left.pop()
            if part == ".." and not here:
                raise Refused(f"{told} out of it", remedy)
            if part == "..":
                here = posixpath.dirname(here)
            elif part not in ("", "."):
                here = posixpath.join(here, part)
            if here not in self.links:
                continue
            links += 1
            target = self.links[here]
            if target.startswith("/"):
                return None
            if links > _LINKS:
                raise Refused(f"{told} to no end", remedy)
            here = posixpath.dirname(here)
            left += target.split("/")[::-1]
        return here

    def check_links(self) -> None:
        """Refuse relative links that leave the top folder."""
        for name in self.links:
            self.resolved(name)

    def root(self, name: str, program: str) -> str:
        """Folder below the top that has the program at its path.

        Parameters
        ----------
        name : str
            Of the software.
        program : str
            Path of its program below the folder.

        Raises
        ------
        Refused
            When no folder has it, or several which are not within each other.
        """
        ends = [one for one in self.kinds if f"/{one}".endswith(f"/{program}")]
        roots = sorted(one[: -len(program)].rstrip("/") for one in ends if self.has_file(one))
        upper = [one for one in roots if not any(_below(one, other) for other in roots)]
        if len(upper) > 1:
            # A link to the program may lie elsewhere, as in /usr/local/bin.
            upper = [one for one in upper if posixpath.join(one, program) not in self.links]
        if not upper:
            link = next((one for one in ends if one in self.links), None)
            why = f": it is a link to {shown(self.links[link])}" if link else ""
            remedy = f"give the folder that {name} was installed into, or an archive of it"
            raise Refused(f"it has no {program}{why}", remedy)
        if len(upper) > 1:
            both = " and ".join(shown(posixpath.join(one, program)) for one in upper[:2])
            raise Refused(f"it has {both}", f"make an archive with one installation of {name}")
        return upper[0]

    def has_file(self, name: str) -> bool:
        """Tell whether a name is a file, or leads to one."""
        target = self.resolved(name)
        return target is not None and self.kinds.get(target) == FILE

    def made_for(self, root: str, told: str, pattern: str, name: str) -> str | None:
        """Folder that the installation tells it was made for; None where it does not tell.

        Parameters
        ----------
        root : str
            Its folder below the top.
        told, pattern : str
            As in `Installation`.
        name : str
            Of the software.

        Raises
        ------
        Refused
            When no guest can have it there.
        """
        depth, teller = len(PurePosixPath(told).parts), posixpath.basename(told)
        for one in sorted(self.kinds):
            if posixpath.basename(one) != teller or not _below(one, root):
                continue
            below = PurePosixPath(one).relative_to(root)
            if len(below.parts) != depth or not below.match(told):
                continue
            found = re.search(pattern, self.texts.get(self.resolved(one) or "", ""))
            if not found:
                continue
            place = found[1].strip()
            if why := _unfit(place):
                raise Refused(
                    f"{shown(one)} in it tells {shown(place)} as the folder that it was made for,"
                    f" {why}",
                    f"install {name} into a folder of its own, such as /opt/{name}",
                )
            return posixpath.normpath(place)
        return None


def _below(name: str, folder: str) -> bool:
    return name != folder and (not folder or name.startswith(f"{folder}/"))


def _unfit(place: str) -> str | None:
    """Why guests cannot have an installation in a folder, or None."""
    if not place.startswith("/") or ".." in place.split("/"):
        return "which is no absolute path"
    if not re.fullmatch(r"[\w.+@=,~/-]+", place, re.ASCII):
        return "which has a blank or a sign that shells read"
    system = _SYSTEM.fullmatch(posixpath.normpath(place).strip("/"))
    return "which the system of guests has" if system else None


def shown(name: str) -> str:
    """A name from elsewhere as messages have it: on one line, and not endless."""
    text = name if name.isascii() and not has_control(name) else ascii(name)[1:-1]
    return f"'{text[:200]}'"


def read_folder(folder: Path, told: str) -> Contents:
    """Read what a folder has; caches of Python, which its use makes, are not part of it.

    Raises
    ------
    Refused
        When it has what is neither a file, a folder nor a link, or a link that leads out of it.
    """
    found = Contents()
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted([*files, *links]):
            path = Path(here, name)
            below = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if special := next((kind for test, kind in _SPECIAL if test(mode)), None):
                raise Refused(f"{shown(below)} in it is {special}", "remove it from the folder")
            if stat.S_ISLNK(mode):
                found.add(below, LINK, link=str(path.readlink()))
                continue
            # Its size is on this machine already: only an archive's is bounded.
            found.add(below, FILE)
            if name == posixpath.basename(told):
                with path.open(errors="replace") as text:
                    found.texts[below] = text.read(_TEXT)
    found.check_links()
    return found


def read_archive(path: Path, sha256: str, told: str, folder: Path | None = None) -> Contents:
    """Read what an archive has, and unpack it into a folder if one is given.

    Parameters
    ----------
    path : pathlib.Path
        The archive: tar, plain or compressed.
    sha256 : str
        Digest that it must have, as hexadecimal digits.
    told : str
        Pattern of the files whose texts are kept, as in `Installation`.
    folder : pathlib.Path, optional
        Empty folder. Where the archive is refused, some of its files may be there.

    Raises
    ------
    Refused
        When it has another digest, cannot be read, or has a member that is not a file, a folder or
        a link, whose name or target is not within it, that occurs twice, or makes it too large.
    """
    if (digest := file_digest(path)) != sha256.lower():
        raise OtherDigest(digest)
    found, teller = Contents(), posixpath.basename(told)
    stream: IO[bytes] | None
    try:
        with _opened(path) as tar:
            for member in tar:
                checked = _checked(member, found)
                tells = member.isreg() and posixpath.basename(checked.name) == teller
                if folder is not None:
                    tar.extract(checked, folder, filter="fully_trusted")
                    stream = (folder / checked.name).open("rb") if tells else None
                else:
                    stream = tar.extractfile(member) if tells else None
                if stream:
                    with stream:
                        found.texts[checked.name] = stream.read(_TEXT).decode(errors="replace")
    except (tarfile.TarError, OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, for example a full disk; the archive may be sound
        raise Refused(f"it cannot be read as a tar archive: {error}", AGAIN) from error
    found.check_links()
    return found


def _checked(member: tarfile.TarInfo, found: Contents) -> tarfile.TarInfo:
    """Add a member to the contents; return it as it may be written to this machine."""
    name = posixpath.normpath(member.name)
    shows = f"its member {shown(member.name)}"
    if member.name.startswith("/"):
        raise Refused(f"{shows} has an absolute name", HOSTILE)
    if ".." in member.name.split("/"):
        raise Refused(f"{shows} has .. in its name", HOSTILE)
    if has_control(member.name) or has_control(member.linkname):
        raise Refused(f"{shows} has a control character in its name", HOSTILE)
    if len(member.name) > _PATH or len(member.linkname) > _PATH:
        raise Refused(f"{shows} has a name longer than {_PATH} characters", HOSTILE)
    name = "" if name == "." else name
    if member.issparse():
        raise Refused(f"{shows} is a sparse file", "make the archive without tar's --sparse")
    if member.islnk():
        target = posixpath.normpath(member.linkname)
        # A later member of this name would be written through the link.
        if member.linkname.startswith("/") or found.kinds.get(target) != FILE:
            what = f"is a hard link to {shown(member.linkname)}, no file before it in the archive"
            raise Refused(f"{shows} {what}", HOSTILE)
        found.add(name, FILE)
        return _plain(member, name, 0o644, linkname=target)
    if member.issym():
        found.add(name, LINK, link=member.linkname)
        return _plain(member, name, 0o777)
    if member.isdir():
        found.add(name, FOLDER)
        return _plain(member, name or ".", 0o755)
    if not member.isreg():
        kind = _TYPES.get(member.type, f"of the unknown kind {member.type!r}")
        raise Refused(f"{shows} is {kind}", HOSTILE)
    found.add(name, FILE, size=member.size)
    return _plain(member, name, 0o755 if member.mode & 0o100 else 0o644)


def _plain(
    member: tarfile.TarInfo, name: str, mode: int, linkname: str | None = None
) -> tarfile.TarInfo:
    """A member without its owner and special bits: here they would be of this machine's users."""
    plain = member.replace(name=name, mode=mode, linkname=linkname or member.linkname, deep=False)
    plain.mtime = 0
    plain.uid, plain.gid, plain.uname, plain.gname = os.getuid(), os.getgid(), "", ""
    return plain


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    if path.suffix != ".zst":
        with tarfile.open(path, "r|*", tarinfo=_Info) as tar:
            yield tar
        return
    # Python's own library reads this form from 3.14 on. Most commands are spared the import.
    import zstandard

    try:
        with (
            zstandard.open(path, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|", tarinfo=_Info) as tar,
        ):
            yield tar
    except zstandard.ZstdError as error:
        raise tarfile.ReadError(str(error)) from error
