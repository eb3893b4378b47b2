"""A copy of Snakemake's metadata in the results folder, so that the results can be used elsewhere.

In ``.snakemake/metadata`` of the checkout Snakemake stores, in one file for each output, from which
inputs (by checksum) and parameters the output was made. Without these files Snakemake compares
only modification times: in a fresh clone every source is newer than every result, and in results
that were copied, moved or renamed no changed setting makes a stage run again. The copy is used only
for outputs that have not changed since it was made.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.errors import SchedlabError
from schedlab.lineage.snakemake_metadata import has_metadata, stored_metadata, write_metadata
from schedlab.outside.json_text import read_json
from schedlab.outside.names import inside
from schedlab.paths import STATE, cluster_record, image_record, trace_record, trial_record
from schedlab.printing import counted, printable, some
from schedlab.results.digests import file_digest
from schedlab.results.form_checks import each, keys, number, perhaps, text, texts, truth
from schedlab.results.records import write_json

SCHEMA = "schedlab.state/2"
_PATHS = ("input", "log", "input_checksums")
"""Keys of metadata whose entries are paths, or are named by paths."""
_COSTLY = (
    image_record("*", "*"),
    cluster_record("*", "*"),
    trace_record("*", "*", "*"),
    trial_record("*", "*", "*"),
)
"""Records of what is not made again from other results in little time."""


class _Kept(NamedTuple):
    """The copy of the metadata of an output."""

    sha256: str
    metadata: dict[str, Any]


def keep(results: Path) -> None:
    """Copy Snakemake's metadata of the outputs in `results` into that folder."""
    outputs = _read(results)
    for stored in stored_metadata(results):
        if stored.fits():
            path = stored.output.relative_to(results).as_posix()
            outputs[path] = _Kept(file_digest(stored.output), stored.content)
    if outputs:
        written = {path: kept._asdict() for path, kept in outputs.items()}
        content = {"schema": SCHEMA, "results": results.as_posix(), "outputs": written}
        write_json(results / STATE, content)


def restore(results: Path) -> None:
    """Copy the metadata in `results` back where this checkout has none that fits an output.

    Says which records have none even then: those of a run that was killed before it could write
    the copy, and then moved.

    Raises
    ------
    SystemExit
        Another release wrote the copy, in a format that this one cannot read.
    """
    outputs = _read(results)
    # Other results may have had this name before, and their metadata be there.
    present = stored_metadata(results) if outputs else ()
    fitting = {stored.output for stored in present if stored.fits()}
    # If the checkout has metadata of one of the outputs, it has its own. The user then removed
    # those that are missing on purpose (``snakemake --cleanup-metadata``).
    own = any(results / path in fitting for path in outputs)
    # A user who may only read the checkout does without the metadata.
    with contextlib.suppress(PermissionError):
        for path, kept in outputs.items():
            output = results / path
            known = output in fitting or (own and not has_metadata(output))
            if not known and output.is_file() and file_digest(output) == kept.sha256:
                write_metadata(output, kept.metadata)
        _tell_unknown(results)


def _tell_unknown(results: Path) -> None:
    """Say which records Snakemake knows nothing of."""
    records = (path for pattern in _COSTLY for path in sorted(results.glob(pattern)))
    unknown = [path.as_posix() for path in records if not has_metadata(path)]
    if unknown:
        told = (
            f"schedlab: NOTICE: Snakemake knows nothing of {counted(len(unknown), 'record')} in"
            f" {results}, which was moved or copied, and uses what they describe whatever was"
            f" changed since: {some(unknown, 100)}; remove a record, and its stage runs again"
        )
        print(printable(told), file=sys.stderr)


def _read(results: Path) -> dict[str, _Kept]:
    """Return the copy by output (relative to `results`), as if made under the present name."""
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
    before, outputs = content.get("results"), content.get("outputs")
    if not isinstance(before, str) or not isinstance(outputs, dict):
        return {}
    return {
        path: _Kept(entry["sha256"], _moved(entry["metadata"], before, results.as_posix()))
        for path, entry in outputs.items()
        if _is_sound(results, path, entry)
    }


def _moved(metadata: Mapping[str, Any], before: str, now: str) -> dict[str, Any]:
    """Metadata of an output after its results folder got another name."""

    def path(text: Any) -> Any:
        below = isinstance(text, str) and text.startswith(f"{before}/")
        return now + text.removeprefix(before) if below else text

    moved = dict(metadata)
    for key in _PATHS:
        named = metadata.get(key)
        if isinstance(named, dict):
            moved[key] = {path(name): value for name, value in named.items()}
        elif isinstance(named, list):
            moved[key] = [path(name) for name in named]
    return moved


def _is_sound(results: Path, path: str, entry: Any) -> bool:
    """Tell whether an entry describes an output below `results`; the file may come from others."""
    if _ENTRY(entry):
        return False
    try:
        inside(results, path)
    except SchedlabError:
        return False
    return True


_ENTRY = keys(
    {
        "sha256": text,
        # Forms without which Snakemake ends in an exception.
        "metadata": keys(
            {},
            {
                **dict.fromkeys(("input", "log", "params"), texts),
                "input_checksums": each(text),
                **dict.fromkeys(
                    ("starttime", "endtime", "job_hash", "record_format_version"), perhaps(number())
                ),
                "incomplete": truth,
                **dict.fromkeys(
                    (
                        "code", "conda_env", "container_img_url", "rule", "shellcmd",
                        "software_stack_hash",
                    ),
                    perhaps(text),
                ),
            },
        ),
    }
)  # fmt: skip
