"""Reads unquoted words by the core schema of YAML 1.2, and writes data as YAML.

https://yaml.org/spec/1.2.2/#103-core-schema. Editors and other programs still read by the older
rules. Words that these rules read as another value are refused: numbers with leading zeros (octal
or decimal) and dates (a date or text).
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL, _HEXADECIMAL = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DIGITS = 18
"""Most digits of a whole number; it must fit 64 bits in tables and in other programs."""


class Ambiguous(ValueError):
    """An unquoted word that has no value, or that programs read as different values."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def means_nothing(text: str) -> bool:
    """Whether an unquoted word is YAML's null."""
    return _WORDS.get(text, text) is None


def plain_value(text: str) -> str | int | float | bool | None:
    """Value of an unquoted word.

    Raises
    ------
    Ambiguous
        When the word is infinite, not a number, a number that is too long, has a leading zero, or
        is a date.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            decimal = digits.lstrip("0")[:_DIGITS] or "0"
            raise Ambiguous(
                "a number with leading zeros, which some programs read as octal",
                f"write {decimal}, or put it in quotes if it is text",
            )
        _bounded(len(digits))
        return int(text)
    for pattern, base, per in ((_OCTAL, 8, 1.0), (_HEXADECIMAL, 16, 1.25)):
        if pattern.fullmatch(text):
            _bounded(int(per * len(text[2:])))
            return int(text[2:], base)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _NO_NUMBER.fullmatch(text):
        raise Ambiguous("not a finite number", "write a finite number")
    if _DATE.fullmatch(text):
        raise Ambiguous("read as a date by some programs", "put it in quotes if it is text")
    return text


def _bounded(digits: int) -> None:
    if digits > _DIGITS:
        raise Ambiguous(
            f"a number of {digits} digits, more than {_DIGITS}", "write a smaller number"
        )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Ambiguous("not a finite number", "write a smaller number")
    if number == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise Ambiguous("too small a number: it would be 0", "write 0, or a larger number")
    return number


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as another value."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile("|".join(f"(?:{p.pattern})$" for p in (_INTEGER, _OCTAL, _HEXADECIMAL, _FLOAT))),
    list("-+.0123456789"),
)


def yaml_text(data: Any) -> str:
    """Return YAML that means the same data in YAML 1.1 and 1.2."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
