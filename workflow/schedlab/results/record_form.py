"""The form of a record. Every reader of records relies on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from schedlab.outside.names import has_control, name_problem

FieldCheck = Callable[[Any], str | None]
"""Returns how a value differs from its form, as words that follow its key; None if it does not."""


def record_problem(record: Mapping[str, Any]) -> str | None:
    """Return how a record of this schema differs from the form of a record, or None."""
    checks = _COMMON | (_TRIAL if record.get("stage") == "trial" else {})
    return _keys(record, checks) or _keys(
        {key: record[key] for key in _OPTIONAL if key in record}, {}, _OPTIONAL
    )


def _keys(
    value: Any, required: Mapping[str, FieldCheck], optional: Mapping[str, FieldCheck] | None = None
) -> str | None:
    if not isinstance(value, Mapping):
        return "is not a mapping"
    for key, check in required.items():
        if key not in value:
            return f"lacks {key}"
        if problem := check(value[key]):
            return f"{key} {problem}"
    for key, check in (optional or {}).items():
        if key in value and (problem := check(value[key])):
            return f"{key} {problem}"
    return None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "is not text"
    # Such a text is always shown within a line.
    return "contains a control character" if has_control(value) else None


def _perhaps_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> str | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return None if good else "is not a number"


def _whole(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31
    return None if good else "is not a whole number"


def _truth(value: Any) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


def _mapping(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "is not a mapping"


def _perhaps_mapping(value: Any) -> str | None:
    return None if value is None else _mapping(value)


def _moment(value: Any) -> str | None:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return "is not a date with a time"
    return None


def _texts(value: Any) -> str | None:
    good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return None if good else "is not a list of texts"


def _files(value: Any) -> str | None:
    """Check names of files with their digests."""
    if not isinstance(value, Mapping):
        return "is not a mapping"
    for name, digest in value.items():
        if problem := name_problem(name):
            return f"names {ascii(name)[:80]}, which {problem}"
        if not isinstance(digest, str):
            return f"has no digest of {ascii(name)[:80]}"
    return None


def _parents(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "is not a mapping"
    for name, parent in value.items():
        if problem := _keys(parent, dict.fromkeys(("id", "lineage", "path", "record"), _text)):
            return f"{ascii(name)[:80]} {problem}"
        if len(parent) != 4:
            return f"{ascii(name)[:80]} has unknown keys"
        if problem := name_problem(parent["path"]):
            return f"names {ascii(parent['path'])[:80]}, which {problem}"
    return None


def _source(value: Any) -> str | None:
    if value is None:
        return None
    return _keys(value, {"commit": _perhaps_text, "dirty": _truth, "diff": _perhaps_text})


def _tools(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "is not a mapping"
    for tool in value.values():
        if not isinstance(tool, str) and _keys(tool, {"version": _text}):
            return "has a tool without version"
    return None


def _facts(value: Any) -> str | None:
    texts = dict.fromkeys(("cluster", "workload", "scheduler"), _text)
    numbers = dict.fromkeys(("repetition", "order", "nodes", "cpus_per_node"), _whole)
    # Records of before there were variants have neither; those of real nodes have no carriers.
    return _keys(value, texts | numbers, {"variant": _text, "number": _whole, "carriers": _whole})


_COMMON: dict[str, FieldCheck] = {
    "stage": _text,
    "id": _text,
    "lineage": _text,
    "created": _moment,
    "duration": _number,
    "command": _perhaps_text,
    "source": _source,
    "inputs": _files,
    "outputs": _files,
    "parents": _parents,
}
_TRIAL: dict[str, FieldCheck] = {
    "trial": _facts,
    "conditions": _mapping,
    "verdict": lambda value: _keys(value, {"reasons": _texts}),
}
_OPTIONAL: dict[str, FieldCheck] = {
    "tools": _tools,
    "realised": _perhaps_mapping,
    "settings": _perhaps_mapping,
    "accelerator": _mapping,
    "not_run": _text,
    "decision": _mapping,
    "left_out": lambda value: _mapping(value) or _texts(list(value.values())),
}
