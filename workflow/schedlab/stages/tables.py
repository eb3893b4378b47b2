"""Build the tables from the trials."""

from __future__ import annotations

from pathlib import Path

from schedlab.paths import CHECKOUT, RECORD, TABLE_FILES, TABLES
from schedlab.results.records import RecordWriter, verify_outputs
from schedlab.sources import stage_files
from schedlab.stages.context import Context, library_versions
from schedlab.tables.build import build_tables
from schedlab.tables.imported import packed_outputs, sound_origins


def write_tables(context: Context) -> dict[str, str]:
    """Build the tables from every trial of the experiment, then from imported trials.

    Returns
    -------
    dict of str to str
        Imports that are left out because they cannot be read, with the reason.
    """
    sound, left_out = sound_origins(context.results, context.experiment)
    parents: dict[str, Path] = {}
    for origin in sound:
        for key, folder in zip(origin.experiment.trials(), origin.trial_folders(), strict=True):
            path = folder / RECORD
            verify_outputs(path, packed_outputs(path) if origin.name else None)
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
    build_tables(sound, tables, left_out)
    record.write(
        tables / RECORD,
        outputs=[tables / name for name in TABLE_FILES],
        tools=library_versions("numpy", "pandas", "pyarrow"),
        **({"left_out": left_out} if left_out else {}),
    )
    return left_out
