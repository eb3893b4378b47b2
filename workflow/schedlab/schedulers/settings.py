"""Native settings that an adapter declares and an experiment may change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schedlab.printing import did_you_mean
from schedlab.workloads.registry import Problem


class Setting(NamedTuple):
    """One setting of a scheduler.

    Attributes
    ----------
    default : str
        Value in force if the experiment sets none.
    meaning : str
        One line for config/README.md, with the unit.
    form : str
        Regular expression that a whole value must match. It must refuse whatever the scheduler's
        configuration file would read as more than one value: values are written there as they are.
    allowed : str
        What a value must be, in words.
    """

    default: str
    meaning: str
    form: str
    allowed: str


def merged(declared: Mapping[str, Setting], overrides: Mapping[str, str]) -> dict[str, str]:
    """Defaults with an experiment's overrides, sorted; keys ignore case."""
    spelling = {key.lower(): key for key in declared}
    values = {key: setting.default for key, setting in declared.items()}
    values.update({spelling.get(key.lower(), key): text for key, text in overrides.items()})
    return dict(sorted(values.items()))


def problems(
    declared: Mapping[str, Setting], overrides: Mapping[str, str], *, others: Setting | None
) -> Iterator[Problem]:
    """Yield the faults in an experiment's overrides.

    Parameters
    ----------
    declared : mapping of str to Setting
        Settings of the scheduler.
    overrides : mapping of str to str
        Settings of the experiment.
    others : Setting or None
        Form of any other key; None if no other key may be set.
    """
    known = {key.lower(): setting for key, setting in declared.items()}
    for key, text in overrides.items():
        setting = known.get(key.lower(), others)
        if setting is None:
            yield Problem(key, text, "not a setting", did_you_mean(key, list(declared)))
        # Digits are those of ASCII; blanks are those of Unicode too.
        elif not all(re.fullmatch(setting.form, text, flags) for flags in (re.ASCII, 0)):
            yield Problem(
                key, text, f"not {setting.allowed}", "correct it, or remove it for the default"
            )


def table(declared: Mapping[str, Setting]) -> list[str]:
    """Rows of the table in config/README.md, one a setting, in the declared order."""
    return [
        f"| `{key}` | {setting.default} | {setting.allowed} | {setting.meaning} |"
        for key, setting in declared.items()
    ]
