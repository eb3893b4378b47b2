"""Which records a record builds on, by its stage and by their places in the results.

Digests tell that a parent is the record that its child names, but not that it is the right one: a
trial that names the trace of another workload has sound digests all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from schedlab.paths import cluster_record, trace_record
from schedlab.results.form_checks import shown

_ALWAYS = {
    "accelerator": ("base",),
    "image": ("base", "accelerator"),
    "provision": ("image", "accelerator"),
    "configure": ("provisioned",),
    "trial": ("configured", "trace"),
    "figure": ("tables",),
    "report": ("tables",),
}
"""Stage -> parents without which it cannot have run. Those of other stages differ."""
_ROLES = {
    "base": "base",
    "programs": "programs",
    "image": "image",
    "accelerator": "accelerator",
    "toolchain": "toolchain",
    "provisioned": "provision",
    "configured": "configure",
    "trace": "trace",
    "decision": "decision",
    "tables": "tables",
}
"""Name of a parent -> its stage."""


class _Place(NamedTuple):
    """Form of a record's path below the results folder, the stage that writes it, and its id."""

    path: re.Pattern[str]
    stage: str
    id: str


_PLACES = tuple(
    _Place(re.compile(path), stage, identifier)
    for path, stage, identifier in (
        (r"accelerator\.json", "accelerator", "host"),
        (r"toolchain\.json", "toolchain", "toolchain"),
        (r"images/([^/]+)/(base|programs|image)/record\.json", r"\2", r"\1/\2"),
        (r"clusters/([^/]+)/provisioned/record\.json", "provision", r"\1/provisioned"),
        (r"clusters/([^/]+)/configured/record\.json", "configure", r"\1/configured"),
        (r"traces/([^/]+)\.record\.json", "trace", r"\1"),
        (r"decisions/([^/]+)/configured\.record\.json", "decision", r"\1/configured"),
        (r"decisions/([^/]+)/([^/]+)/([^/]+)\.record\.json", "decision", r"\1.\2.\3"),
        (r"trials/([^/]+)/([^/]+)/([^/]+)/record\.json", "trial", r"\1.\2.\3"),
        (r"tables/record\.json", "tables", "tables"),
        (r"figures/([^/]+)\.record\.json", "figure", r"\1"),
        (r"report\.record\.json", "report", "report"),
    )
)


def described_at(path: str) -> tuple[str, str] | None:
    """Return stage and id of the record at a path below the results folder.

    None where no stage of this release writes a record there.
    """
    for place in _PLACES:
        if match := place.path.fullmatch(path):
            return match.expand(place.stage), match.expand(place.id)
    return None


def misplaced(path: str, record: Mapping[str, Any]) -> str | None:
    """Return how a record is not the one of its place, or None.

    Parameters
    ----------
    path : str
        Path of the record below the results folder.
    record : mapping
        In the form of a record.
    """
    for key, value in zip(("stage", "id"), described_at(path) or (), strict=False):
        if record[key] != value:
            return f"{key} is {shown(record[key])}, in the place of {shown(value)}"
    return None


def parent_contradiction(record: Mapping[str, Any]) -> str | None:
    """Return which parent a record lacks, or names wrongly, or None.

    Parameters
    ----------
    record : mapping
        In the form of a record.
    """
    stage, parents = record["stage"], record["parents"]
    ran = record.get("not_run") is None
    for name in _ALWAYS.get(stage, ()) if ran else ():
        if name not in parents:
            told = shown(sorted(parents)) if parents else "{}"
            return f"parents is {told}, but a stage {stage} always has {name}"
    for name, parent in parents.items():
        found = described_at(parent["path"])
        key = f"parents.{shown(name)[1:-1]}"
        if found is None:
            continue
        if _ROLES.get(name, found[0]) != found[0]:
            return f"{key}.path is '{parent['path']}', which is of a stage {found[0]}"
        if parent["id"] != found[1]:
            return f"{key}.id is {shown(parent['id'])}, but its path is that of {shown(found[1])}"
    return _of_another_trial(record) if stage == "trial" and ran else None


def _of_another_trial(record: Mapping[str, Any]) -> str | None:
    """Return which parent of a trial is of another cluster, workload or repetition, or None."""
    facts = record["trial"]
    # A size of machines is called by its nodes alone where an experiment has no other processors.
    sizes = (str(facts["nodes"]), f"{facts['nodes']}x{facts['cpus_per_node']}")
    wanted = {
        "configured": [cluster_record(facts["cluster"], "configured")],
        "trace": [trace_record(facts["workload"], size, facts["repetition"]) for size in sizes],
    }
    for name, paths in wanted.items():
        if (found := record["parents"][name]["path"]) not in paths:
            return (
                f"parents.{name}.path is '{found}', but that of {shown(record['id'])} is"
                f" '{paths[0]}'"
            )
    return None
