"""Finds what is in an installation that a user gave, from what its package managers left there.

An environment of conda has a file for each package in ``conda-meta``, with version and licence.
Software that was built from sources tells its name and version in the files of pkg-config.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from schedlab.outside.json_text import parse_json

_LARGEST = 8 << 20
"""Largest size (bytes) of such a file; those of conda list the files of the package."""
_LINE = re.compile(r"(?m)^\s*(Name|Version):[ \t]*(\S.*?)[ \t]*$")
_VARIABLE = re.compile(r"(?m)^\s*(\w+)[ \t]*=[ \t]*(\S.*?)[ \t]*$")


class Part(NamedTuple):
    """A package or library of an installation.

    Attributes
    ----------
    name, version : str
        As it tells them.
    licence : str
        As it declares it; empty if it does not.
    build : str
        Conda's build of the package; empty for other software.
    """

    name: str
    version: str
    licence: str = ""
    build: str = ""


def parts(archive: Path) -> list[Part]:
    """List what an installation consists of, as far as it tells; sorted, each once."""
    return sorted(set(_parts(archive)))


def _parts(archive: Path) -> Iterator[Part]:
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            known = (path.parent.name, path.suffix) in {
                ("conda-meta", ".json"),
                ("pkgconfig", ".pc"),
            }
            if not known or not member.isreg() or member.size > _LARGEST:
                continue
            stream = tar.extractfile(member)
            text = stream.read().decode("utf-8", errors="replace") if stream else ""
            found = _of_conda(text) if path.suffix == ".json" else _of_pkg_config(path.stem, text)
            if found:
                yield found


def _of_conda(text: str) -> Part | None:
    try:
        data: Any = parse_json(text)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    told = [data.get(key) for key in ("name", "version", "license", "build")]
    name, version, licence, build = (str(value) if value else "" for value in told)
    return Part(name, version, licence, build) if name and version else None


def _of_pkg_config(name: str, text: str) -> Part | None:
    """Read Version, in which ``${...}`` stands for a variable of the file; see pkg-config(1)."""
    variables = dict(_VARIABLE.findall(text))
    told = dict(_LINE.findall(text))
    version = re.sub(
        r"\$\{(\w+)\}", lambda match: variables.get(match[1], match[0]), told.get("Version", "")
    )
    return Part(name, version) if version else None
