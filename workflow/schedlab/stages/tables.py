"""The tables of all trials."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from schedlab.paths import CHECKOUT, RECORD, TABLE_FILES, TABLES
from schedlab.results.imports import origins
from schedlab.results.records import RecordWriter, load_record, verify_outputs
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.tables.build import build_tables


def write_tables(context: Context) -> None:
    """Build the tables from every trial of the experiment, and from imported ones after them."""
    whose = origins(context.results, context.experiment)
    parents: dict[str, Path] = {}
    for origin in whose:
        for key, folder in zip(origin.experiment.trials(), origin.trial_folders(), strict=True):
            path = folder / RECORD
            # A bundle has not all that a trial left: blocks and consoles stay where they were made.
            there = [n for n in load_record(path)["outputs"] if (folder / n).exists()]
            verify_outputs(path, there if origin.name else None)
            parents[origin.label(key.id)] = path
    tables = context.results / TABLES
    record = RecordWriter(
        "tables",
        "tables",
        CHECKOUT,
        context.results,
        parents=parents,
        inputs=stage_files("tables"),
    )
    build_tables(whose, tables)
    record.write(
        tables / RECORD,
        outputs=[tables / name for name in TABLE_FILES],
        tools={name: version(name) for name in ("numpy", "pandas", "pyarrow")},
    )
