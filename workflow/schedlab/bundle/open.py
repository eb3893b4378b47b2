"""One view of results, whether they are a folder, a bundle, or an unpacked bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schedlab.bundle.archive_format import DESCRIPTION, MANIFEST
from schedlab.bundle.reader import HOSTILE
from schedlab.bundle.verify import Verified, unpack, verify
from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import EXPERIMENTS, RESULTS, TABLES


@dataclass(frozen=True)
class Opened:
    """Results to read.

    Attributes
    ----------
    results : pathlib.Path
        The results folder.
    experiments : pathlib.Path
        The configuration that they are of; read it with `schedlab.config.read_experiment`.
    label : str
        What the user named: for headings and messages.
    is_bundle : bool
        They come from a bundle; the folder is gone when the context is left.
    verified : Verified or None
        What verification found, for bundles.
    """

    results: Path
    experiments: Path
    label: str
    is_bundle: bool
    verified: Verified | None = None


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a results folder, a bundle, or the folder of an unpacked bundle.

    A bundle is verified while it is unpacked into a temporary folder.

    Raises
    ------
    SchedlabError
        When there are no results, or the bundle does not pass its verification; and for whatever
        goes wrong within the context because the content has another form.
    """
    with foreign(path, "compare it with what this release of schedlab writes, or leave it out"):
        if path.is_dir():
            if (path / MANIFEST).is_file() and (path / DESCRIPTION).is_file():
                yield _inside(path, path, verify(path))
            else:
                yield Opened(path, _experiments(path), str(path), False)
            return
        with temporary_folder("schedlab-bundle-") as folder, _named(path, folder):
            yield _inside(folder, path, unpack(path, folder))


@contextmanager
def _named(path: Path, folder: Path) -> Iterator[None]:
    """Name a bundle in errors about what was unpacked of it: the folder is gone by then."""
    try:
        yield
    except SchedlabError as error:
        if str(folder) not in str(error):
            raise
        raise SchedlabError(
            error.message.replace(f"{folder}/", f"{path}: ").replace(str(folder), str(path)),
            remedy=HOSTILE,
        ) from error


def _inside(root: Path, path: Path, verified: Verified) -> Opened:
    results = root / RESULTS
    return Opened(results, results / EXPERIMENTS, str(path), True, verified)


def _experiments(results: Path) -> Path:
    """Configuration of a results folder: its copy there, else that of the checkout around it."""
    copy, around = results / EXPERIMENTS, results.resolve().parent / "config" / EXPERIMENTS
    if not any((results / name).exists() for name in ("trials", TABLES, EXPERIMENTS)):
        raise SchedlabError(
            f"{results}: holds no results",
            remedy="name a results folder (`make report` makes one) or a bundle",
        )
    return around if not copy.exists() and around.exists() else copy
