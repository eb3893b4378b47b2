"""Stage records: what a stage read, wrote and realised, and which record came before it.

A record is a small JSON file beside a stage's outputs. Large outputs (disks, memory images) are
named in it by digest; Snakemake compares the record, and the digests are checked at use.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.outside.names import inside
from schedlab.paths import RESULTS, record_beside
from schedlab.privacy.identity import identity
from schedlab.results import provenance as origin
from schedlab.results.digests import canonical, digest, file_digest
from schedlab.results.record_form import record_problem

FAMILY, VERSION = "schedlab.record/", 2
"""Version 2: command and source commit; every parent by path and digest of its record."""
SCHEMA = f"{FAMILY}{VERSION}"

_ASIDE = frozenset({"lineage", "command", "source", "created", "duration"})
"""Keys that say when, by whom and from where, not what: equal stages differ in them."""


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def digests(paths: Iterable[Path], base: Path, results: Path | None = None) -> dict[str, str]:
    """Digest files and folders.

    Keys are paths relative to `base` where they lie below it; those in the folder `results` begin
    with ``results/`` wherever that folder is.
    """
    result = {}
    for path in _files(paths):
        absolute = path.resolve()
        if results is not None and absolute.is_relative_to(results.resolve()):
            name = Path(RESULTS) / absolute.relative_to(results.resolve())
        else:
            name = absolute.relative_to(base) if absolute.is_relative_to(base) else Path(path.name)
        result[name.as_posix()] = file_digest(path)
    return result


def lineage(record: Mapping[str, Any]) -> str:
    """Digest of what a record says: content, inputs, outputs, and the lineages it builds on.

    The same work on the same inputs has the same lineage at another time, by another commit that
    touched none of its sources, and after a parent was made again with the same outcome.
    """
    body = {key: value for key, value in record.items() if key not in _ASIDE}
    body["parents"] = {
        name: {"id": parent["id"], "lineage": parent["lineage"]}
        for name, parent in record["parents"].items()
    }
    return digest(body)


@dataclass
class RecordWriter:
    """Collects what goes into a stage's record and writes it.

    Parameters
    ----------
    stage, identifier : str
        Such as ``trial`` and ``alpha-n1.burst.1``.
    root : pathlib.Path
        The checkout; paths in the record are relative to it.
    results : pathlib.Path
        The results folder; parents are named relative to it.
    parents : mapping of str to pathlib.Path
        Records this stage builds on, by stage name.
    inputs : iterable of pathlib.Path
        Source files and folders that the stage read.
    """

    stage: str
    identifier: str
    root: Path
    results: Path
    parents: Mapping[str, Path] = field(default_factory=dict)
    inputs: Iterable[Path] = ()
    _start: float = field(default_factory=time.monotonic)
    _created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _begun: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        # At the start: what is edited or committed while a stage runs did not make its results.
        results = self.results.resolve()
        self._begun = {
            "source": origin.source(self.root, results),
            "inputs": digests(self.inputs, self.root, results),
            "parents": {name: _named(path, results) for name, path in self.parents.items()},
        }

    def write(self, path: Path, outputs: Iterable[Path] = (), **content: Any) -> dict[str, Any]:
        """Write the record with the digests of `outputs` and any further keys; return it."""
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "stage": self.stage,
            "id": self.identifier,
            "outputs": digests(outputs, path.parent.resolve()),
            **self._begun,
            **content,
        }
        # As a reader will have it: names are text, tuples are lists. Clean before the digest: what
        # is shared later has these very bytes.
        record = identity().data(json.loads(canonical(record)))
        record["lineage"] = lineage(record)
        record["command"] = identity().data(origin.command(self.root))
        record["created"] = self._created
        record["duration"] = round(time.monotonic() - self._start, 3)
        write_json(path, record)
        return record


def beside(path: Path) -> Path:
    """Record of a file that shares its folder with others: ``wait.svg``, ``wait.record.json``."""
    return path.with_name(record_beside(path.name))


def _named(path: Path, results: Path) -> dict[str, str]:
    """A parent as its children name it."""
    record = load_record(path)
    return {
        "id": record["id"],
        "lineage": record["lineage"],
        "path": path.resolve().relative_to(results).as_posix(),
        "record": file_digest(path),
    }


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
        record = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SchedlabError(
            f"record {path} is missing", remedy="run the stage that writes it (`make help`)"
        ) from error
    except ValueError as error:
        raise SchedlabError(
            f"record {path} is damaged: {error}", remedy=f"remove {path} and run the stage again"
        ) from error
    found = record.get("schema") if isinstance(record, dict) else None
    if found != SCHEMA:
        version = str(found).removeprefix(FAMILY)
        newer = version.isdecimal() and int(version) > VERSION
        maker = "a newer" if newer else "another" if version.isdecimal() else "no"
        raise SchedlabError(
            f"record {path} has schema {found!r}: made by {maker} release of schedlab"
            f" (this one reads {SCHEMA!r})",
            remedy="upgrade schedlab to the release that made it"
            if newer
            else "remove it and run the stage again with this version of schedlab",
        )
    if problem := record_problem(record):
        raise SchedlabError(
            f"record {path} is damaged: {problem}", remedy=f"remove {path} and run the stage again"
        )
    return dict(record)


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
    memory = _remembered(memory_path)
    remedy = f"remove {record_path} and run snakemake again: the stage is rebuilt"
    changed = False
    for name in names if names is not None else record["outputs"]:
        path, expected = inside(folder, name), record["outputs"][name]
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
        # Who may only read the results checks them anew each time.
        with contextlib.suppress(OSError):
            write_json(memory_path, memory)


def _remembered(path: Path) -> dict[str, Any]:
    """What was checked before; nothing where that cannot be read."""
    try:
        memory = read_json(path)
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}
