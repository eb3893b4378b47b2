"""Messages about a user's text, which is shown shortened and without control characters."""

from __future__ import annotations

from typing import Any

from schedlab.printing import LONGEST, brief

MOST = 20
"""Most faults of one file that are shown."""


def shown(value: Any) -> str:
    """Value as YAML, shortened for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return brief(repr(value[: 2 * LONGEST]))
    return brief(str(value))


def fault(file: str, line: int | None, key: str, value: Any, what: str, remedy: str) -> str:
    """Return one line that says where a fault is, what is wrong, and what to do.

    Parameters
    ----------
    file : str
        Name of the file.
    line : int or None
        Line in the file, from 1; None if the key is not in the file.
    key : str
        Path of the key, such as ``workloads[0].jobs``.
    value : object
        Value of the key.
    what, remedy : str
        What is wrong with the value, and what to do.
    """
    place = brief(file, 1000) if line is None else f"{brief(file, 1000)}:{line}"
    return f"{place}: {brief(key)} = {shown(value)}: {what}. Remedy: {remedy}"


def together(lines: list[str]) -> str:
    """Return the first `MOST` lines, and a line with the number of the others."""
    more = [f"and {len(lines) - MOST} more faults"] if len(lines) > MOST else []
    return "\n".join([*lines[:MOST], *more])
