"""Which keys slurm.conf has, so that a misspelt one is refused before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from schedlab.printing import closest
from schedlab.workloads.registry import Problem

UNLISTED = "unlisted"
"""Setting, not of slurm.conf, that names keys which are meant although they are not known here."""
NOT_OF_SLURM = frozenset({"submission", UNLISTED})
"""Settings that reach no slurm.conf."""
_NAMES = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ ,]+[A-Za-z][A-Za-z0-9]*)*")


@cache
def known_keys() -> tuple[str, ...]:
    """Keys of slurm.conf; the file says of which versions."""
    lines = Path(__file__).with_name("keys.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def key_problems(overrides: Mapping[str, str], own: Mapping[str, object]) -> Iterator[Problem]:
    """Yield the keys of an experiment's settings that slurm.conf does not have.

    Parameters
    ----------
    overrides : mapping of str to str
        Settings of the experiment.
    own : mapping
        Further keys that are known: those that the adapter declares.
    """
    known = {key.lower() for key in (*known_keys(), *own)}
    meant = next((text for key, text in overrides.items() if key.lower() == UNLISTED), "")
    if meant and not _NAMES.fullmatch(meant):
        yield Problem(UNLISTED, meant, "not names of keys", "write names, with blanks between")
    for key, text in overrides.items():
        if key.lower() in known | {UNLISTED, *re.split("[ ,]+", meant.lower())}:
            continue
        near = closest(key, known_keys())
        yield Problem(
            key,
            text,
            "not a key of slurm.conf",
            (f"did you mean {near}? " if near else "correct it. ")
            + f"For a key that schedlab does not know, add {UNLISTED}: {key}",
        )
