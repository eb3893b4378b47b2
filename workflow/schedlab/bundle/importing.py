"""Placing a bundle's trials beside local ones."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from schedlab.bundle.contents import Choice, load_packed_experiment, recorded
from schedlab.bundle.open import opened
from schedlab.errors import SchedlabError
from schedlab.paths import EXPERIMENTS, IMPORT, IMPORTED
from schedlab.results.imports import SCHEMA
from schedlab.results.records import write_json

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def import_bundle(
    path: Path, results: Path, name: str | None = None, *, force: bool = False
) -> tuple[Path, int]:
    """Copy the records and data of a bundle's own trials to ``results/imported/<name>``.

    Trials that the bundle itself had imported are left out: import the bundle that they come from.

    Parameters
    ----------
    path : pathlib.Path
        The bundle, packed or unpacked.
    results : pathlib.Path
        Local results.
    name : str, optional
        Name in tables and report; by default that of the bundle's experiment.
    force : bool
        Replace an earlier import of that name.

    Returns
    -------
    pathlib.Path, int
        The folder, and the number of trials.

    Raises
    ------
    SchedlabError
        When the bundle is not sound, or the name is taken or no name.
    """
    with opened(path) as source:
        if source.verified is None:
            raise SchedlabError(
                f"{path} is a results folder, not a bundle",
                remedy="pack it first: `schedlab bundle --results IMPORTED --output FILE`",
            )
        experiment = load_packed_experiment(source.results)
        name = name or experiment.name
        if not _NAME.fullmatch(name):
            raise SchedlabError(
                f"{name!r} is no name for an import",
                remedy="use lower-case letters, digits and single hyphens: --as lab-b",
            )
        target = results / IMPORTED / name
        if target.exists() and not force:
            raise SchedlabError(
                f"{target} exists", remedy="use another name (--as), or --force to replace it"
            )
        partial = target.with_name(f".{name}.{os.getpid()}")
        try:
            entries = [EXPERIMENTS]
            entries += [e.name for e in recorded(source.results, "", experiment, Choice())]
            for entry in entries:
                (partial / entry).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.results / entry, partial / entry)
            told = source.verified.description
            trials = len(experiment.trials())
            write_json(
                partial / IMPORT,
                {
                    "schema": SCHEMA,
                    "bundle": source.verified.digest,
                    "trials": trials,
                    **{k: told.get(k) for k in ("release", "commit", "patched", "lineage")},
                    "experiment": experiment.name,
                    "created": told.get("created"),
                },
            )
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target, trials
