"""Stage records: what a stage read, wrote and realised, and which record came before it.

A record is a small JSON file beside a stage's outputs. Large outputs (disks, memory images) are
named in it by digest; Snakemake compares the record, and the digests are checked at use.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.neutral import identity

SCHEMA = "schedlab.record/1"


def canonical(value: object) -> bytes:
    """Serialise to JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """SHA-256 (hexadecimal) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hexadecimal) of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def digests(paths: Iterable[Path], base: Path) -> dict[str, str]:
    """Digest files and folders; keys are paths relative to `base` where they lie below it."""
    result = {}
    for path in _files(paths):
        absolute = path.resolve()
        name = absolute.relative_to(base) if absolute.is_relative_to(base) else Path(path.name)
        result[name.as_posix()] = file_digest(path)
    return result


@dataclass
class RecordWriter:
    """Collects what goes into a stage's record and writes it.

    Parameters
    ----------
    stage, identifier : str
        Such as ``trial`` and ``slurm-n1.burst.1``.
    root : pathlib.Path
        The checkout; paths in the record are relative to it.
    parents : mapping of str to pathlib.Path
        Records this stage builds on, by stage name.
    inputs : iterable of pathlib.Path
        Source files and folders that the stage read.
    """

    stage: str
    identifier: str
    root: Path
    parents: Mapping[str, Path] = field(default_factory=dict)
    inputs: Iterable[Path] = ()
    _start: float = field(default_factory=time.monotonic)
    _created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self, path: Path, outputs: Iterable[Path] = (), **content: Any) -> dict[str, Any]:
        """Write the record with the digests of `outputs` and any further keys; return it."""
        parents = {name: load_record(parent) for name, parent in self.parents.items()}
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "stage": self.stage,
            "id": self.identifier,
            "inputs": digests(self.inputs, self.root),
            "outputs": digests(outputs, path.parent.resolve()),
            "parents": {
                name: {"id": record["id"], "lineage": record["lineage"]}
                for name, record in parents.items()
            },
            **content,
        }
        first = next(iter(self.parents.values()), None)
        body["parent"] = file_digest(first) if first else None
        # Before the digest: what is shared later has these very bytes.
        body = identity().data(body)
        body["lineage"] = digest(body)
        body["created"] = self._created
        body["duration"] = round(time.monotonic() - self._start, 3)
        write_json(path, body)
        return body


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    partial.replace(path)


def load_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    SchedlabError
        When the file is missing, damaged or of an unknown schema.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise SchedlabError(
            f"record {path} is missing", remedy="run the stage that writes it (`make help`)"
        ) from error
    except json.JSONDecodeError as error:
        raise SchedlabError(
            f"record {path} is damaged: {error}", remedy=f"remove {path} and run the stage again"
        ) from error
    if record.get("schema") != SCHEMA:
        raise SchedlabError(
            f"record {path} has schema {record.get('schema')!r}, expected {SCHEMA!r}",
            remedy="remove it and run the stage again with this version of schedlab",
        )
    return record


def verify_outputs(record_path: Path, names: Iterable[str] | None = None) -> None:
    """Check that the files a record names are there and unchanged.

    A file whose size and modification time equal those of its last full check is not read again;
    that memory is kept in ``.verified.json`` beside the record and never shared.

    Raises
    ------
    SchedlabError
        Names the first missing or changed file and the remedy.
    """
    record = load_record(record_path)
    folder = record_path.parent
    memory_path = folder / ".verified.json"
    memory = json.loads(memory_path.read_text()) if memory_path.exists() else {}
    remedy = f"remove {record_path} and run snakemake again: the stage is rebuilt"
    changed = False
    for name in names if names is not None else record["outputs"]:
        path, expected = folder / name, record["outputs"][name]
        if not path.exists():
            raise SchedlabError(
                f"{path} is missing although {record_path.name} names it",
                stage=record["stage"],
                remedy=remedy,
            )
        stat = path.stat()
        seen = [stat.st_size, stat.st_mtime_ns, expected]
        if memory.get(name) == seen:
            continue
        if file_digest(path) != expected:
            raise SchedlabError(
                f"{path} is not the file that {record_path.name} describes",
                stage=record["stage"],
                remedy=remedy,
            )
        memory[name] = seen
        changed = True
    if changed:
        write_json(memory_path, memory)
