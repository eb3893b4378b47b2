"""A copy of Snakemake's metadata in the results folder, so that a new checkout can use the results.

In ``.snakemake/metadata`` of the checkout Snakemake stores, in one file for each output, from which
inputs (by checksum) and parameters the output was made. Without these files Snakemake compares
only modification times, and in a fresh clone every source is newer than every result. The copy is
used only for outputs that have not changed since it was made.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.lineage.snakemake_internals import (
    has_metadata,
    output_of,
    stored_metadata,
    write_metadata,
)
from schedlab.outside.json_text import read_json
from schedlab.outside.names import inside
from schedlab.paths import STATE
from schedlab.results.digests import file_digest
from schedlab.results.records import write_json

SCHEMA = "schedlab.state/1"


def keep(results: Path) -> None:
    """Copy Snakemake's metadata of the outputs in `results` into that folder."""
    before = _read(results)
    now: dict[str, dict[str, Any]] = {}
    for stored in stored_metadata(results):
        if stored.fits():
            output = stored.output
            now[stored.name] = {"output": output.as_posix(), "sha256": file_digest(output)}
            now[stored.name]["metadata"] = stored.content
    if before | now:
        write_json(results / STATE, {"schema": SCHEMA, "outputs": before | now})


def restore(results: Path) -> None:
    """Copy the metadata in `results` back, if this checkout has none of these outputs yet.

    Raises
    ------
    SystemExit
        Another release wrote the copy, in a format that this one cannot read.
    """
    outputs = _read(results)
    # If the checkout has metadata of one of the outputs, it has its own. The user then removed
    # those that are missing on purpose (``snakemake --cleanup-metadata``).
    if any(has_metadata(name) for name in outputs):
        return
    for name, entry in outputs.items():
        output = Path(entry["output"])
        if output.is_file() and file_digest(output) == entry["sha256"]:
            # A user who may only read the checkout does without the metadata.
            with contextlib.suppress(PermissionError):
                write_metadata(name, entry["metadata"])


def _read(results: Path) -> dict[str, dict[str, Any]]:
    try:
        content = read_json(results / STATE)
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    if content.get("schema") != SCHEMA:
        error = SchedlabError(
            f"{results / STATE} has schema {content.get('schema')!r}, expected {SCHEMA!r}",
            remedy="use the release of schedlab that made these results, or remove the file:"
            " stages may then run again",
        )
        raise SystemExit(f"schedlab: {error}")
    outputs = content.get("outputs")
    return {
        name: entry
        for name, entry in (outputs.items() if isinstance(outputs, dict) else ())
        if _is_sound(results, name, entry)
    }


def _is_sound(results: Path, name: str, entry: Any) -> bool:
    """Tell whether an entry describes an output below `results`.

    The file may come from others. The name of a metadata file encodes the path of its output: it
    must agree with the output of the entry, so that no other file can be written.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("metadata"), dict):
        return False
    output = output_of(name)
    if (
        output is None
        or not output.is_relative_to(results)
        or output.as_posix() != entry.get("output")
    ):
        return False
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        return False
    try:
        inside(results, output.relative_to(results).as_posix())
    except SchedlabError:
        return False
    return isinstance(entry.get("sha256"), str)
