"""Packs results into a bundle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import IO, cast

from schedlab import __version__
from schedlab.bundle import crate
from schedlab.bundle.agreement import Remedies, require_agreement
from schedlab.bundle.archive_format import (
    CITATION,
    DESCRIPTION,
    PATCH,
    SCHEMA,
    ZENODO,
)
from schedlab.bundle.checkout import Checkout
from schedlab.bundle.contents import (
    Choice,
    Content,
    contents,
    load_packed_experiment,
    require_complete,
    stage_records,
    trial_folders,
)
from schedlab.bundle.executions import Execution, execution
from schedlab.bundle.scan import Scanner, secret_needles
from schedlab.bundle.versions import versions
from schedlab.bundle.writer import BundleWriter
from schedlab.citation import read_citation, zenodo
from schedlab.config import Experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.invocation import command
from schedlab.outside.names import require_writable
from schedlab.paths import CHECKOUT, CRATE, PACKED_SOURCE, RECORD, RESULTS
from schedlab.printing import word
from schedlab.privacy.identity import identity
from schedlab.results.records import digest, file_digest, load_record, was_stopped

_SEARCHED_AT_THEIR_SOURCE = (".parquet",)
"""Suffixes of files that are not searched, because the records that they are made from are."""


def pack(
    results: Path,
    output: Path,
    choice: Choice | None = None,
    *,
    force: bool = False,
    root: Path = CHECKOUT,
) -> str:
    """Write a bundle of a results folder; return the SHA-256 of its bytes.

    Parameters
    ----------
    results : pathlib.Path
        Results with their report.
    output : pathlib.Path
        Archive to write.
    choice : Choice, optional
        Optional parts to pack.
    force : bool
        Replace an existing file.
    root : pathlib.Path
        The checkout whose source is packed.

    Returns
    -------
    str
        SHA-256 of the archive.

    Raises
    ------
    SchedlabError
        A file is missing, changed since its record, or must not be shared. No archive is written
        then.
    """
    require_writable(output)
    if output.exists() and not force:
        raise SchedlabError(
            f"{output} exists", remedy="use another --output, or --force to replace it"
        )
    choice = choice or Choice()
    experiment = load_packed_experiment(results)
    require_complete(results, experiment)
    _require_no_links(results, experiment)
    checkout = Checkout(root)
    scanner = Scanner(identity(), secret_needles(results))
    newest, lineage, executions = _read_records(results, experiment)
    citation_file = checkout.file(CITATION)
    citation = read_citation(citation_file)
    traces = [str(path) for workload in experiment.workloads for path in workload.files()]
    patch = checkout.patch(
        identity(),
        results,
        traces,
        # Names cannot be replaced in a binary file, and its bytes may equal a name by chance.
        lambda name, content: scanner.check(f"{PATCH}: {name}", content, machine=False),
    )
    patch_size = patch.seek(0, io.SEEK_END)
    description = {
        "schema": SCHEMA,
        "release": __version__,
        "name": experiment.name,
        "created": newest,
        "lineage": lineage,
        "commit": checkout.commit,
        "patched": bool(patch_size),
        "included": {name: getattr(choice, name) for name in ("blocks", "images", "snapshots")},
        "versions": versions(),
    }
    metadata = crate.metadata(
        name=experiment.name,
        date=newest,
        citation=citation,
        commit=checkout.commit,
        executions=executions,
        figures=FIGURES,
    )
    with BundleWriter(output) as writer:
        small = {
            DESCRIPTION: json.dumps(description, indent=1, sort_keys=True).encode() + b"\n",
            ZENODO: zenodo(citation, experiment.name, newest),
            CITATION: citation_file or b"",
            CRATE: metadata,
        }
        for name, content in small.items():
            scanner.check(name, io.BytesIO(content), machine=name != CITATION)
            writer.add_bytes(name, content)
        listed = {
            entry.name: _add(writer, scanner, results, entry)
            for entry in contents(results, experiment, choice)
        }
        # Of the bytes that were packed, as those who get them will check them.
        require_agreement(results, experiment, listed, f"{results}/", _remedies(results))
        for file in checkout.files():
            _add_source(writer, scanner, file.name, file.content.read(), file.executable)
        patch.seek(0)
        scanner.check(PATCH, cast(IO[bytes], _Added(patch)))
        patch.seek(0)
        writer.add(PATCH, patch, patch_size)
    return writer.digest


def _require_no_links(results: Path, experiment: Experiment) -> None:
    """Refuse folders of stages that are links: what is behind one may be another trial's.

    The results folder itself may be one.
    """
    names = {*trial_folders(experiment)}
    names |= {name.rpartition("/")[0] for name in stage_records(experiment)}
    for name in sorted(names - {""}):
        for part in (*reversed(Path(name).parents[:-1]), Path(name)):
            path = results / part
            if path.is_symlink():
                raise SchedlabError(
                    f"{path} is a symbolic link to {word(path.readlink())}, and a bundle has only"
                    " what lies in the results folder itself",
                    remedy="put a copy of what it leads to in its place (remove the link, then"
                    " cp -a), then pack again",
                )


def _read_records(results: Path, experiment: Experiment) -> tuple[str, str, list[Execution]]:
    """Return the date of the newest record, the lineage of all trials, and the executions."""
    executions = []
    for name in stage_records(experiment):
        executions.append(execution(load_record(results / name), f"{RESULTS}/{name}"))
    newest = max((run.start for run in executions), default="")
    lineages: list[str] = []
    spans: dict[str, tuple[str, str]] = {}
    for folder in trial_folders(experiment):
        record = load_record(results / folder / RECORD)
        if not was_stopped(record):
            lineages.append(str(record["lineage"]))
        run = execution(record, folder)
        newest = max(newest, run.start)
        cluster = folder.split("/")[1]
        start, end = spans.get(cluster, (run.start, run.end))
        spans[cluster] = (min(start, run.start), max(end, run.end))
    executions += [
        Execution("trial", f"trials on {cluster}", f"{RESULTS}/trials/{cluster}/", start, end)
        for cluster, (start, end) in sorted(spans.items())
    ]
    return newest, digest(sorted(lineages)), executions


def _remedies(results: Path) -> Remedies:
    again = command(results)
    return Remedies(
        damaged=f"remove that record, and the stage runs again: {again}; then pack again",
        stale=f"bring the results up to date, then pack again: {again}",
        missing=f"run the experiment to the end, then pack again: {again}",
        own=True,
    )


def _add(writer: BundleWriter, scanner: Scanner, results: Path, entry: Content) -> str:
    """Compare a file of the results with its record, search it for secrets, and add it.

    Returns
    -------
    str
        SHA-256 of the file.
    """
    path = results / entry.name
    if not path.is_file() or path.is_symlink():
        raise SchedlabError(
            f"{path} is missing, although its record names it"
            if entry.sha256
            else f"{path} is missing",
            remedy=f"run the experiment to the end, then pack again: {command(results)}",
        )
    if entry.sha256 and file_digest(path) != entry.sha256:
        raise SchedlabError(
            f"{path} is not the file that its record describes",
            remedy=f"remove {path.parent / RECORD} and run the stage again: {command(results)}",
        )
    if not entry.opaque and path.suffix not in _SEARCHED_AT_THEIR_SOURCE:
        with path.open("rb") as handle:
            binary = "/prometheus/block/" in entry.name
            scanner.check(entry.name, handle, machine=not binary)
    return writer.add_file(f"{RESULTS}/{entry.name}", path)


def _add_source(
    writer: BundleWriter, scanner: Scanner, name: str, content: bytes, executable: bool
) -> None:
    # Committed files are public, so names in them may stay. Secret keys may not.
    path = f"{PACKED_SOURCE}/{name}"
    scanner.check(path, io.BytesIO(content), machine=False)
    writer.add(path, io.BytesIO(content), len(content), executable=executable)


class _Added(io.RawIOBase):
    """A file of the lines that a patch adds and of the file names in it."""

    def __init__(self, patch: IO[bytes]) -> None:
        self._patch = patch

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = []
        length = 0
        while (size < 0 or length < size) and (line := self._patch.readline()):
            if line.startswith((b"+", b"diff --git")):
                found.append(line)
                length += len(line)
        return b"".join(found)
