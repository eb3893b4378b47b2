"""Software of an image from a Conda channel, or that a user gives: a folder, or an archive of one.

An adapter says what it needs to find there (`Installation`). An experiment's settings say where it
comes from: those of `SETTINGS`, which shape the image and not the configuration of a cluster.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.results.digests import digest
from schedlab.schedulers.contents import (
    Contents,
    OtherDigest,
    Refused,
    read_archive,
    read_folder,
)
from schedlab.schedulers.lockfile import Lock, channel_url, read_lock, redacted
from schedlab.schedulers.settings import Setting
from schedlab.workloads.registry import Problem

CHANNEL = "conda-forge"
RELOCATOR = "bin/conda-unpack"
"""In an environment that conda-pack packed: it must be told where it is, and can be anywhere."""
READ = "SCHEDLAB_INSTALLATIONS"
"""Variable by which the jobs of one run of the workflow know what its start read in archives: JSON,
mark of an archive -> why it is refused and the remedy, or nothing."""

SETTINGS: Mapping[str, Setting] = {
    "channel": Setting(
        CHANNEL,
        "Conda channel that the packages are from where there is no prefix",
        r"\S(.*\S)?",
        "a channel's name, URL (without credentials), or folder, which begins with / . or ~",
    ),
    "lock": Setting(
        "",
        "lock file of the channel, which `schedlab lock` writes; by default that of the checkout,"
        f" which is of {CHANNEL} alone",
        r"\S(.*\S)?",
        "the name of a file",
    ),
    "prefix": Setting(
        "",
        "folder with the installation, or an archive of it (tar, also compressed); relative names"
        " start at the folder of the run",
        r"\S(.*\S)?",
        "the name of a folder or an archive",
    ),
    "sha256": Setting(
        "",
        "SHA-256 of the archive, required with one; a folder's contents are digested by the run",
        r"[0-9A-Fa-f]{64}",
        "64 hexadecimal digits",
    ),
}
"""Settings of an adapter with an installation."""


@dataclass(frozen=True)
class Installation:
    """What an installation must have, where a channel has it, and where it is in guests.

    Attributes
    ----------
    name : str
        Of the software.
    source : pathlib.Path
        File of the adapter's package that says this: what is packed depends on it. The lock file
        of conda-forge is beside it.
    packages : tuple of str
        What makes it up in a channel, as Conda writes it: ``name >=1.2``.
    program : str
        Path below the prefix of the program that guests find under its own name.
    told : str
        Pattern of files below the prefix that tell for which folder it was made.
    pattern : str
        Regular expression of the line that does; its first group is the folder, blanks and all.
    """

    name: str
    source: Path
    packages: tuple[str, ...]
    program: str
    told: str
    pattern: str

    @property
    def place(self) -> str:
        """Folder in guests of an installation that can be moved, or that does not tell its own."""
        return f"/opt/{self.name}"

    @property
    def lock(self) -> Path:
        """Lock file of the default channel; it need not be there."""
        return self.source.with_name(f"{self.name}.lock")

    def command(self, channel: str = CHANNEL, lock: str = "") -> str:
        """Command that pins the packages of a channel."""
        own = channel == CHANNEL and not lock
        options = "" if own else f" --channel {quote(channel)} --output {quote(lock or 'FILE')}"
        return f"schedlab lock {self.name}{options}"


def locked(installation: Installation, settings: Mapping[str, str]) -> Lock:
    """Read the lock file that merged settings without a prefix name.

    Raises
    ------
    SchedlabError
        When it does not pin everything that the installation must have; see `read_lock`.
    """
    channel, lock = settings["channel"], settings["lock"]
    # A file that a setting names may be anything, so it is not to be written over.
    remedy = (
        f"name the FILE that `{installation.command(channel, 'FILE')}` writes"
        if lock
        else f"write it: `{installation.command(channel)}`"
    )
    return read_lock(lock_file(installation, settings), channel, installation.packages, remedy)


def lock_file(installation: Installation, settings: Mapping[str, str]) -> Path:
    """Lock file that merged settings name; by default that of the checkout."""
    return expanded(settings["lock"], "lock") if settings.get("lock") else installation.lock


def unlocked(scheduler: str, installation: Installation, settings: Mapping[str, str]) -> str | None:
    """Why a scheduler's merged settings give no installation, and what remedies it, or None."""
    lock = lock_file(installation, settings)
    if settings.get("prefix") or lock.is_file():
        return None
    return (
        f"no file pins the packages of {settings['channel']}, {lock.name} is missing; remedy:"
        f" where the channel can be reached, write it with `{installation.command()}`, or set"
        f" settings.{scheduler}.prefix to an installation (docs/{scheduler}.md)"
    )


def shaping(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of merged settings that shape the image; where a digest is given, the name does not."""
    found = {key: settings[key] for key in SETTINGS if settings.get(key)}
    if "sha256" in found:
        return {"sha256": found["sha256"].lower()}
    if "prefix" in found:
        return {"prefix": found["prefix"]}
    return found


def located(installation: Installation, contents: Contents) -> tuple[str, str]:
    """Where an installation is in what was given, and the folder that guests have it in.

    The latter is the one that it was made for, as its libraries and scripts name it.

    Raises
    ------
    Refused
        When it is not there, more than once, or was made for a folder that no guest can have.
    """
    root = contents.root(installation.name, installation.program)
    if contents.has_file(posixpath.join(root, RELOCATOR)):
        return root, installation.place
    told = contents.made_for(root, installation.told, installation.pattern, installation.name)
    return root, told or installation.place


def installation_problems(
    installation: Installation, overrides: Mapping[str, str]
) -> list[Problem]:
    """What is wrong with an experiment's settings of an installation.

    Contents are read, once in all processes of one run, but neither written nor run: the build of
    the image verifies that the software works.
    """
    written = {key.lower(): key for key in overrides}
    values = {key: overrides[written[key]] for key in SETTINGS if key in written}
    prefix, sha256 = values.get("prefix", ""), values.get("sha256", "")
    if not prefix:
        what = "the digest of an archive, and there is none"
        remedy = "write its name under prefix, or remove this key"
        if sha256:
            return [Problem(written["sha256"], sha256, what, remedy)]
        return _lock_problems(installation, values, written)
    key = written["prefix"]
    what = f"not used where {key} gives an installation"
    remedy = f"remove it, or give {key} only to the variants that shall have that one"
    beside = [
        Problem(written[other], redacted(values[other]), what, remedy, unused=True)
        for other in ("channel", "lock")
        if values.get(other)
    ]
    return beside + _prefix_problems(installation, values, written)


def _prefix_problems(
    installation: Installation, values: Mapping[str, str], written: Mapping[str, str]
) -> list[Problem]:
    """What is wrong with a folder or an archive."""
    key, prefix, sha256 = written["prefix"], values["prefix"], values.get("sha256", "")
    try:
        path = expanded(prefix, key)
    except SchedlabError as error:
        return [_unusable(key, prefix, error)]
    if path.is_dir():
        if not (path / installation.program).is_file():
            what = f"a folder without {installation.program}"
            remedy = f"name the folder that {installation.name} was installed into"
            return [Problem(key, prefix, what, remedy)]
        if sha256:
            what, remedy = "the digest of an archive, but prefix is a folder", "remove this key"
            return [Problem(written["sha256"], sha256, what, remedy)]
        return _contents_problems(installation, path, "", {"prefix": (key, prefix)})
    if not path.is_file():
        what = "neither a folder nor a file" if path.exists() else "no such folder or archive"
        return [Problem(key, prefix, what, "correct the name")]
    if not re.fullmatch(r".*\.(tar|tgz|tar\.(gz|bz2|xz|zst))", path.name):
        remedy = "use tar, plain or with .gz, .bz2, .xz or .zst at the end of its name"
        return [Problem(key, prefix, "neither a folder nor a tar archive", remedy)]
    if not sha256:
        remedy = f"write its digest under sha256: sha256sum {prefix}"
        return [Problem(key, prefix, "an archive without sha256", remedy)]
    at = {"prefix": (key, prefix), "sha256": (written["sha256"], sha256)}
    return _contents_problems(installation, path, sha256, at)


def _unusable(key: str, value: str, error: SchedlabError) -> Problem:
    return Problem(key, value, error.message.rpartition(": ")[2], str(error.remedy))


def _contents_problems(
    installation: Installation, path: Path, sha256: str, at: Mapping[str, tuple[str, str]]
) -> list[Problem]:
    """What is wrong with the contents of an archive with a digest, or of a folder.

    `at` has the keys of both as they are written, with their values.
    """
    status = path.stat()
    facts = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    mark = digest([str(path.absolute()), sha256, facts, installation.name])
    # A folder's times tell nothing of what is below it, and it is soon read.
    known: dict[str, list[str]] = json.loads(os.environ.get(READ, "{}")) if sha256 else {}
    if mark not in known:
        try:
            told = installation.told
            contents = read_archive(path, sha256, told) if sha256 else read_folder(path, told)
            located(installation, contents)
            known[mark] = []
        except OtherDigest as error:
            what = f"not the digest of {at['prefix'][1]}, which is {error.digest}"
            known[mark] = ["sha256", what, error.remedy]
        except Refused as error:
            known[mark] = ["prefix", error.what, error.remedy]
        except OSError as error:
            remedy = "correct the name, or the permissions"
            return [Problem(*at["prefix"], f"cannot be read: {error.strerror}", remedy)]
        if sha256:
            os.environ[READ] = json.dumps(known)
    return [Problem(*at[known[mark][0]], *known[mark][1:])] if known[mark] else []


def _lock_problems(
    installation: Installation, values: Mapping[str, str], written: Mapping[str, str]
) -> list[Problem]:
    """What is wrong with the settings of a channel."""
    channel, lock = values.get("channel", CHANNEL), values.get("lock", "")
    try:
        usual = channel == CHANNEL or channel_url(channel) == channel_url(CHANNEL)
    except SchedlabError as error:
        shown = redacted(channel)
        why = error.message.removeprefix(f"{shown} is ")
        return [Problem(written["channel"], shown, why, error.remedy or "")]
    if not lock:
        remedy = f"pin its packages, and name the file: `{installation.command(channel)}`"
        what = "a channel without lock"
        return [] if usual else [Problem(written["channel"], channel, what, remedy)]
    try:
        path = expanded(lock, written["lock"])
    except SchedlabError as error:
        return [_unusable(written["lock"], lock, error)]
    if not path.is_file():
        remedy = f"correct the name, or write it: `{installation.command(channel, lock)}`"
        if path.exists():
            remedy = f"name the FILE that `{installation.command(channel, 'FILE')}` writes"
            return [Problem(written["lock"], lock, "not a file", remedy)]
        return [Problem(written["lock"], lock, "no such file", remedy)]
    try:
        locked(installation, {"channel": channel, "lock": lock})
    except SchedlabError as error:
        why = error.message.removeprefix(f"{path} ")
        return [Problem(written["lock"], lock, why, error.remedy or "")]
    return []
