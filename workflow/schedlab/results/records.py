"""Records of stages: what a stage read, wrote and realised, and which records it builds on.

A record is a small JSON file beside the outputs of a stage. It names large outputs (disks, memory
images) by digest. Snakemake compares only the record; the digests are checked when an output is
used.
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
from stat import S_ISREG
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.outside.names import inside, kind_of
from schedlab.outside.output import write_output
from schedlab.paths import RESULTS, record_beside, trial_folder
from schedlab.plain import plain
from schedlab.privacy.identity import identity
from schedlab.results import provenance
from schedlab.results.digests import canonical, digest, file_digest
from schedlab.results.form_checks import release_number, shown
from schedlab.results.record_form import record_problem

FAMILY, VERSION = "schedlab.record/", 2
"""Version 2 added the command, the commit of the sources, and path and digest of each parent."""
SCHEMA = f"{FAMILY}{VERSION}"

_ASIDE = frozenset({"lineage", "command", "source", "created", "duration"})
"""Keys that are not part of the lineage, because the same work gives other values each time."""


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def digests(paths: Iterable[Path], base: Path, results: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file, and of each file in each folder.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Files and folders.
    base : pathlib.Path
        Folder to which the names are relative. A file outside is called by its last part.
    results : pathlib.Path, optional
        The results folder. Names of files in it begin with ``results/``, wherever it is.
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
    """Return the lineage of a record: a digest of its content and of its parents' lineages.

    The same work on the same inputs has the same lineage. It does not depend on the time, on
    commits that changed none of the stage's sources, or on whether a parent was made again with
    the same outcome.
    """
    body = {key: value for key, value in record.items() if key not in _ASIDE}
    body["parents"] = {
        name: {"id": parent["id"], "lineage": parent["lineage"]}
        for name, parent in record["parents"].items()
    }
    return digest(body)


@dataclass
class RecordWriter:
    """Collects the content of a stage's record, and writes the record.

    Parameters
    ----------
    stage, identifier : str
        Stage and id, for example ``trial`` and ``alpha-n1.burst.1``.
    root : pathlib.Path
        The checkout. Paths in the record are relative to it.
    results : pathlib.Path
        The results folder. Paths of parents are relative to it.
    parents : mapping of str to pathlib.Path
        Records that this stage builds on, by name.
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
        # Read at the start, because edits and commits while the stage runs do not affect it.
        results = self.results.resolve()
        self._begun = {
            "source": provenance.source(self.root, results),
            "inputs": digests(self.inputs, self.root, results),
            "parents": {name: _named(path, results) for name, path in self.parents.items()},
        }

    def write(self, path: Path, outputs: Iterable[Path] = (), **content: Any) -> dict[str, Any]:
        """Write the record, and return it.

        Parameters
        ----------
        path : pathlib.Path
            File to write.
        outputs : iterable of pathlib.Path
            Outputs of the stage. The record names them relative to its own folder.
        **content
            Further keys of the record.
        """
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "stage": self.stage,
            "id": self.identifier,
            "outputs": digests(outputs, path.parent.resolve()),
            **self._begun,
            **content,
        }
        # The lineage is that of the record as it is read: keys are text, tuples are lists, and
        # words that identify this machine are replaced.
        record = identity().data(json.loads(canonical(record)))
        record["lineage"] = lineage(record)
        record["command"] = identity().data(provenance.command(self.root))
        record["created"] = self._created
        record["duration"] = round(time.monotonic() - self._start, 3)
        write_json(path, record)
        return record


def beside(path: Path) -> Path:
    """Return the record of a file that shares its folder with others.

    For example, the record of ``wait.svg`` is ``wait.record.json``.
    """
    return path.with_name(record_beside(path.name))


def _named(path: Path, results: Path) -> dict[str, str]:
    """Return a parent in the form in which its children name it."""
    record = load_record(path)
    return {
        "id": record["id"],
        "lineage": record["lineage"],
        "path": path.resolve().relative_to(results).as_posix(),
        "record": file_digest(path),
    }


def write_json(path: Path, value: object) -> None:
    """Write JSON to a file atomically: a reader sees the whole old file or the whole new one."""
    write_output(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def load_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    SchedlabError
        The file is missing, damaged, or of an unknown schema.
    """
    try:
        record = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SchedlabError(
            f"record {path} is missing", remedy="run the stage that writes it (`make help`)"
        ) from error
    except ValueError as error:
        raise SchedlabError(
            f"record {path} is damaged: {plain(error)}",
            remedy=f"remove {path} and run the stage again",
        ) from error
    found = record.get("schema") if isinstance(record, dict) else None
    if found != SCHEMA:
        version = release_number(found, FAMILY)
        newer = version is not None and version > VERSION
        maker = "a newer" if newer else "no" if version is None else "another"
        raise SchedlabError(
            f"record {path} has schema {shown(found)}: {maker} release of schedlab wrote it"
            f" (this one reads {SCHEMA!r})",
            remedy="upgrade schedlab to the release that wrote it"
            if newer
            else "remove it and run the stage again with this version of schedlab",
        )
    if problem := record_problem(record) or _misplaced(path, record):
        raise SchedlabError(
            f"record {path} is damaged: {problem}", remedy=f"remove {path} and run the stage again"
        )
    return dict(record)


def _misplaced(path: Path, record: Mapping[str, Any]) -> str | None:
    """Return how the record in a trial's folder is not that of the trial, or None.

    A record in the place of another would count as a second measurement.
    """
    *_, kind, cluster, workload, repetition, _ = ("",) * 5 + path.parts
    if f"{kind}/{cluster}/{workload}/{repetition}" != trial_folder(cluster, workload, repetition):
        return None
    if record["stage"] != "trial":
        return f"stage is {shown(record['stage'])}, in the folder of a trial"
    place = f"{cluster}.{workload}.{repetition}"
    if record["id"] != place:
        return f"id is {shown(record['id'])}, in the folder of {shown(place)}"
    return None


def was_stopped(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is that of a trial or a cluster that a decision says is not needed."""
    return record.get("not_run") is not None


def is_stopped(path: Path) -> bool:
    """Tell whether there is such a record at a path; damaged ones are not."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and was_stopped(record)


def forbids(path: Path) -> bool:
    """Tell whether there is a decision at a path by which a trial, or a cluster, is not needed."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return False
    found = record.get("decision") if isinstance(record, dict) else None
    return isinstance(found, dict) and found.get("run") is False


def verify_outputs(
    record_path: Path,
    names: Iterable[str] | None = None,
    *,
    remedy: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Check that the outputs that a record names exist and did not change.

    A file with the size and modification time of its last full check is not read again. These are
    stored in ``.verified.json`` beside the record, which is never shared.

    Parameters
    ----------
    record_path : pathlib.Path
        The record.
    names : iterable of str, optional
        Outputs to check. The default is all.
    remedy : str, optional
        What the user can do about a file that is missing or changed; by default, run the stage
        again.
    record : mapping, optional
        The record's content, for who has read it.

    Raises
    ------
    SchedlabError
        A file is missing or changed. The first one is named.
    """
    record = load_record(record_path) if record is None else record
    folder = record_path.parent
    memory_path = folder / ".verified.json"
    memory = _remembered(memory_path)
    remedy = remedy or f"remove {record_path} and run snakemake again: it runs the stage again"
    changed = False
    for name in names if names is not None else record["outputs"]:
        path, expected = inside(folder, name), record["outputs"][name]
        if not os.path.lexists(path):
            raise SchedlabError(
                f"{path} is missing, although {record_path.name} names it",
                stage=record["stage"],
                remedy=remedy,
            )
        stat = path.lstat()
        if not S_ISREG(stat.st_mode):
            raise SchedlabError(
                f"{path} is {kind_of(stat.st_mode)}, but {record_path.name} describes a file",
                stage=record["stage"],
                remedy=remedy,
            )
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
        # For a user who may only read the results, every check is a full check.
        with contextlib.suppress(OSError):
            write_json(memory_path, memory)


def _remembered(path: Path) -> dict[str, Any]:
    """Return what earlier checks stored; nothing if it cannot be read."""
    try:
        memory = read_json(path)
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}
