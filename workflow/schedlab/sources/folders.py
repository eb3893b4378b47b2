"""Lists the files of a folder as the tools that read the folder see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def all_files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, also below links to folders.

    Tools such as Ansible and Terraform follow such links, so an edit behind one changes what they
    do. Python's compiled files do not count.

    Parameters
    ----------
    folder : pathlib.Path
        The folder; there are no files if it does not exist.
    """
    above: dict[Path, frozenset[str]] = {folder: frozenset()}
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        # A link to a folder above it would be followed for ever.
        passed = above.pop(here) | {os.path.realpath(here)}
        folders[:] = [
            inner
            for inner in folders
            if inner != "__pycache__" and os.path.realpath(here / inner) not in passed
        ]
        above.update({here / inner: passed for inner in folders})
        yield from (here / file for file in files if (here / file).is_file())
