"""One view of results; folders only, until bundles can be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schedlab.errors import SchedlabError


@dataclass(frozen=True)
class Opened:
    """Results to read.

    Attributes
    ----------
    results : pathlib.Path
        The results folder.
    experiments : pathlib.Path
        The configuration that they are of.
    label : str
        What the user named.
    is_bundle : bool
        They come from a bundle.
    """

    results: Path
    experiments: Path
    label: str
    is_bundle: bool


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a results folder.

    Raises
    ------
    SchedlabError
        When it is none.
    """
    if not path.is_dir():
        raise SchedlabError(f"{path}: not a results folder", remedy="name a results folder")
    copy, around = path / "experiments.yaml", path.resolve().parent / "config" / "experiments.yaml"
    yield Opened(path, around if around.exists() and not copy.exists() else copy, str(path), False)
