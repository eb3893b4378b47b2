"""Sizes with units, as users write them."""

from __future__ import annotations

import re

SIZE = re.compile(r"^([0-9]{1,9}) ?(MiB|GiB)$")


def mib(size: str) -> int:
    """Return a size, for example "768 MiB" or "1 GiB", in MiB.

    Raises
    ------
    ValueError
        The text has another form, or the size is 0.
    """
    match = SIZE.fullmatch(size)
    if match is None or int(match[1]) == 0:
        raise ValueError("not a size; write a whole number with its unit: 768 MiB, 2 GiB")
    return int(match[1]) * (1024 if match[2] == "GiB" else 1)
