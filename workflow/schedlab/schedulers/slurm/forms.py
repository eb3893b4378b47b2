"""Forms of the values of slurm.conf's keys, so that what slurmctld would refuse starts nothing.

`keys.txt` and `parameters.txt` have the forms; this module reads them and looks whether values fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

_BITS = {"uint16": 16, "uint32": 32, "uint64": 64}
_RESERVED = 2
"""The two largest numbers of a type are Slurm's own: no value, and infinite."""
_INT_MAX = 2**31 - 1
"""The parts of a list are read by atoi or strtol."""
_OF_WORDS = ("one", "some", "one=", "some=")
_ENDLESS = ("INFINITE", "UNLIMITED")
_TRUTH = ("YES", "NO", "TRUE", "FALSE", "UP", "DOWN", "1", "0")
_TIME = re.compile(r"(?:(\d{1,5})-)?(\d{1,7})(?::(\d{1,2}))?(?::(\d{1,2}))?", re.ASCII)
_LIMIT = "(RLIMIT_)?(AS|CORE|CPU|DATA|FSIZE|MEMLOCK|NOFILE|NPROC|RSS|STACK)"
_MCS = "(?i:ondemand|enforced|noselect|select|ondemandselect|privatedata)"
_WEIGHT = r"(?i:cpu|mem|energy|node|billing|fs/disk|vmem|pages)=\d{1,9}(\.\d{1,6})?[KMGTPkmgtp]?"
"""Those that Slurm has without a database; others need AccountingStorageTRES, which needs one."""
_EXIT_MAX = 255
_PATTERNS = {
    "licenses": (r"[^\s,;:=]+([:=]\d{1,9})?([,;][^\s,;:=]+([:=]\d{1,9})?)*", "NAME:NUMBER, a list"),
    # A list that has ALL or NONE beside others is refused.
    "limits": (
        rf"ALL|NONE|{_LIMIT}([ ,]+{_LIMIT})*",
        "ALL or NONE, or a list, with commas, of AS, CORE, CPU, DATA, FSIZE, MEMLOCK, NOFILE,"
        " NPROC, RSS, STACK, in capital letters",
    ),
    # What has none of the words is taken for the default.
    "mcs": (
        rf"({_MCS}(, ?{_MCS})*)?(:[^\s,:|]+(\|[^\s,:|]+)*)?",
        "a list, with commas, of ondemand, enforced, noselect, select, ondemandselect, privatedata,"
        " and after a colon groups with | between",
    ),
    "tres": (
        rf"{_WEIGHT}(,{_WEIGHT})*",
        "TRES=NUMBER, a list, of cpu, mem, energy, node, billing, fs/disk, vmem, pages",
    ),
    "percent": (r"\d{1,2}(\.\d{1,6})?|100(\.0{1,6})?", "a number from 0 to 100"),
}


class Versions(NamedTuple):
    """First and last version of Slurm (`24.11`) that has something; empty: no bound is known."""

    first: str = ""
    last: str = ""

    def have(self, version: str) -> bool:
        """Whether a version has it. Versions are compared as text: all have five characters."""
        return self.first <= version and (not self.last or version <= self.last)


class Form(NamedTuple):
    """One form of a value: the kind, and the rest of it as `keys.txt` has it."""

    kind: str
    arguments: tuple[str, ...] = ()


class Entry(NamedTuple):
    """A key, or a part of a list of parameters. Without forms a key may have any text."""

    name: str
    versions: Versions
    forms: tuple[Form, ...]


def entry(words: list[str]) -> Entry:
    """Read a name, its versions and its forms."""
    name, versions = _since(words[0])
    forms = " ".join(words[1:]).split(" or ") if words[1:] else []
    return Entry(name, versions, tuple(Form(one.split()[0], (*one.split()[1:],)) for one in forms))


def lines(file: str) -> list[list[str]]:
    """Words of the lines of a file of this package, without comments."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


@cache
def parts(key: str) -> dict[str, Entry]:
    """Parts of a list of parameters; key and names in lower case."""
    found = [entry(words[1:]) for words in lines("parameters.txt") if words[0].lower() == key]
    return {one.name.lower(): one for one in found}


def allowed(forms: tuple[Form, ...]) -> str:
    """What a value must be, in words."""
    return " or ".join(_IN_WORDS[one.kind](one) for one in forms)


def fits(forms: tuple[Form, ...], text: str) -> bool:
    """Whether a value, without quotation marks, has one of the forms, of any version."""
    return not forms or any(_FITS[one.kind](one, text) for one in forms)


def too_new_or_old(forms: tuple[Form, ...], text: str, version: str) -> tuple[str, Versions] | None:
    """Return a word of a value that a version of Slurm does not have, and those that have it."""
    for form in forms:
        if form.kind in _OF_WORDS:
            known = dict(_since(word) for word in form.arguments)
            spelling = {name.lower(): name for name in known}
            for word in text.lower().split(","):
                name = spelling.get(word.strip(), "")
                if name and not known[name].have(version):
                    return name, known[name]
    return None


def _since(word: str) -> tuple[str, Versions]:
    name, _, span = word.partition("@")
    first, _, last = span.partition("..")
    return name, Versions(first, last)


def _words(form: Form) -> list[str]:
    return [_since(word)[0] for word in form.arguments]


def _bounds(form: Form) -> tuple[int, int]:
    least, _, most = "".join(form.arguments).partition("..")
    bits = _BITS.get(form.kind)
    largest = 2**bits - 1 - _RESERVED if bits else _INT_MAX
    return int(least or 0), int(most or largest)


def _endless(form: Form) -> bool:
    """Whether a number may be without end: one of Slurm's own types, without a bound here."""
    bounds = "".join(form.arguments)
    return form.kind in _BITS and (not bounds or bounds.endswith(".."))


def _number_fits(form: Form, text: str) -> bool:
    if _endless(form) and text.upper() in _ENDLESS:
        return True
    # Slurm reads 010 as 8, 0x10 as 16 and some 1k as 1024.
    if not re.fullmatch("0|[1-9][0-9]{0,19}", text):
        return False
    least, most = _bounds(form)
    return least <= int(text) <= most


def _number_in_words(form: Form) -> str:
    least, most = _bounds(form)
    return f"a whole number from {least} to {most}" + (
        f" or {_ENDLESS[0]}" if _endless(form) else ""
    )


def _time_fits(form: Form, text: str) -> bool:
    least = form.arguments[0].removesuffix("..") if form.arguments else ""
    if text.upper() in (*_ENDLESS, "-1"):
        return not least
    found = _TIME.fullmatch(text)
    if not found:
        return False
    days, first, second, third = (int(one or 0) for one in found.groups())
    # DAYS-HOURS:MINUTES:SECONDS, HOURS:MINUTES:SECONDS or MINUTES:SECONDS
    if found[1] or found[4]:
        seconds = days * 86400 + first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    # Slurm rounds up to minutes.
    return ((int(least) - 1) * 60 + 1 if least else 0) <= seconds <= _INT_MAX


def _time_in_words(form: Form) -> str:
    least = form.arguments[0].removesuffix("..") if form.arguments else ""
    much = f", at least {least} min" if least else f", or {_ENDLESS[0]}"
    return f"minutes, MINUTES:SECONDS, HOURS:MINUTES:SECONDS or DAYS-HOURS{much}"


def _one_fits(form: Form, text: str) -> bool:
    # Plugins are files, whose names know case, also where Slurm has them without their folder.
    return any(
        text == word if "/" in word or form.kind.endswith("=") else text.lower() == word.lower()
        for word in _words(form)
    )


def _some_fit(form: Form, text: str) -> bool:
    return all(_one_fits(form, word) for word in text.split(","))


def _exits_fit(_: Form, text: str) -> bool:
    """Whether all are codes that a process can have, and ranges rise; Slurm leaves out others."""
    found = [re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part, re.ASCII) for part in text.split(",")]
    return all(one and int(one[1]) <= int(one[2] or one[1]) <= _EXIT_MAX for one in found)


def _pattern_fits(form: Form, text: str) -> bool:
    return bool(re.fullmatch(_PATTERNS[form.kind][0], text, re.ASCII))


_FITS: dict[str, Callable[[Form, str], bool]] = {
    **dict.fromkeys((*_BITS, "number"), _number_fits),
    **dict.fromkeys(_PATTERNS, _pattern_fits),
    "boolean": lambda _, text: text.upper() in _TRUTH,
    "time": _time_fits,
    "exits": _exits_fit,
    **dict.fromkeys(("one", "one="), _one_fits),
    **dict.fromkeys(("some", "some="), _some_fit),
    # Its parts are looked at one by one (`parameter_problems`).
    "parameters": lambda _, text: True,
}
_IN_WORDS: dict[str, Callable[[Form], str]] = {
    **dict.fromkeys((*_BITS, "number"), _number_in_words),
    **dict.fromkeys(_PATTERNS, lambda form: _PATTERNS[form.kind][1]),
    "boolean": lambda _: "YES or NO",
    "time": _time_in_words,
    "exits": lambda _: f"exit codes up to {_EXIT_MAX} and ranges, a list",
    **dict.fromkeys(("one", "one="), lambda form: f"one of {', '.join(_words(form))}"),
    **dict.fromkeys(
        ("some", "some="), lambda form: f"a list, with commas, of {', '.join(_words(form))}"
    ),
    "parameters": lambda _: "parts of slurm.conf(5), with commas between",
}
