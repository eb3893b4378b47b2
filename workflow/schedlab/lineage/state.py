"""What Snakemake knows of the results, kept with them, so that a new checkout can use them.

Snakemake remembers in ``.snakemake/metadata`` of the checkout, one file an output, from which
inputs (by checksum) and parameters an output was made. Without that it goes by times alone, and in
a fresh clone every source is newer than every result. A copy therefore lies in the results folder;
it is believed only for outputs that still have the bytes they had when it was made.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.lineage.snakemake_internals import memories, output_of, remembers, remind
from schedlab.outside.json_text import read_json
from schedlab.outside.names import inside
from schedlab.paths import STATE
from schedlab.results.digests import file_digest
from schedlab.results.records import write_json

SCHEMA = "schedlab.state/1"


def keep(results: Path) -> None:
    """Copy what Snakemake knows of the outputs in `results` into that folder."""
    before = _read(results)
    now: dict[str, dict[str, Any]] = {}
    for memory in memories(results):
        if memory.fits():
            output = memory.output
            now[memory.name] = {"output": output.as_posix(), "sha256": file_digest(output)}
            now[memory.name]["metadata"] = memory.content
    if before | now:
        write_json(results / STATE, {"schema": SCHEMA, "outputs": before | now})


def restore(results: Path) -> None:
    """Give Snakemake what it knew of the outputs in `results`, where this checkout is new to them.

    Raises
    ------
    SystemExit
        When the state was kept by a release that this one cannot read.
    """
    outputs = _read(results)
    # Once it knows one of them, this checkout has its own knowledge, and what is not there was
    # removed on purpose (``snakemake --cleanup-metadata``).
    if any(remembers(name) for name in outputs):
        return
    for name, entry in outputs.items():
        output = Path(entry["output"])
        if output.is_file() and file_digest(output) == entry["sha256"]:
            # Who may only read the checkout goes without.
            with contextlib.suppress(PermissionError):
                remind(name, entry["metadata"])


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
        if _of(results, name, entry)
    }


def _of(results: Path, name: str, entry: Any) -> bool:
    """Tell whether an entry is of an output below `results`: others may have written the file.

    Snakemake's own name says which output it is of, so that nothing else can be written with it.
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
