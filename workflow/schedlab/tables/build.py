"""The tables of an experiment: jobs, samples, trials, in Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from schedlab.errors import SchedlabError
from schedlab.results.imports import Origin
from schedlab.tables.schemas import JOBS_SCHEMA, SAMPLES_SCHEMA, TRIALS_SCHEMA, VERSION
from schedlab.tables.trial_rows import read_trial, to_pandas


class Tables(NamedTuple):
    """The three tables as DataFrames; columns as in `schedlab.tables.schemas`."""

    jobs: pd.DataFrame
    samples: pd.DataFrame
    trials: pd.DataFrame


def build_tables(sources: Iterable[Origin | Path], output: Path) -> None:
    """Write jobs.parquet, samples.parquet and trials.parquet from trial folders.

    Parameters
    ----------
    sources : iterable of Origin or pathlib.Path
        Origins of trials, or trial folders of these results, in the order of rows.
    output : pathlib.Path
        Folder of the tables.
    """
    output.mkdir(parents=True, exist_ok=True)
    jobs, trials = [], []
    with pq.ParquetWriter(output / "samples.parquet", SAMPLES_SCHEMA, compression="zstd") as writer:
        for name, folder in _folders(sources):
            rows = read_trial(folder, name)
            jobs += rows.jobs
            trials.append({k: v for k, v in rows.trial.items() if k in TRIALS_SCHEMA.names})
            for batch in rows.samples():
                writer.write_batch(batch)
    for name, content, schema in (
        ("jobs", jobs, JOBS_SCHEMA),
        ("trials", trials, TRIALS_SCHEMA),
    ):
        table = pa.Table.from_pylist(content, schema=schema)
        pq.write_table(table, output / f"{name}.parquet", compression="zstd")


def _folders(sources: Iterable[Origin | Path]) -> Iterator[tuple[str, Path]]:
    """Trial folders with the name of their origin."""
    for source in sources:
        if isinstance(source, Path):
            yield "", source
        else:
            for folder in source.trial_folders():
                yield source.name, folder


def load_tables(folder: Path) -> Tables:
    """Read the tables of a folder.

    Raises
    ------
    SchedlabError
        When one is missing or has the schema of another version.
    """
    return Tables(*(_load(folder / f"{name}.parquet") for name in Tables._fields))


def load_trials(folder: Path) -> pd.DataFrame:
    """Read the table of trials alone; errors as those of `load_tables`."""
    return _load(folder / "trials.parquet")


def _load(path: Path) -> pd.DataFrame:
    remedy = "make the tables anew: snakemake --forcerun tables"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SchedlabError(f"{path} cannot be read: {error}", remedy=remedy) from error
    version = (table.schema.metadata or {}).get(b"schema", b"").decode()
    if version != VERSION:
        raise SchedlabError(f"{path} has schema {version!r}, expected {VERSION!r}", remedy=remedy)
    return to_pandas(table)
