"""Traces in the standard workload format, as text and as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from schedlab.swf.file import SwfJob
from schedlab.swf.table import read_table
from schedlab.workloads.swf import Swf

ROOT = Path(__file__).resolve().parents[2]
TRACES = Path(os.environ.get("SCHEDLAB_TRACES", ROOT.parent / "shared" / "data"))
NASA = TRACES / "NASA-iPSC-1993-3.1-cln.swf.gz"
HEADER = "; Version: 2.2\n; MaxNodes: 64\n; MaxProcs: 128\n; Note: MaxProcs: in a note\n;\n"


def line(number: int, **fields: Any) -> str:
    """One job line; fields by the names of `swf_file.SwfJob`."""
    values = {
        "submit": 0,
        "wait": -1,
        "runtime": 100,
        "processors": 64,
        "requested_processors": -1,
        "requested_time": -1,
        "status": 1,
        "user": 3,
        "preceding": -1,
        "think": -1,
    } | fields
    return (
        f"{number} {values['submit']} {values['wait']} {values['runtime']} {values['processors']}"
        f" -1 -1 {values['requested_processors']} {values['requested_time']} -1"
        f" {values['status']} {values['user']} 1 -1 1 -1 {values['preceding']}"
        f" {values['think']}\n"
    )


def records(path: Path) -> list[SwfJob]:
    """Every job of a trace, in order of submission."""
    table = read_table(path)
    assert not table.malformed, table.malformed
    return [table.record(position) for position in range(len(table.rows))]


def write(folder: Path, *lines: str, head: str = HEADER) -> Swf:
    """Trace of the given lines, and the workload that replays all of them unshaken."""
    (folder / "t.swf").write_text(head + "".join(lines))
    return Swf(name="s", file="t.swf", jobs=len(lines), shake=0.0, time_scale=0.1)
