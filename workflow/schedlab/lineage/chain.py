"""The chain of records from any record back to the sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schedlab.results.records import lineage
from schedlab.results.store import Store, below, origin_of

MADE_AGAIN = "was made again since, with the same lineage"
"""How a parent may differ from what its child says of it and still be what the child built on."""


@dataclass(frozen=True)
class Parent:
    """A record that another record, its child, was built on.

    Attributes
    ----------
    name : str
        Role of the record for the child, for example ``configured``.
    path : str
        Path of the record below the results folder.
    id : str
        Id of what the record describes.
    lineage, record : str
        Digest of the record's lineage, and SHA-256 of its file, as the child gives them.
    problem : str
        How the record differs from what the child gives; empty if it does not differ.
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
        Path of the record below the results folder.
    record : dict or None
        Content of the record; None if it cannot be read.
    problem : str
        Why the record cannot be read or was altered; empty if neither.
    parents : tuple of Parent
        Records that this one was built on.
    """

    path: str
    record: dict[str, Any] | None
    problem: str
    parents: tuple[Parent, ...]

    @property
    def anchor(self) -> str:
        """Anchor of this link within an HTML page."""
        return anchor(self.path)


def anchor(path: str) -> str:
    """Return the anchor within an HTML page for the record at a path."""
    inner = path.removesuffix(".json").removesuffix("record").rstrip("/.")
    return "record-" + inner.replace("/", ".")


def link(store: Store, path: str, only: Iterable[str] | None = None) -> Link:
    """Read one record, and compare its parents with what it says of them.

    Parameters
    ----------
    store : Store
        The records.
    path : str
        Path of the record below the results folder.
    only : iterable of str, optional
        Names of the parents to compare. The default is all.
    """
    record = store.record(path)
    if record is None:
        return Link(path, None, store.problem(path), ())
    changed = lineage(record) != record["lineage"]
    problem = "its content does not agree with its lineage digest" if changed else ""
    wanted = None if only is None else set(only)
    # Paths in a record are relative to the results folder in which it was made.
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
        return MADE_AGAIN
    return "is another record than the one named"


def chain(store: Store, *starts: str, only: Iterable[str] | None = None) -> list[Link]:
    """Return the links from some records back to those without parents.

    Each record occurs once, and children come before their parents.

    Parameters
    ----------
    store : Store
        The records.
    *starts : str
        Paths of the first records below the results folder.
    only : iterable of str, optional
        Names of the parents of the first records to follow. The default is all.
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
    # Records that name one another in a circle are not valid, but are shown too.
    shown = {each.path for each in ordered}
    return ordered + [each for path, each in links.items() if path not in shown]


def commits(links: Iterable[Link]) -> list[dict[str, Any]]:
    """Return the states of the sources that the records of a chain were made from.

    Returns
    -------
    list of dict
        Each state once: `commit` (None if none was recorded), `dirty`, `diff`, and `records`, the
        paths of the records made from it.
    """
    found: dict[str, dict[str, Any]] = {}
    for each in links:
        if each.record:
            state = each.record["source"] or {"commit": None, "dirty": False, "diff": None}
            found.setdefault(str(state), {**state, "records": []})["records"].append(each.path)
    return list(found.values())


def disks(links: Iterable[Link]) -> list[dict[str, str]]:
    """Return the disks of a chain, each with its `stage`, `path` of the record, and `sha256`."""
    return [
        {"stage": each.record["stage"], "path": each.path, "sha256": sha256}
        for each in links
        if each.record and (sha256 := (each.record.get("realised") or {}).get("disk_sha256"))
    ]


def versions(record: dict[str, Any]) -> dict[str, str]:
    """Return the versions of the tools that a record names, by tool."""
    return {
        name: str(tool["version"] if isinstance(tool, dict) else tool)
        for name, tool in sorted((record.get("tools") or {}).items())
    }
