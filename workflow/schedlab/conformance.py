"""Conformance of an image: from its base disk to a report of one burst, and what fails on the way.

The experiments of the images that the project names are in ``config/images``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schedlab import paths, processes
from schedlab.errors import SchedlabError
from schedlab.formatting import seconds
from schedlab.invocation import quoted
from schedlab.results.records import load_record, was_stopped

STAGES = {
    "image": "all_images",
    "provision": "all_provisioned",
    "configure": "all_configured",
    "burst": "all_trials",
    "report": "report",
}
"""Stage -> target of the workflow that ends with it, in their order."""
COMPLETED = "COMPLETED"
LAST = 15
"""Number of last lines of a failed stage that are repeated."""


class Step(NamedTuple):
    """A stage that ran: its name, its duration (s), and its last lines if it failed."""

    stage: str
    duration: float
    failure: list[str]


def experiment_of(image: str) -> Path:
    """Experiment of an image, by the name of a file in ``config/images`` or by its path.

    Raises
    ------
    SchedlabError
        When there is no such file; the remedy lists the names.
    """
    if Path(image).is_file():
        return Path(image)
    known = {path.stem: path for path in sorted(paths.IMAGES.glob("*.yaml"))}
    if image not in known:
        raise SchedlabError(
            f"IMAGE={image}: no such experiment, and no image of {paths.IMAGES}",
            remedy=f"use one of {', '.join(known)}, or the path of an experiment file",
        )
    return known[image]


def run(experiment: Path, results: Path) -> Iterator[Step]:
    """Run the stages one after the other until one fails; finished ones are not repeated."""
    for stage, target in STAGES.items():
        begun = time.monotonic()
        status, said = processes.run_logged(
            [
                *(sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count() or 1)),
                *("--config", f"experiments={quoted(str(experiment))}"),
                *(f"results={quoted(str(results))}", "--", target),
            ],
            added={
                "SCHEDLAB_EXPERIMENTS": str(experiment),
                "SCHEDLAB_RESULTS": str(results),
            },
        )
        yield Step(stage, time.monotonic() - begun, said[-LAST:] if status else [])
        if status:
            return


def problems(results: Path) -> list[str]:
    """List what is wrong although every stage ended: invalid trials, and jobs that did not run."""
    # Imported here, because its import is slow.
    from schedlab.tables.build import load_tables

    tables = load_tables(results / paths.TABLES)
    found = [] if len(tables.trials) else ["no trial is in the tables"]
    for trial in tables.trials.to_dict("records"):
        if not trial["valid"]:
            found.append(f"trial {trial['trial']} is invalid: {'; '.join(trial['reasons'])}")
    for (trial_id, state), jobs in tables.jobs.groupby(["trial", "state"]):
        if state != COMPLETED:
            found.append(f"{len(jobs)} jobs of trial {trial_id} ended as {state}")
    if not (results / paths.REPORT).is_file():
        found.append(f"there is no {paths.REPORT}")
    return found


def realised(results: Path) -> list[str]:
    """Tell what the configured clusters have: distribution, kernel, packages, tuning."""
    told = []
    for path in sorted(results.glob(paths.cluster_record("*", "configured"))):
        whole = load_record(path)
        if was_stopped(whole):
            told.append(f"{path.parent.parent.name}: not configured: {whole['not_run']}")
            continue
        record = whole["realised"]
        # All nodes of a cluster run the same image.
        node: dict[str, Any] = next(iter(record["nodes"].values()))
        rows = [row for row in record["tuning"] if row["kind"] != "recorded"]
        absent = [row["key"] for row in rows if not any(row["found"].values())]
        software = ", ".join(f"{name} {version}" for name, version in record["software"].items())
        told += [
            f"{path.parent.parent.name}: {node['os']}, Linux {node['kernel']}",
            f"  {software}",
            f"  tuning: {len(rows) - len(absent)} of {len(rows)} settings in force"
            + (f"; the guest does not offer {', '.join(absent)}" if absent else ""),
        ]
    return told


def summary(step: Step) -> str:
    """One line about a stage."""
    return f"{step.stage:<10} {'FAILED' if step.failure else 'ok':<7} {seconds(step.duration)}"
