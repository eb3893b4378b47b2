"""How numbers are written: three significant digits, an interval and n beside each estimate."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

NONE = "\N{EN DASH}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many significant digits, without padding zeros' false precision.

    >>> number(1234.5), number(0.012345), number(3), number(None)
    ('1230', '0.0123', '3', '–')
    """
    if value is None or pd.isna(value):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    plain = float(value)
    if plain == 0 or math.isinf(plain):
        return "0" if plain == 0 else str(plain)
    exponent = math.floor(math.log10(abs(plain)))
    if -4 <= exponent < 6:
        rounded = round(plain, digits - 1 - exponent)
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
        text = f"{rounded:.{decimals}f}"
        # Whole numbers, such as counts, are exact.
        return text.rstrip("0").rstrip(".") if plain == int(plain) and "." in text else text
    mantissa, _, power = f"{plain:.{digits - 1}e}".partition("e")
    return f"{mantissa} × 10{str(int(power)).translate(_SUPERSCRIPT)}"


def count(value: Any) -> str:
    """Write a count in full."""
    return NONE if value is None or pd.isna(value) else f"{int(value)}"


def seconds(value: Any) -> str:
    """Write a duration in s, ms or µs, with its unit."""
    if value is None or pd.isna(value):
        return NONE
    size = abs(float(value))
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if size * factor >= 1 or unit == "µs":
            return f"{number(float(value) * factor)} {unit}" if size else "0 s"
    raise AssertionError("unreachable")


def span(values: Any) -> str:
    """Write the range of some numbers: one number, or ``low to high``."""
    known = [float(v) for v in values if v is not None and not pd.isna(v)]
    if not known:
        return NONE
    low, high = number(min(known)), number(max(known))
    return low if low == high else f"{low} to {high}"


def short(digest: Any) -> str:
    """First twelve digits of a digest."""
    return str(digest)[:12] if digest is not None and not pd.isna(digest) else NONE
