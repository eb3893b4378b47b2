"""Access to results in one way, whether they are a folder, a bundle, or an unpacked bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schedlab.bundle.archive_format import DESCRIPTION, MANIFEST
from schedlab.bundle.verify import Verified, unpack, verify
from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.names import HOSTILE
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import EXPERIMENTS, RESULTS, TABLE_FILES, TABLES, TABLES_RECORD
from schedlab.results.form_checks import shown
from schedlab.results.records import load_record


@dataclass(frozen=True)
class OpenedResults:
    """Results that are ready to be read.

    Attributes
    ----------
    results : pathlib.Path
        The results folder.
    experiments : pathlib.Path
        Configuration of the results; read it with `schedlab.config.read_experiment`.
    label : str
        Path that the user gave, for headings and messages.
    is_bundle : bool
        The results come from a bundle. The folder is removed at the end of the context.
    verified : Verified or None
        Outcome of the verification; None for a results folder.
    """

    results: Path
    experiments: Path
    label: str
    is_bundle: bool
    verified: Verified | None = None


@contextmanager
def opened(path: Path) -> Iterator[OpenedResults]:
    """Open a results folder, a bundle, or the folder of an unpacked bundle.

    A bundle is verified while it is unpacked into a temporary folder.

    Raises
    ------
    SchedlabError
        There are no results, or the bundle fails its verification. Errors within the context
        that come from malformed content are turned into this error too.
    """
    remedy = "compare it with what this release of schedlab writes, or leave it out"
    if path.is_dir():
        with foreign(path, remedy, path):
            if (path / MANIFEST).is_file() and (path / DESCRIPTION).is_file():
                yield _inside(path, path, verify(path))
            else:
                yield OpenedResults(path, _experiments(path), str(path), False)
        return
    with (
        temporary_folder("schedlab-bundle-") as folder,
        foreign(path, remedy, folder),
        _named(path, folder),
    ):
        yield _inside(folder, path, unpack(path, folder))


@contextmanager
def _named(path: Path, folder: Path) -> Iterator[None]:
    """Name the bundle instead of the temporary folder in errors about unpacked files.

    The folder no longer exists when the user reads the message.
    """
    try:
        yield
    except SchedlabError as error:
        if str(folder) not in str(error):
            raise
        raise SchedlabError(
            error.message.replace(f"{folder}/", f"{path}: ").replace(str(folder), str(path)),
            remedy=HOSTILE,
        ) from error


def _inside(root: Path, path: Path, verified: Verified) -> OpenedResults:
    results = root / RESULTS
    _require_own_tables(results, path, verified)
    return OpenedResults(results, results / EXPERIMENTS, str(path), True, verified)


def _require_own_tables(results: Path, path: Path, verified: Verified) -> None:
    """Check that the tables of a bundle, which are read as they are, are those of its records.

    Raises
    ------
    SchedlabError
        A table is not the one that the stage of the tables wrote.
    """
    for name in TABLE_FILES:
        found = verified.digests.get(f"{RESULTS}/{TABLES}/{name}")
        if found is None:
            continue
        stated = load_record(results / TABLES_RECORD)["outputs"].get(name)
        if stated != found:
            raise SchedlabError(
                f"{path}: {RESULTS}/{TABLES_RECORD}: outputs.{name} is {shown(stated)}, but the"
                f" SHA-256 of {RESULTS}/{TABLES}/{name} is {shown(found)}",
                remedy=HOSTILE,
            )


def _experiments(results: Path) -> Path:
    """Return the copy of the configuration in a results folder, else the one of its checkout."""
    copy, around = results / EXPERIMENTS, results.resolve().parent / "config" / EXPERIMENTS
    if not any((results / name).exists() for name in ("trials", TABLES, EXPERIMENTS)):
        raise SchedlabError(
            f"{results}: contains no results",
            remedy="name a results folder (`make report` makes one) or a bundle",
        )
    return around if not copy.exists() and around.exists() else copy
