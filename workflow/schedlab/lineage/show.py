"""Writes a chain as text for people and as data for programs."""

from __future__ import annotations

from typing import Any

from schedlab.formatting import number, seconds
from schedlab.lineage.chain import Link, commits, disks, versions
from schedlab.lineage.check import CheckedLink, LinkMismatch, first_mismatch
from schedlab.lineage.targets import Target
from schedlab.printing import some

SCHEMA = "schedlab.trace/1"
_MANY = 8
"""Largest number of names in a line. Of further names only the number is shown."""


def as_data(target: Target, links: list[Link], checked: dict[str, CheckedLink]) -> dict[str, Any]:
    """Return the chain as plain data for JSON.

    Parameters
    ----------
    target : Target
        Start of the chain.
    links : list of Link
        The chain.
    checked : dict of str to CheckedLink
        Outcome of :func:`schedlab.lineage.check.check`.
    """
    wrong = first_mismatch(checked)
    return {
        "schema": SCHEMA,
        "target": {"kind": target.kind, "name": target.name, **target.facts},
        "matches": wrong is None,
        "first_mismatch": wrong and _mismatch(wrong),
        "commits": commits(links),
        "disks": disks(links),
        "links": [_link(link, checked[link.path]) for link in links],
    }


def _mismatch(wrong: LinkMismatch) -> dict[str, str]:
    return {
        "record": wrong.path,
        "kind": wrong.kind,
        "name": wrong.name,
        "message": wrong.message,
    }


def _link(link: Link, checked: CheckedLink) -> dict[str, Any]:
    record = link.record or {}
    keys = ("stage", "id", "lineage", "command", "source", "created", "duration", "tools")
    return {
        "record": link.path,
        **{key: record.get(key) for key in keys},
        "parents": [
            {"name": p.name, "id": p.id, "record": p.path, "lineage": p.lineage}
            for p in link.parents
        ],
        "matching": checked.matching,
        "absent": checked.absent,
        "earlier": checked.earlier,
        "mismatches": [_mismatch(wrong) for wrong in checked.mismatches],
    }


def as_text(target: Target, links: list[Link], checked: dict[str, CheckedLink]) -> str:
    """Return the chain as text, from the target to the commit.

    Parameters
    ----------
    target : Target
        Start of the chain.
    links : list of Link
        The chain.
    checked : dict of str to CheckedLink
        Outcome of :func:`schedlab.lineage.check.check`.
    """
    lines = [*_heading(target), ""]
    for link in links:
        lines += _paragraph(link, checked[link.path])
    lines += ["", "source"]
    for state in commits(links):
        of = some([path.removesuffix("/record.json") for path in state["records"]], _MANY)
        lines.append(f"  {_commit(state)}: {of}")
    for disk in disks(links):
        lines.append(f"  {disk['stage']} disk sha256 {disk['sha256']}")
    wrong = first_mismatch(checked)
    lines.append("")
    if wrong is None:
        earlier = any(found.earlier for found in checked.values())
        rest = " or, where the checkout has changed since, its commit" if earlier else ""
        lines.append(f"every link matches the files{rest}")
    else:
        lines.append(f"FIRST MISMATCH: {wrong.kind} {wrong.name}, named by {wrong.path},")
        lines.append(f"  {wrong.message}")
    return "\n".join(lines)


def _heading(target: Target) -> list[str]:
    lines = [f"{target.kind} {target.name}"]
    if target.kind == "cell":
        facts = target.facts
        lines[0] += f": {number(facts['estimate'])} {facts['unit']}, n={facts['n']}"
        lines += [
            f"  {trial['id']}{'' if trial['valid'] else ' (invalid, left out)'}"
            f" lineage {trial['lineage']}"
            for trial in facts["trials"]
        ]
    return lines


def _paragraph(link: Link, checked: CheckedLink) -> list[str]:
    record = link.record
    if record is None:
        return [f"{link.path}", f"  WRONG: {link.problem}"]
    lines = [f"{record['stage']} {record['id']}  ({link.path})"]
    lines.append(f"  lineage {record['lineage']}")
    lines.append(f"  {record['created']}, took {seconds(record['duration'])}")
    if record["command"]:
        lines.append(f"  command {record['command']}")
    if record.get("tools"):
        lines.append(f"  tools {', '.join(map(' '.join, versions(record).items()))}")
    if link.parents:
        lines.append(f"  built on {some([f'{p.name} {p.id}' for p in link.parents], _MANY)}")
    for kind in ("outputs", "inputs"):
        here, absent = checked.matching[kind], checked.absent[kind]
        if here or absent:
            gone = f"; not here (digest only): {some(absent, _MANY)}" if absent else ""
            lines.append(f"  {here} {kind} match{gone}")
    if checked.earlier:
        gone_on = f"its commit's; the checkout has changed since: {some(checked.earlier, _MANY)}"
        lines.append(f"  {len(checked.earlier)} of these inputs are {gone_on}")
    lines += [f"  WRONG: {wrong.kind} {wrong.name} {wrong.message}" for wrong in checked.mismatches]
    return lines


def _commit(state: dict[str, Any]) -> str:
    if not state["commit"]:
        return "no commit recorded (made outside of a git checkout)"
    dirty = f", with uncommitted changes (digest {state['diff']})" if state["dirty"] else ""
    return f"commit {state['commit']}{dirty}"
