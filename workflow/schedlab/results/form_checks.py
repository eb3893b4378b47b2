"""Parts of which the checks of a record's form are made.

A check takes a value and returns how it differs from its form, as the end of a sentence that begins
with its key: " is ['x'], not text", or ".cpu is ['x'], not text" where the fault is deeper. It
returns None for a value that does not differ.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from schedlab.outside.names import has_control, name_problem

FieldCheck = Callable[[Any], str | None]


def shown(value: Any) -> str:
    """Return a value as messages show it: short, in one line, without control characters."""
    return reprlib.repr(value).encode("ascii", "backslashreplace").decode()


def release_number(schema: Any, family: str) -> int | None:
    """Return the number of a format, such as 2 of ``schedlab.record/2``; None if it has none."""
    digits = schema.removeprefix(family) if isinstance(schema, str) else ""
    # Python refuses to read numbers of thousands of digits.
    known = digits.isascii() and digits.isdecimal() and len(digits) < 10
    return int(digits) if known else None


def keys(
    required: Mapping[str, FieldCheck], optional: Mapping[str, FieldCheck] | None = None
) -> FieldCheck:
    """Check a mapping with these keys; it may have others."""

    def check(value: Any) -> str | None:
        if problem := mapping(value):
            return problem
        for key, of_key in required.items():
            if key not in value:
                return f" lacks {key}"
            if problem := of_key(value[key]):
                return f".{key}{problem}"
        for key, of_key in (optional or {}).items():
            if key in value and (problem := of_key(value[key])):
                return f".{key}{problem}"
        return None

    return check


def each(of_value: FieldCheck) -> FieldCheck:
    """Check a mapping from any text to values of one form."""

    def check(value: Any) -> str | None:
        if problem := mapping(value):
            return problem
        for key, one in value.items():
            if problem := of_value(one):
                return f".{shown(key)[1:-1]}{problem}"
        return None

    return check


def rows(of_row: FieldCheck) -> FieldCheck:
    """Check a list of values of one form."""

    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return f" is {shown(value)}, not a list"
        for place, one in enumerate(value):
            if problem := of_row(one):
                return f"[{place}]{problem}"
        return None

    return check


def perhaps(of_value: FieldCheck) -> FieldCheck:
    """Check a value that may be null."""
    return lambda value: None if value is None else of_value(value)


def number(least: float = -math.inf, *, above: bool = False) -> FieldCheck:
    """Check a finite number of at least `least`; with `above`, one that is larger."""

    def check(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not math.isfinite(value):
            return f" is {shown(value)}, not a number"
        if value < least or (above and value == least):
            return f" is {shown(value)}, not {'more than' if above else 'at least'} {least:g}"
        return None

    return check


def whole(least: int, most: int = (1 << 31) - 1) -> FieldCheck:
    """Check a whole number within a range."""

    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f" is {shown(value)}, not a whole number"
        if not least <= value <= most:
            return f" is {shown(value)}, not within {least} to {most}"
        return None

    return check


def line(value: Any) -> str | None:
    """Check a text that is shown within a line."""
    if not isinstance(value, str):
        return f" is {shown(value)}, not text"
    return f" is {shown(value)}, with a control character" if has_control(value) else None


def words(value: Any) -> str | None:
    """Check a text of one line that is not empty."""
    return line(value) or (None if value.strip() else f" is {shown(value)}, without any word")


def text(value: Any) -> str | None:
    """Check a text, which may have several lines."""
    return None if isinstance(value, str) else f" is {shown(value)}, not text"


def texts(value: Any) -> str | None:
    """Check a list of texts."""
    good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return None if good else f" is {shown(value)}, not a list of texts"


def truth(value: Any) -> str | None:
    """Check a truth value."""
    return None if isinstance(value, bool) else f" is {shown(value)}, neither true nor false"


def mapping(value: Any) -> str | None:
    """Check a mapping, whatever is in it."""
    return None if isinstance(value, Mapping) else f" is {shown(value)}, not a mapping"


def moment(value: Any) -> str | None:
    """Check a date with a time."""
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f" is {shown(value)}, not a date with a time"
    return None


def files(value: Any) -> str | None:
    """Check names of files with their digests."""
    if problem := mapping(value):
        return problem
    for name, digest in value.items():
        if problem := name_problem(name):
            return f" names {shown(name)}, which {problem}"
        if not isinstance(digest, str):
            return f".{shown(name)[1:-1]} is {shown(digest)}, not a digest"
    return None
