"""Large JSON files, written a part at a time."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schedlab.outside.output import output_file


def json_object(head: Mapping[str, Any], name: str, items: Iterable[Any]) -> Iterator[str]:
    """Yield the text of an object with a long list at its end.

    Parameters
    ----------
    head : mapping
        The object without the list; not empty.
    name : str
        Key of the list.
    items : iterable
        The list, read one item at a time; each is on a line of its own.
    """
    yield f"{_json(head)[:-1]},\n{_json(name)}:["
    for number, item in enumerate(items):
        yield f"{',' if number else ''}\n{_json(item)}"
    yield "\n]}\n"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def write_packed(path: Path, parts: Iterable[str]) -> None:
    """Write text as a gzip file, as a whole. The same text gives the same bytes."""
    with (
        output_file(path) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        io.TextIOWrapper(packed, encoding="utf-8") as text,
    ):
        text.writelines(parts)
