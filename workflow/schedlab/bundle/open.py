"""Access to results in one way, whether they are a folder, a bundle, or an unpacked bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schedlab.bundle.agreement import (
    INCOMPLETE,
    STALE,
    Remedies,
    require_agreement,
    require_own_tables,
)
from schedlab.bundle.archive_format import DESCRIPTION, MANIFEST
from schedlab.bundle.contents import load_packed_experiment
from schedlab.bundle.verify import Verified, unpack, verify
from schedlab.config import Experiment
from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.names import HOSTILE
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import EXPERIMENTS, RESULTS, TABLES


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
def opened(path: Path, wanted: Callable[[str], bool] | None = None) -> Iterator[OpenedResults]:
    """Open a results folder, a bundle, or the folder of an unpacked bundle.

    A bundle is verified while it is unpacked into a temporary folder.

    Parameters
    ----------
    path : pathlib.Path
        The folder or the bundle.
    wanted : callable, optional
        Tells by a file's name whether it is unpacked. The default is all.

    Raises
    ------
    SchedlabError
        There are no results, or the bundle fails its verification. Errors within the context
        that come from malformed content are turned into this error too.
    """
    remedy = "compare it with what this release of schedlab writes, or leave it out"
    if path.is_dir():
        with foreign(path, remedy, path):
            if _is_unpacked(path):
                yield _inside(path, path, verify(path))
            else:
                yield OpenedResults(path, _experiments(path), str(path), False)
        return
    with (
        temporary_folder("schedlab-bundle-") as folder,
        foreign(path, remedy, folder),
        _named(path, folder),
    ):
        yield _inside(folder, path, unpack(path, folder, wanted=wanted))


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
    require_own_tables(results, _listed(verified), f"{path}: {RESULTS}/", HOSTILE)
    return OpenedResults(results, results / EXPERIMENTS, str(path), True, verified)


def _listed(verified: Verified) -> dict[str, str]:
    """Return the digests of a bundle's files below its results folder, by path there."""
    start = f"{RESULTS}/"
    digests = verified.digests
    return {name.removeprefix(start): digests[name] for name in digests if name.startswith(start)}


def agreed_entries(source: OpenedResults, experiment: Experiment) -> list[str]:
    """Return the files of a bundle's own experiment, as paths below the results folder.

    Raises
    ------
    SchedlabError
        As `schedlab.bundle.agreement.require_agreement`.
    """
    assert source.verified
    return require_agreement(
        source.results,
        experiment,
        _listed(source.verified),
        f"{source.label}: {RESULTS}/",
        Remedies(damaged=HOSTILE, stale=STALE, missing=INCOMPLETE),
    )


def verify_bundle(path: Path) -> Verified:
    """Check a bundle as `schedlab import` does: its files, and what its records say of them.

    Only the small files that records are compared with are unpacked.

    Raises
    ------
    SchedlabError
        As :func:`schedlab.bundle.verify.verify` and `agreed_entries`.
    """
    if path.is_dir() and not _is_unpacked(path):
        verify(path)  # says what the folder lacks
    with opened(path, _is_compared) as source:
        agreed_entries(source, load_packed_experiment(source.results))
    assert source.verified
    return source.verified


def _is_unpacked(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and (folder / DESCRIPTION).is_file()


def _is_compared(name: str) -> bool:
    if not name.startswith(f"{RESULTS}/"):
        return False
    # What driver, payload and scheduler tell of the jobs of a trial.
    told = name.endswith(".jsonl") or "/native/" in name
    return name.endswith((".json", ".yaml")) or (told and "/trials/" in name)


def _experiments(results: Path) -> Path:
    """Return the copy of the configuration in a results folder, else the one of its checkout."""
    copy, around = results / EXPERIMENTS, results.resolve().parent / "config" / EXPERIMENTS
    if not any((results / name).exists() for name in ("trials", TABLES, EXPERIMENTS)):
        raise SchedlabError(
            f"{results}: contains no results",
            remedy="name a results folder (`make report` makes one) or a bundle",
        )
    return around if not copy.exists() and around.exists() else copy
