"""The format of the file with a trial's raw Prometheus samples, samples.json.gz.

It is a JSON array with one series in each line, so that series are read and written one at a time:
`{"labels": {...}, "metric": name, "values": [[unix seconds, value], ...]}`. NaN and infinities,
which JSON does not have, are strings.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import open_file, parse_json
from schedlab.outside.output import output_file
from schedlab.plain import plain

_LONGEST = 64 << 20
"""Largest size of a line in bytes. A series of a week with one sample a second is smaller."""
_LARGEST = 4 << 30
"""Largest size of a trial's samples in bytes, unpacked."""


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def write_series(path: Path, series: Iterable[Mapping[str, Any]]) -> int:
    """Write series. The same series give the same bytes.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    series : iterable of mapping
        Each has `metric` (str), `labels` (mapping of str to str) and `values` (pairs of Unix time
        in s and value).

    Returns
    -------
    int
        Number of samples.
    """
    samples = 0
    with (
        output_file(path) as raw,
        # Without time and file name, so that the same series give the same bytes.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        io.TextIOWrapper(packed, encoding="utf-8") as text,
    ):
        text.write("[")
        for index, one in enumerate(series):
            values = [[float(t), _plain(float(v))] for t, v in one["values"]]
            samples += len(values)
            row = {"metric": one["metric"], "labels": dict(one["labels"]), "values": values}
            line = json.dumps(row, sort_keys=True, separators=(",", ":"), allow_nan=False)
            text.write(f"{',' if index else ''}\n{line}")
        text.write("\n]\n")
    return samples


def read_series(path: Path) -> Iterator[dict[str, Any]]:
    """Read series one at a time.

    Raises
    ------
    SchedlabError
        The file is missing, cut short, or not of this format.
    """
    try:
        with open_file(path) as raw, gzip.GzipFile(fileobj=raw) as lines:
            last = b""
            unpacked = 0
            while line := lines.readline(_LONGEST):
                unpacked += len(line)
                if len(line) == _LONGEST or unpacked > _LARGEST:
                    raise ValueError("it unpacks to too many bytes: a decompression bomb")
                last = line.strip()
                if last not in {b"[", b"]", b"[]", b""}:
                    yield _checked(parse_json(last.rstrip(b",")))
            if not last.endswith(b"]"):
                raise ValueError("the array has no end")
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error,
    ) as error:  # fmt: skip
        raise SchedlabError(
            f"{path.name} cannot be read: {plain(error)}",
            remedy="run the trial again",
            log=path,
        ) from error


def _checked(row: Any) -> dict[str, Any]:
    """Return a row of the file with the right types, or raise an error."""
    return {
        "metric": str(row["metric"]),
        "labels": {str(key): str(value) for key, value in row["labels"].items()},
        "values": [(_instant(t), float(v)) for t, v in row["values"]],
    }


def _instant(seconds: Any) -> float:
    """Return a Unix time in s. It must be within the range of 64-bit nanoseconds."""
    number = float(seconds)
    if not abs(number) < 9e9:
        raise ValueError(f"{number} is not a valid time")
    return number
