"""The files in which Snakemake stores how each output was made.

Their form is private to Snakemake (:mod:`schedlab.lineage.snakemake_internals`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.paths import SNAKEMAKE
from schedlab.results.records import write_json

FOLDER = Path(SNAKEMAKE)
"""Snakemake's folder, relative to the working directory."""
_METADATA = FOLDER / "metadata"
_LONGEST = 255
"""Longest name of a file, bytes, on the file systems of Linux."""


class OutputMetadata(NamedTuple):
    """What Snakemake stored about an output.

    Parameters
    ----------
    output : pathlib.Path
        The output, as the rule names it.
    content : dict
        Content of the metadata file; empty if it cannot be read.
    unfinished : bool
        Whether the job that makes the output was interrupted.
    """

    output: Path
    content: dict[str, Any]
    unfinished: bool

    def fits(self) -> bool:
        """Tell whether the metadata are of the present output, by the time of the job's end."""
        ended = self.content.get("endtime")
        if self.unfinished or ended is None:
            return False
        return abs(float(ended) - self.output.stat().st_mtime) <= _CLOSE


_CLOSE = 0.001
"""Seconds by which the time of a file may differ from the same time read back from JSON."""


def stored_metadata(below: Path) -> Iterator[OutputMetadata]:
    """Yield what Snakemake stored about each output in a folder that exists."""
    for path in sorted(_METADATA.rglob("*")):
        name = path.relative_to(_METADATA).as_posix()
        output = _output_of(name) if path.is_file() else None
        if output is not None and output.is_relative_to(below) and output.is_file():
            # A job that was killed leaves a new output with the metadata of the one before.
            yield OutputMetadata(output, _content(path), (FOLDER / "incomplete" / name).exists())


def has_metadata(output: Path) -> bool:
    """Tell whether Snakemake has metadata of this output, or knows that it is unfinished."""
    file = _file_of(output)
    return file.exists() or (FOLDER / "incomplete" / file.relative_to(_METADATA)).exists()


def write_metadata(output: Path, content: dict[str, Any]) -> None:
    """Write metadata of an output, as :func:`stored_metadata` read it in another checkout."""
    write_json(_file_of(output), content)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError:
        return {}
    return content


def _file_of(output: Path) -> Path:
    """Return the metadata file of an output: its path in base64, cut where it is too long.

    As ``snakemake.persistence.file``, of which tests compare it with this.
    """
    name = base64.urlsafe_b64encode(output.as_posix().encode()).decode()
    size = _LONGEST - 1
    *folders, last = (name[start : start + size] for start in range(0, len(name), size))
    return _METADATA.joinpath(*(f"@{part}" for part in folders), last)


def _output_of(name: str) -> Path | None:
    """Return the output of a metadata file, or None."""
    encoded = "".join(part.removeprefix("@") for part in Path(name).parts)
    try:
        return Path(base64.urlsafe_b64decode(encoded).decode())
    except ValueError:
        return None
