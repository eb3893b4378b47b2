"""The chain of records from any of them back to the sources: walked here, for all who show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schedlab.results.records import lineage
from schedlab.results.store import Store, below, origin_of


@dataclass(frozen=True)
class Parent:
    """A record as its child names it.

    Attributes
    ----------
    name : str
        Its part for the child, for example ``configured``.
    path : str
        Where it is, below the results.
    id : str
        Whose record it is.
    lineage, record : str
        Digests: of what it says, and of its file.
    problem : str
        How it differs from what the child names; empty where it does not.
    """

    name: str
    path: str
    id: str
    lineage: str
    record: str
    problem: str


@dataclass(frozen=True)
class Link:
    """One record of a chain.

    Attributes
    ----------
    path : str
        Where it is, below the results.
    record : dict or None
        What it says; None where it cannot be read.
    problem : str
        Why it cannot be read or is not to be believed; empty otherwise.
    parents : tuple of Parent
        What it was built on.
    """

    path: str
    record: dict[str, Any] | None
    problem: str
    parents: tuple[Parent, ...]

    @property
    def anchor(self) -> str:
        """Name of this link within a page."""
        return anchor(self.path)


def anchor(path: str) -> str:
    """Name within a page of the record at a path."""
    inner = path.removesuffix(".json").removesuffix("record").rstrip("/.")
    return "record-" + inner.replace("/", ".")


def link(store: Store, path: str, only: Iterable[str] | None = None) -> Link:
    """Read one record and compare what it names with the records themselves.

    Parameters
    ----------
    store : Store
        The records.
    path : str
        The record, below the results.
    only : iterable of str, optional
        Parents to look at, by name; default: all.
    """
    record = store.record(path)
    if record is None:
        return Link(path, None, store.problem(path), ())
    changed = lineage(record) != record["lineage"]
    problem = "its content is not what its lineage digest says" if changed else ""
    wanted = None if only is None else set(only)
    # A record names others relative to the results in which it was made.
    start = below(origin_of(path))
    found = {
        name: named | {"path": start + named["path"]} for name, named in record["parents"].items()
    }
    parents = tuple(
        Parent(name, problem=_problem(store, named), **named)
        for name, named in found.items()
        if wanted is None or name in wanted
    )
    return Link(path, record, problem, parents)


def _problem(store: Store, named: dict[str, str]) -> str:
    found = store.digest(named["path"])
    if found is None:
        return "is missing"
    if found == named["record"]:
        return ""
    record = store.record(named["path"])
    if record is not None and record["lineage"] == named["lineage"]:
        return "was made again since, with the same lineage"
    return "is another record than the one named"


def chain(store: Store, *starts: str, only: Iterable[str] | None = None) -> list[Link]:
    """Links from some records back to those that build on nothing, each once, children first.

    Parameters
    ----------
    store : Store
        The records.
    *starts : str
        The first records, below the results.
    only : iterable of str, optional
        Parents of the first records to follow, by name; default: all.
    """
    links: dict[str, Link] = {}
    waiting = list(dict.fromkeys(starts))
    while waiting:
        path = waiting.pop()
        links[path] = link(store, path, only if path in starts else None)
        waiting += [p.path for p in links[path].parents if p.path not in links]
    children = Counter(parent.path for each in links.values() for parent in each.parents)
    ready = [path for path in dict.fromkeys(starts) if not children[path]]
    ordered: list[Link] = []
    while ready:
        ordered.append(links[ready.pop(0)])
        for parent in ordered[-1].parents:
            children[parent.path] -= 1
            if not children[parent.path]:
                ready.append(parent.path)
    # Records that name one another in a circle: nobody can have made them, but all are shown.
    shown = {each.path for each in ordered}
    return ordered + [each for path, each in links.items() if path not in shown]


def commits(links: Iterable[Link]) -> list[dict[str, Any]]:
    """States of the sources that a chain was made from, each once.

    Returns
    -------
    list of dict
        `commit` (None where none was recorded), `dirty`, `diff`, and `records`: paths of theirs.
    """
    found: dict[str, dict[str, Any]] = {}
    for each in links:
        if each.record:
            state = each.record["source"] or {"commit": None, "dirty": False, "diff": None}
            found.setdefault(str(state), {**state, "records": []})["records"].append(each.path)
    return list(found.values())


def disks(links: Iterable[Link]) -> list[dict[str, str]]:
    """Disks at the end of a chain: `stage`, `path` of the record, `sha256`."""
    return [
        {"stage": each.record["stage"], "path": each.path, "sha256": sha256}
        for each in links
        if each.record and (sha256 := (each.record.get("realised") or {}).get("disk_sha256"))
    ]


def versions(record: dict[str, Any]) -> dict[str, str]:
    """Versions of the tools that a record names."""
    return {
        name: str(tool["version"] if isinstance(tool, dict) else tool)
        for name, tool in sorted((record.get("tools") or {}).items())
    }
