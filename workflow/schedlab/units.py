"""Sizes and percentages with their units, as users write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
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


def part(percentage: str, *, zero: bool = False) -> float:
    """Return a percentage, for example "5 %", as a part: 0.05.

    Parameters
    ----------
    percentage : str
        Number with its sign, below 100 %.
    zero : bool
        Whether 0 % is a value too.

    Raises
    ------
    ValueError
        The text has another form, or is not between 0 and 100 %.
    """
    match = _PERCENT.fullmatch(percentage)
    if match is None:
        raise ValueError("not a percentage; write a number with its sign, such as 5 %")
    found = float(match[1])
    if not (0 < found < 100 or (zero and not found)):
        raise ValueError("not between 0 and 100 %; write a part that can be reached, such as 5 %")
    return found / 100


def percentage(value: object) -> object:
    """Return a text that `part` reads; for the models of the experiment file.

    Raises
    ------
    ValueError
        As `part`, also for what is no text.
    """
    part(value if isinstance(value, str) else "")
    return value


def percentage_or_zero(value: object) -> object:
    """As `percentage`, of a key that may be 0 %."""
    part(value if isinstance(value, str) else "", zero=True)
    return value


Percentage = Annotated[str, BeforeValidator(percentage)]
"""A key of the experiment file whose value `part` reads."""
PercentageOrZero = Annotated[str, BeforeValidator(percentage_or_zero)]
"""The same, where 0 % is a value too."""
