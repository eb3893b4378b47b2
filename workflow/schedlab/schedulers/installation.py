"""Software that a user gives for an image: an installed folder, or an archive of one.

An adapter says what it needs to find there (`Installation`). An experiment's settings say where it
is: those of `SETTINGS`, which shape the image and not the configuration of a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.paths import expanded
from schedlab.schedulers.settings import Setting
from schedlab.workloads.registry import Problem

SETTINGS: Mapping[str, Setting] = {
    "prefix": Setting(
        "",
        "folder with the installation, or an archive of it (tar, also compressed); relative names"
        " start at the folder of the run",
        r"(\S(.*\S)?)?",
        "the name of a folder or an archive",
    ),
    "sha256": Setting(
        "",
        "SHA-256 of the archive, required with one; a folder's contents are digested by the run",
        r"([0-9a-f]{64})?",
        "64 hexadecimal digits",
    ),
}
"""Settings of an adapter with an installation."""


@dataclass(frozen=True)
class Installation:
    """What an installation must have, and where it is in guests.

    Attributes
    ----------
    name : str
        Of the software.
    source : pathlib.Path
        File of the adapter's package that says this: what is packed depends on it.
    program : str
        Path below the prefix of the program that guests find under its own name.
    told : str
        Pattern of files below the prefix that tell for which folder it was made.
    pattern : str
        Regular expression of the line that does; its first group is the folder.
    """

    name: str
    source: Path
    program: str
    told: str
    pattern: str

    @property
    def place(self) -> str:
        """Folder in guests of an installation that can be moved, or that does not tell its own."""
        return f"/opt/{self.name}"


def shaping(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of merged settings that shape the image; where a digest is given, the name does not."""
    found = {key: settings[key] for key in SETTINGS if settings.get(key)}
    return {"sha256": found["sha256"]} if "sha256" in found else found


def installation_problems(
    installation: Installation, overrides: Mapping[str, str]
) -> list[Problem]:
    """What is wrong with an experiment's settings of an installation, as far as a look tells.

    Contents are checked when the image's programs are prepared, before its first machine.
    """
    written = {key.lower(): key for key in overrides}
    values = {key: overrides[written[key]] for key in SETTINGS if key in written}
    prefix, sha256 = values.get("prefix", ""), values.get("sha256", "")
    if not prefix:
        what = "the digest of an archive, and there is none"
        remedy = "write its name under prefix, or remove this key"
        return [Problem(written["sha256"], sha256, what, remedy)] if sha256 else []
    key = written["prefix"]
    try:
        path = expanded(prefix, key)
    except SchedlabError as error:
        return [Problem(key, prefix, "the home folder of no user", str(error.remedy))]
    if path.is_dir():
        if not (path / installation.program).is_file():
            what = f"a folder without {installation.program}"
            remedy = f"name the folder that {installation.name} was installed into"
            return [Problem(key, prefix, what, remedy)]
        if sha256:
            what, remedy = "the digest of an archive, but prefix is a folder", "remove this key"
            return [Problem(written["sha256"], sha256, what, remedy)]
        return []
    if not path.is_file():
        return [Problem(key, prefix, "no such folder or archive", "correct the name")]
    if not re.fullmatch(r".*\.(tar|tgz|tar\.(gz|bz2|xz|zst))", path.name):
        remedy = "use tar, plain or with .gz, .bz2, .xz or .zst at the end of its name"
        return [Problem(key, prefix, "neither a folder nor a tar archive", remedy)]
    if not sha256:
        remedy = f"write its digest under sha256: sha256sum {prefix}"
        return [Problem(key, prefix, "an archive without sha256", remedy)]
    return []
