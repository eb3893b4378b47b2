"""Packages of a Conda channel, pinned in a lock file: versions, addresses and digests.

The files are those of rattler and pixi, which read and write them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schedlab.errors import SchedlabError
from schedlab.paths import expanded, resolved

if TYPE_CHECKING:
    from rattler import RepoDataRecord

PLATFORM = "linux-64"
"""Guests are of this kind alone."""


@dataclass(frozen=True)
class Lock:
    """What a lock file has.

    Attributes
    ----------
    channel : str
        URL of the channel that all packages were taken from.
    records : tuple of rattler.RepoDataRecord
        The packages, sorted by name; each has a SHA-256.
    """

    channel: str
    records: tuple[RepoDataRecord, ...]


_NAME = r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*"
_SECRETS = (
    (r"(?<=://)[^/]*@", "***@"),
    (r"(?<=/t/)[^/?#]+", "***"),
    (r"[?#].*", "?***"),
)
"""Where URLs have credentials: before the host, in Conda's /t/TOKEN/, and after the path."""


def redacted(channel: str) -> str:
    """A channel as messages have it: without what may be a password or a token."""
    if "://" in channel:
        for pattern, stars in _SECRETS:
            channel = re.sub(pattern, stars, channel)
    return channel


def _fault(channel: str) -> tuple[str, str] | None:
    """Why a text is no channel that can be used, and the remedy; None where it may be one."""
    if re.match(r"[/.~]", channel):
        return None
    if "://" not in channel:
        remedy = "give its name, URL or folder, which begins with / . or ~"
        return None if re.fullmatch(_NAME, channel, re.ASCII) else ("no channel's name", remedy)
    if not re.match(r"(https?|file)://", channel, re.IGNORECASE):
        return "neither an http, an https nor a file URL", "mirror the channel, or use its folder"
    if redacted(channel) != channel:
        remedy = "remove them: records and reports show channels; mirror it into a folder"
        return "a URL with credentials, a token or a query, which are not sent", remedy
    return None


def channel_url(channel: str) -> str:
    """URL of a channel, which ends with a slash.

    Parameters
    ----------
    channel : str
        A name on anaconda.org, a URL, or a folder whose name begins with ``/``, ``.`` or ``~``.

    Raises
    ------
    SchedlabError
        When it can be none of them.
    """
    # Not at the top: most experiments need no channel, and the import takes 0.1 s.
    from rattler import Channel
    from rattler.exceptions import InvalidChannelError

    if fault := _fault(channel):
        raise SchedlabError(f"{redacted(channel)} is {fault[0]}", remedy=fault[1])
    if re.match(r"[/.~]", channel):
        channel = resolved(expanded(channel, "channel"), "channel").as_uri()
    try:
        return f"{Channel(channel).base_url.rstrip('/')}/"
    except InvalidChannelError as error:
        raise SchedlabError(
            f"{channel} is no channel: {one_line(error)}", remedy="give its name, URL or folder"
        ) from error


def read_lock(path: Path, channel: str, specs: Sequence[str], remedy: str) -> Lock:
    """Read a lock file, and refuse one that does not pin everything.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    channel : str
        Channel that the packages must be of, as in :func:`channel_url`.
    specs : sequence of str
        What must be among the packages, as Conda writes it (``name >=1.2``).
    remedy : str
        What gives a sound lock file.

    Raises
    ------
    SchedlabError
        When it cannot be read, is of another channel, lacks a package, or has one without SHA-256.
    """
    from rattler import CondaLockedBinaryPackage, LockFile
    from rattler.exceptions import ParseCondaLockError

    def refused(why: str) -> SchedlabError:
        return SchedlabError(f"{path} {why}", remedy=remedy)

    try:
        environment = LockFile.from_path(path).environment("default")
    except ParseCondaLockError as error:
        raise refused(f"is no lock file: {one_line(error)}") from error
    channels = [channel_url(str(one)) for one in environment.channels()] if environment else []
    if environment is None or channels != [channel_url(channel)]:
        raise refused(f"is a lock file of {' and '.join(channels) or 'nothing'}, not of {channel}")
    platforms = [one for one in environment.platforms() if one.name == PLATFORM]
    packages, records = [], []
    for package in (one for each in platforms for one in environment.packages(each) or ()):
        if not isinstance(package, CondaLockedBinaryPackage):
            raise refused(f"has {package.name}, which is not a built Conda package")
        record = package.repo_data_record()
        if record.sha256 is None:
            raise refused(f"has no SHA-256 of {package.name}")
        packages.append(package)
        records.append(record)
    for spec in specs:
        if not any(package.satisfies(spec) for package in packages):
            raise refused(f"has no {spec} for {PLATFORM}")
    return Lock(channels[0], tuple(sorted(records, key=lambda record: record.name.normalized)))


def one_line(error: Exception) -> str:
    """Message of an error of the library, which has its causes on lines of their own."""
    return re.sub(r"\s*\n(Caused by: )?\s*", ": ", str(error).strip())
