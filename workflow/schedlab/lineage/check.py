"""Compares a chain with the files on disk: records, their outputs, and sources in the checkout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedlab.errors import SchedlabError
from schedlab.lineage.chain import Link, link
from schedlab.outside.names import inside
from schedlab.paths import PACKED_SOURCE, RESULTS
from schedlab.results.provenance import committed_digest
from schedlab.results.store import Store, below, origin_of

if TYPE_CHECKING:
    # Its module needs pandas, whose import is slow.
    from schedlab.lineage.targets import Target


@dataclass(frozen=True)
class LinkMismatch:
    """A file or record that differs from what a record says of it.

    Attributes
    ----------
    path : str
        Path, below the results folder, of the record that names it.
    kind : {"record", "parent", "output", "input", "row"}
        What differs.
    name : str
        Name of the file or record that differs.
    message : str
        How it differs.
    """

    path: str
    kind: str
    name: str
    message: str


@dataclass
class CheckedLink:
    """Outcome of the comparison of one link.

    Attributes
    ----------
    mismatches : list of LinkMismatch
        Differences in this order: the record, its parents, its outputs, its inputs.
    matching : dict of str to int
        Number of ``outputs`` and ``inputs`` that agree with the record.
    absent : dict of str to list of str
        Names of ``outputs`` and ``inputs`` that could not be compared: files that a bundle leaves
        out, and sources that are not on this machine.
    earlier : list of str
        Names of the ``inputs`` that agree with the record's commit and not with the checkout,
        which has gone on since.
    """

    mismatches: list[LinkMismatch] = field(default_factory=list)
    matching: dict[str, int] = field(default_factory=lambda: {"outputs": 0, "inputs": 0})
    absent: dict[str, list[str]] = field(default_factory=lambda: {"outputs": [], "inputs": []})
    earlier: list[str] = field(default_factory=list)


def source_folder(store: Store, checkout: Path) -> Path | None:
    """Return the folder with the sources of results.

    For a bundle this is the source in the bundle, or None if it has none; else it is `checkout`.
    """
    if store.shared:
        packed = store.results.parent / PACKED_SOURCE
        return packed if packed.is_dir() else None
    return checkout


def check(
    store: Store, links: Iterable[Link], sources: Path | None, target: Target
) -> dict[str, CheckedLink]:
    """Compare every link with the files.

    Parameters
    ----------
    store : Store
        The records.
    links : iterable of Link
        The chain.
    sources : pathlib.Path or None
        The checkout to compare inputs with; None if there is none.
    target : Target
        Start of the chain. For a cell, its rows are compared with the records of its trials.

    Returns
    -------
    dict of str to CheckedLink
        Outcome by path of the record, in the order of the links.
    """
    digests: dict[Path, str] = {}
    checked = {link.path: _check(store, link, sources, digests) for link in links}
    rows = {trial["id"]: trial["lineage"] for trial in target.facts.get("trials", ())}
    record = store.record(target.start) if rows else None
    named = (
        {name: parent["lineage"] for name, parent in record["parents"].items()} if record else {}
    )
    for trial, lineage in rows.items():
        if record is not None and named.get(trial) != lineage:
            problem = "the table's rows have another lineage than the record of the tables says"
            checked[target.start].mismatches.append(
                LinkMismatch(target.start, "row", trial, problem)
            )
    return checked


def check_record(store: Store, path: str) -> list[LinkMismatch]:
    """Compare one record with its files, its own lineage and its parents; sources are left out.

    Parameters
    ----------
    store : Store
        The records.
    path : str
        Path of the record below the results folder.
    """
    return _check(store, link(store, path), None, {}).mismatches


def first_mismatch(checked: dict[str, CheckedLink]) -> LinkMismatch | None:
    """Return the first mismatch on the way from the target to the sources, or None."""
    return next((m for found in checked.values() for m in found.mismatches), None)


def _check(store: Store, link: Link, sources: Path | None, digests: dict[Path, str]) -> CheckedLink:
    found = CheckedLink()
    if link.problem:
        found.mismatches.append(LinkMismatch(link.path, "record", link.path, link.problem))
    for parent in link.parents:
        if parent.problem:
            found.mismatches.append(LinkMismatch(link.path, "parent", parent.path, parent.problem))
    record = link.record or {}
    folder = (store.results / link.path).parent
    origin = origin_of(link.path)
    # Imported results come from a bundle and were made from another checkout.
    sources = None if origin else sources
    # Git obeys the settings of a checkout, so it is not asked about what came with results.
    own = sources is not None and not sources.resolve().is_relative_to(_place(store).resolve())
    history = sources if own else None
    outputs = {name: _within(folder, name) for name in record.get("outputs", {})}
    inputs = dict(_located(record.get("inputs", {}), store.results / below(origin), sources))
    for kind, files in (("outputs", outputs), ("inputs", inputs)):
        # A folder in which results are made has every file. A bundle leaves out large files.
        may_lack = store.shared or bool(origin) or (kind == "inputs" and sources is None)
        for name, path in files.items():
            expected = record[kind][name]
            sha256 = None
            if path is not None and (sha256 := digests.get(path) or store.file_digest(path)):
                digests[path] = sha256
            differs = kind == "inputs" and path is not None and sha256 != expected
            if differs and history and _at_its_commit(history, record, name):
                found.matching[kind] += 1
                found.earlier.append(name)
                continue
            if sha256 is None:
                if may_lack:
                    found.absent[kind].append(name)
                else:
                    found.mismatches.append(LinkMismatch(link.path, kind[:-1], name, "is missing"))
                continue
            if sha256 == expected:
                found.matching[kind] += 1
            else:
                problem = "is not the file that the stage wrote"
                if kind == "inputs":
                    commit = (record["source"] or {}).get("commit")
                    problem = f"was changed since{f' (commit {commit[:12]})' if commit else ''}"
                found.mismatches.append(LinkMismatch(link.path, kind[:-1], name, problem))
    return found


def _place(store: Store) -> Path:
    """Folder whose content came with the results: that of the bundle, or the results alone."""
    return store.results.parent if store.shared else store.results


def _at_its_commit(sources: Path, record: Mapping[str, Any], name: str) -> bool:
    """Whether a source is in the record's commit as the stage read it, whatever came after."""
    commit = (record["source"] or {}).get("commit")
    if not commit or Path(name).is_relative_to(RESULTS):
        return False
    return bool(_committed(sources, commit, name) == record["inputs"][name])


# Trials of one campaign read the same sources.
_committed = lru_cache(maxsize=4096)(committed_digest)


def _located(
    names: Iterable[str], results: Path, sources: Path | None
) -> Iterator[tuple[str, Path | None]]:
    for name in names:
        path = Path(name)
        if path.is_relative_to(RESULTS):
            yield name, _within(results, path.relative_to(RESULTS).as_posix())
        else:
            yield name, _within(sources, name) if sources else None


def _within(folder: Path, name: str) -> Path | None:
    """Return the path of a file that a record names, or None if it leads out of the folder."""
    try:
        return inside(folder, name)
    except SchedlabError:
        return None
