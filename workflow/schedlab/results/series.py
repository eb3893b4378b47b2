"""The file format of a trial's raw Prometheus samples: samples.json.gz.

A JSON array with one series a line, so that it is read and written one series at a time:
`{"labels": {...}, "metric": name, "values": [[unix seconds, value], ...]}`. Values that JSON cannot
hold (NaN, infinities) are strings.
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
from schedlab.outside.json_text import parse_json

_LONGEST = 64 << 20
"""Bytes of a line: a series over a week, a sample a second, has less."""
_LARGEST = 4 << 30
"""Unpacked bytes of a trial's samples."""


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def write_series(path: Path, series: Iterable[Mapping[str, Any]]) -> int:
    """Write series, the same bytes for the same series.

    Parameters
    ----------
    path : pathlib.Path
        samples.json.gz.
    series : iterable of mapping
        Each with `metric` (str), `labels` (mapping of str) and `values` (pairs of Unix time in s,
        value).

    Returns
    -------
    int
        Number of samples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0
    with (
        path.open("wb") as raw,
        # Neither the time nor the file's name belongs into the bytes.
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
        When the file is missing, cut short or not of this format.
    """
    try:
        with gzip.open(path, "rb") as lines:
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
                raise ValueError("the array does not end")
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error,
    ) as error:  # fmt: skip
        raise SchedlabError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            remedy="run the trial again",
            log=path,
        ) from error


def _checked(row: Any) -> dict[str, Any]:
    """Give a row of the file its types."""
    return {
        "metric": str(row["metric"]),
        "labels": {str(key): str(value) for key, value in row["labels"].items()},
        "values": [(_instant(t), float(v)) for t, v in row["values"]],
    }


def _instant(seconds: Any) -> float:
    """Unix time, s; within what 64-bit nanoseconds can hold."""
    number = float(seconds)
    if not abs(number) < 9e9:
        raise ValueError(f"{number} is no instant")
    return number
