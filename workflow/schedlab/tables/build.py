"""The tables of an experiment: jobs, samples, trials, in Parquet."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schedlab.errors import SchedlabError
from schedlab.invocation import command
from schedlab.outside import permission
from schedlab.outside.foreign import foreign
from schedlab.outside.json_text import parse_json
from schedlab.outside.output import output_file
from schedlab.paths import RECORD
from schedlab.plain import plain
from schedlab.results.imports import Origin, label
from schedlab.results.records import is_stopped, load_record
from schedlab.results.store import Store
from schedlab.tables.schemas import JOBS_SCHEMA, SAMPLES_SCHEMA, TRIALS_SCHEMA, VERSION
from schedlab.tables.trial_rows import read_trial, to_pandas

LEFT_OUT, STOPPED = b"left_out", b"stopped"
"""Keys of the metadata of trials.parquet."""
_ROWS = 1 << 20
"""Number of rows that a table of any size may have."""
_DENSEST = 64
"""Most rows, and most unpacked bytes of large tables, for each byte of a file. A file with more is
refused, because it could fill the memory."""
_BYTES = 256 << 20


class Tables(NamedTuple):
    """The three tables as DataFrames; columns as in `schedlab.tables.schemas`."""

    jobs: pd.DataFrame
    samples: pd.DataFrame
    trials: pd.DataFrame


def build_tables(
    sources: Iterable[Origin | Path], output: Path, left_out: Mapping[str, str] | None = None
) -> None:
    """Write jobs.parquet, samples.parquet and trials.parquet from trial folders.

    Parameters
    ----------
    sources : iterable of Origin or pathlib.Path
        Origins of trials, or trial folders of these results, in the order of rows. Trials that did
        not run because their cell had ended have no rows; their ids are kept in the metadata of
        trials.parquet.
    output : pathlib.Path
        Folder of the tables.
    left_out : mapping of str to str, optional
        Imports that have no rows, with the reason; kept in the metadata of trials.parquet.

    Raises
    ------
    SchedlabError
        When records cannot be read; the message names the trial.
    """
    jobs, trials, stopped = [], [], []
    with (
        output_file(output / "samples.parquet") as file,
        pq.ParquetWriter(file, SAMPLES_SCHEMA, compression="zstd") as writer,
    ):
        for name, folder in _folders(sources):
            if is_stopped(folder / RECORD):
                stopped.append(label(name, load_record(folder / RECORD)["id"]))
                continue
            rows = read_trial(folder, name)
            jobs += rows.jobs
            trials.append({k: v for k, v in rows.trial.items() if k in TRIALS_SCHEMA.names})
            for batch in rows.samples():
                writer.write_batch(batch)
    for name, content, schema in (
        ("jobs", jobs, JOBS_SCHEMA),
        ("trials", trials, TRIALS_SCHEMA),
    ):
        if name == "trials":
            told = {LEFT_OUT: dict(left_out or {}), STOPPED: stopped}
            kept = {key: json.dumps(value, sort_keys=True) for key, value in told.items() if value}
            schema = schema.with_metadata(schema.metadata | kept)
        table = pa.Table.from_pylist(content, schema=schema)
        with output_file(output / f"{name}.parquet") as file:
            pq.write_table(table, file, compression="zstd")


def _folders(sources: Iterable[Origin | Path]) -> Iterator[tuple[str, Path]]:
    """Trial folders with the name of their origin."""
    for source in sources:
        if isinstance(source, Path):
            yield "", source
        else:
            for folder in source.trial_folders():
                yield source.name, folder


def load_tables(
    folder: Path,
    *,
    jobs: Collection[str] | None = None,
    metrics: Collection[str] | None = None,
) -> Tables:
    """Read the tables of a folder, or what a reader needs of them: samples are by far the most.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the tables.
    jobs : collection of str, optional
        Columns of the jobs table; by default all.
    metrics : collection of str, optional
        Metrics whose samples are read; by default all. Where there is none, the table is empty.

    Raises
    ------
    SchedlabError
        When a table is missing or has the schema of another version.
    """
    return Tables(
        _load(folder / "jobs.parquet", jobs),
        _load_samples(folder / "samples.parquet", metrics),
        load_trials(folder),
    )


def load_trials(folder: Path) -> pd.DataFrame:
    """Read the table of trials alone; errors as those of `load_tables`."""
    return _load(folder / "trials.parquet")


def count_samples(folder: Path) -> int:
    """Count the samples without reading them; errors as those of `load_tables`."""
    with _opened(folder / "samples.parquet") as file:
        return int(file.metadata.num_rows)


def load_left_out(folder: Path) -> dict[str, str]:
    """Imports that the tables leave out, with the reason; errors as those of `load_tables`."""
    path = folder / "trials.parquet"
    with foreign(path, _remedy(path)):
        return {str(name): str(why) for name, why in _told(path, LEFT_OUT, "{}").items()}


def load_stopped(folder: Path) -> list[str]:
    """Ids of the trials that did not run because their cell had ended; errors as above."""
    path = folder / "trials.parquet"
    with foreign(path, _remedy(path)):
        return [str(identifier) for identifier in _told(path, STOPPED, "[]")]


def _told(path: Path, key: bytes, default: str) -> Any:
    with _opened(path) as file:
        return parse_json((file.schema_arrow.metadata or {}).get(key, default.encode()))


def _remedy(path: Path) -> str:
    results = path.parent.parent
    if Store(results).shared:
        return "pack the bundle again from the results that it was made from"
    return f"make the tables anew: {command(results, again=('tables',))}"


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a table whose schema and size were checked."""
    expected = _SCHEMAS[path.stem]
    try:
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            version = metadata.get(b"schema", b"").decode("utf-8", "replace")
            if version != VERSION:
                raise SchedlabError(
                    f"{path} has schema {version!r}, expected {VERSION!r}", remedy=_remedy(path)
                )
            if not file.schema_arrow.equals(expected):
                raise SchedlabError(
                    f"{path} has other columns than {VERSION!r}", remedy=_remedy(path)
                )
            _bounded(path, file.metadata)
            yield file
    except (OSError, pa.ArrowException) as error:
        closed = permission.remedy(error) if isinstance(error, OSError) else None
        raise SchedlabError(
            f"{path} cannot be read: {plain(error)}", remedy=closed or _remedy(path)
        ) from error


_SCHEMAS = {"jobs": JOBS_SCHEMA, "samples": SAMPLES_SCHEMA, "trials": TRIALS_SCHEMA}


def _bounded(path: Path, metadata: pq.FileMetaData) -> None:
    """Refuse a table that needs far more memory than its file has bytes."""
    size = path.stat().st_size
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if metadata.num_rows > max(_ROWS, _DENSEST * size) or unpacked > max(_BYTES, _DENSEST * size):
        raise SchedlabError(
            f"{path} unpacks to {metadata.num_rows} rows and {unpacked} bytes: a"
            " decompression bomb",
            remedy="do not use it; schedlab never writes this",
        )


def _load(path: Path, columns: Collection[str] | None = None) -> pd.DataFrame:
    with _opened(path) as file:
        return to_pandas(file.read(None if columns is None else list(columns)))


def _load_samples(path: Path, metrics: Collection[str] | None) -> pd.DataFrame:
    """Samples of some metrics; no more than a group of rows is in memory beside them."""
    if metrics is None:
        return _load(path)
    wanted = pa.array(sorted(metrics), pa.string())
    with _opened(path) as file:
        groups = range(file.num_row_groups if metrics else 0)
        kept = [
            group.filter(pc.is_in(group["metric"], wanted))
            for group in map(file.read_row_group, groups)
        ]
    return to_pandas(pa.concat_tables(kept) if kept else SAMPLES_SCHEMA.empty_table())
