"""Compare a chain with the files on disk: records, outputs beside them, sources in the checkout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.lineage.chain import Link
from schedlab.lineage.targets import Target
from schedlab.outside.names import inside
from schedlab.paths import RESULTS
from schedlab.results.records import file_digest
from schedlab.results.store import Store, below, origin_of


@dataclass(frozen=True)
class Mismatch:
    """A link that no longer matches.

    Attributes
    ----------
    path : str
        The record that names it, below the results.
    kind : {"record", "parent", "output", "input", "row"}
        What does not match.
    name : str
        The file or record named.
    message : str
        How it differs.
    """

    path: str
    kind: str
    name: str
    message: str


@dataclass
class Checked:
    """What was compared of one link.

    Attributes
    ----------
    mismatches : list of Mismatch
        In order: the record, what it builds on, its outputs, its inputs.
    matching : dict of str to int
        Number of ``outputs`` and ``inputs`` that are as the record says.
    absent : dict of str to list of str
        Those named by digest only: files that a bundle leaves out, sources that are not here.
    """

    mismatches: list[Mismatch] = field(default_factory=list)
    matching: dict[str, int] = field(default_factory=lambda: {"outputs": 0, "inputs": 0})
    absent: dict[str, list[str]] = field(default_factory=lambda: {"outputs": [], "inputs": []})


def source_folder(store: Store, checkout: Path) -> Path | None:
    """Where the sources of results are: a bundle's own, else this checkout; None without any."""
    if store.shared:
        inside = store.results.parent / "source"
        return inside if inside.is_dir() else None
    return checkout


def check(
    store: Store, links: Iterable[Link], sources: Path | None, target: Target
) -> dict[str, Checked]:
    """Compare every link with the files.

    Parameters
    ----------
    store : Store
        The records.
    links : iterable of Link
        The chain.
    sources : pathlib.Path or None
        The checkout to compare inputs with; None: there is none.
    target : Target
        A cell's rows are compared with the records of its trials.

    Returns
    -------
    dict of str to Checked
        By path of the record, in the order of the links.
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
            problem = "the table's rows carry another lineage than the record of the tables names"
            checked[target.start].mismatches.append(Mismatch(target.start, "row", trial, problem))
    return checked


def first_mismatch(checked: dict[str, Checked]) -> Mismatch | None:
    """The first link, from the target to the sources, that does not match; None when all do."""
    return next((m for found in checked.values() for m in found.mismatches), None)


def _check(store: Store, link: Link, sources: Path | None, digests: dict[Path, str]) -> Checked:
    found = Checked()
    if link.problem:
        found.mismatches.append(Mismatch(link.path, "record", link.path, link.problem))
    for parent in link.parents:
        if parent.problem:
            found.mismatches.append(Mismatch(link.path, "parent", parent.path, parent.problem))
    record = link.record or {}
    folder = (store.results / link.path).parent
    origin = origin_of(link.path)
    # An import came from a bundle, and was made from another checkout.
    sources = None if origin else sources
    outputs = {name: _within(folder, name) for name in record.get("outputs", {})}
    inputs = dict(_located(record.get("inputs", {}), store.results / below(origin), sources))
    for kind, files in (("outputs", outputs), ("inputs", inputs)):
        # In a folder where results are made every file is there; a bundle leaves out large ones.
        may_lack = store.shared or bool(origin) or (kind == "inputs" and sources is None)
        for name, path in files.items():
            expected = record[kind][name]
            if path is None or not path.is_file():
                if may_lack:
                    found.absent[kind].append(name)
                else:
                    found.mismatches.append(Mismatch(link.path, kind[:-1], name, "is missing"))
                continue
            if path not in digests:
                digests[path] = file_digest(path)
            if digests[path] == expected:
                found.matching[kind] += 1
            else:
                problem = "is not the file that was written"
                if kind == "inputs":
                    commit = (record["source"] or {}).get("commit")
                    problem = f"was changed since{f' (commit {commit[:12]})' if commit else ''}"
                found.mismatches.append(Mismatch(link.path, kind[:-1], name, problem))
    return found


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
    """Path of a file that a record names; None where a link leads out of the folder."""
    try:
        return inside(folder, name)
    except SchedlabError:
        return None
