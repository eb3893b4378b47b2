"""The licences that a Debian system's packages declare, read from its files before it is a disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LICENCES = "licences.json"
"""File beside a base disk with the licences by package."""
LARGEST = 4 << 20
"""Largest size of a copyright file that is read, bytes."""


def declared_licences(root: Path, packages: Iterable[str]) -> dict[str, list[str]]:
    """Read the licences of packages.

    Only machine-readable copyright files state licences in a form that can be listed
    (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/, DEP-5).

    Parameters
    ----------
    root : pathlib.Path
        The system's files.
    packages : iterable of str
        Names of its packages.

    Returns
    -------
    dict of str to list of str
        Short names of licences as the package writes them, sorted, of the packages that have a
        machine-readable file.
    """
    found = {}
    for package in packages:
        if names := licences_of(root, root / "usr/share/doc" / package / "copyright"):
            found[package] = names
    return found


def licences_of(root: Path, file: Path) -> list[str]:
    """Read the short names of the licences in a copyright file; none if it is not DEP-5.

    A package may link to the file of another package, but a link out of the system is not followed.
    """
    # Imported here, because only a build of a base disk reads such files.
    from debian.copyright import Copyright, Error

    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(root.resolve()) or real.stat().st_size > LARGEST:
            return []
        lines = real.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):
        return []
    warnings = logging.getLogger("debian.copyright")
    level = warnings.level
    # It warns of each small fault of a file.
    warnings.setLevel(logging.ERROR)
    try:
        content = Copyright(lines, strict=False)
        # The library states the type of this attribute as that of what makes it.
        stated: list[Any] = [paragraph.license for paragraph in content.all_files_paragraphs()]
    except (Error, ValueError):
        return []
    finally:
        warnings.setLevel(level)
    names = {" ".join(licence.synopsis.split()) for licence in stated if licence is not None}
    return sorted(names - {""})


def read_licences(base: Path) -> dict[str, list[str]]:
    """Read what :func:`declared_licences` found; nothing for a disk that was not built here."""
    file = base / LICENCES
    found: dict[str, list[str]] = json.loads(file.read_text()) if file.is_file() else {}
    return found
