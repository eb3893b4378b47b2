"""Software from a Conda channel: asks whether it can be reached, pins packages, installs them.

No credentials are read or sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from schedlab.errors import SchedlabError
from schedlab.plain import plain
from schedlab.results.digests import file_digest
from schedlab.schedulers.installation import Installation
from schedlab.schedulers.lockfile import PLATFORM, Lock, channel_url, one_line, read_lock

if TYPE_CHECKING:
    from rattler import Client, GenericVirtualPackage

STAGE = "programs"
REACH = 3.0
"""Longest time that the question takes whether a channel can be reached, s."""
REQUEST = 600
"""Longest time of one request, s: large packages over a slow network."""
REACHED = "SCHEDLAB_CHANNELS"
"""Variable by which the jobs of one run of the workflow know what its start found: JSON, address ->
why it cannot be reached, or null."""
GUEST = (
    ("__unix", "0", "0"),
    ("__linux", "6.1", "0"),
    ("__glibc", "2.36", "0"),
    ("__archspec", "1", "x86_64"),
)
"""What packages may count on, as Conda's virtual packages: Debian bookworm, the oldest release that
guests have, on any processor of the kind."""


def out_of_reach(url: str) -> str | None:
    """Why a file cannot be had, in words that do not change from run to run; None where it can.

    All processes of one run of the workflow ask once. The answer takes at most `REACH` s.
    """
    if (path := _local(url)) is not None:
        return None if path.is_file() else "no such file"
    known: dict[str, str | None] = json.loads(os.environ.get(REACHED, "{}"))
    if url not in known:
        answers: list[str | None] = []
        # A look-up of the host's name has no limit that could be set: it is left behind.
        asking = threading.Thread(target=lambda: answers.append(_ask(url)), daemon=True)
        asking.start()
        asking.join(REACH)
        known[url] = answers[0] if answers else f"no answer within {REACH:g} s"
        os.environ[REACHED] = json.dumps(known)
    return known[url]


def _ask(url: str) -> str | None:
    # Not at the top: its import is slow, and most experiments need no channel.
    import requests

    try:
        with requests.get(url, stream=True, timeout=REACH) as answer:
            return None if answer.ok else f"the server answers {answer.status_code}"
    except requests.Timeout:
        return f"no answer within {REACH:g} s"
    except (OSError, ValueError) as error:  # the errors of requests are among these
        return plain(error)


def write_lock(installation: Installation, channel: str, output: Path, scratch: Path) -> Lock:
    """Choose the newest packages of a channel that fit together and pin them in a lock file.

    Parameters
    ----------
    installation : Installation
        Says which packages.
    channel : str
        A name, a URL or a folder; see `channel_url`.
    output : pathlib.Path
        The lock file, which is replaced.
    scratch : pathlib.Path
        Empty folder for what the channel says of its packages.

    Raises
    ------
    SchedlabError
        When the channel cannot be read, no packages fit together, or one has no SHA-256.
    """
    from rattler import Channel, Gateway, LockFile, LockPlatform, Subdir, solve
    from rattler.exceptions import FetchRepoDataError, GatewayError, SolverError

    source = Channel(channel_url(channel))

    def refused(why: str) -> SchedlabError:
        wanted = ", ".join(installation.packages)
        return SchedlabError(
            f"the packages of {channel} cannot be pinned: {why}",
            remedy=f"name a channel that has {wanted}, and that this machine can reach",
        )

    if why := out_of_reach(file := f"{source.base_url}noarch/repodata.json"):
        raise refused(f"{file}: {why}")
    try:
        records = asyncio.run(
            solve(
                [source],
                installation.packages,
                gateway=Gateway(cache_dir=scratch, client=_client()),
                platforms=[Subdir(PLATFORM), Subdir("noarch")],
                virtual_packages=_guest(),
            )
        )
    except (FetchRepoDataError, GatewayError, SolverError) as error:
        raise refused(one_line(error)) from error
    platform = LockPlatform(PLATFORM)
    pinned = LockFile([platform])
    pinned.set_channels("default", [source.to_lock_channel()])
    for record in records:
        pinned.add_conda_package("default", platform, record)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        pinned.to_path(partial)
        remedy = "index the channel again, so that it tells the SHA-256 of each package"
        lock = read_lock(partial, channel, installation.packages, remedy)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return lock


def install(lock: Lock, prefix: Path, place: str, packages: Path) -> None:
    """Install the packages of a lock file into a new folder.

    Parameters
    ----------
    lock : Lock
        The packages.
    prefix : pathlib.Path
        The folder, which is made.
    place : str
        Folder in guests, which installed files name in place of `prefix`.
    packages : pathlib.Path
        Folder for the packages as they are downloaded.

    Raises
    ------
    SchedlabError
        When a package cannot be had, or has another digest.
    """
    from rattler import Subdir
    from rattler import install as install_records
    from rattler.exceptions import InstallerError

    def refused(why: str) -> SchedlabError:
        return SchedlabError(
            f"the packages of {lock.channel} cannot be installed: {why}",
            stage=STAGE,
            remedy="run again where the channel can be reached; if it replaced packages on purpose,"
            " pin them again with `schedlab lock`",
        )

    for record in lock.records:
        # The library checks the digests of what it downloads, but not those of local files.
        path = _local(record.url)
        if path is None:
            continue
        if not path.is_file():
            raise refused(f"{path} is missing")
        if record.sha256 is None or file_digest(path) != record.sha256.hex():
            raise refused(f"{path} has another digest than in the lock file")
    try:
        asyncio.run(
            install_records(
                list(lock.records),
                prefix,
                cache_dir=packages,
                platform=Subdir(PLATFORM),
                client=_client(),
                show_progress=False,
                execute_link_scripts=False,
                alternative_target_prefix=place,
            )
        )
    except InstallerError as error:
        raise refused(one_line(error)) from error
    # They name folders of this machine. The packages are in the record of the programs.
    shutil.rmtree(prefix / "conda-meta")
    (prefix / "CACHEDIR.TAG").unlink(missing_ok=True)


def _local(url: str) -> Path | None:
    """Path of a file on this machine; None for a file elsewhere."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _client() -> Client:
    from rattler import Client
    from rattler.networking.middleware import RetryMiddleware

    return Client([RetryMiddleware(3)], timeout=REQUEST)


def _guest() -> list[GenericVirtualPackage]:
    from rattler import BuildString, GenericVirtualPackage, PackageName, Version

    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, version, build in GUEST
    ]
