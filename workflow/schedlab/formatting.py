"""Numbers as text, with three significant digits."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

NONE = "\N{EN DASH}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _missing(value: Any) -> bool:
    # What only reads traces needs no pandas; its NA and NaT are no numbers.
    if isinstance(value, str):
        return False
    return not isinstance(value, SupportsFloat) or math.isnan(value)


def number(value: Any, digits: int = 3) -> str:
    """Return a number with `digits` significant digits; a whole number without zeros at its end.

    >>> number(1234.5), number(0.012345), number(3), number(None)
    ('1230', '0.0123', '3', '–')
    """
    if _missing(value):
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
        # Zeros after the point of a whole number would claim a precision that it does not have.
        return text.rstrip("0").rstrip(".") if plain == int(plain) and "." in text else text
    mantissa, _, power = f"{plain:.{digits - 1}e}".partition("e")
    return f"{mantissa} × 10{str(int(power)).translate(_SUPERSCRIPT)}"


def count(value: Any) -> str:
    """Return a count with all its digits."""
    return NONE if _missing(value) else f"{int(value)}"


def seconds(value: Any) -> str:
    """Return a duration, given in s, with its unit: s, ms or µs."""
    if _missing(value):
        return NONE
    size = abs(float(value))
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if size * factor >= 1 or unit == "µs":
            return f"{number(float(value) * factor)} {unit}" if size else "0 s"
    raise AssertionError("unreachable")


def span(values: Any) -> str:
    """Return the range of some numbers: ``low to high``, or one number if all are equal."""
    known = [float(v) for v in values if not _missing(v)]
    if not known:
        return NONE
    low, high = number(min(known)), number(max(known))
    return low if low == high else f"{low} to {high}"


def short(digest: Any) -> str:
    """Return the first twelve digits of a digest."""
    return str(digest)[:12] if not _missing(digest) else NONE
