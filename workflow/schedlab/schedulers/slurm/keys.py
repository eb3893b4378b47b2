"""Which keys slurm.conf has, and which values they take: what is not so starts nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from schedlab.printing import closest, did_you_mean
from schedlab.schedulers import quota
from schedlab.schedulers.slurm import forms
from schedlab.schedulers.slurm.forms import Entry, Versions
from schedlab.workloads.registry import Problem

UNLISTED = "unlisted"
"""Setting, not of slurm.conf, that names keys which are meant although they are not known here, and
parts of lists such as SchedulerParameters."""
NOT_OF_SLURM = frozenset({"submission", UNLISTED, quota.KEY.lower()})
"""Settings that reach no slurm.conf."""
_NAMES = re.compile(r"[A-Za-z]\w*(?:[ ,]+[A-Za-z]\w*)*", re.ASCII)
_CASED = re.compile(
    "compression|min_exempt_priority|node_reg_mem_percent|requeue_delay"
    "|rl_(bucket_size|log_freq|refill_period|refill_rate|table_size)"
)
"""Parts that one of the versions of Slurm reads by their case and without a blank before them."""
_UNTRIMMED = re.compile(f"overmemorykill|conmgr_.*|{_CASED.pattern}")
"""Parts that it compares with the blanks around them; the others it finds anywhere in the text."""
_REMEDY = "correct it, or remove it for the default"


@cache
def _table() -> dict[str, Entry]:
    """Keys of slurm.conf, by their names in lower case; the file says of which versions."""
    found = [forms.entry(words) for words in forms.lines("keys.txt")]
    return {one.name.lower(): one for one in found}


@cache
def known_keys() -> tuple[str, ...]:
    """Names of the keys of slurm.conf."""
    return tuple(one.name for one in _table().values())


def allowed(key: str) -> str:
    """What the value of a key must be, in words; empty where it may be any text."""
    return forms.allowed(_table()[key.lower()].forms)


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
    meant = _unlisted(overrides)
    if meant and not _NAMES.fullmatch(meant):
        yield Problem(UNLISTED, meant, "not names of keys", "write names, with blanks between")
    for key, text in overrides.items():
        if key.lower() in known | {UNLISTED} | _meant(overrides):
            continue
        near = closest(key, known_keys())
        yield Problem(
            key,
            text,
            "not a key of slurm.conf",
            (f"did you mean {near}? " if near else "correct it. ")
            + f"For a key that schedlab does not know, add {UNLISTED}: {key}",
        )


def value_problems(overrides: Mapping[str, str]) -> Iterator[Problem]:
    """Yield values that slurmctld would refuse, or take for another in silence; one for a key."""
    meant = _meant(overrides)
    for key, text in overrides.items():
        found = _table().get(key.lower())
        if found is None or not found.forms:
            continue
        # Slurm takes a value in double quotes without them.
        bare = text.strip('"')
        own = tuple(form for form in found.forms if form.kind != "parameters")
        if own == found.forms and not forms.fits(own, bare):
            yield Problem(key, text, f"not {forms.allowed(own)}", _REMEDY)
        elif own != found.forms and not (own and forms.fits(own, bare)):
            yield from _parameter_problems(found.name.lower(), key, text, meant)


def version_problems(overrides: Mapping[str, str], version: str, has: str) -> Iterator[Problem]:
    """Yield keys, words and parts of values that a version of Slurm does not have; one for a key.

    Parameters
    ----------
    overrides : mapping of str to str
        Sound settings of the experiment.
    version : str
        Such as `24.11`.
    has : str
        What has this version, in words.
    """
    for key, text in overrides.items():
        found = _table().get(key.lower())
        if found is None:
            continue
        missing: list[tuple[str, Versions]] = [(found.name, found.versions)]
        bare = text.strip('"')
        word = forms.too_new_or_old(found.forms, bare, version)
        missing += [word] if word else []
        for part in bare.split(","):
            one = forms.parts(found.name.lower()).get(part.partition("=")[0].strip().lower())
            missing += [(one.name, one.versions)] if one else []
        for name, versions in missing:
            if not versions.have(version):
                bounds = f"from {versions.first} on" if versions.first else ""
                bounds += f" up to {versions.last}" if versions.last else ""
                yield Problem(
                    key,
                    text,
                    f"{has} has Slurm {version}, and only Slurm {bounds.strip()} has {name}",
                    "remove it, or choose another image",
                )
                break


def _unlisted(overrides: Mapping[str, str]) -> str:
    return next((text for key, text in overrides.items() if key.lower() == UNLISTED), "")


def _meant(overrides: Mapping[str, str]) -> frozenset[str]:
    """Names, in lower case, that are meant although they are not known."""
    return frozenset(re.split("[ ,]+", _unlisted(overrides).lower())) - {""}


def _parameter_problems(
    setting: str, key: str, text: str, meant: frozenset[str]
) -> Iterator[Problem]:
    """Yield the first fault of a list of parameters."""
    known, seen = forms.parts(setting), set()
    for written in text.strip('"').split(","):
        part = written.strip()
        if not part:
            continue
        name, is_sign, value = part.partition("=")
        one = known.get(name.lower())
        if name.lower() in seen:
            yield Problem(key, text, f"{name} is written twice", "write it once")
        elif one and _UNTRIMMED.fullmatch(name.lower()) and written != part:
            what = f"Slurm would ignore {name} in silence, for the blank beside the comma"
            yield Problem(key, text, what, "write it without blanks")
        elif one and _CASED.fullmatch(name.lower()) and name != one.name:
            what = f"Slurm would ignore {name} in silence, for its case"
            yield Problem(key, text, what, f"write {one.name}")
        elif one and not one.forms and is_sign:
            what = f"{name} takes no value; Slurm would take it as set, whatever follows"
            yield Problem(key, text, what, f"write {name}, or leave it out")
        elif one and one.forms and not (is_sign and forms.fits(one.forms, value)):
            what = f"{part}: {name}= takes {forms.allowed(one.forms)}"
            yield Problem(key, text, what, _REMEDY)
        elif not one and name.lower() not in meant:
            near = did_you_mean(name, [other.name for other in known.values()])
            what = f"{name or part} is not a part of it that Slurm knows"
            what += ", and would be ignored in silence"
            remedy = (
                f"{near} For one that schedlab does not know, add {UNLISTED}: {name}"
                if name
                else "write NAME=VALUE, or remove it"
            )
            yield Problem(key, text, what, remedy)
        else:
            seen.add(name.lower())
            continue
        return
